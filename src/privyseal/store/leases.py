# SPDX-License-Identifier: Apache-2.0
"""Leases: of all processes that share a store, one at a time does what falls due by itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import Database
from privyseal.store.moments import to_seconds
from privyseal.store.unit import Transaction


class LeaseBook:
    """Leases by name. Each change of hands gives a higher fence, so a late holder can be told from the present one."""

    def __init__(self, database: Database, committer: GroupCommitter, holder: str) -> None:
        self._database = database
        self._committer = committer
        self._holder = holder

    async def take(self, name: str, *, lifetime: timedelta, holder_gone: Callable[[str], bool]) -> int | None:
        """Take or renew a lease: its fence; None while somebody else has it, whose process still runs."""

        def work(transaction: Transaction) -> int | None:
            row = transaction.one("SELECT holder, fence, ends_at FROM leases WHERE name = ?", (name,))
            now = to_seconds(transaction.now)
            ends_at = now + int(lifetime.total_seconds())
            if row is None:
                transaction.execute(
                    "INSERT INTO leases (name, holder, fence, ends_at) VALUES (?,?,1,?)", (name, self._holder, ends_at)
                )
                return 1
            holder, fence, theirs_until = row
            if holder != self._holder:
                # A clock that was put back must not give a lease for years.
                lasts = now < theirs_until <= ends_at
                if lasts and holder and not holder_gone(holder):
                    return None
                fence += 1
            transaction.execute(
                "UPDATE leases SET holder = ?, fence = ?, ends_at = ? WHERE name = ?",
                (self._holder, fence, ends_at, name),
            )
            return int(fence)

        return await self._committer.run(work)

    async def give_up(self, name: str) -> None:
        """Let somebody else have it at once."""

        def work(transaction: Transaction) -> None:
            transaction.execute(
                "UPDATE leases SET holder = '', ends_at = 0 WHERE name = ? AND holder = ?", (name, self._holder)
            )

        await self._committer.run(work)
