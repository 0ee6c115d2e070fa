# SPDX-License-Identifier: Apache-2.0
"""From when until when a secret or a request is good, by a clock that may have been wrong when it was made."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

TOLERANCE: Final = timedelta(days=2)
"""What was made later than this from now was made under a clock that ran ahead, and would outlive its time by as much.

A day is not enough: whoever mends a time zone or a date must not lose what was made an hour ago.
"""


def is_good(created_at: datetime, expires_at: datetime, *, now: datetime) -> bool:
    """Whether it is not over yet, and not from a time that is yet to come."""
    return created_at - TOLERANCE <= now < expires_at


def why_over(expires_at: datetime, *, now: datetime) -> str:
    """What is the matter with what is not good."""
    if expires_at <= now:
        return f"expired at {expires_at:%Y-%m-%dT%H:%M:%SZ}"
    return "was made under a clock that ran ahead, and is not good before its time"
