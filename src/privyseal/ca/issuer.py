# SPDX-License-Identifier: Apache-2.0
"""A CA that can issue: its certificate read once, its fixed extensions encoded once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from privyseal.errors import IssuerNotActive
from privyseal.model.authority import CaKind, CaRecord, CaState
from privyseal.x509 import extensions
from privyseal.x509.algorithms import PublicKey, SignatureAlgorithm, signature_algorithm
from privyseal.x509.certificate import CertificateView, read_certificate
from privyseal.x509.keys import load_public_key
from privyseal.x509.lint import CertificateRules


@dataclass(frozen=True, slots=True)
class Urls:
    """Where relying parties find what a CA publishes; all plain HTTP, since they come before any trust."""

    crl: str
    ca_issuers: str
    ocsp: str


def publication_urls(base: str, name: str, version: int) -> Urls:
    """The URLs of one CA version below the public URL ``base``. They live in certificates for ever."""
    return Urls(
        crl=f"{base}/crl/{name}/v{version}.crl",
        ca_issuers=f"{base}/aia/{name}/v{version}.cer",
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

    @property
    def id(self) -> int:
        """Row id of the CA version."""
        return self.record.id

    @property
    def is_root(self) -> bool:
        """True when it signed itself."""
        return self.record.kind is CaKind.ROOT

    @cached_property
    def key_identifier(self) -> bytes:
        """Subject key identifier: what its certificates name as authority."""
        return self.view.subject_key_identifier or extensions.key_identifier(self.view.spki)

    @cached_property
    def pointers(self) -> tuple[bytes, ...]:
        """AKI, CDP and AIA extensions of everything that this CA signs."""
        return (
            extensions.authority_key_identifier(self.key_identifier),
            extensions.crl_distribution_points((self.urls.crl,)),
            extensions.authority_information_access(ocsp=(self.urls.ocsp,), ca_issuers=(self.urls.ca_issuers,)),
        )

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

    def require_active(self, now: datetime) -> None:
        """Raise IssuerNotActive unless it may sign certificates now."""
        if self.record.state is not CaState.ACTIVE:
            raise IssuerNotActive(f"CA {self.record.name} v{self.record.version} is {self.record.state.value}")
        if not self.view.not_before <= now <= self.view.not_after:
            raise IssuerNotActive(
                f"CA {self.record.name} v{self.record.version} is valid from {self.view.not_before:%Y-%m-%d} "
                f"to {self.view.not_after:%Y-%m-%d}",
                why="its certificate is not valid now",
                mend=(
                    "check this machine's clock",
                    "make a new CA and let the profiles name it: privyseal ca create NEW --parent PARENT",
                ),
            )
