# SPDX-License-Identifier: Apache-2.0
"""Handing an act to the desk from the command line: its preview, its result, or that somebody has to approve it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import click

from privyseal.administration.desk import Pending, Previewed
from privyseal.administration.sign_in import local_actor
from privyseal.bootstrap import Application
from privyseal.bootstrap.administration import Administration
from privyseal.cli.exits import Exit
from privyseal.cli.output import moment, show_item
from privyseal.cli.session import Session
from privyseal.model.preview import Preview


def submit(
    session: Session, application: Application, name: str, parameters: Mapping[str, Any], *, dry_run: bool = False
) -> Mapping[str, Any] | None:
    """The act's result; None when only a preview was asked for and shown. Leaves with 8 while it waits for approval."""
    desk = Administration(application).desk
    answer = asyncio.run(desk.submit(local_actor(session.actor), name, parameters=parameters, dry_run=dry_run))
    if isinstance(answer, Previewed):
        show_item(session, preview_item(session, answer.preview) | {"second_person": answer.second_person})
        return None
    if isinstance(answer, Pending):
        approval = answer.approval
        show_item(session, {"approval": approval.id, "act": approval.act, "expires_at": moment(approval.expires_at)})
        session.say(f"somebody else has to approve: privyseal approval approve {approval.id}")
        click.get_current_context().exit(Exit.PENDING)
    return answer.result


def preview_item(session: Session, preview: Preview) -> dict[str, Any]:
    """A preview with stable field names; for people one sentence a line."""
    item: dict[str, Any] = {
        "summary": preview.summary,
        "effects": list(preview.effects),
        "irreversible": list(preview.irreversible),
        "blockers": list(preview.blockers),
        "counts": dict(preview.counts),
    }
    if session.output != "json":
        item |= {name: "\n".join(item[name]) for name in ("effects", "irreversible", "blockers")}
    return item
