# SPDX-License-Identifier: Apache-2.0
"""Profiles, CAs and their keys as they are in force, kept in memory until the store says they changed."""

from __future__ import annotations

from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import rsa

from privyseal.adapters.keys import FileKeyStore
from privyseal.ca.form import CertificateForm
from privyseal.ca.issuer import Issuer
from privyseal.ca.ports import Clock, Signer
from privyseal.errors import IssuerNotActive, KeyNotHere, NotFound, PassphraseMissing
from privyseal.model.authority import IN_FORCE, CaState, ServiceRecord
from privyseal.model.authority_name import CrossCertificate
from privyseal.model.certificate import CertificateKind
from privyseal.store.authorities import AuthorityBook
from privyseal.store.authority_names import AuthorityNames
from privyseal.store.engine import Database
from privyseal.store.profiles import ProfileBook


class LiveCatalog:
    """Implements ``ra.ports.Catalog`` and what the endpoints ask of CAs."""

    def __init__(
        self,
        *,
        database: Database,
        profiles: ProfileBook,
        authorities: AuthorityBook,
        names: AuthorityNames,
        keys: FileKeyStore | None,
        clock: Clock,
        base_url: str,
    ) -> None:
        self._database = database
        self._profiles = profiles
        self._authorities = authorities
        self._names = names
        self._keys = keys
        self._clock = clock
        self._base_url = base_url
        self._seen = (-1, -1)
        self._issuers: dict[int, Issuer] = {}
        self._crosses: tuple[CrossCertificate, ...] = ()
        self._forms: dict[tuple[str, int], CertificateForm] = {}
        self._signers: dict[int, Signer] = {}
        self._services: dict[tuple[int, CertificateKind], tuple[datetime, tuple[ServiceRecord, ...]]] = {}

    def refresh(self) -> int:
        """Drop what is stale; returns the catalog's version. Costs next to nothing when nobody wrote."""
        version = self._database.recent_version()
        if version != self._seen[0]:
            catalog = self._database.catalog_version()
            if catalog != self._seen[1]:
                self._issuers = {record.id: Issuer(record, self._base_url) for record in self._authorities.all()}
                self._crosses = self._names.crosses()
                self._forms.clear()
                self._services.clear()
            self._seen = (version, catalog)
        return self._seen[1]

    def issuers(self) -> tuple[Issuer, ...]:
        """Every CA version."""
        self.refresh()
        return tuple(self._issuers.values())

    def issuer(self, name: str, version: int = 0) -> Issuer:
        """A CA version; 0 is the one in force, active or paused. Raises NotFound."""
        found = [issuer for issuer in self.issuers() if issuer.record.name == name]
        chosen = [
            issuer
            for issuer in found
            if (issuer.record.state in IN_FORCE if version == 0 else issuer.record.version == version)
        ]
        if not chosen:
            raise NotFound(f"there is no CA {name!r} v{version}" if version else f"there is no active CA {name!r}")
        return chosen[-1]

    def issuer_of(self, name: bytes) -> tuple[Issuer, ...]:
        """See ``Catalog.issuer_of``."""
        return tuple(issuer for issuer in self.issuers() if issuer.view.subject == name)

    def form(self, profile: str, version: int = 0) -> CertificateForm:
        """See ``Catalog.form``."""
        self.refresh()
        key = (profile, version)
        if key not in self._forms:
            found = self._profiles.get(profile)
            try:
                issuer = self.issuer(found.issuer, version)
            except NotFound as error:
                raise IssuerNotActive(f"profile {profile}: CA {found.issuer} is not there or not active") from error
            if version and issuer.record.state is not CaState.STAGED:
                raise NotFound(f"{issuer.shown} is not staged: it has no URL for tests")
            self._forms[key] = CertificateForm(found, issuer)
        return self._forms[key]

    def signer(self, issuer_id: int) -> Signer:
        """See ``Catalog.signer``."""
        if issuer_id not in self._signers:
            record = next(issuer.record for issuer in self.issuers() if issuer.id == issuer_id)
            if not record.has_key:
                raise KeyNotHere(f"the key of CA {record.name} v{record.version} is not on this server")
            self._signers[issuer_id] = self.unlocked().signer(record.key_ref, record.hash_name)
        return self._signers[issuer_id]

    def service_signer(self, service: ServiceRecord) -> Signer:
        """The key of an OCSP responder."""
        return self.unlocked().signer(service.key_ref, None)

    def transport_key(self, service: ServiceRecord) -> rsa.RSAPrivateKey:
        """The key of an RA."""
        return self.unlocked().transport_key(service.key_ref)

    def services(self, issuer_id: int, kind: CertificateKind) -> tuple[ServiceRecord, ...]:
        """Unexpired services of one kind, newest first; those made under a clock that ran ahead come last."""
        self.refresh()
        now = self._clock.now()
        key = (issuer_id, kind)
        # Read again when the clock was set back: what had expired under the wrong one is good again.
        if key not in self._services or self._services[key][0] > now:
            self._services[key] = (now, self._authorities.services(issuer_id, kind, now=now))
        good = [service for service in self._services[key][1] if service.not_after > now]
        return tuple(sorted(good, key=lambda service: service.not_before > now))

    def transport_services(self, issuer: Issuer) -> tuple[ServiceRecord, ...]:
        """RA certificates that a device may encrypt to: those of the CA version, newest first, then of older ones.

        Clients keep the RA that they once fetched; a rollover must not lock them out.
        """
        found = list(self.services(issuer.id, CertificateKind.RA))
        if issuer.record.state is CaState.STAGED:
            return tuple(found)
        for other in reversed(self.issuers()):
            if other.record.name == issuer.record.name and other.record.state is CaState.SUPERSEDED:
                found += [service for service in self.services(other.id, CertificateKind.RA) if service not in found]
        return tuple(found)

    def crosses(self, issuer: Issuer) -> tuple[bytes, ...]:
        """Certificates of the key of this CA version by other versions of its name."""
        self.refresh()
        return tuple(cross.certificate for cross in self._crosses if cross.subject_id == issuer.record.id)

    def chain(self, issuer: Issuer) -> tuple[Issuer, ...]:
        """The CA and those above it, the root last."""
        self.refresh()
        found = [issuer]
        while (parent := found[-1].record.parent_id) is not None and len(found) < 10:
            found.append(self._issuers[parent])
        return tuple(found)

    def successor(self, issuer: Issuer) -> Issuer | None:
        """The staged next version of a CA, or None."""
        for other in self.issuers():
            if (other.record.name, other.record.state) == (issuer.record.name, CaState.STAGED):
                return other
        return None

    def unlocked(self) -> FileKeyStore:
        """The key store. Raises PassphraseMissing when no passphrase was given."""
        if self._keys is None:
            raise PassphraseMissing("this needs a private key, and the keys are not unlocked")
        return self._keys
