# SPDX-License-Identifier: Apache-2.0
"""How long what is stored is kept, table by table, as one table; and what that comes to in a year."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

_YEAR: Final = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """The rule of one table. Without ``days`` rows are kept for ever, or end by themselves: ``why`` says which."""

    why: str
    days: int | None = None
    """Days after the moment in ``age``; only rows that meet ``where`` go."""
    age: str = ""
    """Column with the moment of a row, in seconds."""
    where: str = ""
    grows_with: str = ""
    """A table without moments that has a row for each row of this one."""


def _ever(why: str, *, age: str = "", grows_with: str = "") -> Keeping:
    return Keeping(why=why, age=age, grows_with=grows_with)


_OF_CERTIFICATES: Final = "a certificate can be asked for as long as somebody holds what it signed"
KEPT: Final[Mapping[str, Keeping]] = MappingProxyType(
    {
        "meta": _ever("a row for each fact about the store"),
        "entities": _ever("certificates name them", age="created_at"),
        "profiles": _ever("certificates name the revision that made them", age="created_at"),
        "authorities": _ever("what a CA signed outlives it", age="created_at"),
        "authority_names": _ever("a name is never given again"),
        "authority_requests": _ever("ends when the certificate comes or the CA is deleted", age="created_at"),
        "cross_certificates": _ever(_OF_CERTIFICATES),
        "services": _ever("what an RA or OCSP responder signed outlives it", age="not_before"),
        "certificates": _ever(_OF_CERTIFICATES, age="reserved_at"),
        "certificate_tbs": _ever(_OF_CERTIFICATES, grows_with="certificates"),
        "certificate_signatures": _ever(_OF_CERTIFICATES, grows_with="certificates"),
        "revocations": _ever("a revoked certificate never becomes good again", age="at"),
        "released_holds": _ever("ends with the next base CRL that everybody holds"),
        "crls": _ever("a CRL number is never given again", age="this_update"),
        "crl_parts": _ever("replaced by the next CRL"),
        "search_terms": _ever("an index over the certificates"),
        "search_values": _ever("an index over the certificates"),
        "bulk_revocations": _ever("who revoked many at once, and why"),
        "bulk_revocation_rows": _ever("what was revoked together"),
        "blocked_keys": _ever("a compromised key is never certified again"),
        "challenges": Keeping(
            why="used ones are evidence and stay; nobody can use the others any more",
            days=90,
            age="expires_at",
            where="used_at IS NULL",
        ),
        "enrollments": Keeping(
            why="those that led to a certificate stay; of the others the audit trail keeps a row",
            days=90,
            age="at",
            where="state IN ('refused', 'failed')",
        ),
        "directories": _ever("how a directory is reached", age="created_at"),
        "directory_receipts": _ever("what we may take back", age="at"),
        "deliveries": _ever("ends when the certificate has left its account"),
        "external_authorities": _ever("CAs of others that are watched", age="created_at"),
        "role_grants": _ever("who may do what", age="granted_at"),
        "tokens": _ever("the audit trail names them", age="created_at"),
        "approvals": Keeping(
            why="the audit trail keeps who asked and who decided",
            days=400,
            age="created_at",
            where="state NOT IN ('waiting', 'approved')",
        ),
        "idempotency": Keeping(why="a request is repeated within a day or not at all", days=1, age="at"),
        "webhooks": _ever("who is told", age="created_at"),
        "webhook_deliveries": Keeping(
            why="a delivery can be repeated for a month", days=30, age="changed_at", where="state <> 'waiting'"
        ),
        "tallies": _ever("counters; a row for each name"),
        "notices": Keeping(why="what has ended is not told of again", days=90, age="ends_at"),
        "mails": Keeping(
            why="sent and given up ones; the audit trail keeps what was told",
            days=90,
            age="created_at",
            where="state <> 'waiting'",
        ),
        "audit": _ever("a chain that is cut proves nothing", age="at"),
        "audit_head": _ever("the end of the chain"),
        "leases": _ever("a row for each kind of work"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """What there is of one table now. ``octets`` is about right: rows are weighed by a sample, without indexes."""

    name: str
    rows: int
    octets: int
    oldest: int | None
    """Seconds since 1970."""
    per_day: float | None
    """Rows a day over the last month, or since the first; None where rows have no moment."""

    def in_a_year(self) -> int:
        """Octets that the table will have in a year if it goes on like this."""
        if not self.per_day or not self.rows:
            return self.octets
        kept, weight = KEPT[self.name], self.octets / self.rows
        if kept.days is not None and not kept.where:
            return round(self.per_day * min(kept.days, _YEAR) * weight)
        return round(self.octets + self.per_day * _YEAR * weight)
