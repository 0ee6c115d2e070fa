# SPDX-License-Identifier: Apache-2.0
"""Acts about webhooks: make, delete, test, replay. The secret never passes here in clear."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from privyseal.administration.act import SecondPerson
from privyseal.administration.parameters import Parameters
from privyseal.errors import InvalidValue
from privyseal.model.access import Permission
from privyseal.model.preview import Preview
from privyseal.model.webhook import Webhook, parse_filters, parse_receiver, parse_webhook_name


class WebhookStore(Protocol):
    """Webhooks, with their audit rows."""

    def get(self, name: str) -> Webhook:
        """Raises NotFound."""

    async def add(self, name: str, url: str, *, events: tuple[str, ...], sealed: bytes, actor: str, told: str) -> None:
        """Raises NameTaken, WebhooksFull."""

    async def delete(self, name: str, *, actor: str) -> None:
        """Raises NotFound."""

    async def test(self, name: str, *, actor: str) -> int:
        """Queue a test; its number. Raises NotFound."""

    async def replay(self, name: str, delivery_id: int, *, actor: str) -> int:
        """Queue again; how many. Raises NotFound."""


class _WebhookAct:
    permission = Permission.SETTING_WRITE
    second_person = SecondPerson.NEVER

    def __init__(self, webhooks: WebhookStore) -> None:
        self._webhooks = webhooks


class CreateWebhook(_WebhookAct):
    """``webhook.create``: name, url, events, sealed (the secret, encrypted for the store, in hex)."""

    name = "webhook.create"

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        name, url, events, _ = _wanted(parameters)
        return Preview(
            summary=f"tell {shown_url(url)} of events, as webhook {name}",
            effects=(f"from now on it gets {', '.join(events)}, with names of devices and users",),
        )

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``."""
        name, url, events, sealed = _wanted(parameters)
        await self._webhooks.add(name, url, events=events, sealed=sealed, actor=actor, told=shown_url(url))
        return webhook_item(self._webhooks.get(name))


class DeleteWebhook(_WebhookAct):
    """``webhook.delete``: name."""

    name = "webhook.delete"

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        webhook = self._webhooks.get(Parameters(parameters, {"name"}).text("name"))
        return Preview(
            summary=f"delete webhook {webhook.name}",
            effects=(f"{shown_url(webhook.url)} is told nothing more",),
            counts={"waiting": webhook.waiting, "dead": webhook.dead},
            irreversible=(f"{webhook.waiting + webhook.dead} event(s) that wait for it are not sent",),
        )

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``."""
        name = Parameters(parameters).text("name")
        await self._webhooks.delete(name, actor=actor)
        return {"name": name}


class TestWebhook(_WebhookAct):
    """``webhook.test``: name."""

    __test__ = False  # the name begins like that of a test
    name = "webhook.test"

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        webhook = self._webhooks.get(Parameters(parameters, {"name"}).text("name"))
        return Preview(summary=f"send {shown_url(webhook.url)} an event that is a test, as webhook {webhook.name}")

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``."""
        name = Parameters(parameters).text("name")
        return {"name": name, "queued": 1, "event": str(await self._webhooks.test(name, actor=actor))}


class ReplayWebhook(_WebhookAct):
    """``webhook.replay``: name, delivery. Without one, all that were given up."""

    name = "webhook.replay"

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        asked = Parameters(parameters, {"name", "delivery"})
        webhook, delivery = self._webhooks.get(asked.text("name")), asked.number("delivery", 0)
        what = f"delivery {delivery}" if delivery else f"{webhook.dead} dead deliveries"
        return Preview(summary=f"send {what} of webhook {webhook.name} again")

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``."""
        asked = Parameters(parameters)
        name = asked.text("name")
        count = await self._webhooks.replay(name, asked.number("delivery", 0), actor=actor)
        return {"name": name, "queued": count, "event": None}


def shown_url(url: str) -> str:
    """A URL without its query, which often holds a key of the receiver's."""
    return url.partition("?")[0]


def webhook_item(webhook: Webhook) -> dict[str, Any]:
    """What an act answers about a webhook."""
    return {
        "name": webhook.name,
        "url": shown_url(webhook.url),
        "events": list(webhook.events),
        "created_by": webhook.created_by,
        "created_at": webhook.created_at.isoformat().replace("+00:00", "Z"),
        "waiting": webhook.waiting,
        "dead": webhook.dead,
    }


def _wanted(parameters: Mapping[str, Any]) -> tuple[str, str, tuple[str, ...], bytes]:
    asked = Parameters(parameters, {"name", "url", "events", "sealed"})
    url, sealed = asked.text("url"), asked.text("sealed")
    parse_receiver(url)
    try:
        octets = bytes.fromhex(sealed)
    except ValueError as error:
        raise InvalidValue("sealed is not hexadecimal") from error
    return parse_webhook_name(asked.text("name")), url, parse_filters(asked.texts("events")), octets
