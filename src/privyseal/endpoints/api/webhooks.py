# SPDX-License-Identifier: Apache-2.0
"""Operations about webhooks. What changes goes over the desk; a secret is in the answer that made it alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from privyseal.administration.desk import Desk, Done
from privyseal.administration.webhooks import webhook_item
from privyseal.endpoints.api import examples
from privyseal.endpoints.api.acts import submit
from privyseal.endpoints.api.cursor import make_cursor, name_of, number_of
from privyseal.endpoints.api.operation import Call, Kind, Operation, Page, QueryField, Reply
from privyseal.errors import ApprovalPending
from privyseal.model.access import Permission, check_permission
from privyseal.model.api.access_shapes import TOKEN_NAME
from privyseal.model.api.codec import decode
from privyseal.model.api.webhook_shapes import (
    EventDeliveryShape,
    ReplayWish,
    WebhookGone,
    WebhookMade,
    WebhookQueued,
    WebhookShape,
    WebhookWish,
)
from privyseal.model.webhook import DeliveryState, EventDelivery, Webhook, parse_webhook_name

_STATE: Final = QueryField(
    name="state", doc="Only in this state.", choices=tuple(state.value for state in DeliveryState)
)
_NAME: Final = {"name": TOKEN_NAME}


class Webhooks(Protocol):
    """Stored webhooks."""

    def all(self) -> tuple[Webhook, ...]:
        """In order of name."""

    def get(self, name: str) -> Webhook:
        """Raises NotFound."""

    def page(self, name: str, *, before: int, limit: int, state: str = "") -> tuple[EventDelivery, ...]:
        """Newest first."""


class Secrets(Protocol):
    """Makes secrets of webhooks."""

    def make(self, name: str) -> tuple[str, str]:
        """As it is shown, and sealed. Raises PassphraseMissing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookOperations:
    """The handlers, with what they read."""

    desk: Desk
    webhooks: Webhooks
    secrets: Secrets

    def table(self) -> Iterator[Operation]:
        """Every operation about webhooks."""
        read, write = Permission.AUDIT_READ, Permission.SETTING_WRITE
        yield Operation(
            id="list_webhooks", method="GET", path="/webhooks", permission=read, kind=Kind.PAGE,
            summary="Who is told of events.", handler=self.list_webhooks, answer=WebhookShape,
            example=examples.WEBHOOK,
        )  # fmt: skip
        yield Operation(
            id="create_webhook", method="POST", path="/webhooks", permission=write, status=201,
            summary="Tell a receiver of events; its secret is shown this once.", handler=self.create,
            body=WebhookWish, body_example=examples.WEBHOOK_WISH, answer=WebhookMade, example=examples.WEBHOOK_MADE,
            keeps_secret=True,
        )  # fmt: skip
        yield Operation(
            id="get_webhook", method="GET", path="/webhooks/{name}", permission=read, summary="One webhook.",
            handler=self.get, answer=WebhookShape, example=examples.WEBHOOK, path_patterns=_NAME,
        )  # fmt: skip
        yield Operation(
            id="delete_webhook", method="DELETE", path="/webhooks/{name}", permission=write, kind=Kind.ACT,
            summary="Tell it nothing more.", handler=self.delete, answer=WebhookGone, example={"name": "siem"},
            path_patterns=_NAME,
        )  # fmt: skip
        yield Operation(
            id="list_webhook_deliveries", method="GET", path="/webhooks/{name}/deliveries", permission=read,
            kind=Kind.PAGE, query=(_STATE,), summary="What became of each event, newest first.",
            handler=self.deliveries, answer=EventDeliveryShape, example=examples.EVENT_DELIVERY, path_patterns=_NAME,
        )  # fmt: skip
        yield Operation(
            id="test_webhook", method="POST", path="/webhooks/{name}:test", permission=write, kind=Kind.ACT,
            summary="Send an event that is a test, whatever the filters.", handler=self.test, answer=WebhookQueued,
            example={"name": "siem", "queued": 1, "event": "4711"}, path_patterns=_NAME,
        )  # fmt: skip
        yield Operation(
            id="replay_webhook", method="POST", path="/webhooks/{name}:replay", permission=write, kind=Kind.ACT,
            summary="Send again: one delivery, or all that were given up.", handler=self.replay, body=ReplayWish,
            body_example={"delivery": None}, answer=WebhookQueued, path_patterns=_NAME,
            example={"name": "siem", "queued": 3, "event": None},
        )  # fmt: skip

    async def list_webhooks(self, call: Call) -> Reply:
        """In order of name."""
        check_permission(call.actor, Permission.AUDIT_READ, frozenset())
        after = name_of(call.query.get("cursor"))
        found = [webhook for webhook in self.webhooks.all() if webhook.name > after]
        items = found[: call.limit]
        more = make_cursor(items[-1].name) if len(found) > call.limit else None
        return Reply(Page(tuple(map(_shape, items)), more))

    async def get(self, call: Call) -> Reply:
        """One."""
        check_permission(call.actor, Permission.AUDIT_READ, frozenset())
        return Reply(_shape(self.webhooks.get(call.path["name"])))

    async def create(self, call: Call) -> Reply:
        """``webhook.create``."""
        wish: WebhookWish = call.body
        secret, sealed = self.secrets.make(parse_webhook_name(wish.name))
        given = {"name": wish.name, "url": wish.url, "events": list(wish.events), "sealed": sealed}
        done = await self.desk.submit(call.actor, "webhook.create", parameters=given)
        if not isinstance(done, Done):
            raise ApprovalPending(f"webhook {wish.name} waits for approval; its secret was not given out")
        made = WebhookMade(secret=secret, webhook=decode(WebhookShape, dict(done.result)))
        return Reply(made, 201, (("location", f"/api/v1/webhooks/{wish.name}"),))

    async def delete(self, call: Call) -> Reply:
        """``webhook.delete``."""
        return await submit(self.desk, call, "webhook.delete", parameters={"name": call.path["name"]})

    async def deliveries(self, call: Call) -> Reply:
        """Newest first."""
        check_permission(call.actor, Permission.AUDIT_READ, frozenset())
        name = self.webhooks.get(call.path["name"]).name
        before = number_of(call.query.get("cursor"))
        found = self.webhooks.page(name, before=before, limit=call.limit + 1, state=call.query.get("state", ""))
        items = found[: call.limit]
        more = make_cursor(items[-1].id) if len(found) > call.limit else None
        return Reply(Page(tuple(map(_delivery, items)), more))

    async def test(self, call: Call) -> Reply:
        """``webhook.test``."""
        return await submit(self.desk, call, "webhook.test", parameters={"name": call.path["name"]})

    async def replay(self, call: Call) -> Reply:
        """``webhook.replay``."""
        wish: ReplayWish = call.body
        given: dict[str, Any] = {"name": call.path["name"], "delivery": wish.delivery or 0}
        return await submit(self.desk, call, "webhook.replay", parameters=given)


def _shape(webhook: Webhook) -> WebhookShape:
    return decode(WebhookShape, webhook_item(webhook))


def _delivery(found: EventDelivery) -> EventDeliveryShape:
    return EventDeliveryShape(
        id=found.id,
        event_id=str(found.seq),
        event=found.event,
        state=found.state.value,
        attempts=found.attempts,
        due_at=found.due_at,
        status=found.status or None,
        what=found.what or None,
        changed_at=found.changed_at,
    )
