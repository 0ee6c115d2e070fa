# SPDX-License-Identifier: Apache-2.0
"""Character strings of DER as text: every type that names and requests use, read with tolerance."""

from __future__ import annotations

from privyseal.errors import InvalidName
from privyseal.x509 import der

_ENCODINGS = {
    der.UTF8_STRING: "utf-8",
    der.BMP_STRING: "utf-16-be",
    0x1C: "utf-32-be",  # UniversalString
    # One octet per character. Clients put Latin-1 into all of these, whatever X.680 says.
    der.PRINTABLE_STRING: "latin-1",
    der.IA5_STRING: "latin-1",
    0x12: "latin-1",  # NumericString
    0x14: "latin-1",  # TeletexString, also called T61String
    0x1A: "latin-1",  # VisibleString
}


def decode_string(tag: int, contents: bytes) -> str:
    """Text of a DER character string with ``tag``. Raises InvalidName."""
    encoding = _ENCODINGS.get(tag)
    if encoding is None:
        raise InvalidName(f"tag 0x{tag:02x} is not a character string")
    try:
        return contents.decode(encoding)
    except UnicodeDecodeError as fault:
        raise InvalidName(f"a string with tag 0x{tag:02x} is not {encoding}") from fault
