# SPDX-License-Identifier: Apache-2.0
"""The resources of the API about webhooks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from privyseal.model.api.access_shapes import TOKEN_NAME
from privyseal.model.api.fields import limited
from privyseal.model.webhook import DeliveryState


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookShape:
    """Who is told of events."""

    name: str
    url: str = limited(doc="Without its query, which may hold a key of the receiver's.")
    events: tuple[str, ...]
    created_by: str
    created_at: datetime
    waiting: int = limited(doc="Deliveries on their way.")
    dead: int = limited(doc="Deliveries that were given up.")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookWish:
    """A receiver to make known."""

    name: str = limited(pattern=TOKEN_NAME, longest=64)
    url: str = limited(longest=1000, doc="https; http only to 127.0.0.1, ::1 or localhost.")
    events: tuple[str, ...] = limited(default=("*",), longest=32, doc="`*`, `certificate.*`, `ca.created`.")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookMade:
    """A webhook and its secret, which is shown this once."""

    secret: str
    webhook: WebhookShape


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookGone:
    """A webhook that was deleted."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookQueued:
    """What is on its way now."""

    name: str
    queued: int
    event: str | None = limited(doc="The id of the test's CloudEvent.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayWish:
    """What is to be sent again."""

    delivery: int | None = limited(default=None, least=1, most=10**15, doc="Without one: all that were given up.")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDeliveryShape:
    """One event on its way to one receiver."""

    id: int
    event_id: str
    event: str
    state: str = limited(choices=tuple(state.value for state in DeliveryState))
    attempts: int
    due_at: datetime
    status: int | None = limited(doc="Of the receiver's last answer.")
    what: str | None
    changed_at: datetime
