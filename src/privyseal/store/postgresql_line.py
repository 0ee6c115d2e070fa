# SPDX-License-Identifier: Apache-2.0
"""Connections to PostgreSQL that nothing waits on for ever, and that are made anew when they break."""

from __future__ import annotations

import threading
import time
from typing import Any, Final

import psycopg
from psycopg.abc import PQGen
from psycopg.adapt import Dumper

from privyseal.errors import StoreUnavailable
from privyseal.store.postgresql_sql import statement

_CONNECT_SECONDS: Final = 3
_GRACE_SECONDS: Final = 0.5
"""How long who meets a broken connection waits for the next one; after it, errors come at once."""
_PAUSES: Final = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_LONGEST_PAUSE: Final = 2.0
_LOST: Final = "no answer in {:g} s"


class _Number(Dumper):
    """True and False as the numbers that they are in the shared SQL."""

    oid = psycopg.adapters.types["int2"].oid

    def dump(self, obj: bool) -> bytes:
        """1 or 0."""
        return b"1" if obj else b"0"


class _Bounded(psycopg.Connection[tuple[Any, ...]]):
    """A server that hangs, or whose machine is gone without a word, ends the wait and the connection."""

    seconds = 10.0

    def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:
        """As psycopg does it, with a bound."""
        limit = self.seconds if timeout is None else timeout
        try:
            return super().wait(gen, interval, limit)
        except psycopg.OperationalError as error:
            if self.pgconn.status == psycopg.pq.ConnStatus.OK and not error.sqlstate:
                self.pgconn.finish()  # an answer that comes now would be taken for that of the next question
                raise psycopg.OperationalError(_LOST.format(limit)) from error
            raise


class Line:
    """One connection. ``seconds`` bounds every statement, here and in the server."""

    def __init__(self, conninfo: str, *, seconds: float, read_only: bool = False) -> None:
        self._conninfo = conninfo
        self._seconds = seconds
        # Not much later than here: what nobody waits for any more must not hold locks.
        options = {"statement_timeout": int(seconds * 900), "lock_timeout": int(seconds * 700)}
        options["idle_in_transaction_session_timeout"] = int(seconds * 2000)
        if read_only:
            options["default_transaction_read_only"] = 1
        isolation = "repeatable\\ read" if read_only else "read\\ committed"
        self._options = " ".join(
            [
                f"-c default_transaction_isolation={isolation}",
                *(f"-c {name}={value}" for name, value in options.items()),
            ]
        )
        self._connection: _Bounded | None = None

    def renew(self) -> None:
        """Close what is there and connect. Raises psycopg.Error."""
        self._drop()
        connection = _Bounded.connect(
            self._conninfo, autocommit=True, options=self._options, connect_timeout=_CONNECT_SECONDS
        )
        connection.seconds = self._seconds
        connection.adapters.register_dumper(bool, _Number)
        connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
        self._connection = connection

    def close(self) -> None:
        """Close it."""
        self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def broken(self) -> bool:
        """Whether there is no connection."""
        return self._connection is None or self._connection.closed

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        if self._connection is None or self._connection.closed:
            return False
        return self._connection.pgconn.transaction_status != psycopg.pq.TransactionStatus.IDLE

    @property
    def driver(self) -> psycopg.Connection[tuple[Any, ...]]:
        """The connection itself, for COPY. Raises psycopg.OperationalError."""
        if self._connection is None or self._connection.closed:
            raise psycopg.OperationalError("the connection is closed")
        return self._connection

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        """Run one statement of the shared SQL. Raises psycopg.Error."""
        return self.driver.execute(statement(sql), parameters)

    def executemany(self, sql: str, rows: Any, /) -> Any:
        """Run one statement of the shared SQL for each of some rows, without waiting between them."""
        cursor = self.driver.cursor()
        cursor.executemany(statement(sql), rows)
        return cursor


class ReadingLine(Line):
    """A connection that may be used where nobody can wait: while it is mended, by a thread, it refuses at once."""

    def __init__(self, conninfo: str, *, seconds: float) -> None:
        super().__init__(conninfo, seconds=seconds, read_only=True)
        self._closing = False
        self._mended = threading.Event()
        self._mended.set()

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        """Run one statement of the shared SQL. Raises StoreUnavailable."""
        if not self._mended.is_set():
            raise StoreUnavailable("the PostgreSQL server is away")
        begun = self.in_transaction
        try:
            return super().execute(sql, parameters)
        except psycopg.Error as error:
            self._check_readable(error, begun=begun)
        try:
            return super().execute(sql, parameters)
        except psycopg.Error as error:
            raise StoreUnavailable(f"the PostgreSQL server is away: {first_line(error)}") from error

    def _check_readable(self, error: psycopg.Error, *, begun: bool) -> None:
        """Returns when the connection was broken and is whole again. Raises StoreUnavailable."""
        if not self.broken:
            raise StoreUnavailable(f"the store cannot be read: {first_line(error)}") from error
        self._mended.clear()
        threading.Thread(target=self._mend, name="privyseal-store", daemon=True).start()
        # Somebody who met a hung server has waited long enough.
        hung = str(error) == _LOST.format(self._seconds)
        if hung or begun or not self._mended.wait(_GRACE_SECONDS):
            raise StoreUnavailable(f"the PostgreSQL server is away: {first_line(error)}") from error

    def close(self) -> None:
        """Close it for good."""
        self._closing = True
        self._drop()

    def _mend(self) -> None:
        pauses = iter(_PAUSES)
        while not self._closing:
            try:
                self.renew()
            except psycopg.Error:
                time.sleep(next(pauses, _LONGEST_PAUSE))
            else:
                self._mended.set()
                return


def first_line(error: Exception) -> str:
    """What libpq says, without the values that the further lines hold."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
