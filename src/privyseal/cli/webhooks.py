# SPDX-License-Identifier: Apache-2.0
"""``privyseal webhook``: who is told of events, by signed HTTPS requests. A secret is printed once."""

from __future__ import annotations

from itertools import islice

import click

from privyseal.cli.acting import acting, settle
from privyseal.cli.output import show_item, show_list, write_text
from privyseal.cli.session import Session
from privyseal.cli.verb import verb
from privyseal.model.api.codec import encode
from privyseal.model.api.webhook_shapes import WebhookWish
from privyseal.model.webhook import DeliveryState

_STATES = click.Choice([state.value for state in DeliveryState])


@verb(
    "create",
    examples=(
        "webhook create siem https://siem.contoso.com/events",
        "webhook create ops https://ops.contoso.com/hook --event certificate.revoked --event 'ca.*' -o json",
    ),
)
@click.argument("name")
@click.argument("url")
@click.option("--event", "events", multiple=True, metavar="FILTER", help="*, NOUN.* or NOUN.VERB. Repeatable.")
def create(session: Session, name: str, url: str, events: tuple[str, ...]) -> None:
    """Tell a receiver of events from now on; the secret that signs them is shown this once.

    Events are the rows of the audit trail, as CloudEvents. Without --event it gets all of them. The URL is https; http
    is for receivers on this machine only.
    """
    with session.client(keys=True) as client:
        made = client.create_webhook(WebhookWish(name=name, url=url, events=events or ("*",)))
    if session.output == "json":
        show_item(session, encode(made))
    else:
        write_text(made.secret)
    session.done(f"made webhook {name}; its secret is shown this once", after=f"privyseal webhook test {name}")


@verb("list", examples=("webhook list", "webhook list -o json"))
def list_all(session: Session) -> None:
    """List webhooks: where they lead, what they get, what waits and what was given up."""
    with session.client() as client:
        items = [encode(webhook) for webhook in client.webhooks()]
    show_list(session, items, ("name", "url", "events", "waiting", "dead", "created_by", "created_at"))


@verb("delete", examples=("webhook delete siem", "webhook delete siem --dry-run"))
@click.argument("name")
@acting
def delete(session: Session, name: str, dry_run: bool, wait: bool) -> None:
    """Tell a receiver nothing more. What waits for it is not sent."""
    with session.client() as client:
        answer = client.delete_webhook(name, dry_run=dry_run)
        settle(session, client, answer, wait=wait, done=lambda _: f"webhook {name} is deleted")


@verb("deliveries", examples=("webhook deliveries siem", "webhook deliveries siem --state dead --limit 100"))
@click.argument("name")
@click.option("--state", type=_STATES, default=None, help="Only in this state.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many.")
def deliveries(session: Session, name: str, state: str | None, limit: int) -> None:
    """Say what became of each event, newest first: attempts, the receiver's answer, when it is tried again."""
    with session.client() as client:
        items = [encode(item) for item in islice(client.webhook_deliveries(name, state=state or ""), limit)]
    show_list(session, items, ("id", "event_id", "event", "state", "attempts", "status", "due_at", "what"))


@verb("test", examples=("webhook test siem",))
@click.argument("name")
@acting
def test(session: Session, name: str, dry_run: bool, wait: bool) -> None:
    """Send an event that is a test, whatever the filters; the server sends it within seconds."""
    with session.client() as client:
        answer = client.test_webhook(name, dry_run=dry_run)
        after = "" if dry_run else f"privyseal webhook deliveries {name}"
        settle(session, client, answer, wait=wait, done=lambda _: f"a test for {name} is on its way", after=after)


@verb("replay", examples=("webhook replay siem", "webhook replay siem --delivery 4711"))
@click.argument("name")
@click.option("--delivery", type=click.IntRange(1), default=None, help="Only this one, also if it arrived.")
@acting
def replay(session: Session, name: str, delivery: int | None, dry_run: bool, wait: bool) -> None:
    """Send again what was given up, or one delivery."""
    with session.client() as client:
        answer = client.replay_webhook(name, delivery=delivery, dry_run=dry_run)
        settle(session, client, answer, wait=wait, done=lambda made: f"{made.queued} on their way again")
