# SPDX-License-Identifier: Apache-2.0
"""API tokens: 256 random bits behind a prefix and before a checksum, so that scanners find a leaked one for certain.

Only the hash is stored. A fast hash is right: nobody guesses 256 bits, so there is nothing to slow down.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from privyseal.errors import InvalidValue, TokenRefused
from privyseal.model.access import Grant

PREFIX: Final = "pvs_"
DEFAULT_LIFE: Final = timedelta(days=90)
LONGEST_LIFE: Final = timedelta(days=366)
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_DIGITS: Final = 43
_SUM_DIGITS: Final = 6
_SHAPE: Final = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_RANDOM_DIGITS + _SUM_DIGITS}}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as it is known afterwards; the secret is nowhere."""

    id: int
    name: str
    owner: str
    """The person who answers for it."""
    grants: tuple[Grant, ...]
    created_by: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    """To the hour: a row for each request would cost more than it tells."""
    revoked_at: datetime | None


def new_secret(chance: bytes) -> str:
    """The text of a token from 32 random bytes."""
    if len(chance) != 32:
        raise InvalidValue(f"a token takes 32 random bytes, not {len(chance)}")
    body = _in_base_62(int.from_bytes(chance, "big"), _RANDOM_DIGITS)
    return f"{PREFIX}{body}{_checksum(body)}"


def token_digest(secret: str) -> bytes:
    """What is stored of a token. Raises TokenRefused for what cannot be one, before any look-up."""
    if not _SHAPE.fullmatch(secret) or _checksum(secret[len(PREFIX) : -_SUM_DIGITS]) != secret[-_SUM_DIGITS:]:
        raise TokenRefused(
            f"what was sent is not a token: one is {PREFIX} and {_RANDOM_DIGITS + _SUM_DIGITS} letters and digits, "
            "the last six a checksum"
        )
    return sha256(secret.encode("ascii")).digest()


def parse_token_name(text: str) -> str:
    """Raises InvalidValue."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", text):
        raise InvalidValue(f"token name {text[:80]!r} is not 1 to 64 lower-case letters, digits and . _ -")
    return text


def check_life(life: timedelta) -> None:
    """Raises InvalidValue."""
    if not timedelta(minutes=1) <= life <= LONGEST_LIFE:
        raise InvalidValue(f"a token lives 1 minute to {LONGEST_LIFE.days} days, not {life}")


def _in_base_62(number: int, digits: int) -> str:
    found = []
    for _ in range(digits):
        number, digit = divmod(number, 62)
        found.append(_DIGITS[digit])
    return "".join(reversed(found))


def _checksum(body: str) -> str:
    return _in_base_62(zlib.crc32(body.encode("ascii")), _SUM_DIGITS)
