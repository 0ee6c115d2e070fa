# SPDX-License-Identifier: Apache-2.0
"""The code that makes the first owner: 160 random bits, shown once on the machine; only its hash is stored."""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from hashlib import sha256
from typing import Final

from privyseal.errors import FirstOwnerRefused, InvalidValue

CODE_LIFE: Final = timedelta(minutes=30)
_BYTES: Final = 20
_SHAPE: Final = re.compile(r"[a-z2-7]{32}")


def new_code(chance: bytes) -> str:
    """The text of a code from 20 random bytes, in groups of four."""
    if len(chance) != _BYTES:
        raise InvalidValue(f"a code takes {_BYTES} random bytes, not {len(chance)}")
    text = base64.b32encode(chance).decode("ascii").lower()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def code_digest(code: str) -> bytes:
    """What is stored of a code; hyphens, spaces and case do not count. Raises FirstOwnerRefused."""
    text = re.sub(r"[-\s]", "", code).lower()
    if not _SHAPE.fullmatch(text):
        raise FirstOwnerRefused("what was sent is not a code: one is 32 letters and digits, in groups of four")
    return sha256(text.encode("ascii")).digest()
