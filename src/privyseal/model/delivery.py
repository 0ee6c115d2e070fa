# SPDX-License-Identifier: Apache-2.0
"""Deliveries: end entities' certificates on their way to, and at, their accounts in a directory (userCertificate)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from privyseal.model.directory import DirectoryBinding

MOST_EACH: Final = 10
"""How many certificates of ours stay at one account; beyond that the oldest go."""
LEASE: Final = timedelta(minutes=5)
"""How long whoever stored the intent has for the change; then another process may look what became of it."""
_FIRST_RETRY: Final = timedelta(minutes=1)
_LAST_RETRY: Final = timedelta(hours=6)


class DeliveryState(Enum):
    """Where it stands. What is gone again has no row any more; the audit trail remembers."""

    TO_ADD = "to-add"
    PRESENT = "present"
    TO_REMOVE = "to-remove"
    TO_HOLD = "to-hold"
    """Its certificate is on hold: taken from the account, and put back when the hold ends."""
    HELD = "held"
    """It stands nowhere and waits for the end of the hold."""


IDLE: Final = frozenset({DeliveryState.PRESENT, DeliveryState.HELD})
"""Nothing is to be done for these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One certificate and the account that it is for."""

    certificate_id: int
    serial: int
    account: DirectoryBinding
    state: DeliveryState
    due_at: datetime
    attempts: int
    ours: bool
    """We put it there, or were about to when last heard of. What is not ours is never removed."""
    good: bool
    """The certificate is issued, not revoked and not expired."""
    dn: str
    """Where the account was when it was last looked at."""
    controller: str
    changed_at: datetime | None
    code: int
    """Error code of the last attempt, 0 when it went well."""
    what: str


def retry_after(attempts: int, share: int) -> timedelta:
    """How long to wait after so many attempts: doubling, up to six hours. ``share``: a random octet, for the jitter."""
    doubled = _FIRST_RETRY * (1 << min(max(attempts, 1) - 1, 16))
    return min(doubled, _LAST_RETRY) * (256 + share) / 511
