# SPDX-License-Identifier: Apache-2.0
"""CRL numbers, parts and changes as the store keeps them, on both engines."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from privyseal.errors import NotFound, StoreUnavailable
from privyseal.model.crl import CrlFacts, CrlScope
from privyseal.store.committer import GroupCommitter
from privyseal.store.crls import CrlBook
from privyseal.store.engine import Database

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CA = 7
BASE, DELTA = CrlScope(), CrlScope(delta=True)
T = TypeVar("T")


class Clock:
    def now(self) -> datetime:
        return NOW


async def here(work: Callable[[], T], /) -> T:
    """Nothing is large here."""
    return work()


@pytest.fixture(name="book")
def fixture_book(database: Database, monkeypatch: pytest.MonkeyPatch) -> CrlBook:
    monkeypatch.setattr("privyseal.store.crls._PART", 100)
    monkeypatch.setattr("privyseal.store.crls._ENTRIES_AT_ONCE", 3)
    return CrlBook(database, GroupCommitter(database, Clock()), here)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def publish(book: CrlBook, scope: CrlScope = BASE, *, crl: bytes = b"crl", days: int = 7) -> CrlFacts:
    async def both() -> CrlFacts:
        number, _ = await book.reserve_crl(CA, scope, this_update=NOW, next_update=NOW + timedelta(days=days))
        return await book.record_crl(CA, number, crl)

    return run(both())


def revoke(database: Database, certificate: int, entry: bytes, *, after: int = 0, shard: int = 0) -> None:
    database.writer.execute(
        "INSERT INTO revocations (certificate_id, issuer_id, shard, after_number, at, reason, entry) "
        "VALUES (?,?,?,?,0,4,?)",
        (certificate, CA, shard, after, entry),
    )


def test_numbers_rise_in_one_sequence_for_all_scopes(book: CrlBook) -> None:
    scopes = [BASE, DELTA, CrlScope(shard=3), DELTA, BASE]
    assert [publish(book, scope).number for scope in scopes] == [1, 2, 3, 4, 5]
    in_force = [book.in_force(CA, scope) for scope in (BASE, DELTA, CrlScope(shard=3), CrlScope(shard=1))]
    assert [facts and facts.number for facts in in_force] == [5, 4, 3, None]


def test_a_number_that_was_reserved_is_never_given_again(book: CrlBook) -> None:
    for expected in (1, 2, 3):
        number, _ = run(book.reserve_crl(CA, BASE, this_update=NOW, next_update=NOW + timedelta(days=1)))
        assert number == expected
    assert book.in_force(CA, BASE) is None
    assert publish(book).number == 4


def test_a_large_crl_comes_back_whole_and_makes_room_for_the_next(book: CrlBook, database: Database) -> None:
    for size in (1, 99, 100, 101, 950, 5):
        body = os.urandom(size)
        facts = publish(book, crl=body)
        assert book.encoded(CA, facts.number) == body == run(book.encoded_apart(CA, facts.number))
        assert facts.octets == size
        parts = database.read("SELECT DISTINCT number FROM crl_parts")
        assert parts == [(facts.number,)]
    with pytest.raises(NotFound, match="CRL 1 of issuer 7 is not in force"):
        book.encoded(CA, 1)


def test_a_slower_process_does_not_put_an_older_crl_into_force(book: CrlBook) -> None:
    slow, _ = run(book.reserve_crl(CA, BASE, this_update=NOW, next_update=NOW + timedelta(days=1)))
    fast = publish(book)
    run(book.record_crl(CA, slow, b"too late"))
    assert book.in_force(CA, BASE) == fast
    with pytest.raises(StoreUnavailable, match="never reserved"):
        run(book.record_crl(CA, 99, b"x"))


def test_a_delta_is_based_on_the_oldest_base_that_is_still_good(book: CrlBook) -> None:
    with pytest.raises(NotFound, match="no base CRL in force"):
        publish(book, DELTA)
    publish(book, days=-1)  # over
    assert [publish(book, scope).base_number for scope in (BASE, DELTA, BASE, DELTA)] == [None, 2, None, 2]
    assert [facts.number for facts in book.still_good(CA, 0, now=NOW)] == [5, 4, 3, 2]
    assert [facts.number for facts in book.still_good(CA, 0, now=NOW + timedelta(days=8))] == []


def test_entries_are_all_of_a_shard_or_what_changed_since_a_base(book: CrlBook, database: Database) -> None:
    for number in range(10):
        revoke(database, number, b"%d," % number, after=number, shard=0)
    revoke(database, 20, b"other shard", shard=1)
    database.writer.execute("INSERT INTO released_holds VALUES (30, ?, 0, 8, ?)", (CA, b"released,"))
    assert run(book.entries(CA, 0, since=None)) == b"0,1,2,3,4,5,6,7,8,9,"
    assert run(book.entries(CA, 1, since=None)) == b"other shard"
    assert run(book.entries(CA, 5, since=None)) == b""
    assert sorted(run(book.entries(CA, 0, since=8)).split(b",")) == [b"", b"8", b"9", b"released"]
    assert [book.last_change(CA, shard) for shard in (0, 1, 2)] == [9, 0, -1]


def test_entries_hold_any_octet(book: CrlBook, database: Database) -> None:
    entries = [bytes(range(256)), b"\x00", b"\xff\xfe\x00'"]
    for number, entry in enumerate(entries):
        revoke(database, number, entry)
    assert run(book.entries(CA, 0, since=None)) == b"".join(entries)


def test_a_release_is_forgotten_when_no_base_that_lists_the_hold_is_good(book: CrlBook, database: Database) -> None:
    publish(book, days=-1)
    database.writer.execute("INSERT INTO released_holds VALUES (1, ?, 0, 1, ?)", (CA, b"early"))
    publish(book)
    assert database.read("SELECT certificate_id FROM released_holds") == []
    database.writer.execute("INSERT INTO released_holds VALUES (2, ?, 0, 2, ?)", (CA, b"late"))
    publish(book)
    assert database.read("SELECT certificate_id FROM released_holds") == [(2,)]
