# SPDX-License-Identifier: Apache-2.0
"""One transaction: plain SQL on the writer, and the audit rows that commit with it or not at all."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from privyseal.audit.chain import chain
from privyseal.model.audit import AuditEvent, microseconds
from privyseal.store.engine import Connection, Cursor, Row


class Transaction:
    """What a unit of work sees of the store. Made and committed by ``Database.transact`` only."""

    _HEAD: ClassVar[str] = "SELECT seq, digest FROM audit_head WHERE id = 1"

    def __init__(self, connection: Connection, now: datetime) -> None:
        self._connection = connection
        self.now = now
        seq, digest = connection.execute(self._HEAD).fetchone()
        self._head: tuple[int, bytes] = (seq, digest)
        self._written = seq
        self._rows: list[tuple[Any, ...]] = []
        self.issuers: dict[int, Row | None] = {}
        """What ``authority_guard`` read, once for all certificates of a transaction, until it changes a CA."""

    @property
    def head(self) -> tuple[int, bytes]:
        """Number and digest of the last audit row, for a caller that may have to go back to it."""
        return self._head

    def rewind(self, head: tuple[int, bytes]) -> None:
        """Forget audit rows after ``head``, because their savepoint was rolled back."""
        self._head = head
        self.issuers.clear()
        del self._rows[head[0] - self._written :]

    def execute(self, sql: str, parameters: tuple[Any, ...] = ()) -> Cursor:
        """Run one statement."""
        return self._connection.execute(sql, parameters)

    def one(self, sql: str, parameters: tuple[Any, ...] = ()) -> Row | None:
        """First row, or None."""
        found: Row | None = self._connection.execute(sql, parameters).fetchone()
        return found

    def insert(self, sql: str, parameters: tuple[Any, ...]) -> int:
        """Run an INSERT; the id of the new row."""
        return int(self._connection.execute(sql, parameters).lastrowid or 0)

    def audit(self, event: AuditEvent) -> None:
        """Append an event to the chain, in this transaction; ``seal`` writes it."""
        seq, digest = self._head
        row = chain(event, seq=seq + 1, at=self.now, previous=digest)
        self._rows.append((row.seq, microseconds(self.now), row.event, row.actor, row.target, row.detail, row.digest))
        self._head = (row.seq, row.digest)

    def seal(self) -> None:
        """Write the chain's new rows and its head; the last statements before COMMIT."""
        seq, digest = self._head
        if self._rows:
            self._connection.executemany(
                "INSERT INTO audit (seq, at, event, actor, target, detail, digest) VALUES (?,?,?,?,?,?,?)", self._rows
            )
            self._connection.execute("UPDATE audit_head SET seq = ?, digest = ? WHERE id = 1", (seq, digest))


def bump_catalog(transaction: Transaction) -> None:
    """Tell every process that profiles or CAs changed, so that they read them afresh; this transaction as well."""
    transaction.issuers.clear()
    transaction.execute("UPDATE meta SET value = CAST(value AS BIGINT) + 1 WHERE key = 'catalog'")
