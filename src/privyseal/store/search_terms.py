# SPDX-License-Identifier: Apache-2.0
"""The search index in its smallest parts: terms of one certificate, and the set of rows of a block that have a term.

A block is ``BLOCK`` consecutive ids. A set of rows is a Python integer, one bit for each row of the block; stored it is
either all its octets or, when few bits are set, a list of 16-bit numbers.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from sys import byteorder
from typing import Final
from zlib import crc32

from privyseal.model.search.query import EXPIRING_FROM, fold

BLOCK: Final = 16384
_OCTETS: Final = BLOCK // 8
_FEW: Final = 64
ALL: Final = "*"
REVOKED: Final = "R"
GRAM: Final = "t"
WHERE: Final = -1
"""In place of a block: the blocks in which a term occurs, for every term but those of text."""
HOLD: Final = 6
"""CRLReason certificateHold."""
DAY: Final = 86400


def late_from(not_before: int, not_after: int) -> int:
    """The first second at which a certificate counts as expiring."""
    return not_before - (-EXPIRING_FROM * (not_after - not_before) // 100)


def day(prefix: str, seconds: int) -> str:
    """The term of a day; terms of one kind sort like their days."""
    return f"{prefix}{min(max(seconds // DAY, 0), 9_999_999):07}"


def value_key(prefix: str, value: str) -> int:
    """Names a value of which there are as many as certificates. Two may share it: the row itself decides."""
    return crc32(f"{prefix}{value}".encode())


def grams(text: str) -> set[str]:
    """Every three characters in a row, folded."""
    folded = fold(text)
    return {folded[at : at + 3] for at in range(len(folded) - 2)}


def pack(bits: int) -> bytes:
    """As stored."""
    return pack_places(members(bits))


def pack_places(places: Sequence[int]) -> bytes:
    """The set of these rows of a block, which stand in order, as stored."""
    if len(places) * 2 >= _OCTETS:
        return gather(places).to_bytes(_OCTETS, "little")
    listed = array("H", places)
    if byteorder == "big":
        listed.byteswap()
    return listed.tobytes()


def unpack(stored: bytes) -> int:
    """As stored, to a set."""
    if len(stored) == _OCTETS:
        return int.from_bytes(stored, "little")
    places = array("H", stored)
    if byteorder == "big":
        places.byteswap()
    return gather(places)


def gather(places: Iterable[int]) -> int:
    """The set of these rows of a block."""
    octets = bytearray(_OCTETS)
    for place in places:
        octets[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(octets, "little")


def members(bits: int) -> list[int]:
    """The rows of a set, in order."""
    found = []
    if bits.bit_count() <= _FEW:
        while bits:
            low = bits & -bits
            found.append(low.bit_length() - 1)
            bits ^= low
        return found
    for index, octet in enumerate(bits.to_bytes(_OCTETS, "little")):
        while octet:
            low = octet & -octet
            found.append(index * 8 + low.bit_length() - 1)
            octet ^= low
    return found
