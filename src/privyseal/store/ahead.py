# SPDX-License-Identifier: Apache-2.0
"""What a clock that ran ahead has put off: once it is right again, that would wait for months. It becomes due now."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import Database
from privyseal.store.moments import to_seconds
from privyseal.store.unit import Transaction

LONGEST_WAIT: Final = timedelta(days=1)
"""Nothing is ever put off for longer; what is due later than that was put off by a wrong clock."""
_AT_ONCE: Final = 1000
PUT_OFF: Final = (
    # Table, its key, what is put off, which rows wait.
    ("deliveries", "certificate_id", "due_at", "state <> 'present'"),
    ("webhook_deliveries", "id", "due_at", "state = 'waiting'"),
    ("mails", "id", "due_at", "state = 'waiting'"),
    ("bulk_revocations", "id", "touched_at", "finished = 0"),
    ("certificates", "id", "reserved_at", "status = 'reserved'"),
)


class AheadBook:
    """Finds what waits for a moment that no right clock has set."""

    def __init__(self, database: Database, committer: GroupCommitter) -> None:
        self._database = database
        self._committer = committer

    async def make_due(self, *, now: datetime) -> int:
        """How many rows no longer wait; bounded for each call."""
        latest = to_seconds(now + LONGEST_WAIT)
        late = [
            (table, key, column, waits)
            for table, key, column, waits in PUT_OFF
            if self._database.read_one(f"SELECT 1 FROM {table} WHERE {waits} AND {column} > ? LIMIT 1", (latest,))
        ]
        told = self._database.read_one("SELECT 1 FROM notices WHERE at > ? LIMIT 1", (latest,))
        if not late and told is None:
            return 0

        def work(transaction: Transaction) -> int:
            # Whoever was warned of an end under a wrong clock has to be warned again when it really comes near.
            forgotten = transaction.execute("DELETE FROM notices WHERE at > ?", (latest,)).rowcount
            return forgotten + sum(
                transaction.execute(
                    f"UPDATE {table} SET {column} = ? WHERE {key} IN "
                    f"(SELECT {key} FROM {table} WHERE {waits} AND {column} > ? LIMIT {_AT_ONCE})",
                    (to_seconds(now), latest),
                ).rowcount
                for table, key, column, waits in late
            )

        return await self._committer.run(work)
