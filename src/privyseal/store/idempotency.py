# SPDX-License-Identifier: Apache-2.0
"""Answers to requests with an Idempotency-Key, kept for a day, so that a retry gets the first answer again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import Database
from privyseal.store.moments import to_seconds
from privyseal.store.unit import Transaction

KEPT_SECONDS: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is known of a key. ``status`` 0: the first request is still on its way, or was cut off."""

    digest: bytes
    status: int
    body: bytes


class IdempotencyBook:
    """Stored answers."""

    def __init__(self, database: Database, committer: GroupCommitter) -> None:
        self._database = database
        self._committer = committer

    async def claim(self, actor: str, key: str, *, digest: bytes) -> Remembered | None:
        """None when the key is new and is this request's from now on; else what the first request was and got."""

        def work(transaction: Transaction) -> Remembered | None:
            now = to_seconds(transaction.now)
            row = transaction.one(
                "SELECT digest, status, body, at FROM idempotency WHERE actor = ? AND key = ?", (actor, key)
            )
            if row is not None and row[3] > now - KEPT_SECONDS:
                return Remembered(row[0], row[1], row[2])
            transaction.execute("DELETE FROM idempotency WHERE actor = ? AND key = ?", (actor, key))
            transaction.execute(
                "INSERT INTO idempotency (actor, key, digest, status, body, at) VALUES (?,?,?,0,?,?)",
                (actor, key, digest, b"", now),
            )
            return None

        return await self._committer.run(work)

    async def answer(self, actor: str, key: str, *, status: int, body: bytes) -> None:
        """Keep the answer."""

        def work(transaction: Transaction) -> None:
            transaction.execute(
                "UPDATE idempotency SET status = ?, body = ? WHERE actor = ? AND key = ?", (status, body, actor, key)
            )

        await self._committer.run(work)

    async def forget(self, actor: str, key: str) -> None:
        """Nothing came of it: a retry is a new request."""

        def work(transaction: Transaction) -> None:
            transaction.execute("DELETE FROM idempotency WHERE actor = ? AND key = ?", (actor, key))

        await self._committer.run(work)
