# SPDX-License-Identifier: Apache-2.0
"""Reading the audit trail and checking its chain."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from privyseal.audit.chain import verify_chain
from privyseal.errors import AuditBroken
from privyseal.model.audit import AuditRow, from_microseconds
from privyseal.store.engine import Connection, Database, Row

_COLUMNS: Final = "seq, at, event, actor, target, detail, digest"
_PAGE: Final = 5000
_BEFORE_ALL: Final = -(1 << 62)


class AuditTrail:
    """The stored events, in order."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, *, before: int, limit: int, event: str = "") -> tuple[AuditRow, ...]:
        """Rows below ``before`` (0: the newest), newest first; ``event`` filters by name prefix."""
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM audit WHERE (? = 0 OR seq < ?) AND substr(event, 1, length(?)) = ? "
            "ORDER BY seq DESC LIMIT ?",
            (before, before, event, event, limit),
        )
        return tuple(read_row(row) for row in rows)

    def verify(self) -> tuple[int, bytes]:
        """Number of rows and digest of the last when the chain holds. Raises AuditBroken.

        Keep the digest elsewhere: only a copy outside this machine proves the end against somebody
        who can rewrite the whole file.
        """
        self._database.reader.execute("BEGIN")  # one moment for all pages
        try:
            head = self._database.read_one("SELECT seq, digest FROM audit_head WHERE id = 1")
            if head is None:
                raise AuditBroken("the head of the audit trail is missing")
            return verify_chain(read_trail(self._database.reader), head_seq=head[0], head_digest=head[1]), head[1]
        finally:
            self._database.reader.execute("COMMIT")

    def holds(self, beginning: str) -> bool:
        """Whether a row has a digest whose lower-case hex begins so; the store searches, whatever its size."""
        if not re.fullmatch("[0-9a-f]{1,64}", beginning):
            return False
        lowest, highest = (bytes.fromhex(beginning.ljust(64, end)) for end in "0f")
        wanted = "SELECT 1 FROM audit WHERE digest >= ? AND digest <= ? LIMIT 1"
        return self._database.read_one(wanted, (lowest, highest)) is not None


def read_trail(connection: Connection) -> Iterator[AuditRow]:
    """All rows in order, a page at a time: a database may hold more of them than fit into memory."""
    last = _BEFORE_ALL
    while True:
        sql = f"SELECT {_COLUMNS} FROM audit WHERE seq > ? ORDER BY seq LIMIT ?"
        page = connection.execute(sql, (last, _PAGE)).fetchall()
        if not page:
            return
        yield from map(read_row, page)
        last = page[-1][0]


def read_row(row: Row) -> AuditRow:
    """A row from its seven columns."""
    return AuditRow(
        seq=row[0],
        at=from_microseconds(row[1]),
        event=row[2],
        actor=row[3],
        target=row[4],
        detail=row[5],
        digest=row[6],
    )
