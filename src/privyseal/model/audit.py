# SPDX-License-Identifier: Apache-2.0
"""Audit events as values: who did what to which object."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=8)
def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970, in integer arithmetic: a float would lose some, and the digest covers them."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_microseconds(count: int) -> datetime:
    """The moment, aware, in UTC."""
    return _EPOCH + timedelta(microseconds=count)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """Something that happened. ``detail`` is JSON-ready and holds no secret."""

    event: str
    actor: str
    target: str
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """An event as chained: ``digest`` covers everything above it and the digest before."""

    seq: int
    at: datetime
    event: str
    actor: str
    target: str
    detail: str
    digest: bytes
