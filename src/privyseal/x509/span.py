# SPDX-License-Identifier: Apache-2.0
"""Offsets of DER elements as plain tuples: der.read for hot paths. It must accept exactly what der.read accepts."""

from __future__ import annotations

from functools import lru_cache

from privyseal.errors import MalformedDer
from privyseal.x509 import der

# (tag, start, body, end): identifier octet and offsets into the buffer it was read from.
Span = tuple[int, int, int, int]


def span(data: bytes, position: int, limit: int) -> Span:
    """The element at ``position`` that must end at or before ``limit``. Raises MalformedDer."""
    body, end = der.offsets(data, position, limit)
    return data[position], position, body, end


def spans(data: bytes, position: int, limit: int) -> list[Span]:
    """All elements from ``position`` to exactly ``limit``. Raises MalformedDer."""
    found: list[Span] = []
    while position < limit:
        body = position + 2
        # Most elements are short, most others have two octets of length; der.offsets holds the rules for the rest and
        # for what is wrong.
        end = limit + 1
        if body <= limit and data[position] & 0x1F != 0x1F:
            size = data[position + 1]
            if size < 0x80:
                end = body + size
            elif size == 0x82 and body + 2 <= limit and data[body]:
                end = body + 2 + (data[body] << 8 | data[body + 1])
                body += 2
        if end > limit:
            body, end = der.offsets(data, position, limit)
        found.append((data[position], position, body, end))
        position = end
    return found


def within(data: bytes, position: int, limit: int, *, tag: int, what: str) -> list[Span]:
    """The elements inside the constructed element at ``position`` that has ``tag`` and fills up to ``limit``."""
    found, _, body, end = span(data, position, limit)
    if found != tag:
        raise MalformedDer(f"{what}: expected tag 0x{tag:02x}, found 0x{found:02x}")
    if end != limit:
        raise MalformedDer(f"{what}: {limit - end} octets after the end")
    return spans(data, body, end)


@lru_cache(maxsize=1024)
def _dotted(encoded: bytes) -> str:
    return der.read(encoded).as_oid()


def dotted(data: bytes, item: Span) -> str:
    """Dotted form of the OBJECT IDENTIFIER that ``item`` must be. Raises MalformedDer."""
    return _dotted(data[item[1] : item[3]])
