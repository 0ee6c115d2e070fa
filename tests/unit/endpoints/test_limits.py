# SPDX-License-Identifier: Apache-2.0
"""Limits for each source: a burst, then a rate; failures wait longer each time; memory stays bounded."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from privyseal.endpoints.app import Access, Application, Route
from privyseal.endpoints.http import Request, Response, text
from privyseal.endpoints.limits import Buckets, FailureDelays, check_rate, source_of
from privyseal.errors import TooManyRequests


class Clock:
    """Seconds that a test lets pass."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Rng:
    """Not random."""

    def bytes(self, count: int) -> bytes:
        return bytes(count)


def test_a_burst_is_served_then_the_rate_holds_and_others_do_not_notice() -> None:
    clock = Clock()
    buckets = Buckets(per_second=2, burst=3, clock=clock)
    assert [buckets.wait("a") for _ in range(5)] == [0, 0, 0, 1, 1]
    assert buckets.wait("b") == 0
    clock.now += 0.5
    assert [buckets.wait("a"), buckets.wait("a")] == [0, 1]
    clock.now += 3600
    assert [buckets.wait("a") for _ in range(4)] == [0, 0, 0, 1]


def test_a_slow_rate_says_how_long_to_wait() -> None:
    buckets = Buckets(per_second=0.1, burst=1, clock=Clock())
    assert [buckets.wait("a"), buckets.wait("a")] == [0, 10]
    with pytest.raises(TooManyRequests) as caught:
        check_rate(buckets, "a", what="a")
    assert caught.value.seconds == 10
    check_rate(None, "a", what="a")


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("what:ever", "what:ever"),
    ],
)
def test_all_addresses_of_an_ipv6_network_are_one_source(address: str, source: str) -> None:
    assert source_of(address) == source


def test_memory_is_bounded_whoever_asks() -> None:
    clock = Clock()
    buckets, failures = Buckets(per_second=1, burst=1, clock=clock), FailureDelays(clock)
    for number in range(20_500):
        buckets.wait(str(number))
        failures.failed(str(number))
    assert len(vars(buckets)["_held"]) == len(vars(failures)["_failed"]) == 10_000


def test_failures_wait_longer_each_time_and_are_forgotten() -> None:
    clock = Clock()
    failures = FailureDelays(clock)
    waits = []
    for _ in range(18):
        failures.failed("a")
        waits.append(failures.wait("a"))
    assert waits[:8] == [0, 0, 0, 0, 0, 2, 4, 8] and waits[-1] == 300
    assert failures.wait("b") == 0
    clock.now += 301
    assert failures.wait("a") == 0
    clock.now += 3601
    assert failures.wait("a") == 0
    failures.failed("a")
    assert failures.wait("a") == 0
    failures.succeeded("a")
    assert failures.wait("a") == 0


def test_a_public_route_answers_429_with_retry_after_to_one_source_only() -> None:
    async def handler(request: Request, incident: str) -> Response:
        return text(200, "ok")

    route = Route("here", frozenset({"GET"}), 0, Access.PUBLIC, "a test", handler)
    application = Application((route,), Rng(), rates=Buckets(per_second=1, burst=2, clock=Clock()))

    def ask(peer: str) -> tuple[int, dict[bytes, bytes]]:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            raise AssertionError("a GET has no body")

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "GET", "path": "/here", "raw_path": b"/here", "query_string": b"", "headers": [],
            "client": (peer, 1),
        }  # fmt: skip
        asyncio.run(application(scope, receive, send))
        return sent[0]["status"], dict(sent[0]["headers"])

    assert [ask("192.0.2.1")[0] for _ in range(3)] == [200, 200, 429]
    assert ask("192.0.2.1")[1][b"retry-after"] == b"1"
    assert ask("192.0.2.2")[0] == 200
