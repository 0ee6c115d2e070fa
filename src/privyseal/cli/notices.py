# SPDX-License-Identifier: Apache-2.0
"""``privyseal notice``: mails about what will not renew itself. The server queues and sends them."""

from __future__ import annotations

import click

from privyseal.bootstrap.notices import notice_book, send_test
from privyseal.cli.output import moment, show_item, show_list
from privyseal.cli.session import Session
from privyseal.cli.verb import verb
from privyseal.config import CONFIG_NAME
from privyseal.errors import ConfigurationInvalid


@verb("list", examples=("notice list", "notice list -o json"))
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
def list_all(session: Session, limit: int) -> None:
    """List mails, newest first: sent, waiting for a server that takes them, or given up after a week."""
    with session.application() as application:
        mails = notice_book(application).page(most=limit)
    items = [
        {
            "id": mail.id,
            "at": moment(mail.created_at),
            "state": mail.state,
            "title": mail.title,
            "attempts": mail.attempts,
            "next": moment(mail.due_at) if mail.state == "waiting" else None,
            "code": mail.code,
            "what": mail.what,
            "body": mail.body,
        }
        for mail in mails
    ]
    show_list(session, items, ("id", "at", "state", "title", "attempts", "next", "what"))


@verb("test", examples=("notice test", "notice test -o json"))
def test(session: Session) -> None:
    """Send a mail now, to see that server, TLS, password and addresses are right."""
    with session.application() as application:
        settings = application.settings.mail
        if settings is None:
            raise ConfigurationInvalid(
                f"{application.settings.home / CONFIG_NAME} has no table [mail]",
                why="nobody is told by mail without one",
                mend=("see docs/how-to/operate.md for what stands in it",),
            )
        send_test(application, settings)
    show_item(session, {"server": f"{settings.host}:{settings.port}", "to": list(settings.to), "taken": True})
    session.done("the server took it")
