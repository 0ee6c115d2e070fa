# SPDX-License-Identifier: Apache-2.0
"""What only a server can do to a store: break in the middle of a COMMIT, hang, go away, come back."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest

from privyseal.errors import CommitInDoubt, StoreExtraMissing, StoreUnavailable
from privyseal.model.audit import AuditEvent
from privyseal.store import postgresql
from privyseal.store.audit import AuditTrail
from privyseal.store.committer import GroupCommitter
from privyseal.store.opening import StorePlace, open_store
from privyseal.store.postgresql import PostgresDatabase
from privyseal.store.postgresql_line import Line
from privyseal.store.postgresql_sql import statement
from privyseal.store.unit import Transaction
from tests.outside.postgresql import PostgresServer, own_server, shared_server

T = TypeVar("T")


class Clock:
    """Stands still."""

    def now(self) -> datetime:
        return datetime(2026, 5, 6, tzinfo=UTC)


@pytest.fixture
def database() -> Iterator[PostgresDatabase]:
    opened = PostgresDatabase(shared_server().new(), create=True)
    yield opened
    opened.close()


def note(name: str, *, audited: bool = True) -> Callable[[Transaction], None]:
    def work(transaction: Transaction) -> None:
        transaction.execute("INSERT INTO meta VALUES (?, 'x')", (name,))
        if audited:
            transaction.audit(AuditEvent(event="noted", actor="test", target=name))

    return work


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def noted(database: PostgresDatabase) -> list[str]:
    AuditTrail(database).verify()
    return [row[0] for row in database.read("SELECT key FROM meta WHERE value = 'x' ORDER BY key")]


class _Breaking:
    """The writer, whose connection breaks once around a COMMIT."""

    def __init__(self, inner: Line, *, after: bool, then: Callable[[], None] = lambda: None) -> None:
        self._inner = inner
        self._after = after
        self._then = then
        self._armed = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def execute(self, sql: str, *parameters: Any) -> Any:
        if sql == "COMMIT" and self._armed:
            self._armed = False
            if self._after:
                self._inner.execute(sql)
            self._inner.driver.pgconn.finish()
            self._then()
        return self._inner.execute(sql, *parameters)


def break_commit(database: PostgresDatabase, **how: Any) -> None:
    database.writer = _Breaking(database.writer, **how)  # type: ignore[assignment] # it acts like one


@pytest.mark.parametrize("after", [True, False])
def test_a_commit_that_nobody_answered_is_looked_up_and_is_there_once(database: PostgresDatabase, after: bool) -> None:
    break_commit(database, after=after)
    run(GroupCommitter(database, Clock()).run(note("a")))
    assert noted(database) == ["a"]
    assert database.read("SELECT count(*) FROM audit") == [(1,)]


@pytest.mark.parametrize("after", [True, False])
def test_without_an_audit_row_nobody_can_tell_so_nobody_is_told_that_it_was_stored(
    database: PostgresDatabase, after: bool
) -> None:
    break_commit(database, after=after)
    with pytest.raises(CommitInDoubt, match="broke during COMMIT"):
        run(GroupCommitter(database, Clock()).run(note("a", audited=False)))
    run(GroupCommitter(database, Clock()).run(note("b")))
    assert noted(database) == (["a", "b"] if after else ["b"])


def test_a_connection_that_breaks_before_its_commit_is_no_loss(database: PostgresDatabase) -> None:
    breaks = [True]

    def work(transaction: Transaction) -> None:
        note("a")(transaction)
        if breaks:
            breaks.clear()
            database.writer.driver.pgconn.finish()
            transaction.execute("SELECT 1")

    run(GroupCommitter(database, Clock()).run(work))
    assert noted(database) == ["a"]


def test_somebody_else_s_commit_after_a_lost_one_does_not_pass_for_it(database: PostgresDatabase) -> None:
    other = PostgresDatabase(database.label)

    def meanwhile() -> None:
        run(GroupCommitter(other, Clock()).run(note("theirs")))

    break_commit(database, after=False, then=meanwhile)
    run(GroupCommitter(database, Clock()).run(note("ours")))
    assert noted(database) == ["ours", "theirs"]
    other.close()


def test_a_terminated_connection_is_mended_without_anybody_noticing(database: PostgresDatabase) -> None:
    for line in (database.reader, database.background, database.writer):
        pid = line.driver.info.backend_pid
        shared_server().execute(f"SELECT pg_terminate_backend({pid}, 5000)")
    assert database.read("SELECT count(*) FROM audit") == [(0,)]
    assert database.background.execute("SELECT 1").fetchone() == (1,)
    run(GroupCommitter(database, Clock()).run(note("a")))
    assert noted(database) == ["a"]


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with own_server() as started:
        yield started


def test_a_server_that_hangs_holds_up_a_reader_once_and_writers_give_up(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "_RETRY_SECONDS", 0.5)
    monkeypatch.setattr(postgresql, "_WRITE_SECONDS", 1.0)
    monkeypatch.setattr("privyseal.store.postgresql_line._CONNECT_SECONDS", 2)
    database = PostgresDatabase(server.new(), create=True)
    server.freeze()
    started = time.monotonic()
    with pytest.raises(StoreUnavailable, match="away"):
        database.version()
    assert time.monotonic() - started < 3
    started = time.monotonic()
    for _ in range(100):
        with pytest.raises(StoreUnavailable, match="away"):
            database.read("SELECT 1")
    assert time.monotonic() - started < 0.5

    async def write() -> float:
        committer, longest = GroupCommitter(database, Clock()), 0.0
        waiting = asyncio.create_task(committer.run(note("a")))
        while not waiting.done():
            before = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - before)
        with pytest.raises(StoreUnavailable, match="did not commit"):
            await waiting
        return longest

    assert run(write()) < 0.5  # the loop stays free
    server.thaw()
    deadline = time.monotonic() + 10
    while True:
        try:
            run(GroupCommitter(database, Clock()).run(note("b")))
            assert noted(database) == ["b"]
            break
        except StoreUnavailable:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    database.close()


def test_a_server_that_goes_away_in_a_commit_leaves_it_in_doubt(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "_RETRY_SECONDS", 0.5)
    database = PostgresDatabase(server.new(), create=True)
    break_commit(database, after=True, then=lambda: server.stop(signal.SIGQUIT))
    with pytest.raises(CommitInDoubt):
        run(GroupCommitter(database, Clock()).run(note("a")))
    server.start()
    deadline = time.monotonic() + 10
    while True:
        try:
            assert noted(database) == ["a"]  # here it was; nobody was told so
            break
        except StoreUnavailable:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    database.close()


def test_a_read_only_server_and_an_absent_one_say_so(server: PostgresServer) -> None:
    url = server.new()
    PostgresDatabase(url, create=True).close()
    name = url.partition("@/")[2].partition("?")[0]
    server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    database = PostgresDatabase(url)
    with pytest.raises(StoreUnavailable, match="read-only"):
        run(GroupCommitter(database, Clock()).run(note("a")))
    database.close()
    with pytest.raises(StoreUnavailable, match="there is no store"):
        PostgresDatabase(server.new())
    server.stop()
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        PostgresDatabase(url)


def test_a_server_that_would_lose_commits_is_found(server: PostgresServer) -> None:
    database = PostgresDatabase(server.new(), create=True)
    database.verify_integrity()
    server.execute("ALTER SYSTEM SET fsync = off")
    server.execute("SELECT pg_reload_conf()")
    deadline = time.monotonic() + 5
    while database.read("SELECT current_setting('fsync')") != [("off",)]:
        assert time.monotonic() < deadline
    with pytest.raises(StoreUnavailable, match="fsync off"):
        database.verify_integrity()
    database.close()


def test_a_database_of_another_encoding_is_refused() -> None:
    shared_server().execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(StoreUnavailable, match="encoding LATIN1"):
        PostgresDatabase(shared_server().url("latin"), create=True)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "privyseal.store.postgresql", None)
    with pytest.raises(StoreExtraMissing) as caught:
        open_store(StorePlace(path=Path("unused"), url="postgresql:///pki"))
    assert caught.value.code == 9030
    assert "privyseal[postgresql]" in caught.value.mend[0]


def test_a_password_is_in_no_message_and_no_label() -> None:
    with pytest.raises(StoreUnavailable) as caught:
        PostgresDatabase("postgresql://u@127.0.0.1:1/pki", password="hush-hush")
    assert "hush" not in f"{caught.value} {caught.value.mend} {caught.value.__cause__}"
    assert "hush" not in repr(StorePlace(path=Path("x"), url="postgresql:///pki", password="hush-hush"))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("SELECT ? WHERE a = ?", "SELECT %s WHERE a = %s"),
        ("a = :name AND b = :name_2", "a = %(name)s AND b = %(name_2)s"),
        ("substr(a, 1, 10) = 'challenge:x?' AND b % 2 = 1", "substr(a, 1, 10) = 'challenge:x?' AND b %% 2 = 1"),
        ("a LIKE 'it''s :x 5%' AND b = ?", "a LIKE 'it''s :x 5%%' AND b = %s"),
        ("instr(a, ?) > 0", "strpos(a, %s) > 0"),
    ],
)
def test_the_shared_sql_is_translated(ours: str, theirs: str) -> None:
    assert statement(ours) == theirs.encode()


def test_truth_values_are_numbers_as_in_the_other_engine(database: PostgresDatabase) -> None:
    assert database.read("SELECT 1 WHERE 1 = ?", (True,)) == [(1,)]
    assert database.read("SELECT 1 WHERE 1 = ?", (False,)) == []


def test_what_the_reader_is_given_cannot_write(database: PostgresDatabase) -> None:
    with pytest.raises(StoreUnavailable, match="read-only"):
        database.read("INSERT INTO meta VALUES ('a', 'x') RETURNING key")
    with pytest.raises(psycopg.errors.UniqueViolation):
        database.writer.execute("INSERT INTO meta VALUES ('catalog', 'x')")
