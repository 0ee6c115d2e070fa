# SPDX-License-Identifier: Apache-2.0
"""DER writing and strict DER reading (X.690). Writing never validates meaning; reading never guesses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from privyseal.errors import MalformedDer

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
ENUMERATED, UTF8_STRING, PRINTABLE_STRING, IA5_STRING, BMP_STRING = 0x0A, 0x0C, 0x13, 0x16, 0x1E
UTC_TIME, GENERALIZED_TIME, SEQUENCE, SET = 0x17, 0x18, 0x30, 0x31


def tlv(tag: int, *parts: bytes) -> bytes:
    """One element with the single-octet identifier ``tag`` and the joined ``parts`` as contents."""
    body = b"".join(parts)
    size = len(body)
    # As numbers: half of all that is written passes here, and a tuple for the header would cost more than the rest.
    if size < 0x80:
        return (tag << 8 | size).to_bytes(2, "big") + body
    if size < 0x100:
        return (tag << 16 | 0x8100 | size).to_bytes(3, "big") + body
    if size < 0x10000:
        return (tag << 24 | 0x820000 | size).to_bytes(4, "big") + body
    del body  # a CRL's can be large: the header joins the parts, not a copy of them
    return b"".join((header(tag, size), *parts))


def header(tag: int, size: int) -> bytes:
    """Identifier and length octets of an element with ``size`` contents octets."""
    if size < 0x80:
        return bytes((tag, size))
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length


def sequence(*parts: bytes) -> bytes:
    """SEQUENCE of the given encodings, in order."""
    return tlv(SEQUENCE, *parts)


def large_sequence(*parts: bytes) -> bytes:
    """The same for parts of which some may be tens of megabytes: they are copied once."""
    return b"".join((header(SEQUENCE, sum(map(len, parts))), *parts))


def set_of(*parts: bytes) -> bytes:
    """SET OF, its members sorted as DER demands (X.690 11.6)."""
    return tlv(SET, *sorted(parts))


def explicit(number: int, inner: bytes) -> bytes:
    """``[number] EXPLICIT inner``."""
    return tlv(0xA0 | number, inner)


def integer(value: int) -> bytes:
    """INTEGER, of any size and sign."""
    # Of a negative number one less counts: -128 fits into one octet (X.690 8.3.2).
    size = (value if value >= 0 else ~value).bit_length() // 8 + 1
    return tlv(INTEGER, value.to_bytes(size, "big", signed=True))


@lru_cache(maxsize=512)
def oid(dotted: str) -> bytes:
    """OBJECT IDENTIFIER from its dotted form."""
    arcs = [int(arc) for arc in dotted.split(".")]
    body = bytearray()
    for arc in (arcs[0] * 40 + arcs[1], *arcs[2:]):
        chunk = [arc & 0x7F]
        while arc := arc >> 7:
            chunk.append(0x80 | (arc & 0x7F))
        body.extend(reversed(chunk))
    return tlv(OID, bytes(body))


def octet_string(value: bytes) -> bytes:
    """OCTET STRING."""
    return tlv(OCTET_STRING, value)


def bit_string(value: bytes, unused: int = 0) -> bytes:
    """BIT STRING whose last octet has ``unused`` unused low bits."""
    return tlv(BIT_STRING, bytes((unused,)), value)


def boolean(value: bool) -> bytes:
    """BOOLEAN; DER writes TRUE as 0xFF."""
    return b"\x01\x01\xff" if value else b"\x01\x01\x00"


def null() -> bytes:
    """NULL."""
    return b"\x05\x00"


@lru_cache(maxsize=64)
def time(moment: datetime) -> bytes:
    """Time as RFC 5280 4.1.2.5 wants it: UTCTime up to 2049, GeneralizedTime from 2050; whole seconds, Z."""
    moment = moment.astimezone(UTC)
    if 1950 <= moment.year < 2050:
        return tlv(UTC_TIME, _digits(moment)[2:])
    return tlv(GENERALIZED_TIME, _digits(moment))


def generalized_time(moment: datetime) -> bytes:
    """GeneralizedTime with whole seconds and Z (RFC 5280 4.1.2.5.2)."""
    return tlv(GENERALIZED_TIME, _digits(moment.astimezone(UTC)))


def _digits(moment: datetime) -> bytes:
    # As numbers: strftime costs more than the rest of a certificate's validity.
    date, clock = (moment.year, moment.month, moment.day), (moment.hour, moment.minute, moment.second)
    return b"%04d%02d%02d%02d%02d%02dZ" % (*date, *clock)


@dataclass(frozen=True, slots=True)
class Element:
    """One DER element inside a larger buffer; nothing is copied until asked for."""

    data: bytes
    start: int
    body: int
    end: int

    @property
    def tag(self) -> int:
        """The identifier octet."""
        return self.data[self.start]

    @property
    def encoded(self) -> bytes:
        """Identifier, length and contents."""
        return self.data[self.start : self.end]

    @property
    def contents(self) -> bytes:
        """Contents octets only."""
        return self.data[self.body : self.end]

    def children(self) -> Iterator[Element]:
        """The elements directly inside a constructed element. Raises MalformedDer."""
        position = self.body
        while position < self.end:
            child = read(self.data, position, self.end)
            yield child
            position = child.end

    def expect(self, tag: int, what: str) -> Element:
        """Itself, when the tag is ``tag``; else MalformedDer naming ``what``."""
        if self.tag != tag:
            raise MalformedDer(f"{what}: expected tag 0x{tag:02x}, found 0x{self.tag:02x}")
        return self

    def as_int(self) -> int:
        """Value of an INTEGER or ENUMERATED, minimally encoded. Raises MalformedDer."""
        raw = self.contents
        if self.tag not in (INTEGER, ENUMERATED) or not raw:
            raise MalformedDer("an INTEGER was expected")
        if len(raw) > 1 and raw[0] in (0x00, 0xFF) and (raw[0] ^ raw[1]) & 0x80 == 0:
            raise MalformedDer("an INTEGER is not minimally encoded")
        return int.from_bytes(raw, "big", signed=True)

    def as_oid(self) -> str:
        """Dotted form of an OBJECT IDENTIFIER. Raises MalformedDer."""
        if self.tag != OID:
            raise MalformedDer(f"an OBJECT IDENTIFIER was expected, found tag 0x{self.tag:02x}")
        return _decode_oid(self.contents)


@lru_cache(maxsize=1024)
def _decode_oid(raw: bytes) -> str:
    if not raw or raw[-1] & 0x80 or len(raw) > 64:
        raise MalformedDer("an OBJECT IDENTIFIER is cut short or too long")
    arcs: list[int] = []
    value = 0
    for index, octet in enumerate(raw):
        if value == 0 and octet == 0x80:
            raise MalformedDer(f"an OBJECT IDENTIFIER has a padded arc at octet {index}")
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(str(arc) for arc in (first, arcs[0] - first * 40, *arcs[1:]))


def read(data: bytes, position: int = 0, limit: int | None = None) -> Element:
    """The element that begins at ``position``, definite minimal length, low tag numbers only.

    Raises MalformedDer when it does not fit inside ``limit`` (default: the end of ``data``).
    """
    body, end = offsets(data, position, len(data) if limit is None else limit)
    return Element(data, position, body, end)


def offsets(data: bytes, position: int, limit: int) -> tuple[int, int]:
    """Where the contents of the element at ``position`` begin and end, as ``read`` has it. Raises MalformedDer."""
    if position + 2 > limit:
        raise MalformedDer("the encoding ends inside an element")
    if data[position] & 0x1F == 0x1F:
        raise MalformedDer("a tag number above 30 is not used by any structure we read")
    size = data[position + 1]
    body = position + 2
    if size >= 0x80:
        count = size & 0x7F
        if count == 0 or count > 4:
            raise MalformedDer("indefinite or oversized length")
        if body + count > limit:
            raise MalformedDer("the encoding ends inside a length")
        size = int.from_bytes(data[body : body + count], "big")
        body += count
        if size < 0x80 or size >> (8 * (count - 1)) == 0:
            raise MalformedDer("a length is not minimally encoded")
    end = body + size
    if end > limit:
        raise MalformedDer("an element is longer than what holds it")
    return body, end


def read_only(data: bytes, tag: int, what: str) -> Element:
    """The single element that fills ``data`` to its last octet, with ``tag``. Raises MalformedDer."""
    element = read(data).expect(tag, what)
    if element.end != len(data):
        raise MalformedDer(f"{what}: {len(data) - element.end} octets after the end")
    return element
