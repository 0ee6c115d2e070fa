# SPDX-License-Identifier: Apache-2.0
"""What the API's operations read and do, from the books of one installation, as shapes."""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from privyseal.bootstrap import Application
from privyseal.bootstrap.publishing import ca_labels
from privyseal.ca.form import CertificateForm
from privyseal.ca.issuer import Issuer
from privyseal.errors import BodyInvalid, InvalidValue, NotFound, NotIssued, OperationUnsupported
from privyseal.model.api.shapes import AuthorityShape, CertificateShape, Issued, IssueWish, ProfileShape
from privyseal.model.authority import CaRecord
from privyseal.model.certificate import (
    CertificateRecord,
    CertificateStatus,
    format_serial,
    parse_serial,
)
from privyseal.model.challenge import challenge_hash
from privyseal.model.durations import parse_duration
from privyseal.model.entity import EndEntity, EntityKind
from privyseal.model.profile import CertificateProfile
from privyseal.model.profile_text import profile_to_data
from privyseal.model.search.grammar import parse_search
from privyseal.model.search.query import Among, Field, Search
from privyseal.store.queries import serial_text, status_word
from privyseal.x509.certificate import read_certificate
from privyseal.x509.csr import CertificationRequest, parse_request
from privyseal.x509.extensions import ext_key_usage_label
from privyseal.x509.keys import describe_key
from privyseal.x509.names import DistinguishedName

_CHALLENGE_LIFE: Final = timedelta(minutes=60)
_LONGEST_CHALLENGE: Final = timedelta(days=7)


class ApiAuthorities:
    """Implements ``endpoints.api.certificates.Authorities``."""

    def __init__(self, application: Application) -> None:
        self._app = application

    def authorities(self) -> tuple[AuthorityShape, ...]:
        """Every version, each below the one that signed it."""
        records = self._app.authorities.all()

        def below(parent: int | None) -> list[CaRecord]:
            found = [record for record in records if record.parent_id == parent]
            return [item for record in found for item in (record, *below(record.id))]

        return tuple(self._shape(record) for record in below(None))

    def authority(self, name: str, version: int) -> AuthorityShape:
        """One. Raises NotFound."""
        return self._shape(self._app.authorities.get(name, version))

    def labels(self, ca: str) -> frozenset[str]:
        """Of a CA."""
        return ca_labels(self._app, ca)

    def profiles(self) -> tuple[ProfileShape, ...]:
        """All of them."""
        return tuple(_profile(profile) for profile in self._app.profiles.all())

    def profile(self, name: str) -> ProfileShape:
        """Raises NotFound."""
        return _profile(self._app.profiles.get(name))

    def issuer_of(self, profile: str) -> str:
        """The name of a profile's CA. Raises NotFound."""
        return self._app.catalog.form(profile).profile.issuer

    def _shape(self, record: CaRecord) -> AuthorityShape:
        issuer = Issuer(record, self._app.settings.public_url)
        view, latest = issuer.view, self._app.crls.newest(record.id)
        parents = {other.id: other.name for other in self._app.authorities.all()}
        return AuthorityShape(
            name=record.name,
            version=record.version,
            kind=record.kind.value,
            state=record.state.value,
            parent=None if record.parent_id is None else parents.get(record.parent_id),
            subject=DistinguishedName.from_der(view.subject).to_text(),
            serial=format_serial(view.serial),
            key=describe_key(issuer.public_key),
            signature_algorithm=issuer.algorithm.name,
            not_before=view.not_before,
            not_after=view.not_after,
            path_length=view.path_length,
            ext_key_usage=tuple(sorted(map(ext_key_usage_label, view.ext_key_usage or ()))),
            fingerprint_sha256=sha256(record.certificate).hexdigest(),
            crl_url=issuer.urls.crl,
            aia_url=issuer.urls.ca_issuers,
            ocsp_url=issuer.urls.ocsp,
            crl_number=None if latest is None else latest.number,
            crl_next_update=None if latest is None else latest.next_update,
            labels=tuple(sorted(self.labels(record.name))),
            certificate=pem(record.certificate),
        )


