# SPDX-License-Identifier: Apache-2.0
"""Group commit: companions are not hurt, nobody waits for ever, audit row and effect commit together or not at all."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest

from privyseal.errors import NameTaken, PrivysealError, StoreUnavailable
from privyseal.model.audit import AuditEvent
from privyseal.store.audit import AuditTrail
from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import Database
from privyseal.store.opening import StorePlace, open_store
from privyseal.store.unit import Transaction
from tests.stores import make_fail, make_work_again

NOW = datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)


class Clock:
    """Stands still."""

    def now(self) -> datetime:
        return NOW


@pytest.fixture
def committer(database: Database) -> GroupCommitter:
    return GroupCommitter(database, Clock())


def note(name: str) -> Callable[[Transaction], str]:
    """A unit with an effect and its audit row."""

    def work(transaction: Transaction) -> str:
        transaction.execute("INSERT INTO meta VALUES (?, 'x')", (name,))
        transaction.audit(AuditEvent(event="noted", actor="test", target=name))
        return name

    return work


def failing(name: str, error: Exception) -> Callable[[Transaction], str]:
    """A unit that fails after it had its effect."""

    def work(transaction: Transaction) -> str:
        note(name)(transaction)
        raise error

    return work


def together(*units: Coroutine[Any, Any, Any]) -> list[Any]:
    async def run() -> list[Any]:
        return await asyncio.wait_for(asyncio.gather(*units, return_exceptions=True), 10)

    return asyncio.run(run())


def stored(database: Database) -> set[str]:
    """What units stored, and that each has exactly its audit row."""
    names = {row[0] for row in database.read("SELECT key FROM meta WHERE value = 'x'")}
    targets = [row[0] for row in database.read("SELECT target FROM audit")]
    assert sorted(targets) == sorted(names)
    AuditTrail(database).verify()
    return names


def test_units_that_queue_together_commit_together_and_in_order(database: Database, committer: GroupCommitter) -> None:
    names = [f"unit {number}" for number in range(20)]
    assert together(*(committer.run(note(name)) for name in names)) == names
    assert stored(database) == set(names)
    assert [row[0] for row in database.read("SELECT target FROM audit ORDER BY seq")] == names


def test_more_units_than_one_batch_holds(database: Database, committer: GroupCommitter) -> None:
    names = [str(number) for number in range(600)]
    assert together(*(committer.run(note(name)) for name in names)) == names
    assert len(stored(database)) == 600


def twice(transaction: Transaction) -> None:
    """A unit that a constraint of the database ends, after it had its effect."""
    note("failed")(transaction)
    note("failed")(transaction)


def unheard_of(transaction: Transaction) -> None:
    """A value that PostgreSQL does not take, and that SQLite would."""
    note("failed")(transaction)
    transaction.execute("UPDATE meta SET value = ? WHERE key = 'failed'", ("\0",))
    raise NameTaken("taken")


@pytest.mark.parametrize("failed_unit", [failing("failed", NameTaken("taken")), twice, unheard_of])
def test_a_failing_unit_does_not_hurt_its_companions(
    database: Database, committer: GroupCommitter, failed_unit: Callable[[Transaction], object]
) -> None:
    first, failed, last = together(
        committer.run(note("first")), committer.run(failed_unit), committer.run(note("last"))
    )
    assert (first, last) == ("first", "last")
    assert isinstance(failed, PrivysealError)
    assert stored(database) == {"first", "last"}


def test_a_constraint_nobody_foresaw_is_an_error_of_ours(committer: GroupCommitter) -> None:
    (found,) = together(committer.run(lambda unit: unit.execute("INSERT INTO meta VALUES ('catalog', 'again')")))
    assert isinstance(found, StoreUnavailable)
    assert "unique" in found.what.casefold()


def test_a_bug_in_a_unit_leaves_nobody_waiting_and_nothing_stored(
    database: Database, committer: GroupCommitter
) -> None:
    async def run() -> list[Any]:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: None)  # the task's own fault goes to the log
        units = [committer.run(note("a")), committer.run(failing("b", KeyError("bug"))), committer.run(note("c"))]
        return await asyncio.wait_for(asyncio.gather(*units, return_exceptions=True), 5)

    assert [type(found) for found in asyncio.run(run())] == [StoreUnavailable] * 3
    assert stored(database) == set()
    assert together(committer.run(note("after"))) == ["after"]
    assert stored(database) == {"after"}


def test_requests_under_way_that_never_come_delay_a_commit_but_do_not_stop_it(
    database: Database, committer: GroupCommitter
) -> None:
    committer.in_flight = 50
    assert together(committer.run(note("a")), committer.run(note("b"))) == ["a", "b"]
    assert stored(database) == {"a", "b"}


@pytest.mark.parametrize(("table", "when"), [("audit", "INSERT"), ("meta", "INSERT"), ("audit_head", "UPDATE")])
def test_effect_and_audit_row_are_stored_together_or_not_at_all(
    database: Database, committer: GroupCommitter, table: str, when: str
) -> None:
    make_fail(database, table, when)
    assert [type(found) for found in together(committer.run(note("a")), committer.run(note("b")))] == [
        StoreUnavailable
    ] * 2
    assert stored(database) == set()
    make_work_again(database, table)
    assert together(committer.run(note("a"))) == ["a"]
    assert stored(database) == {"a"}


def test_a_store_that_another_process_is_writing_is_waited_for(
    place: StorePlace, database: Database, committer: GroupCommitter
) -> None:
    other = open_store(place)
    other.writer.execute("BEGIN IMMEDIATE" if not place.url else "BEGIN")
    other.writer.execute("UPDATE audit_head SET seq = seq")
    other.writer.execute("INSERT INTO meta VALUES ('theirs', 'y')")

    async def run() -> str:
        waiting = asyncio.create_task(committer.run(note("ours")))
        for _ in range(100):
            await asyncio.sleep(0)  # the loop stays free while the store is not
        assert not waiting.done()
        threading.Timer(0.02, other.writer.execute, ("COMMIT",)).start()
        return await asyncio.wait_for(waiting, 10)

    assert asyncio.run(run()) == "ours"
    assert stored(database) == {"ours"}
    assert database.read_one("SELECT value FROM meta WHERE key = 'theirs'") == ("y",)
    other.close()


def test_the_version_changes_with_every_commit_of_anybody_within_five_milliseconds(
    place: StorePlace, database: Database, committer: GroupCommitter
) -> None:
    versions = [database.version()]
    together(committer.run(note("a")))
    versions.append(database.version())  # what this process commits shows at once
    other = open_store(place)
    together(GroupCommitter(other, Clock()).run(note("b")))
    other.close()
    time.sleep(0.006)
    versions.append(database.version())
    assert len(set(versions)) == 3
    assert database.version() == versions[-1]


def test_two_processes_write_one_chain(place: StorePlace, database: Database) -> None:
    other = open_store(place)

    def write(opened: Database, name: str) -> None:
        async def run() -> None:
            committer = GroupCommitter(opened, Clock())
            for number in range(30):
                await committer.run(note(f"{name}{number}"))

        asyncio.run(run())

    threads = [threading.Thread(target=write, args=args) for args in ((database, "a"), (other, "b"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(stored(database)) == 60
    other.close()
