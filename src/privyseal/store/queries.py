# SPDX-License-Identifier: Apache-2.0
"""Lists and counts for people, by page and filter. Reads only; nothing on the way to a certificate uses them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from privyseal.errors import InvalidValue, StoreUnavailable
from privyseal.model.certificate import CertificateRecord, CertificateStatus, format_serial
from privyseal.store.certificates import RECORD_COLUMNS, RECORD_SOURCE, record_from
from privyseal.store.engine import Database
from privyseal.store.moments import to_seconds

EXPIRING_FROM: Final = 80
"""Percent of its life after which a certificate counts as expiring."""
_EXPIRING: Final = f"100 * (:now - c.not_before) >= {EXPIRING_FROM} * (c.not_after - c.not_before)"
_STATUS: Final = {
    "valid": f"c.status = 'issued' AND c.not_after > :now AND NOT {_EXPIRING}",
    "expiring": f"c.status = 'issued' AND c.not_after > :now AND {_EXPIRING}",
    "expired": "c.status = 'issued' AND c.not_after <= :now",
    "revoked": "c.status = 'revoked'",
    "reserved": "c.status = 'reserved'",
}
STATUSES: Final = tuple(_STATUS)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFilter:
    """What to list; empty fields do not filter."""

    profile: str = ""
    status: str = ""
    kind: str = ""
    entity_kind: str = ""
    entity: str = ""
    text: str = ""
    """Occurs in subject, SAN or entity name, whatever the case."""


def status_word(record: CertificateRecord, now: datetime) -> str:
    """The status that people see: stored status, or what the clock makes of it."""
    if record.status is not CertificateStatus.ISSUED:
        return str(record.status.value)
    if record.not_after <= now:
        return "expired"
    life = record.not_after - record.not_before
    return "expiring" if 100 * (now - record.not_before) >= EXPIRING_FROM * life else "valid"


def list_certificates(
    database: Database, wanted: CertificateFilter, *, before: int, limit: int, now: datetime
) -> tuple[CertificateRecord, ...]:
    """Certificates with ids below ``before`` (0: the newest), newest first. Raises InvalidValue."""
    if not 1 <= limit <= 1000:
        raise StoreUnavailable("a page holds 1 to 1000 rows")
    where, values = _where(wanted, now)
    rows = database.read(
        f"SELECT {RECORD_COLUMNS} FROM {RECORD_SOURCE} WHERE (:before = 0 OR c.id < :before){where} "
        "ORDER BY c.id DESC LIMIT :limit",
        {**values, "before": before, "limit": limit},
    )
    return tuple(record_from(row) for row in rows)


def count_certificates(database: Database, wanted: CertificateFilter, *, now: datetime) -> int:
    """How many there are."""
    where, values = _where(wanted, now)
    row = database.read_one(f"SELECT count(*) FROM {RECORD_SOURCE} WHERE 1 = 1{where}", values)
    return 0 if row is None else int(row[0])


def _where(wanted: CertificateFilter, now: datetime) -> tuple[str, dict[str, Any]]:
    parts: list[str] = []
    values: dict[str, Any] = {"now": to_seconds(now)}
    for column, name in (("c.profile", "profile"), ("c.kind", "kind"), ("e.name", "entity"), ("e.kind", "entity_kind")):
        if value := getattr(wanted, name):
            parts.append(f"{column} = :{name}")
            values[name] = value
    if wanted.status:
        if wanted.status not in _STATUS:
            raise InvalidValue(f"status {wanted.status!r} is not one of {', '.join(_STATUS)}")
        parts.append(f"({_STATUS[wanted.status]})")
    if wanted.text:
        parts.append("instr(lower(c.subject || ' ' || c.san || ' ' || coalesce(e.name, '')), lower(:text)) > 0")
        values["text"] = wanted.text
    return "".join(f" AND {part}" for part in parts), values


def serial_text(database: Database, certificate_id: int | None) -> str | None:
    """The serial of a certificate as lower-case hex, or None."""
    if certificate_id is None:
        return None
    row = database.read_one("SELECT serial FROM certificates WHERE id = ?", (certificate_id,))
    return None if row is None else format_serial(int.from_bytes(row[0], "big"))
