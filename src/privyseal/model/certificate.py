# SPDX-License-Identifier: Apache-2.0
"""Certificates as the store knows them: what was reserved, what was issued, what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from privyseal.errors import InvalidValue
from privyseal.model.revocation import Revocation


class CertificateStatus(Enum):
    """Stored status. Expired is not stored: it follows from the clock."""

    RESERVED = "reserved"
    """The intent is durable; a signature may or may not exist yet."""
    ISSUED = "issued"
    REVOKED = "revoked"


class CertificateKind(Enum):
    """What the certificate is for inside the PKI."""

    CA = "ca"
    RA = "ra"
    OCSP = "ocsp"
    END_ENTITY = "end-entity"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRecord:
    """One row of the inventory, without the DER."""

    id: int
    issuer: str
    issuer_version: int
    serial: int
    kind: CertificateKind
    status: CertificateStatus
    subject: str
    san: str
    profile: str
    profile_revision: int
    entity_id: int | None
    entity: str
    not_before: datetime
    not_after: datetime
    protocol: str
    requester: str
    sid: str
    """The SID inside the certificate; empty when it carries none."""
    revocation: Revocation | None


def format_serial(serial: int) -> str:
    """Lower-case hex with an even number of digits, no separators."""
    text = f"{serial:x}"
    return text if len(text) % 2 == 0 else "0" + text


def parse_serial(text: str) -> int:
    """A serial in any usual form: hex with or without 0x, colons, spaces. Raises InvalidValue."""
    digits = text.strip().lower().removeprefix("0x").replace(":", "").replace(" ", "").replace("-", "")
    if not digits or len(digits) > 42 or any(char not in "0123456789abcdef" for char in digits):
        raise InvalidValue(f"serial {text!r} is not a hexadecimal number of at most 20 octets")
    return int(digits, 16)
