# SPDX-License-Identifier: Apache-2.0
"""Limits on how often one source may ask: a token bucket each, in bounded memory. What fails waits longer each time.

A source that fails is slowed by itself only; a valid token from elsewhere never notices.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Final

from privyseal.errors import TooManyRequests

_MOST_SOURCES: Final = 10_000
_FREE_FAILURES: Final = 5
_LONGEST_DELAY: Final = 300.0
_FORGOTTEN_AFTER: Final = 3600.0


class Buckets:
    """So many requests a second for each source, and a burst of them at once. The oldest source is forgotten first."""

    def __init__(self, *, per_second: float, burst: float, clock: Callable[[], float]) -> None:
        self._rate = per_second
        self._burst = burst
        self._clock = clock
        self._held: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, source: str) -> int:
        """0 when the request may be served, and counts it; else for how many seconds to wait."""
        now = self._clock()
        left, at = self._held.get(source, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._rate)
        if left < 1:
            return math.ceil((1 - left) / self._rate)
        self._held[source] = (left - 1, now)
        self._held.move_to_end(source)
        if len(self._held) > _MOST_SOURCES:
            self._held.popitem(last=False)
        return 0


class FailureDelays:
    """After a few failures a source waits, twice as long each time, up to five minutes."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, source: str) -> int:
        """For how many seconds this source has to wait before it may try again; 0 mostly."""
        count, at = self._failed.get(source, (0, 0.0))
        now = self._clock()
        if count and now - at > _FORGOTTEN_AFTER:
            del self._failed[source]
            return 0
        if count <= _FREE_FAILURES:
            return 0
        delay = min(_LONGEST_DELAY, 2.0 ** min(count - _FREE_FAILURES, 20))
        return max(0, math.ceil(at + delay - now))

    def failed(self, source: str) -> None:
        """Note a failure."""
        count, _ = self._failed.get(source, (0, 0.0))
        self._failed[source] = (count + 1, self._clock())
        self._failed.move_to_end(source)
        if len(self._failed) > _MOST_SOURCES:
            self._failed.popitem(last=False)

    def succeeded(self, source: str) -> None:
        """Forget the failures of a source."""
        self._failed.pop(source, None)


def source_of(address: str) -> str:
    """Who counts as one source: an IPv4 address, or 64 bits of an IPv6 one, since whoever has one has all of these."""
    if ":" not in address:
        return address
    try:
        found = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return f"{IPv6Address(int(found) >> 64 << 64)}/64"


def check_rate(buckets: Buckets | None, source: str, *, what: str) -> None:
    """Raises TooManyRequests; without buckets there is no limit."""
    if buckets is not None and (wait := buckets.wait(source)):
        raise too_many(what, wait)


def too_many(what: str, wait: int) -> TooManyRequests:
    """The error for a source that has to wait; the number of seconds is in its text and in Retry-After."""
    return TooManyRequests(f"{what} asks too often; wait {wait} s", seconds=wait)
