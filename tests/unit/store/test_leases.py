# SPDX-License-Identifier: Apache-2.0
"""A lease has one holder: until it ends, is given up, or its process is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import Database
from privyseal.store.leases import LeaseBook

LIFETIME = timedelta(seconds=60)


class Clock:
    """Is moved by the tests."""

    def __init__(self) -> None:
        self.time = datetime(2026, 5, 6, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


def take(book: LeaseBook, gone: Callable[[str], bool] = lambda _: False) -> int | None:
    return run(book.take("worker", lifetime=LIFETIME, holder_gone=gone))


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


@pytest.fixture
def books(database: Database, clock: Clock) -> tuple[LeaseBook, LeaseBook]:
    committer = GroupCommitter(database, clock)
    return LeaseBook(database, committer, "one"), LeaseBook(database, committer, "two")


def test_one_holds_it_and_may_renew_it(books: tuple[LeaseBook, LeaseBook], clock: Clock) -> None:
    one, two = books
    assert (take(one), take(two), take(one)) == (1, None, 1)
    clock.time += timedelta(seconds=50)
    assert take(one) == 1
    clock.time += timedelta(seconds=50)
    assert take(two) is None  # it was renewed


def test_it_goes_on_with_a_higher_fence_when_it_ends_is_given_up_or_its_holder_is_gone(
    books: tuple[LeaseBook, LeaseBook], clock: Clock
) -> None:
    one, two = books
    assert take(one) == 1
    clock.time += timedelta(seconds=61)
    assert (take(two), take(one)) == (2, None)
    run(two.give_up("worker"))
    assert (take(one), take(two)) == (3, None)
    assert take(two, lambda name: name == "one") == 4
    run(one.give_up("worker"))  # not his any more
    assert take(one) is None


def test_a_clock_that_was_put_back_gives_no_lease_for_years(books: tuple[LeaseBook, LeaseBook], clock: Clock) -> None:
    one, two = books
    clock.time += timedelta(days=400)
    assert take(one) == 1
    clock.time -= timedelta(days=400)
    assert take(two) == 2
