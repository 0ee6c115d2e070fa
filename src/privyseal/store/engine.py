# SPDX-License-Identifier: Apache-2.0
"""Opening the SQLite store: write-ahead log, synchronous=FULL, strict tables, forward-only migrations."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any, Final

from privyseal.audit.chain import GENESIS
from privyseal.errors import StoreTooNew, StoreUnavailable

_BUSY_MS: Final = 10_000
_RECENT_SECONDS: Final = 0.005
# synchronous=FULL: a commit that was answered survives a power cut, also in WAL mode.
_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cache_size=-32768",
    "PRAGMA wal_autocheckpoint=4000",
    f"PRAGMA busy_timeout={_BUSY_MS}",
)

Row = tuple[Any, ...]


class Database:
    """Two connections to one file: ``writer`` for transactions, ``reader`` for everything else.

    The writer is used by one transaction at a time; see ``GroupCommitter``.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        if not create and not path.exists():
            raise StoreUnavailable(f"there is no store at {path}", mend=("make one: privyseal init",))
        self.path = path
        self.commits = 0
        """Commits of this process so far."""
        self._recent = (-1, 0.0, 0)
        try:
            self.writer = _connect(path)
            if create:
                _create(self.writer)
            _check_version(self.writer)
            self.reader = _connect(path)
            self.reader.execute("PRAGMA query_only=ON")
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the store {path} cannot be opened: {error}") from error

    def close(self) -> None:
        """Close both connections."""
        self.reader.close()
        self.writer.close()

    def read(self, sql: str, parameters: tuple[Any, ...] | dict[str, Any] = ()) -> list[Row]:
        """All rows of a query on the last committed state. Raises StoreUnavailable."""
        try:
            return self.reader.execute(sql, parameters).fetchall()
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(f"the store cannot be read: {error}") from error

    def read_one(self, sql: str, parameters: tuple[Any, ...] | dict[str, Any] = ()) -> Row | None:
        """The first row of a query, or None."""
        try:
            found: Row | None = self.reader.execute(sql, parameters).fetchone()
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(f"the store cannot be read: {error}") from error
        return found

    def catalog_version(self) -> int:
        """A number that changes whenever profiles or CAs change."""
        row = self.read_one("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'catalog'")
        return 0 if row is None else int(row[0])

    def recent_version(self) -> int:
        """Like ``version``, but what another process committed may show 5 ms late; for what is asked all the time."""
        now = time.monotonic()
        if self._recent[0] != self.commits or now >= self._recent[1]:
            self._recent = (self.commits, now + _RECENT_SECONDS, self.version())
        return self._recent[2]

    def version(self) -> int:
        """A number that changes whenever anybody, in any process, commits to the store."""
        return int(self.reader.execute("PRAGMA data_version").fetchone()[0])


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    for pragma in _PRAGMAS:
        connection.execute(pragma)
    return connection


def _create(connection: sqlite3.Connection) -> None:
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
        return
    # Imported here: opening a store needs no schema compiler, and start-up time is felt.
    from sqlalchemy.dialects import sqlite
    from sqlalchemy.schema import CreateIndex, CreateTable

    from privyseal.store.schema import SCHEMA_VERSION, metadata

    dialect = sqlite.dialect()
    connection.execute("BEGIN IMMEDIATE")
    for table in metadata.sorted_tables:
        connection.execute(str(CreateTable(table).compile(dialect=dialect)))
        for index in table.indexes:
            connection.execute(str(CreateIndex(index).compile(dialect=dialect)))
    connection.execute("INSERT INTO meta VALUES ('schema_version', ?)", (str(SCHEMA_VERSION),))
    connection.execute("INSERT INTO meta VALUES ('catalog', '1')")
    connection.execute("INSERT INTO audit_head VALUES (1, 0, ?)", (GENESIS,))
    connection.execute("COMMIT")


def _check_version(connection: sqlite3.Connection) -> None:
    known = 1
    row = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    if row is None or int(row[0]) > known:
        found = "none" if row is None else row[0]
        raise StoreTooNew(f"the store has schema version {found}, this program knows up to {known}")
