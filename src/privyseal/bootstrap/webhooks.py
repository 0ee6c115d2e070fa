# SPDX-License-Identifier: Apache-2.0
"""Sending events: the trail's new rows become deliveries, and what is due is sent, in threads of its own.

Issuing a certificate takes no part in it: a receiver that is slow or gone keeps nobody waiting but itself.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Final

from privyseal.adapters.sealing import Sealing
from privyseal.adapters.webhook import deliver
from privyseal.administration.act import Act
from privyseal.administration.webhooks import CreateWebhook, DeleteWebhook, ReplayWebhook, TestWebhook
from privyseal.bootstrap import Application
from privyseal.errors import PrivysealError
from privyseal.model.audit import AuditRow
from privyseal.model.cloud_event import MEDIA_TYPE, SECRET_OCTETS, cloud_event, secret_text, signed_headers
from privyseal.model.webhook import MOST_ATTEMPTS, DeliveryState, EventDelivery, Webhook, retry_wait
from privyseal.store.webhooks import Outcome, WebhookBook

_PURPOSE: Final = "webhook secrets"
_BATCHES: Final = 20
_SENT_AT_ONCE: Final = 50
_ROUND_SECONDS: Final = 5.0
"""After so long a receiver's turn ends; what is left is due in the next round."""
# Its own threads: the loop's are for COMMIT and for signatures.
_threads: Final = ThreadPoolExecutor(max_workers=8, thread_name_prefix="webhook")
_log: Final = logging.getLogger("privyseal.webhooks")


def webhook_book(application: Application) -> WebhookBook:
    """The stored webhooks."""
    return WebhookBook(application.database, application.committer)


def webhook_acts(application: Application) -> tuple[Act, ...]:
    """Every act about webhooks."""
    book = webhook_book(application)
    return (CreateWebhook(book), DeleteWebhook(book), TestWebhook(book), ReplayWebhook(book))


class WebhookSecrets:
    """Makes secrets and seals them for the store."""

    def __init__(self, application: Application) -> None:
        self._app = application

    def make(self, name: str) -> tuple[str, str]:
        """A new secret as it is shown once, and sealed, in hex. Raises PassphraseMissing."""
        secret = self._app.rng.bytes(SECRET_OCTETS)
        return secret_text(secret), sealing(self._app).seal(secret, owner=f"webhook:{name}").hex()


def sealing(application: Application) -> Sealing:
    """What opens the secrets. Raises PassphraseMissing."""
    return application.catalog.unlocked().sealing(_PURPOSE)


async def send_events(application: Application) -> int:
    """One round; how many deliveries arrived. A receiver that fails does not keep the others waiting."""
    book, now = webhook_book(application), application.clock.now()
    webhooks = book.all()
    if not webhooks or application.keys is None:
        return 0
    for webhook in webhooks:
        await _take(book, webhook.name)
    arrived = await asyncio.gather(*(_send_to(application, book, webhook, now=now) for webhook in webhooks))
    return sum(arrived)


async def _take(book: WebhookBook, name: str) -> None:
    for _ in range(_BATCHES):
        if not await book.take(book.get(name)):
            return


async def _send_to(application: Application, book: WebhookBook, webhook: Webhook, *, now: datetime) -> int:
    due = book.due(webhook, now=now, most=_SENT_AT_ONCE)
    if not due:
        return 0
    try:
        secret = sealing(application).open(webhook.sealed, owner=f"webhook:{webhook.name}")
    except PrivysealError as error:
        _log.error("webhook %s: [%d] %s", webhook.name, error.code, error.what)
        return 0
    sender = _Sender(application, webhook, secret)
    outcomes = await asyncio.get_running_loop().run_in_executor(_threads, sender.send, due)
    await book.settle(outcomes)
    for one in outcomes:
        if one.state is not DeliveryState.DELIVERED:
            _log.warning("webhook %s, event %d: %s", webhook.name, one.delivery.seq, one.what)
    return sum(one.state is DeliveryState.DELIVERED for one in outcomes)


class _Sender:
    """Sends to one receiver, in one thread; stops at the first fault and when its turn is over."""

    def __init__(self, application: Application, webhook: Webhook, secret: bytes) -> None:
        self._clock = application.clock
        self._rng = application.rng
        self._source = application.settings.public_url
        self._webhook = webhook
        self._secret = secret

    def send(self, due: Sequence[tuple[EventDelivery, AuditRow]]) -> list[Outcome]:
        """What became of each that was tried."""
        outcomes: list[Outcome] = []
        until = time.monotonic() + _ROUND_SECONDS
        for delivery, row in due:
            outcomes.append(self._send_one(delivery, row))
            if outcomes[-1].state is not DeliveryState.DELIVERED or time.monotonic() > until:
                break
        return outcomes

    def _send_one(self, delivery: EventDelivery, row: AuditRow) -> Outcome:
        body, status, what = cloud_event(row, self._source), 0, ""
        moment = int(self._clock.now().timestamp())
        headers = signed_headers(self._secret, delivery=f"msg_{delivery.id}", timestamp=moment, body=body)
        try:
            status = deliver(self._webhook.url, body, {"Content-Type": MEDIA_TYPE, **headers})
            what = "" if 200 <= status < 300 else f"the receiver answered {status}; redirects are not followed"
        except PrivysealError as error:
            what = f"[{error.code}] {error.what}"
        now, tried = self._clock.now(), delivery.attempts + 1
        if not what:
            return Outcome(delivery, DeliveryState.DELIVERED, now, status, "")
        if tried >= MOST_ATTEMPTS:
            return Outcome(delivery, DeliveryState.DEAD, now, status, what)
        wait = retry_wait(tried, int.from_bytes(self._rng.bytes(2), "big"))
        return Outcome(delivery, DeliveryState.WAITING, now + wait, status, what)
