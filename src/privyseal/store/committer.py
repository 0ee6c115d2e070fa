# SPDX-License-Identifier: Apache-2.0
"""Group commit: units of work run on the event loop, one COMMIT for all that queued up.

How a batch becomes a transaction, and on which thread, is the business of the database (``Database.transact``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from privyseal.ca.ports import Clock
from privyseal.errors import CommitInDoubt, PrivysealError, StoreUnavailable
from privyseal.store.engine import Database
from privyseal.store.unit import Transaction

_LINGER_SECONDS: Final = 0.03
_TURNS_FROM: Final = 3
_LARGEST_BATCH: Final = 256
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
                except CommitInDoubt as error:
                    _fail(batch, error)
                except self._database.faults as error:
                    _fail(batch, self._database.explained(error))
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
        """All at once, or where one of them may not be, each in a savepoint: these cost, so only when one is needed."""
        try:
            await self._write(batch, apart=False)
        except CommitInDoubt:
            raise
        except PrivysealError:
            await self._write(batch, apart=True)
        except self._database.refusals:
            await self._write(batch, apart=True)

    async def _write(self, batch: list[_Unit[object]], *, apart: bool) -> None:
        def work(transaction: Transaction) -> None:
            for unit in batch:
                if apart:
                    self._run_apart(unit, transaction)
                else:
                    unit.result = unit.work(transaction)

        await self._database.transact(work, self._clock.now())
        for unit in batch:
            unit.settled = True

    def _run_apart(self, unit: _Unit[object], transaction: Transaction) -> None:
        transaction.execute("SAVEPOINT unit")
        head = transaction.head
        unit.error = None
        try:
            unit.result = unit.work(transaction)
        except PrivysealError as error:
            unit.error = error
        except self._database.refusals as error:
            # A constraint that no rule of ours saw coming, such as a serial that is there already.
            unit.error = self._database.explained(error)
        if unit.error is not None:
            transaction.execute("ROLLBACK TO unit")
            transaction.rewind(head)
        transaction.execute("RELEASE unit")


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


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
