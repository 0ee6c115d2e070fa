# SPDX-License-Identifier: Apache-2.0
"""Cursors of paged lists: a place in one list, bound to the search that made it. They grant nothing."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Final

from privyseal.errors import CursorInvalid

_CHECK: Final = 10
_LAST: Final = (1 << 63) - 1
"""The check is no secret, so a cursor may name any place; stores count no further."""


def make_cursor(search: str, place: int) -> str:
    """The cursor after the row with this id."""
    number = place.to_bytes(8, "big")
    return urlsafe_b64encode(number + _check(search, number)).decode()


def read_cursor(search: str, cursor: str) -> int:
    """The id below which the list goes on. Raises CursorInvalid."""
    try:
        octets = urlsafe_b64decode(cursor.encode("ascii"))
    except ValueError as error:
        raise CursorInvalid("the cursor is not one: it is not base64url") from error
    number, check = octets[:8], octets[8:]
    if len(octets) != 8 + _CHECK or cursor != urlsafe_b64encode(octets).decode():
        raise CursorInvalid(f"the cursor has {len(cursor)} characters; 24 is what a cursor has")
    if check != _check(search, number):
        raise CursorInvalid("the cursor was made for another search, or was changed")
    place = int.from_bytes(number, "big")
    if place > _LAST:
        raise CursorInvalid("the cursor names a place that no store has")
    return place


def _check(search: str, number: bytes) -> bytes:
    return sha256(b"cursor" + number + search.encode("utf-8", "surrogatepass")).digest()[:_CHECK]
