# SPDX-License-Identifier: Apache-2.0
"""Where the next page begins. Opaque for clients; what it holds is checked like everything that comes from outside."""

from __future__ import annotations

import base64
import binascii

from privyseal.errors import BodyInvalid


def make_cursor(key: int | str) -> str:
    """A cursor after the row with this key."""
    text = f"n{key}" if isinstance(key, int) else f"t{key}"
    return base64.urlsafe_b64encode(text.encode()).decode("ascii").rstrip("=")


def number_of(cursor: str | None) -> int:
    """The id of a cursor, 0 without one. Raises BodyInvalid."""
    if not cursor:
        return 0
    text = _text(cursor)
    if not text.startswith("n") or not text[1:].isdecimal() or len(text) > 18:
        raise _refused()
    return int(text[1:])


def name_of(cursor: str | None) -> str:
    """The name of a cursor, empty without one. Raises BodyInvalid."""
    if not cursor:
        return ""
    text = _text(cursor)
    if not text.startswith("t"):
        raise _refused()
    return text[1:]


def _text(cursor: str) -> str:
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("utf-8")
    except (binascii.Error, ValueError) as error:
        raise _refused() from error


def _refused() -> BodyInvalid:
    return BodyInvalid("the cursor is not one that this list gave", faults=(("/query/cursor", "is not a cursor"),))
