# SPDX-License-Identifier: Apache-2.0
"""Webhooks as values: who is told what, when a delivery is tried again, and when it is given up."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from privyseal.errors import InvalidValue, WebhookUrlRefused

MOST_WEBHOOKS: Final = 50
MOST_OPEN: Final = 10_000
"""Deliveries of one webhook that wait; beyond it the audit trail keeps the rest until there is room."""
MOST_ATTEMPTS: Final = 20
"""With the waits below about a day, then the delivery is dead until somebody replays it."""
_FIRST_WAIT: Final = timedelta(seconds=10)
_LONGEST_WAIT: Final = timedelta(hours=2)
_MOST_FILTERS: Final = 32
_LONGEST_URL: Final = 1000
_FILTER: Final = re.compile(r"\*|[a-z][a-z-]{0,30}\.(\*|[a-z][a-z-]{0,40})")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<authority>(\[(?P<six>[0-9A-Fa-f:.]{2,45})\]|(?P<name>[A-Za-z0-9._-]{1,253}))"
    r"(:(?P<port>[0-9]{1,5}))?)(?P<target>[/?][!-~]*)?"
)
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class DeliveryState(Enum):
    """Of one event on its way to one receiver."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"
    """Given up after the last attempt; ``webhook replay`` begins again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One subscription. ``sealed`` is its secret, encrypted with a key that only the key store gives."""

    id: int
    name: str
    url: str
    events: tuple[str, ...]
    sealed: bytes
    cursor: int
    """Number of the last audit row that was looked at for it."""
    created_by: str
    created_at: datetime
    waiting: int
    dead: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDelivery:
    """One event for one webhook, and what became of it."""

    id: int
    webhook: str
    seq: int
    """The audit row that it tells of."""
    event: str
    state: DeliveryState
    due_at: datetime
    attempts: int
    status: int
    """Of the receiver's last answer; 0 when there was none."""
    what: str
    changed_at: datetime


def wanted(filters: tuple[str, ...], event: str) -> bool:
    """Whether one of the filters takes an event: ``*``, ``certificate.*`` or ``ca.created``."""
    noun = event.partition(".")[0]
    return any(one in ("*", f"{noun}.*", event) for one in filters)


def retry_wait(attempts: int, chance: int) -> timedelta:
    """How long to wait after so many attempts: doubled each time, and half of it by chance (0 to 65535)."""
    full = min(_FIRST_WAIT * 2 ** min(attempts - 1, 20), _LONGEST_WAIT)
    return timedelta(seconds=full.total_seconds() * (0.5 + chance / 131070))


def parse_filters(texts: Iterable[str]) -> tuple[str, ...]:
    """Event filters, each once. Raises InvalidValue."""
    found = tuple(dict.fromkeys(texts))
    if not 1 <= len(found) <= _MOST_FILTERS:
        raise InvalidValue(f"{len(found)} event filters; it is 1 to {_MOST_FILTERS}")
    for one in found:
        if not _FILTER.fullmatch(one):
            raise InvalidValue(f"event filter {one[:60]!r} is not *, NOUN.* or NOUN.VERB, such as certificate.revoked")
    return found


def parse_webhook_name(text: str) -> str:
    """Raises InvalidValue."""
    if not _NAME.fullmatch(text):
        raise InvalidValue(f"webhook name {text[:80]!r} is not 1 to 64 lower-case letters, digits and . _ -")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverUrl:
    """The parts of a receiver's URL."""

    secure: bool
    authority: str
    host: str
    port: int
    target: str

    @property
    def is_loopback(self) -> bool:
        """Whether it names this machine as such: only then may its address be one of the loopback."""
        return self.host.lower() in _LOOPBACK


def parse_receiver(url: str) -> ReceiverUrl:
    """The URL of a receiver: https, or http to the loopback as such. Raises WebhookUrlRefused."""
    found = _URL.fullmatch(url) if len(url) <= _LONGEST_URL else None
    # A backslash or an @ could make others see another host in it; a fragment is never sent.
    if found is None or set(url) & set("\\@#"):
        raise WebhookUrlRefused(
            f"{url.partition('?')[0][:120]!r} is not https://HOST[:PORT][/PATH][?QUERY] of at most {_LONGEST_URL} "
            "ASCII characters, without user, password or fragment"
        )
    secure = found["scheme"] == "https"
    port = int(found["port"] or (443 if secure else 80))
    target = found["target"] or "/"
    made = ReceiverUrl(
        secure=secure,
        authority=found["authority"],
        host=found["six"] or found["name"],
        port=port,
        target=target if target.startswith("/") else f"/{target}",
    )
    if not 1 <= port <= 65535:
        raise WebhookUrlRefused(f"port {port} of {made.host} is outside 1 to 65535")
    if not secure and not made.is_loopback:
        raise WebhookUrlRefused(f"the URL is http to {made.host}; only https leaves this machine")
    return made
