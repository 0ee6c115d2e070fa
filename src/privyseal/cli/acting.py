# SPDX-License-Identifier: Apache-2.0
"""What commands do with an act's answer: the result, a preview, or an approval that somebody else has to give."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from privyseal.cli.output import show_item
from privyseal.cli.session import Session
from privyseal.client.client import Client
from privyseal.errors import ApprovalPending
from privyseal.model.api.access_shapes import ApprovalShape, PreviewShape
from privyseal.model.api.codec import encode

_LOOK_SECONDS: Final = 2.0
_LONGEST_WAIT: Final = 24 * 3600
Command = TypeVar("Command", bound=Callable[..., None])


def acting(function: Command) -> Command:
    """The options of every command that submits an act."""
    dry_run = click.option("--dry-run", is_flag=True, help="Say what would happen, and do nothing.")
    wait = click.option("--wait", is_flag=True, help="If somebody has to approve, wait until they have decided.")
    return dry_run(wait(function))


def settle(
    session: Session, client: Client, answer: Any, *, wait: bool, done: Callable[[Any], str], after: str = ""
) -> None:
    """Show the answer. Raises ApprovalPending (exit 8) for one that waits, unless it is waited for."""
    if isinstance(answer, PreviewShape):
        show_item(session, encode(answer))
        session.say("a preview: nothing was done")
        return
    if isinstance(answer, ApprovalShape):
        answer = pending(session, client, answer, wait=wait)
        session.done(f"approval {answer.id} is {answer.state}: {answer.summary}")
        return
    show_item(session, encode(answer))
    session.done(done(answer), after=after)


def pending(session: Session, client: Client, approval: ApprovalShape, *, wait: bool) -> ApprovalShape:
    """Show what waits; the decided approval with ``wait``. Raises ApprovalPending."""
    if not wait:
        show_item(session, encode(approval))
        raise pending_error(approval)
    session.say(f"  wait  for approval {approval.id}: {approval.summary}")
    for _ in range(int(_LONGEST_WAIT / _LOOK_SECONDS)):
        approval = client.approval(approval.id)
        if approval.state not in ("waiting", "approved"):
            break
        time.sleep(_LOOK_SECONDS)
    show_item(session, encode(approval))
    if approval.state != "done":
        raise pending_error(approval)
    return approval


def pending_error(approval: ApprovalShape) -> ApprovalPending:
    """What the caller is told of a request that is not granted."""
    return ApprovalPending(
        f"approval {approval.id} is {approval.state}: {approval.summary}",
        mend=(f"privyseal approval approve {approval.id}, by somebody else", f"privyseal approval get {approval.id}"),
    )
