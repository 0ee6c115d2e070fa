# SPDX-License-Identifier: Apache-2.0
"""Small questions of people to the store. Reads only; nothing on the way to a certificate uses them."""

from __future__ import annotations

from datetime import datetime

from privyseal.model.certificate import CertificateRecord, CertificateStatus, format_serial
from privyseal.model.revocation import CrlReason
from privyseal.model.search.query import EXPIRING_FROM, Status
from privyseal.store.engine import Database


def status_word(record: CertificateRecord, now: datetime) -> str:
    """The status that people see: stored status, or what the clock makes of it."""
    if record.revocation is not None and record.revocation.reason is CrlReason.CERTIFICATE_HOLD:
        return Status.HELD.value
    if record.status is not CertificateStatus.ISSUED:
        return str(record.status.value)
    if record.not_after <= now:
        return "expired"
    life = record.not_after - record.not_before
    return "expiring" if 100 * (now - record.not_before) >= EXPIRING_FROM * life else "valid"


def serial_text(database: Database, certificate_id: int | None) -> str | None:
    """The serial of a certificate as lower-case hex, or None."""
    if certificate_id is None:
        return None
    row = database.read_one("SELECT serial FROM certificates WHERE id = ?", (certificate_id,))
    return None if row is None else format_serial(int.from_bytes(row[0], "big"))
