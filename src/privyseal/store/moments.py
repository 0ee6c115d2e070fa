# SPDX-License-Identifier: Apache-2.0
"""Moments as the store keeps them: whole seconds since 1970, UTC."""

from __future__ import annotations

from datetime import UTC, datetime


def to_seconds(moment: datetime) -> int:
    """Seconds since 1970."""
    return int(moment.timestamp())


def from_seconds(seconds: int) -> datetime:
    """The moment, aware, in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