class ApiInventory:
    """Implements ``endpoints.api.certificates.Inventory``."""

    def __init__(self, application: Application) -> None:
        self._app = application
        self._chains: dict[int, tuple[str, ...]] = {}

    def page(
        self, where: str, *, cas: frozenset[str] | None, cursor: str, limit: int
    ) -> tuple[tuple[CertificateShape, ...], str]:
        """Newest first."""
        now = self._app.clock.now()
        page = self._app.inventory.page(_search(where, cas, now=now), limit=limit, cursor=cursor)
        return tuple(self._shape(record, now=now) for record in page.records), page.cursor

    async def count(self, where: str, *, cas: frozenset[str] | None) -> int:
        """How many there are."""
        return await self._app.inventory.count(_search(where, cas, now=self._app.clock.now()))

    def certificate(self, serial: str, ca: str) -> CertificateShape:
        """With its PEM."""
        _, record = self._find(serial, ca)
        encoded = None
        if record.status is not CertificateStatus.RESERVED:
            encoded = pem(self._app.certificates.encoded(record.id))
        return self._shape(record, now=self._app.clock.now(), encoded=encoded)

    async def drawn(self, wish: IssueWish, kind: EntityKind, *, name: str) -> tuple[str, ...]:
        """What ``issue`` would certify, in words; nothing is signed or stored."""
        _, request, entity = self._asked(wish, kind, name)
        drawn = await self._app.registration.draw_for(entity, wish.profile, request)
        said = (f"subject {drawn.subject}", f"alternative names {drawn.san or 'none'}", f"good until {drawn.not_after}")
        return (*said, drawn.remark) if drawn.remark else said

    def _asked(
        self, wish: IssueWish, kind: EntityKind, name: str
    ) -> tuple[CertificateForm, CertificationRequest, EndEntity]:
        form = self._app.catalog.form(wish.profile)
        request = parse_request(read_request(wish.csr), allow_sha1=form.profile.scep.legacy_devices)
        return form, request, self._app.entities.named(kind, name)

    async def issue(self, wish: IssueWish, kind: EntityKind, *, name: str, requester: str) -> Issued:
        """Names from the device or user, the key from the request."""
        form, request, entity = self._asked(wish, kind, name)
        granted = await self._app.registration.issue_for(entity, wish.profile, request, requester=requester)
        view = read_certificate(granted.certificate)
        return Issued(
            serial=format_serial(view.serial),
            not_before=view.not_before,
            not_after=view.not_after,
            certificate=pem(granted.certificate),
            chain=self._chain(form.issuer),
            remark=granted.remark or None,
        )

    def _chain(self, issuer: Issuer) -> tuple[str, ...]:
        if issuer.id not in self._chains:
            self._chains[issuer.id] = tuple(pem(item.record.certificate) for item in self._app.catalog.chain(issuer))
        return self._chains[issuer.id]

    def _find(self, serial: str, ca: str) -> tuple[Issuer, CertificateRecord]:
        number = parse_serial(serial)
        found = [
            (issuer, record)
            for issuer in self._app.catalog.issuers()
            if not ca or issuer.record.name == ca
            if (record := self._app.certificates.by_serial(issuer.id, number)) is not None
        ]
        if not found:
            raise NotIssued(f"no certificate has serial {format_serial(number)}")
        if len(found) > 1:
            names = ", ".join(issuer.record.name for issuer, _ in found)
            raise InvalidValue(f"serial {format_serial(number)} was issued by {names}", mend=("say which: ca=NAME",))
        return found[0]

    def _shape(self, record: CertificateRecord, *, now: datetime, encoded: str | None = None) -> CertificateShape:
        revocation = record.revocation
        return CertificateShape(
            serial=format_serial(record.serial),
            ca=record.issuer,
            status=status_word(record, now),
            kind=record.kind.value,
            subject=record.subject,
            san=record.san,
            profile=record.profile or None,
            profile_revision=record.profile_revision or None,
            entity=record.entity or None,
            not_before=record.not_before,
            not_after=record.not_after,
            protocol=record.protocol,
            requester=record.requester,
            revoked_at=None if revocation is None else revocation.at,
            reason=None if revocation is None else revocation.reason.label,
            invalid_since=None if revocation is None else revocation.invalid_since,
            certificate=encoded,
        )


class ApiEnrolling:
    """Implements ``endpoints.api.entities.Enrolling``."""

    def __init__(self, application: Application, authorities: ApiAuthorities) -> None:
        self._app = application
        self._authorities = authorities

    def issuer_labels(self, profile: str) -> frozenset[str]:
        """Labels of the CA of a profile; empty for one that is gone."""
        try:
            return self._authorities.labels(self._app.profiles.get(profile).issuer)
        except NotFound:
            return frozenset()

    def serial_of(self, certificate_id: int | None) -> str | None:
        """As hexadecimal text."""
        return serial_text(self._app.database, certificate_id)

    def challenge_end(self, profile: str, entity: EndEntity, *, life: str | None) -> datetime:
        """When a challenge made now would end. Raises what stands in its way."""
        form = self._app.catalog.form(profile)
        if not form.profile.scep.enabled:
            raise OperationUnsupported(f"profile {profile} is not served by SCEP")
        entity.require_enabled()
        form.names(entity)  # a variable without a value is told now, not to the device later
        ttl = parse_duration(life) if life else _CHALLENGE_LIFE
        if not timedelta(minutes=1) <= ttl <= _LONGEST_CHALLENGE:
            raise InvalidValue(f"a challenge lives 1 minute to 7 days, not {life}")
        return self._app.clock.now().replace(microsecond=0) + ttl

    async def challenge(self, profile: str, entity: EndEntity, *, life: str | None, actor: str) -> tuple[str, datetime]:
        """A new challenge and its end."""
        until = self.challenge_end(profile, entity, life=life)
        secret = base64.b32encode(self._app.rng.bytes(20)).decode("ascii").lower()
        await self._app.entities.create_challenge(
            challenge_hash(secret), profile=profile, entity=entity, expires_at=until, actor=actor
        )
        return secret, until


def pem(encoded: bytes) -> str:
    """One PEM block (RFC 7468)."""
    text = base64.b64encode(encoded).decode("ascii")
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"


def read_request(text: str) -> bytes:
    """The octets of a PKCS #10 request, PEM or base64 of DER; PEM is read further on. Raises BodyInvalid."""
    if "-----BEGIN" in text:
        return text.encode("utf-8", "replace")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BodyInvalid("csr is neither PEM nor base64", faults=(("/csr", "is neither PEM nor base64"),)) from error


def _search(where: str, cas: frozenset[str] | None, *, now: datetime) -> Search:
    """A search within some CAs; one that names none of them finds nothing."""
    search = parse_search(where, now=now)
    if cas is None:
        return search
    return replace(search, clauses=(*search.clauses, Among(Field.ISSUER, tuple(sorted(cas)) or ("-",))))


def _profile(profile: CertificateProfile) -> ProfileShape:
    return ProfileShape(name=profile.name, revision=profile.revision, body=profile_to_data(profile))
