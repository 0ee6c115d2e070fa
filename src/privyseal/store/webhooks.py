# SPDX-License-Identifier: Apache-2.0
"""Webhooks and their deliveries. The audit trail is the outbox: its rows commit with what they tell of.

Each webhook has a place in the trail; rows after it become deliveries, exactly once, and nothing waits for that.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from privyseal.errors import NameTaken, NotFound, WebhooksFull
from privyseal.model.audit import AuditEvent, AuditRow
from privyseal.model.webhook import MOST_OPEN, MOST_WEBHOOKS, DeliveryState, EventDelivery, Webhook, wanted
from privyseal.store.audit import read_row
from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import Database, Row
from privyseal.store.moments import from_seconds, to_seconds
from privyseal.store.unit import Transaction

_AT_ONCE: Final = 500
_STATE_COUNT: Final = "(SELECT count(*) FROM webhook_deliveries d WHERE d.webhook_id = w.id AND d.state = '{}')"
_COLUMNS: Final = (
    "w.id, w.name, w.url, w.events, w.secret, w.cursor, w.created_by, w.created_at, "
    f"{_STATE_COUNT.format('waiting')}, {_STATE_COUNT.format('dead')}"
)
_DELIVERY: Final = "d.id, w.name, d.seq, a.event, d.state, d.due_at, d.attempts, d.status, d.what, d.changed_at"
_SOURCE: Final = "webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id LEFT JOIN audit a ON a.seq = d.seq"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt."""

    delivery: EventDelivery
    state: DeliveryState
    due_at: datetime
    status: int
    what: str


class WebhookBook:
    """Implements ``administration.webhooks.WebhookStore``, and what the sender needs."""

    def __init__(self, database: Database, committer: GroupCommitter) -> None:
        self._database = database
        self._committer = committer

    def all(self) -> tuple[Webhook, ...]:
        """In order of name; there are few."""
        rows = self._database.read(f"SELECT {_COLUMNS} FROM webhooks w ORDER BY w.name")
        return tuple(_webhook(row) for row in rows)

    def get(self, name: str) -> Webhook:
        """Raises NotFound."""
        row = self._database.read_one(f"SELECT {_COLUMNS} FROM webhooks w WHERE w.name = ?", (name,))
        if row is None:
            raise _missing(name)
        return _webhook(row)

    async def add(self, name: str, url: str, *, events: tuple[str, ...], sealed: bytes, actor: str, told: str) -> None:
        """From the next event on. Raises NameTaken, WebhooksFull. ``told``: the URL as the trail may keep it."""

        def work(transaction: Transaction) -> None:
            if transaction.one("SELECT 1 FROM webhooks WHERE name = ?", (name,)) is not None:
                raise NameTaken(f"there is a webhook {name!r}", mend=(f"privyseal webhook delete {name}",))
            count = transaction.one("SELECT count(*) FROM webhooks")
            if count is not None and count[0] >= MOST_WEBHOOKS:
                raise WebhooksFull(f"there are {count[0]} webhooks; at most {MOST_WEBHOOKS}")
            detail = {"url": told, "events": list(events)}
            transaction.audit(AuditEvent(event="webhook.created", actor=actor, target=f"webhook:{name}", detail=detail))
            transaction.execute(
                "INSERT INTO webhooks (name, url, events, secret, cursor, created_by, created_at) "
                "VALUES (?,?,?,?,?,?,?)",
                (name, url, json.dumps(events), sealed, transaction.head[0], actor, to_seconds(transaction.now)),
            )

        await self._committer.run(work)

    async def delete(self, name: str, *, actor: str) -> None:
        """With everything that waits for it. Raises NotFound."""

        def work(transaction: Transaction) -> None:
            webhook_id = _id_of(transaction, name)
            transaction.execute("DELETE FROM webhook_deliveries WHERE webhook_id = ?", (webhook_id,))
            transaction.execute("DELETE FROM webhooks WHERE id = ?", (webhook_id,))
            transaction.audit(AuditEvent(event="webhook.deleted", actor=actor, target=f"webhook:{name}"))

        await self._committer.run(work)

    async def test(self, name: str, *, actor: str) -> int:
        """Queue an event that says that it is a test, whatever the filters; its number. Raises NotFound."""

        def work(transaction: Transaction) -> int:
            webhook_id = _id_of(transaction, name)
            transaction.audit(AuditEvent(event="webhook.tested", actor=actor, target=f"webhook:{name}"))
            _queue(transaction, webhook_id, (transaction.head[0],))
            return transaction.head[0]

        return await self._committer.run(work)

    async def replay(self, name: str, delivery_id: int, *, actor: str) -> int:
        """Make one delivery due again, whatever became of it, or with 0 every dead one; how many. Raises NotFound."""

        def work(transaction: Transaction) -> int:
            webhook_id, now = _id_of(transaction, name), to_seconds(transaction.now)
            chosen = "id = ?" if delivery_id else "state = 'dead' AND ? = 0"
            count = transaction.execute(
                "UPDATE webhook_deliveries SET state = 'waiting', due_at = ?, attempts = 0, changed_at = ? "
                f"WHERE webhook_id = ? AND {chosen}",
                (now, now, webhook_id, delivery_id),
            ).rowcount
            if delivery_id and not count:
                raise NotFound(f"webhook {name} has no delivery {delivery_id}", mend=(_LOOK.format(name),))
            detail = {"deliveries": count}
            transaction.audit(
                AuditEvent(event="webhook.replayed", actor=actor, target=f"webhook:{name}", detail=detail)
            )
            return count

        return await self._committer.run(work)

    def page(self, name: str, *, before: int, limit: int, state: str = "") -> tuple[EventDelivery, ...]:
        """Deliveries with ids below ``before`` (0: the newest), newest first."""
        rows = self._database.read(
            f"SELECT {_DELIVERY} FROM {_SOURCE} WHERE w.name = ? AND (? = 0 OR d.id < ?) AND (? = '' OR d.state = ?) "
            "ORDER BY d.id DESC LIMIT ?",
            (name, before, before, state, state, limit),
        )
        return tuple(_delivery(row) for row in rows)

    # --- the sender's side -------------------------------------------------------------------------

    async def take(self, webhook: Webhook) -> bool:
        """Make deliveries of the next rows of the trail; whether there may be more of them."""
        room = MOST_OPEN - webhook.waiting
        if room <= 0:
            return False
        rows = self._database.read(
            "SELECT seq, event FROM audit WHERE seq > ? ORDER BY seq LIMIT ?", (webhook.cursor, min(room, _AT_ONCE))
        )
        if not rows:
            return False
        chosen = [seq for seq, event in rows if wanted(webhook.events, event)]

        def work(transaction: Transaction) -> None:
            moved = transaction.execute(
                "UPDATE webhooks SET cursor = ? WHERE id = ? AND cursor = ?", (rows[-1][0], webhook.id, webhook.cursor)
            )
            if moved.rowcount == 1:  # else another process was here
                _queue(transaction, webhook.id, chosen)

        await self._committer.run(work)
        return len(rows) == min(room, _AT_ONCE)

    def due(self, webhook: Webhook, *, now: datetime, most: int) -> tuple[tuple[EventDelivery, AuditRow], ...]:
        """What is due, the longest due first, with the audit rows."""
        rows = self._database.read(
            f"SELECT {_DELIVERY}, a.seq, a.at, a.event, a.actor, a.target, a.detail, a.digest FROM {_SOURCE} "
            "WHERE d.webhook_id = ? AND d.state = 'waiting' AND d.due_at <= ? AND a.seq IS NOT NULL "
            "ORDER BY d.due_at, d.id LIMIT ?",
            (webhook.id, to_seconds(now), most),
        )
        return tuple((_delivery(row), read_row(row[10:])) for row in rows)

    async def settle(self, outcomes: Iterable[Outcome]) -> None:
        """Store what became of attempts. What was deleted or replayed meanwhile stays as it is."""
        done = tuple(outcomes)

        def work(transaction: Transaction) -> None:
            for one in done:
                transaction.execute(
                    "UPDATE webhook_deliveries SET state = ?, due_at = ?, attempts = attempts + 1, status = ?, "
                    "what = ?, changed_at = ? WHERE id = ? AND state = 'waiting' AND attempts = ?",
                    (
                        one.state.value, to_seconds(one.due_at), one.status, one.what[:500],
                        to_seconds(transaction.now), one.delivery.id, one.delivery.attempts,
                    ),
                )  # fmt: skip

        await self._committer.run(work)


