# SPDX-License-Identifier: Apache-2.0
"""The SQLite store: write-ahead log, synchronous=FULL, strict tables, one writer at a time."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from privyseal.errors import PrivysealError, StoreNotEmpty, StoreUnavailable
from privyseal.store.engine import Database, Parameters, Row, check_usable, write_first_rows
from privyseal.store.unit import Transaction

_BUSY_MS: Final = 10_000
_RECENT_SECONDS: Final = 0.005
# A thread for the COMMIT costs more than a commit of a fast disk; a slow one is noticed at the first and goes there.
_COMMIT_HERE_SECONDS: Final = 0.001
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


class SqliteDatabase(Database):
    """One file. Statements run on the caller's thread; only a COMMIT on a slow disk leaves it."""

    refusals = (sqlite3.IntegrityError,)
    faults = (sqlite3.Error,)

    def __init__(self, path: Path, *, create: bool = False, check: bool = True, arriving: str = "") -> None:
        super().__init__(str(path))
        if not create and not path.exists():
            raise StoreUnavailable(f"there is no store at {path}", mend=("make one: privyseal init",))
        self.path = path
        self._recent = (-1, 0.0, 0)
        self._commit_took = 1.0
        opened: list[sqlite3.Connection] = []
        try:
            self.writer: sqlite3.Connection = _connect(path, opened)
            if create:
                _create(self.writer, self.label, arriving)
            if check:
                check_usable(self.writer, self.label)
            self.reader: sqlite3.Connection = _connect(path, opened)
            self.reader.execute("PRAGMA query_only=ON")
            self.background: sqlite3.Connection = _connect(path, opened)
            self.background.execute("PRAGMA query_only=ON")
            opened.clear()
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the store {path} cannot be opened: {error}") from error
        finally:
            for connection in opened:
                connection.close()

    def close(self) -> None:
        """Close all connections."""
        self.background.close()
        self.reader.close()
        self.writer.close()

    def read(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """See ``Database.read``."""
        try:
            return self.reader.execute(sql, parameters).fetchall()
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(f"the store cannot be read: {error}") from error

    def read_one(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """See ``Database.read_one``."""
        try:
            found: Row | None = self.reader.execute(sql, parameters).fetchone()
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(f"the store cannot be read: {error}") from error
        return found

    def recent_version(self) -> int:
        """See ``Database.recent_version``."""
        now = time.monotonic()
        if self._recent[0] != self.commits or now >= self._recent[1]:
            self._recent = (self.commits, now + _RECENT_SECONDS, self.version())
        return self._recent[2]

    def version(self) -> int:
        """See ``Database.version``; here it is never late."""
        return int(self.reader.execute("PRAGMA data_version").fetchone()[0])

    async def transact(self, work: Callable[[Transaction], None], now: datetime) -> None:
        """See ``Database.transact``. ``work`` runs here: a second thread would wait for the interpreter lock."""
        connection = self.writer
        await self._begin(connection)
        try:
            transaction = Transaction(connection, now)
            work(transaction)
            transaction.seal()
            if self._commit_took < _COMMIT_HERE_SECONDS:
                self._commit_timed(connection)
            else:
                await asyncio.get_running_loop().run_in_executor(None, self._commit_timed, connection)
            self.commits += 1
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def relieve(self) -> None:
        """See ``Database.relieve``: a checkpoint that makes no writer wait."""
        self.background.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def verify_integrity(self) -> None:
        """See ``Database.verify_integrity``."""
        row = self.read_one("PRAGMA quick_check(1)")
        if row is None or row[0] != "ok":
            raise StoreUnavailable(f"the store is damaged: {'no answer' if row is None else row[0]}")

    def hold(self) -> None:
        """See ``Database.hold``."""
        self.writer.execute("BEGIN IMMEDIATE")

    def forbid_writing(self) -> None:
        """See ``Database.forbid_writing``."""
        for table, change in (("audit_head", "UPDATE"), ("audit", "INSERT"), ("crls", "INSERT")):
            self.writer.execute(
                f"CREATE TRIGGER moved_{table} BEFORE {change} ON {table} "
                "BEGIN SELECT RAISE(ABORT, 'this store was moved'); END"
            )

    def number_on(self) -> None:
        """See ``Database.number_on``; ids are one more than the highest."""

    def others(self) -> int:
        """See ``Database.others``; a file cannot tell."""
        return 0

    def explained(self, error: Exception) -> PrivysealError:
        """See ``Database.explained``."""
        if isinstance(error, sqlite3.IntegrityError):
            return StoreUnavailable(f"the store refused to keep it: {error}")
        return StoreUnavailable(f"the store did not commit: {error}")

    def _commit_timed(self, connection: sqlite3.Connection) -> None:
        started = time.monotonic()
        connection.execute("COMMIT")
        self._commit_took = time.monotonic() - started

    async def _begin(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA busy_timeout=0")
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            # Another process writes: wait for it off the loop, bounded by the busy time-out.
            connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
            await asyncio.get_running_loop().run_in_executor(None, connection.execute, "BEGIN IMMEDIATE")


def _connect(path: Path, opened: list[sqlite3.Connection]) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    opened.append(connection)
    for pragma in _PRAGMAS:
        connection.execute(pragma)
    return connection


def _create(connection: sqlite3.Connection, label: str, arriving: str) -> None:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "meta" in tables:
        return
    if tables:
        raise StoreNotEmpty(f"{label} is a database of something else: it holds {', '.join(sorted(tables)[:5])}")
    # Imported here: opening a store needs no schema compiler, and start-up time is felt.
    from sqlalchemy.dialects import sqlite
    from sqlalchemy.schema import CreateIndex, CreateTable

    from privyseal.store.schema import metadata

    dialect = sqlite.dialect()
    connection.execute("BEGIN IMMEDIATE")
    for table in metadata.sorted_tables:
        connection.execute(str(CreateTable(table).compile(dialect=dialect)))
        for index in table.indexes:
            connection.execute(str(CreateIndex(index).compile(dialect=dialect)))
    write_first_rows(connection, arriving)
    connection.execute("COMMIT")
