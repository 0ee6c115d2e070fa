# SPDX-License-Identifier: Apache-2.0
"""``privyseal role`` and ``privyseal access``: who may do what, and whether it takes two people."""

from __future__ import annotations

import asyncio
import logging

import click

from privyseal.cli.acting import acting, settle
from privyseal.cli.output import moment, show_item, show_list
from privyseal.cli.session import Session
from privyseal.cli.tokens import ROLES
from privyseal.cli.verb import verb
from privyseal.errors import InvalidValue
from privyseal.model.api.access_shapes import FourEyesWish, GrantWish
from privyseal.model.api.codec import encode
from privyseal.model.approval import RECOVERY_LIFE, FourEyes


@verb("grant", examples=("role grant ada owner", "role grant bob operator --label prod", "role grant eve approver"))
@click.argument("person")
@click.argument("role", type=ROLES)
@click.option("--label", "labels", multiple=True, metavar="LABEL", help="Only for objects with this label. Repeatable.")
@acting
def grant(session: Session, person: str, role: str, labels: tuple[str, ...], dry_run: bool, wait: bool) -> None:
    """Give a person a role; tokens can then be made for them. The same role again changes its labels.

    While four eyes are on, somebody else has to approve it.
    """
    with session.client() as client:
        answer = client.grant_role(GrantWish(person=person, role=role, labels=labels), dry_run=dry_run)
        after = f"privyseal token create NAME --owner {person.lower()} --role {role}"
        settle(session, client, answer, wait=wait, done=lambda _: f"{person} is {role}", after=after)


@verb("revoke", examples=("role revoke bob operator", "role revoke bob operator --dry-run"))
@click.argument("person")
@click.argument("role", type=ROLES)
@acting
def revoke(session: Session, person: str, role: str, dry_run: bool, wait: bool) -> None:
    """Take a role from a person. Their tokens lose it at the same moment; nobody has to approve that."""
    with session.client() as client:
        answer = client.revoke_role(person, role, dry_run=dry_run)
        settle(session, client, answer, wait=wait, done=lambda _: f"{person} is not {role} any more")


@verb("list", examples=("role list", "role list -o json"))
def list_all(session: Session) -> None:
    """List who holds which role. The user who owns the installation's directory is an owner besides."""
    with session.client() as client:
        items = [encode(item) for item in client.roles()]
    show_list(session, items, ("person", "role", "labels"))


@verb("four-eyes", examples=("access four-eyes", "access four-eyes on", "access four-eyes auto --reason 'as before'"))
@click.argument("mode", type=click.Choice([mode.value for mode in FourEyes]), required=False)
@click.option("--reason", default="", metavar="TEXT", help="Kept in the audit trail.")
@acting
def four_eyes(session: Session, mode: str | None, reason: str, dry_run: bool, wait: bool) -> None:
    """Say or set whether important acts take two people.

    auto, the default: from the moment that one of our CAs stands in NTAuth. Receipts of `directory publish` tell it,
    and for what others put there `directory verify` and `status` and the server, which looks every 15 minutes; what
    was seen once stays. While it is on, switching it off takes two people as well.
    """
    with session.client() as client:
        if mode is None:
            show_item(session, encode(client.four_eyes()))
            return
        answer = client.set_four_eyes(FourEyesWish(mode=mode, reason=reason), dry_run=dry_run)
        settle(session, client, answer, wait=wait, done=lambda _: f"four eyes are {mode}")


@verb("recover", examples=("access recover --reason 'ada has left, bob is ill'",))
@click.option("--reason", required=True, metavar="TEXT", help="Kept in the audit trail.")
def recover(session: Session, reason: str) -> None:
    """Switch four eyes off for an hour, alone: for the one person who is left.

    Works only as the user who owns the installation's directory, on its machine. The audit trail tells of it, and
    the log warns. After the hour everything is as before.
    """
    from privyseal.bootstrap.administration import Administration

    if not 10 <= len(reason.strip()) <= 500:
        raise InvalidValue("the reason has 10 to 500 characters: others will read it")
    with session.application() as application:
        until = application.clock.now().replace(microsecond=0) + RECOVERY_LIFE
        access = Administration(application).access
        work = access.set_four_eyes(FourEyes.OFF, until=until, actor=session.actor, reason=reason.strip())
        asyncio.run(work)
        logging.getLogger("privyseal.access").warning(
            "four eyes were switched off by %s until %s: %s", session.actor, moment(until), reason.strip()
        )
        show_item(session, {"four_eyes": FourEyes.OFF.value, "until": moment(until), "reason": reason.strip()})
    session.done(f"four eyes are off until {moment(until)}", after="privyseal approval list --state waiting")
