# SPDX-License-Identifier: Apache-2.0
"""A search as a condition on rows, in SQL that every engine of the store reads. Values are parameters, never text.

Text is compared in Python (``names_match``), so that upper and lower case mean the same on every engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from privyseal.model.certificate import parse_serial
from privyseal.model.revocation import CrlReason
from privyseal.model.search.query import EXPIRING_FROM, Among, Clause, Field, Holds, Search, Status, Within, fold
from privyseal.store.search_terms import HOLD

SOURCE: Final = (
    "certificates c LEFT JOIN authorities a ON a.id = c.issuer_id LEFT JOIN entities e ON e.id = c.entity_id "
    "LEFT JOIN revocations r ON r.certificate_id = c.id"
)
NAMES: Final = "c.subject, c.san, coalesce(e.name, '')"
_LATE: Final = f"100 * (:now - c.not_before) >= {EXPIRING_FROM} * (c.not_after - c.not_before)"
STATUS: Final[Mapping[Status, str]] = {
    Status.ACTIVE: "c.status = 'issued' AND c.not_after > :now",
    Status.VALID: f"c.status = 'issued' AND c.not_after > :now AND NOT ({_LATE})",
    Status.EXPIRING: f"c.status = 'issued' AND c.not_after > :now AND {_LATE}",
    Status.EXPIRED: "c.status = 'issued' AND c.not_after <= :now",
    Status.REVOKED: "c.status = 'revoked'",
    Status.HELD: f"c.status = 'revoked' AND r.reason = {HOLD}",
    Status.RESERVED: "c.status = 'reserved'",
}
_COLUMNS: Final = {
    Field.PROFILE: "c.profile",
    Field.REVISION: "c.profile_revision",
    Field.ISSUER: "a.name",
    Field.VERSION: "a.version",
    Field.KIND: "c.kind",
    Field.PROTOCOL: "c.protocol",
    Field.REQUESTER: "c.requester",
    Field.REASON: "r.reason",
    Field.ENTITY: "e.name",
    Field.DEVICE: "e.kind = 'device' AND e.name",
    Field.USER: "e.kind = 'user' AND e.name",
    Field.SID: "c.sid",
    Field.SERIAL: "c.serial",
    Field.ISSUED: "c.reserved_at",
    Field.ENDS: "c.not_after",
    Field.REVOKED: "r.at",
}
_NAMES_AT: Final = {Field.SUBJECT: (0,), Field.SAN: (1,), Field.TEXT: (0, 1, 2)}


def condition(search: Search) -> tuple[str, dict[str, Any]]:
    """`` AND ...`` for everything but text, and its parameters."""
    parts: list[str] = []
    values: dict[str, Any] = {"now": search.now}
    for clause in search.clauses:
        if not isinstance(clause, Holds):
            # What has no revocation or no entity compares to NULL, which is neither so nor not so.
            told = f"coalesce(({_told(clause, values)}), FALSE)"
            parts.append(f" AND NOT {told}" if clause.negated else f" AND {told}")
    return "".join(parts), values


def _told(clause: Clause, values: dict[str, Any]) -> str:
    if isinstance(clause, Among) and clause.field is Field.STATUS:
        return " OR ".join(f"({STATUS[Status(value)]})" for value in clause.values)
    column = _COLUMNS[clause.field]
    if isinstance(clause, Within):
        bounds = ((">=", clause.since), ("<", clause.until))
        return " AND ".join(f"{column} {sign} {_bind(values, edge)}" for sign, edge in bounds if edge is not None)
    if isinstance(clause, Among):
        return f"{column} IN ({', '.join(_bind(values, stored(clause.field, value)) for value in clause.values)})"
    raise TypeError(f"{clause} is not told in SQL")


def _bind(values: dict[str, Any], value: object) -> str:
    name = f"v{len(values)}"
    values[name] = value
    return f":{name}"


def stored(field: Field, value: str) -> str | int | bytes:
    """A value of a search as its column holds it."""
    if field in (Field.VERSION, Field.REVISION):
        return int(value)
    if field is Field.REASON:
        return int(CrlReason.parse(value))
    if field is Field.SERIAL:
        number = parse_serial(value)
        return number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big")
    return value


def texts(search: Search) -> tuple[Holds, ...]:
    """The clauses that ``names_match`` decides."""
    return tuple(clause for clause in search.clauses if isinstance(clause, Holds))


def names_match(clauses: tuple[Holds, ...], names: tuple[str, str, str]) -> bool:
    """Whether subject, SAN and entity name hold what they shall and nothing that they shall not."""
    folded = [fold(name) for name in names]
    for clause in clauses:
        looked_at = [folded[at] for at in _NAMES_AT[clause.field]]
        held = any(needle in name for needle in clause.needles for name in looked_at)
        if held is clause.negated:
            return False
    return True
