# SPDX-License-Identifier: Apache-2.0
"""Counters over the audit trail, carried on from where the last round ended: old rows are not walked again."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import Database
from privyseal.store.unit import Transaction

_TALLIED: Final = "tallied_to"
_RESULTS: Final = {
    "certificate.issued": "issued",
    "enrollment.refused": "refused",
    "enrollment.failed": "failed",
    "enrollment.waiting": "waiting",
    "enrollment.rejected": "rejected",
}


@dataclass(frozen=True, slots=True)
class Tally:
    """One counter."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: int


class TallyBook:
    """Adds up and tells."""

    def __init__(self, database: Database, committer: GroupCommitter) -> None:
        self._database = database
        self._committer = committer

    async def carry_on(self, *, most: int) -> int:
        """Add at most so many rows of the trail; how many there were."""

        def work(transaction: Transaction) -> int:
            row = transaction.one("SELECT CAST(value AS BIGINT) FROM meta WHERE key = ?", (_TALLIED,))
            rows = transaction.execute(
                "SELECT seq, event, detail FROM audit WHERE seq > ? ORDER BY seq LIMIT ?", (row[0] if row else 0, most)
            ).fetchall()
            if not rows:
                return 0
            profiles = {name for (name,) in transaction.execute("SELECT name FROM profiles").fetchall()}
            counts = Counter(key for _, event, detail in rows for key in _keys(event, json.loads(detail), profiles))
            for (name, labels), value in counts.items():
                transaction.execute(
                    "INSERT INTO tallies (name, labels, value) VALUES (?,?,?) ON CONFLICT (name, labels) "
                    "DO UPDATE SET value = tallies.value + excluded.value",
                    (name, json.dumps(labels), value),
                )
            transaction.execute(
                "INSERT INTO meta (key, value) VALUES (?,?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (_TALLIED, str(rows[-1][0])),
            )
            return len(rows)

        if self._behind() == 0:
            return 0
        return await self._committer.run(work)

    def all(self) -> tuple[Tally, ...]:
        """Every counter."""
        rows = self._database.read("SELECT name, labels, value FROM tallies ORDER BY name, labels")
        return tuple(Tally(name, tuple((key, text) for key, text in json.loads(labels)), v) for name, labels, v in rows)

    def _behind(self) -> int:
        """How many rows of the trail are not in the counters yet."""
        row = self._database.read_one(
            "SELECT h.seq - coalesce((SELECT CAST(value AS BIGINT) FROM meta WHERE key = ?), 0) FROM audit_head h "
            "WHERE h.id = 1",
            (_TALLIED,),
        )
        return 0 if row is None else int(row[0])


_Key = tuple[str, tuple[tuple[str, str], ...]]


def _keys(event: str, detail: dict[str, Any], profiles: set[str]) -> list[_Key]:
    """The counters that a row adds to. Labels take values that administrators chose, never what a stranger sent."""
    found: list[_Key] = [("pki_events_total", (("event", event),))]
    profile = str(detail.get("profile", ""))
    known = profile if profile in profiles else ""
    if event in _RESULTS and (known or event != "certificate.issued"):
        found.append(("pki_enrollments_total", (("profile", known), ("result", _RESULTS[event]))))
    if event in ("enrollment.refused", "enrollment.failed") and "code" in detail:
        found.append(("pki_enrollment_failures_total", (("profile", known), ("code", str(detail["code"])))))
    if event == "certificate.revoked":
        found.append(("pki_revocations_total", (("reason", str(detail.get("reason", ""))),)))
    return found
