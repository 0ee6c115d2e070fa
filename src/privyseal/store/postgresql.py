# SPDX-License-Identifier: Apache-2.0
"""The PostgreSQL store. A writer first locks the head of the audit trail, so that writers of all processes and nodes
take turns as they do in SQLite: what holds there holds here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, ClassVar, Final

import psycopg
from psycopg.conninfo import make_conninfo

from privyseal.errors import CommitInDoubt, PrivysealError, StoreNotEmpty, StoreUnavailable
from privyseal.store.engine import Database, Parameters, Row, check_usable, write_first_rows
from privyseal.store.postgresql_line import Line, ReadingLine, first_line
from privyseal.store.postgresql_sql import returning_id
from privyseal.store.unit import Transaction

_RECENT_SECONDS: Final = 0.005
_READ_SECONDS: Final = 2.0
"""How long a hung server may hold up the event loop, once; see ``ReadingLine``."""
_APART_SECONDS: Final = 60.0
_WRITE_SECONDS: Final = 15.0
_RETRY_SECONDS: Final = 10.0
"""How long writers wait for a server that is away, such as one that restarts."""
_RETRY_PAUSE: Final = 0.1
_OLDEST_SERVER: Final = 130000
_CREATING: Final = 805_914_203
"""Advisory lock: one process makes the tables."""
_DEFAULTS: Final[dict[str, str | int]] = {
    "application_name": "privyseal",
    "client_encoding": "utf8",
    "gssencmode": "disable",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "target_session_attrs": "primary",
}


class _Transaction(Transaction):
    """Takes its turn by the lock on the head, and reads what was committed by then."""

    _HEAD: ClassVar[str] = f"{Transaction._HEAD} FOR UPDATE"

    def insert(self, sql: str, parameters: tuple[Any, ...]) -> int:
        """See ``Transaction.insert``."""
        return int(self._connection.execute(returning_id(sql), parameters).fetchone()[0])


class PostgresDatabase(Database):
    """One database of a server. Transactions run in a thread, each read on the caller's."""

    # DataError: octets that PostgreSQL does not take, such as NUL in a text, come from requests.
    refusals = (psycopg.IntegrityError, psycopg.DataError)
    faults = (psycopg.Error,)

    def __init__(
        self, url: str, *, password: str = "", create: bool = False, check: bool = True, arriving: str = ""
    ) -> None:
        super().__init__(url)
        conninfo = _conninfo(url, password)
        self.writer: Line = Line(conninfo, seconds=_WRITE_SECONDS)
        self.reader: ReadingLine = ReadingLine(conninfo, seconds=_READ_SECONDS)
        self.background: ReadingLine = ReadingLine(conninfo, seconds=_APART_SECONDS)
        self._thread = ThreadPoolExecutor(1, "privyseal-writer")
        self._seen: tuple[str, int] = ("", 0)
        self._recent = (-1, 0.0)
        opened = False
        try:
            self._open(create=create, check=check, arriving=arriving)
            opened = True
        except psycopg.errors.UndefinedTable as error:
            raise StoreUnavailable(
                f"there is no store in {self.label}", mend=("make one: privyseal init --store URL",)
            ) from error
        except psycopg.Error as error:
            raise StoreUnavailable(f"the store {self.label} cannot be opened: {first_line(error)}") from error
        finally:
            if not opened:
                self.close()

    def close(self) -> None:
        """Close all connections."""
        self._thread.shutdown()
        self.background.close()
        self.reader.close()
        self.writer.close()

    def read(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """See ``Database.read``."""
        found: list[Row] = self.reader.execute(sql, parameters).fetchall()
        return found

    def read_one(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """See ``Database.read_one``."""
        found: Row | None = self.reader.execute(sql, parameters).fetchone()
        return found

    def recent_version(self) -> int:
        """See ``Database.recent_version``."""
        now = time.monotonic()
        if self._recent[0] != self.commits or now >= self._recent[1]:
            # Which transactions are over: two equal answers saw the same rows.
            row = self.read_one("SELECT CAST(pg_current_snapshot() AS text)")
            text = "" if row is None else row[0]
            if text != self._seen[0]:
                self._seen = (text, self._seen[1] + 1)
            self._recent = (self.commits, now + _RECENT_SECONDS)
        return self._seen[1]

    def version(self) -> int:
        """See ``Database.version``. Asked for every OCSP answer, so it is late as well, by 5 ms."""
        return self.recent_version()

    async def transact(self, work: Callable[[Transaction], None], now: datetime) -> None:
        """See ``Database.transact``."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, work, now)
        self.commits += 1

    def relieve(self) -> None:
        """See ``Database.relieve``: here the server does that by itself."""

    def verify_integrity(self) -> None:
        """See ``Database.verify_integrity``."""
        for name in ("fsync", "full_page_writes"):
            row = self.read_one("SELECT current_setting(?)", (name,))
            if row is None or row[0] != "on":
                raise StoreUnavailable(
                    f"the server has {name} off",
                    why="a power cut would lose certificates that were issued, or damage the database",
                    mend=(f"{name} = on in postgresql.conf, then reload the server",),
                )
        row = self.read_one("SELECT coalesce(sum(checksum_failures), 0) FROM pg_stat_database")
        if row is not None and row[0]:
            raise StoreUnavailable(f"the store is damaged: the server counted {row[0]} pages with a wrong checksum")

    def hold(self) -> None:
        """See ``Database.hold``."""
        self.writer.execute("BEGIN")
        self.writer.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        self.writer.execute(_Transaction._HEAD)

    def forbid_writing(self) -> None:
        """See ``Database.forbid_writing``."""
        self.writer.execute(
            "CREATE FUNCTION moved() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION "
            "''this store was moved'' USING ERRCODE = ''integrity_constraint_violation''; END'"
        )
        for table, change in (("audit_head", "UPDATE"), ("audit", "INSERT"), ("crls", "INSERT")):
            self.writer.execute(
                f"CREATE TRIGGER moved BEFORE {change} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION moved()"
            )

    def number_on(self) -> None:
        """See ``Database.number_on``."""
        rows = self.writer.execute(
            "SELECT table_name FROM information_schema.columns WHERE table_schema = current_schema() "
            "AND column_name = 'id' AND is_identity = 'YES'"
        )
        for (table,) in rows.fetchall():
            self.writer.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table})) "
                f"WHERE EXISTS (SELECT 1 FROM {table})"
            )

    def others(self) -> int:
        """See ``Database.others``."""
        row = self.read_one(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND backend_type = 'client backend' AND NOT (pid = ANY(?))",
            ([line.driver.info.backend_pid for line in (self.writer, self.reader, self.background)],),
        )
        return 0 if row is None else int(row[0])

    def explained(self, error: Exception) -> PrivysealError:
        """See ``Database.explained``."""
        if isinstance(error, self.refusals):
            return StoreUnavailable(f"the store refused to keep it: {first_line(error)}")
        return StoreUnavailable(f"the store did not commit: {first_line(error)}")

    # --- writing, in the thread ------------------------------------------------------------------

    def _transact(self, work: Callable[[Transaction], None], now: datetime) -> None:
        until = time.monotonic() + _RETRY_SECONDS
        while True:
            try:
                if self._attempt(work, now):
                    return
            except psycopg.OperationalError:
                # With a connection that broke before COMMIT nothing was stored, so all of it may run once more.
                if not self.writer.broken or time.monotonic() > until:
                    raise
                time.sleep(_RETRY_PAUSE)

    def _attempt(self, work: Callable[[Transaction], None], now: datetime) -> bool:
        """Whether it was stored; False when it certainly was not and may run again."""
        if self.writer.broken:
            self.writer.renew()
        self.writer.execute("BEGIN")
        try:
            transaction = _Transaction(self.writer, now)
            before = transaction.head
            work(transaction)
            transaction.seal()
            try:
                self.writer.execute("COMMIT")
            except psycopg.OperationalError as error:
                if not self.writer.broken:
                    raise
                return self._settle(before, transaction.head, error)
        finally:
            if self.writer.in_transaction:
                self.writer.execute("ROLLBACK")
        return True

    def _settle(self, before: tuple[int, bytes], after: tuple[int, bytes], error: psycopg.Error) -> bool:
        """Ask whether a COMMIT that nobody answered took place. Raises CommitInDoubt.

        The lock on the head is given only when the lost transaction is over. Then its last audit row is there or not,
        and nobody else's row can have its digest.
        """
        if before == after:
            raise CommitInDoubt(f"the connection broke during COMMIT: {first_line(error)}") from error
        until = time.monotonic() + _RETRY_SECONDS
        while time.monotonic() < until:
            try:
                self.writer.renew()
                self.writer.execute("BEGIN")
                self.writer.execute(_Transaction._HEAD)
                row = self.writer.execute("SELECT digest FROM audit WHERE seq = ?", (after[0],)).fetchone()
                self.writer.execute("ROLLBACK")
                return row is not None and row[0] == after[1]
            except psycopg.OperationalError:
                time.sleep(_RETRY_PAUSE)
        raise CommitInDoubt(f"the connection broke during COMMIT: {first_line(error)}") from error

    # --- opening ---------------------------------------------------------------------------------

    def _open(self, *, create: bool, check: bool, arriving: str) -> None:
        self.writer.renew()
        self._check_server()
        if create:
            self._create(arriving)
        if check:
            check_usable(self.writer, self.label)
        self.reader.renew()
        self.background.renew()

    def _check_server(self) -> None:
        info = self.writer.driver.info
        if info.server_version < _OLDEST_SERVER:
            raise StoreUnavailable(f"{self.label} is PostgreSQL {info.server_version // 10000}; 13 or newer is needed")
        encoding = info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise StoreUnavailable(
                f"the database {self.label} has the encoding {encoding}, not UTF8",
                mend=("make another: createdb --encoding UTF8 --template template0 NAME",),
            )

    def _create(self, arriving: str) -> None:
        from privyseal.store.postgresql_schema import schema_statements

        with self.writer.driver.transaction():
            self.writer.execute("SELECT pg_advisory_xact_lock(?)", (_CREATING,))
            found = self.writer.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
            tables = {name for (name,) in found.fetchall()}
            if "meta" in tables:
                return
            if tables:
                listed = ", ".join(sorted(tables)[:5])
                raise StoreNotEmpty(f"{self.label} is a database of something else: it holds {listed}")
            for sql in schema_statements():
                self.writer.execute(sql)
            write_first_rows(self.writer, arriving)


def _conninfo(url: str, password: str) -> str:
    try:
        return make_conninfo(url, **_DEFAULTS, **({"password": password} if password else {}))
    except psycopg.ProgrammingError as error:
        raise StoreUnavailable(f"the store's URL cannot be read: {first_line(error)}") from error