_LOOK: Final = "privyseal webhook deliveries {}"


def _missing(name: str) -> NotFound:
    return NotFound(f"there is no webhook {name!r}", mend=("privyseal webhook list",))


def _id_of(transaction: Transaction, name: str) -> int:
    row = transaction.one("SELECT id FROM webhooks WHERE name = ?", (name,))
    if row is None:
        raise _missing(name)
    return int(row[0])


def _queue(transaction: Transaction, webhook_id: int, rows: Iterable[int]) -> None:
    now = to_seconds(transaction.now)
    for seq in rows:
        transaction.execute(
            "INSERT INTO webhook_deliveries (webhook_id, seq, state, due_at, attempts, status, what, changed_at) "
            "VALUES (?,?,'waiting',?,0,0,'',?) ON CONFLICT (webhook_id, seq) DO NOTHING",
            (webhook_id, seq, now, now),
        )


def _webhook(row: Row) -> Webhook:
    return Webhook(
        id=row[0],
        name=row[1],
        url=row[2],
        events=tuple(json.loads(row[3])),
        sealed=row[4],
        cursor=row[5],
        created_by=row[6],
        created_at=from_seconds(row[7]),
        waiting=row[8],
        dead=row[9],
    )


def _delivery(row: Row) -> EventDelivery:
    return EventDelivery(
        id=row[0],
        webhook=row[1],
        seq=row[2],
        event=row[3] or "",
        state=DeliveryState(row[4]),
        due_at=from_seconds(row[5]),
        attempts=row[6],
        status=row[7],
        what=row[8],
        changed_at=from_seconds(row[9]),
    )
