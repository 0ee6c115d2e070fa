# SPDX-License-Identifier: Apache-2.0
"""To-be-signed certificates and CRLs, and the assembly of what was signed (RFC 5280 sections 4.1 and 5.1).

Only bytes are made here; whether they may be signed is for ``x509.lint`` and ``ca.issuance``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from privyseal.x509 import der, extensions, oids

_VERSION_3: Final = der.explicit(0, der.integer(2))
_VERSION_2: Final = der.integer(1)
_LARGE: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class CertificateContent:
    """The fields of a TBSCertificate, names and keys already as DER."""

    serial: int
    algorithm: bytes
    issuer: bytes
    not_before: datetime
    not_after: datetime
    subject: bytes
    spki: bytes
    extensions: tuple[bytes, ...]


def certificate_tbs(content: CertificateContent) -> bytes:
    """The DER of a version 3 TBSCertificate."""
    return der.sequence(
        _VERSION_3,
        der.integer(content.serial),
        content.algorithm,
        content.issuer,
        der.sequence(der.time(content.not_before), der.time(content.not_after)),
        content.subject,
        content.spki,
        der.explicit(3, der.sequence(*content.extensions)),
    )


def revoked_entry(
    serial: int, revoked_at: datetime, *, reason: int | None = None, invalid_since: datetime | None = None
) -> bytes:
    """One member of revokedCertificates. ``reason`` 0 (unspecified) is left out, as RFC 5280 5.3.1 advises."""
    details = b""
    if reason:
        details += extensions.extension(oids.CRL_REASON, der.tlv(der.ENUMERATED, bytes((reason,))))
    if invalid_since is not None:
        details += extensions.extension(oids.INVALIDITY_DATE, der.generalized_time(invalid_since))
    return der.sequence(der.integer(serial), der.time(revoked_at), der.sequence(details) if details else b"")


def crl_tbs(
    *,
    algorithm: bytes,
    issuer: bytes,
    this_update: datetime,
    next_update: datetime,
    entries: Iterable[bytes],
    crl_extensions: Sequence[bytes],
) -> bytes:
    """The DER of a version 2 TBSCertList; ``entries`` are stored ``revoked_entry`` encodings."""
    joined = b"".join(entries)
    del entries  # there may be tens of megabytes: one copy less
    # RFC 5280 5.1.2.6: with nothing revoked the list is absent, not empty.
    heading = der.header(der.SEQUENCE, len(joined)) if joined else b""
    return der.large_sequence(
        _VERSION_2,
        algorithm,
        issuer,
        der.time(this_update),
        der.time(next_update),
        heading,
        joined,
        der.explicit(0, der.sequence(*crl_extensions)),
    )


def assemble(tbs: bytes, algorithm: bytes, signature: bytes) -> bytes:
    """SEQUENCE { toBeSigned, signatureAlgorithm, signature }: certificate or CRL."""
    parts = tbs, algorithm, der.bit_string(signature)
    return der.large_sequence(*parts) if len(tbs) >= _LARGE else der.sequence(*parts)
