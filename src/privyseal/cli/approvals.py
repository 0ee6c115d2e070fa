# SPDX-License-Identifier: Apache-2.0
"""``privyseal approval``: what waits for a second person, and that person's decision."""

from __future__ import annotations

import click

from privyseal.cli.output import show_item, show_list
from privyseal.cli.session import Session
from privyseal.cli.verb import verb
from privyseal.model.api.codec import encode
from privyseal.model.approval import ApprovalState

_STATES = click.Choice([state.value for state in ApprovalState])


@verb("list", examples=("approval list", "approval list --state waiting"))
@click.option("--state", type=_STATES, help="Only in this state.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
def list_all(session: Session, state: str | None, limit: int) -> None:
    """List requests for a second person, newest first: your own, and those you may decide."""
    with session.client() as client:
        items = [encode(item) for item, _ in zip(client.approvals(state=state or ""), range(limit), strict=False)]
    show_list(session, items, ("id", "state", "requester", "expires_at", "summary", "decider"))


@verb("get", examples=("approval get 17", "approval get 17 -o json"))
@click.argument("approval_id", metavar="ID", type=int)
def get(session: Session, approval_id: int) -> None:
    """Show one request with the preview that the requester saw."""
    with session.client() as client:
        found = client.approval(approval_id)
    show_item(session, encode(found))
    if found.state == ApprovalState.WAITING.value:
        session.say(f"  next  privyseal approval approve {found.id}")


@verb("approve", examples=("approval approve 17",))
@click.argument("approval_id", metavar="ID", type=int)
def approve(session: Session, approval_id: int) -> None:
    """Approve what somebody else asked for; it is done now. Look at it first: `approval get`.

    Nobody approves their own request, with another token neither. If what would happen has changed since the
    request, nothing is done.
    """
    with session.client(keys=session.remote() is None) as client:
        found = client.approve(approval_id)
    show_item(session, encode(found))
    session.done(f"approved and done: {found.summary}")


@verb("deny", examples=("approval deny 17 --reason 'not before the weekend'",))
@click.argument("approval_id", metavar="ID", type=int)
@click.option("--reason", required=True, metavar="TEXT", help="The requester reads it.")
def deny(session: Session, approval_id: int, reason: str) -> None:
    """Refuse what somebody else asked for, and say why; it cannot be taken up again."""
    with session.client() as client:
        found = client.deny(approval_id, reason=reason)
    show_item(session, encode(found))
    session.done(f"denied: {found.summary}")


@verb("cancel", examples=("approval cancel 17",))
@click.argument("approval_id", metavar="ID", type=int)
def cancel(session: Session, approval_id: int) -> None:
    """Take back what you asked for yourself, with this token or another one."""
    with session.client() as client:
        found = client.cancel(approval_id)
    show_item(session, encode(found))
    session.done(f"cancelled: {found.summary}")
