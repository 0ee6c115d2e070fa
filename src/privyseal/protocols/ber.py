# SPDX-License-Identifier: Apache-2.0
"""BER to DER shape: what some clients send (indefinite lengths, octet strings in pieces) made readable.

Runs only after a strict reading failed. It never interprets a value and never reorders a SET:
signed attributes keep the order in which they were signed.
"""

from __future__ import annotations

from dataclasses import dataclass

from privyseal.errors import MalformedMessage, MessageTooLarge
from privyseal.x509 import der

MAX_DEPTH = 32
MAX_ELEMENTS = 8192
MAX_SIZE = 128 * 1024
PADDING = b"\x00\r\n"

_CONSTRUCTED = 0x20
_OCTET_STRING_IN_PIECES = der.OCTET_STRING | _CONSTRUCTED
_EXPLICIT_0, _IMPLICIT_0 = 0xA0, 0x80
_ENCRYPTED_CONTENT_INFO = (der.OID, der.SEQUENCE)


@dataclass(frozen=True, slots=True)
class _Part:
    tag: int
    body: bytes
    end: int


class _Reader:
    """One pass over one message; counts its elements so that no input makes it work for long."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._elements = 0

    def element(self, position: int, limit: int, depth: int, *, encrypted_content: bool = False) -> _Part:
        """The element at ``position``, its contents in DER shape.

        ``encrypted_content``: this is where EncryptedContentInfo holds ``[0] IMPLICIT OCTET STRING``
        (RFC 5652 6.1); only there a constructed [0] is an octet string in pieces. The [0] of
        ContentInfo and EncapsulatedContentInfo is EXPLICIT and stays.
        """
        self._elements += 1
        if depth > MAX_DEPTH:
            raise MalformedMessage(f"the message nests deeper than {MAX_DEPTH} levels")
        if self._elements > MAX_ELEMENTS:
            raise MalformedMessage(f"the message has more than {MAX_ELEMENTS} elements")
        tag, start, end = self._header(position, limit)
        if not tag & _CONSTRUCTED:
            if end is None:
                raise MalformedMessage("a primitive element has an indefinite length")
            return _Part(tag, self._data[start:end], end)
        children, after = self._children(tag, start, limit if end is None else end, depth, indefinite=end is None)
        pieces = all(child.tag == der.OCTET_STRING for child in children)
        if tag == _OCTET_STRING_IN_PIECES:
            if not pieces:
                raise MalformedMessage("a constructed OCTET STRING holds something else than OCTET STRINGs")
            return _Part(der.OCTET_STRING, b"".join(child.body for child in children), after)
        if tag == _EXPLICIT_0 and encrypted_content and pieces:
            return _Part(_IMPLICIT_0, b"".join(child.body for child in children), after)
        return _Part(tag, b"".join(der.tlv(child.tag, child.body) for child in children), after)

    def _children(
        self, tag: int, position: int, limit: int, depth: int, *, indefinite: bool
    ) -> tuple[list[_Part], int]:
        children: list[_Part] = []
        while indefinite or position < limit:
            if indefinite and self._data[position : position + 2] == b"\x00\x00" and position + 2 <= limit:
                return children, position + 2
            encrypted = tag == der.SEQUENCE and tuple(child.tag for child in children[:3]) == _ENCRYPTED_CONTENT_INFO
            child = self.element(position, limit, depth + 1, encrypted_content=encrypted)
            children.append(child)
            position = child.end
        return children, position

    def _header(self, position: int, limit: int) -> tuple[int, int, int | None]:
        if position + 2 > limit:
            raise MalformedMessage("the message ends inside an element")
        tag, size = self._data[position], self._data[position + 1]
        if tag & 0x1F == 0x1F or tag == 0:
            raise MalformedMessage(f"the message holds an element with the unexpected tag 0x{tag:02x}")
        start = position + 2
        if size == 0x80:
            return tag, start, None
        if size > 0x80:
            count = size & 0x7F
            if count > 8 or start + count > limit:
                raise MalformedMessage("the message ends inside a length, or a length is oversized")
            size = int.from_bytes(self._data[start : start + count], "big")
            start += count
        if start + size > limit:
            raise MalformedMessage("an element of the message is longer than what holds it")
        return tag, start, start + size


def to_der(data: bytes) -> bytes:
    """The same values with definite minimal lengths and octet strings in one piece.

    Zero octets and line ends after the message are dropped; anything else there is refused.
    Raises MalformedMessage, MessageTooLarge.
    """
    if len(data) > MAX_SIZE:
        raise MessageTooLarge(f"the message has {len(data)} octets; the limit is {MAX_SIZE}")
    part = _Reader(data).element(0, len(data), 1)
    if data[part.end :].strip(PADDING):
        raise MalformedMessage(f"{len(data) - part.end} octets follow the end of the message")
    return der.tlv(part.tag, part.body)
