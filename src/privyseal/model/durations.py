# SPDX-License-Identifier: Apache-2.0
"""Durations as people write them: ``90m``, ``24h``, ``30d``, ``1y`` (365 days). One parser for CLI and files."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from privyseal.errors import InvalidValue

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_PATTERN: Final = re.compile(r"(\d{1,10})([smhdwy])")
_LONGEST: Final = timedelta(days=365 * 100)


def parse_duration(text: str) -> timedelta:
    """A positive duration of at most a hundred years. Raises InvalidValue."""
    match = _PATTERN.fullmatch(text.strip().lower())
    if match is None:
        raise InvalidValue(f"duration {text!r} is not a number with one of s m h d w y, such as 90m or 365d")
    seconds = int(match[1]) * _UNITS[match[2]]
    if not 0 < seconds <= _LONGEST.total_seconds():
        raise InvalidValue(f"duration {text!r} is outside 1s to 100y")
    return timedelta(seconds=seconds)


def format_duration(span: timedelta) -> str:
    """The shortest exact form: ``365d`` rather than ``8760h``."""
    seconds = int(span.total_seconds())
    for unit in ("d", "h", "m"):
        if seconds % _UNITS[unit] == 0:
            return f"{seconds // _UNITS[unit]}{unit}"
    return f"{seconds}s"
