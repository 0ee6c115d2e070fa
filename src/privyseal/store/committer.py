# SPDX-License-Identifier: Apache-2.0
"""Group commit: units of work run on the event loop, one COMMIT for all that queued up.

Statements stay on the loop's thread because a second Python thread would wait for the interpreter lock
at every one of them; only COMMIT leaves it, where the disk is so slow that other requests would notice.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from privyseal.ca.ports import Clock
from privyseal.errors import PrivysealError, StoreUnavailable
from privyseal.store.engine import Database
from privyseal.store.unit import Transaction

_LINGER_SECONDS: Final = 0.03
_TURNS_FROM: Final = 3
_LARGEST_BATCH: Final = 256
# A thread for the COMMIT costs more than a commit of a fast disk; a slow one is noticed at the first and goes there.
_COMMIT_HERE_SECONDS: Final = 0.001
T = TypeVar("T")


class _Unit(Generic[T]):
    __slots__ = ("error", "future", "result", "settled", "work")

    def __init__(self, work: Callable[[Transaction], T], future: asyncio.Future[T]) -> None:
        self.work = work
        self.future = future
        self.result: T | None = None
        self.error: BaseException | None = None
        self.settled = False


class GroupCommitter:
    """Runs units of work in order; ``run`` returns when the unit is on disk, or raises what it raised.

    A unit that raises is rolled back alone; its companions commit. Then all of the batch runs a second time, so a
    unit may do nothing but read and write through its transaction.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._queue: list[_Unit[object]] = []
        self._running: asyncio.Task[None] | None = None
        self._complete: asyncio.Future[None] | None = None
        self._commit_took = 1.0
        self.in_flight = 0
        """Requests under way: a batch waits until all of them have queued, or for the linger time."""

    async def run(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` in a transaction. Raises what it raises, or StoreUnavailable."""
        loop = asyncio.get_running_loop()
        unit: _Unit[T] = _Unit(work, loop.create_future())
        self._queue.append(unit)  # type: ignore[arg-type] # the queue does not care what units return
        if self._running is None:
            self._running = loop.create_task(self._drain())
        elif self._complete is not None and len(self._queue) >= self.in_flight:
            _wake(self._complete)
        return await unit.future

    async def turn(self) -> None:
        """Let the other requests under way come as far as this one.

        The same code for many requests in a row finds itself in the processor's caches, which a private-key
        operation between two of them would empty: a tenth of the CPU of an issuance under load.
        """
        if self.in_flight >= _TURNS_FROM:
            await asyncio.sleep(0)

    async def _drain(self) -> None:
        try:
            while self._queue:
                await self._linger()
                batch, self._queue = self._queue[:_LARGEST_BATCH], self._queue[_LARGEST_BATCH:]
                try:
                    await self._commit(batch)
                except sqlite3.Error as error:
                    _fail(batch, StoreUnavailable(f"the store did not commit: {error}"))
                finally:
                    _answer(batch)
        finally:
            # Only a fault in a unit's own code leaves units behind here; they must not wait for ever.
            left, self._queue, self._running = self._queue, [], None
            _answer(left)

    async def _linger(self) -> None:
        """Wait while requests under way may still join: a commit for all costs little more than one for each."""
        if len(self._queue) >= self.in_flight:
            return
        loop = asyncio.get_running_loop()
        self._complete = loop.create_future()
        timer = loop.call_later(_LINGER_SECONDS, _wake, self._complete)
        await self._complete
        timer.cancel()
        self._complete = None

    async def _commit(self, batch: list[_Unit[object]]) -> None:
        try:
            await self._write(batch, apart=False)
        except (PrivysealError, sqlite3.IntegrityError):
            # One of them may not be. Savepoints cost, so they are set only now that one is needed.
            await self._write(batch, apart=True)

    async def _write(self, batch: list[_Unit[object]], *, apart: bool) -> None:
        connection = self._database.writer
        await self._begin(connection)
        try:
            transaction = Transaction(connection, self._clock.now())
            for unit in batch:
                if apart:
                    _run_apart(unit, transaction, connection)
                else:
                    unit.result = unit.work(transaction)
            transaction.seal()
            if self._commit_took < _COMMIT_HERE_SECONDS:
                self._commit_timed(connection)
            else:
                await asyncio.get_running_loop().run_in_executor(None, self._commit_timed, connection)
            self._database.commits += 1
            for unit in batch:
                unit.settled = True
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

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
            connection.execute("PRAGMA busy_timeout=10000")
            await asyncio.get_running_loop().run_in_executor(None, connection.execute, "BEGIN IMMEDIATE")


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _run_apart(unit: _Unit[object], transaction: Transaction, connection: sqlite3.Connection) -> None:
    connection.execute("SAVEPOINT unit")
    head = transaction.head
    try:
        unit.result = unit.work(transaction)
    except (PrivysealError, sqlite3.IntegrityError) as error:
        connection.execute("ROLLBACK TO unit")
        transaction.rewind(head)
        # A constraint that no rule of ours saw coming, such as a serial that is there already.
        known = isinstance(error, PrivysealError)
        unit.error = error if known else StoreUnavailable(f"the store refused to keep it: {error}")
    connection.execute("RELEASE unit")


def _fail(batch: list[_Unit[object]], error: PrivysealError) -> None:
    for unit in batch:
        unit.error = error


def _answer(batch: list[_Unit[object]]) -> None:
    for unit in batch:
        if unit.future.done():
            continue
        if unit.error is not None:
            unit.future.set_exception(unit.error)
        elif unit.settled:
            unit.future.set_result(unit.result)
        else:
            unit.future.set_exception(StoreUnavailable("the transaction was given up; nothing of it was stored"))
