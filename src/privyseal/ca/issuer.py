# SPDX-License-Identifier: Apache-2.0
"""A CA that can issue: its certificate read once, its fixed extensions encoded once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from privyseal.ca.lifecycle import STAGED_FOR, Purpose, may_sign, state_at
from privyseal.errors import IssuerNotActive, IssuerPaused, KeyNotHere
from privyseal.model.authority import CaKind, CaRecord, CaState
from privyseal.model.crl import CrlScope
from privyseal.x509 import extensions
from privyseal.x509.algorithms import PublicKey, SignatureAlgorithm, signature_algorithm
from privyseal.x509.certificate import CertificateView, read_certificate
from privyseal.x509.keys import load_public_key
from privyseal.x509.lint import CertificateRules


@dataclass(frozen=True, slots=True)
class Urls:
    """Where relying parties find what a CA publishes; all plain HTTP, since they come before any trust."""

    crl: str
    """The CRL in one piece; a CA with shards answers `shard` instead."""
    delta: str
    ca_issuers: str
    bundle: str
    """The CA certificate with its cross certificates, as a certs-only CMS message."""
    ocsp: str

    def shard(self, number: int) -> str:
        """Where one shard is."""
        return f"{self.crl.removesuffix('.crl')}/{number}.crl"


def publication_urls(base: str, name: str, version: int) -> Urls:
    """The URLs of one CA version below the public URL ``base``. They live in certificates for ever."""
    return Urls(
        crl=f"{base}/crl/{name}/v{version}.crl",
        delta=f"{base}/crl/{name}/v{version}/delta.crl",
        ca_issuers=f"{base}/aia/{name}/v{version}.cer",
        bundle=f"{base}/aia/{name}/v{version}.p7c",
        ocsp=f"{base}/ocsp/{name}/v{version}",
    )


class Issuer:
    """One CA version with everything that its certificates share. Immutable."""

    def __init__(self, record: CaRecord, base_url: str) -> None:
        self.record = record
        self.view: CertificateView = read_certificate(record.certificate)
        self.public_key: PublicKey = load_public_key(self.view.spki)
        self.algorithm: SignatureAlgorithm = signature_algorithm(self.public_key, record.hash_name)
        self.urls = publication_urls(base_url, record.name, record.version)
        self._pointers: dict[int, tuple[bytes, ...]] = {}

    @property
    def id(self) -> int:
        """The id under which serials, revocations and CRLs of its key are kept."""
        return self.record.books

    @property
    def shown(self) -> str:
        """How sentences name it."""
        return f"CA {self.record.name} v{self.record.version}"

    @property
    def leaf_purpose(self) -> Purpose:
        """What a certificate for an end entity is under this version: a staged one issues for tests only."""
        return Purpose.TEST if self.record.state is CaState.STAGED else Purpose.END_ENTITY

    @property
    def leaf_end(self) -> datetime:
        """No end entity's certificate lasts longer: the CA's own end, or that of its time for tests."""
        if self.record.state is not CaState.STAGED:
            return self.view.not_after
        return min(self.view.not_after, self.record.created_at.replace(microsecond=0) + STAGED_FOR)

    @property
    def is_root(self) -> bool:
        """True when it signed itself."""
        return self.record.kind is CaKind.ROOT

    @cached_property
    def key_identifier(self) -> bytes:
        """Subject key identifier: what its certificates name as authority."""
        return self.view.subject_key_identifier or extensions.key_identifier(self.view.spki)

    def pointers(self, serial: int) -> tuple[bytes, ...]:
        """AKI, CDP and AIA extensions of the certificate with this serial, and where its delta CRL is."""
        shard = self.record.crl.shard_of(serial)
        if shard not in self._pointers:
            self._pointers[shard] = self._pointers_of(shard)
        return self._pointers[shard]

    def _pointers_of(self, shard: int) -> tuple[bytes, ...]:
        rules = self.record.crl
        found = (
            extensions.authority_key_identifier(self.key_identifier),
            extensions.crl_distribution_points((self.crl_url(CrlScope(shard=shard)),)),
            extensions.authority_information_access(ocsp=(self.urls.ocsp,), ca_issuers=self._ca_issuers()),
        )
        return found if rules.delta is None else (*found, extensions.freshest_crl((self.urls.delta,)))

    def _ca_issuers(self) -> tuple[str, ...]:
        # A root's cross certificates come beside it; who has only the old root finds its way by them.
        return (self.urls.ca_issuers, self.urls.bundle) if self.is_root else (self.urls.ca_issuers,)

    @property
    def crl_scopes(self) -> tuple[CrlScope, ...]:
        """Every CRL that this CA publishes, the base before its delta."""
        shards = tuple(CrlScope(shard=shard) for shard in self.record.crl.all_shards)
        return shards if self.record.crl.delta is None else (*shards, CrlScope(delta=True))

    def crl_url(self, scope: CrlScope) -> str:
        """Where this CRL is published."""
        if scope.delta:
            return self.urls.delta
        return self.urls.shard(scope.shard) if self.record.crl.shards else self.urls.crl

    def rules(
        self,
        *,
        spki: bytes,
        subject: bytes,
        ca: bool,
        exact: dict[str, bytes | None],
        revocable: bool = True,
    ) -> CertificateRules:
        """Lint rules for a certificate under this CA."""
        return CertificateRules(
            algorithm=self.algorithm.identifier,
            spki=spki,
            subject=subject,
            ca=ca,
            issuer_name=self.view.subject,
            issuer_key_identifier=self.key_identifier,
            issuer_not_after=self.view.not_after,
            issuer_ext_key_usage=self.view.ext_key_usage,
            issuer_path_length=self.view.path_length,
            exact=exact,
            revocable=revocable,
        )

    def owes_status(self, now: datetime) -> bool:
        """Whether relying parties may ask for its CRL and OCSP answers now."""
        return may_sign(self.record.state, Purpose.STATUS) and self.view.not_before <= now <= self.view.not_after

    def require_active(self, now: datetime, purpose: Purpose = Purpose.END_ENTITY) -> None:
        """Raise IssuerNotActive, IssuerPaused or KeyNotHere unless it may sign such a certificate now."""
        if not self.record.has_key:
            raise KeyNotHere(f"the key of {self.shown} is not on this server")
        state = self.record.state
        if state is CaState.PAUSED and not may_sign(state, purpose):
            raise IssuerPaused(f"{self.shown} is paused since {self.record.changed_at:%Y-%m-%dT%H:%M:%SZ}")
        if not may_sign(state, purpose):
            raise IssuerNotActive(f"{self.shown} is {state.value}; it signs no {purpose.value}")
        if now < self.view.not_before or state_at(state, self.view.not_after, now) is CaState.EXPIRED:
            raise IssuerNotActive(
                f"{self.shown} is valid from {self.view.not_before:%Y-%m-%d} to {self.view.not_after:%Y-%m-%d}",
                why="its certificate is not valid now",
                mend=("check this machine's clock", f"make its next version: privyseal ca renew {self.record.name}"),
            )
