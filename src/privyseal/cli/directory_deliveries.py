# SPDX-License-Identifier: Apache-2.0
"""``privyseal directory deliveries|deliver|withdraw``: certificates at their accounts (userCertificate)."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from privyseal.bootstrap import Application
from privyseal.bootstrap.deliveries import Carried, carry_out
from privyseal.cli.directory import chosen_directory
from privyseal.cli.directory_choice import confirm
from privyseal.cli.output import moment, show_item, show_list
from privyseal.cli.session import Session
from privyseal.cli.verb import verb
from privyseal.model.certificate import format_serial
from privyseal.model.delivery import IDLE, Delivery

_DIRECTORY = click.option("--directory", "directory", metavar="NAME", help="Default: the only one that is known.")
_COLUMNS = ("id", "serial", "state", "ours", "dn", "changed_at", "next_try", "attempts", "fault")


def delivery_item(delivery: Delivery) -> dict[str, Any]:
    """One delivery with stable field names."""
    waits = delivery.state not in IDLE
    return {
        "id": delivery.certificate_id,
        "serial": format_serial(delivery.serial),
        "directory": delivery.account.directory,
        "sid": delivery.account.sid.text,
        "state": delivery.state.value,
        "ours": delivery.ours,
        "dn": delivery.dn or None,
        "controller": delivery.controller or None,
        "changed_at": delivery.changed_at and moment(delivery.changed_at),
        "next_try": moment(delivery.due_at) if waits else None,
        "attempts": delivery.attempts,
        "fault": f"{delivery.code}: {delivery.what}" if delivery.code else None,
    }


def delivery_summary(application: Application, directory: str) -> dict[str, Any]:
    """How many deliveries are in each state, and what those that wait met."""
    counts = application.deliveries.counts(directory)
    faults = application.deliveries.faults(directory, most=5)
    return {
        **{state.value.replace("-", "_"): number for state, number in counts.items()},
        "faults": [{"code": code, "waiting": number, "what": what} for code, number, what in faults],
    }


@verb("deliveries", examples=("directory deliveries", "directory deliveries --directory contoso --limit 500 -o json"))
@_DIRECTORY
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many.")
@click.option("--before", type=int, default=0, metavar="ID", help="Only those before this id; for the next page.")
def deliveries(session: Session, directory: str | None, limit: int, before: int) -> None:
    """List the certificates that stand at accounts of a directory or are on their way, newest first.

    The server carries them out by itself; what fails is tried again after a minute, then ever more rarely.
    """
    with session.application() as application:
        name, now = chosen_directory(application, directory).name, application.clock.now()
        found = application.deliveries.page(name, before=before, limit=limit, now=now)
        show_list(session, [delivery_item(item) for item in found], _COLUMNS)


@verb("deliver", examples=("directory deliver", "directory deliver --directory contoso -o json"))
@_DIRECTORY
def deliver(session: Session, directory: str | None) -> None:
    """Carry out now what waits, without its waiting time: add to userCertificate of accounts, and remove from it.

    Added is what profiles with --publish-to-directory have issued; removed is what expired, was revoked or renewed.
    What is on hold is removed as well, and added again when the hold ends.
    """
    with session.application() as application:
        name = chosen_directory(application, directory).name
        _carry_out(session, application, name)


@verb("withdraw", examples=("directory withdraw --profile user-mail", "directory withdraw --directory contoso --yes"))
@_DIRECTORY
@click.option("--profile", default="", metavar="NAME", help="Only certificates of this profile.")
@click.option("--yes", is_flag=True, help="Do not ask. Needed where nobody sits at a terminal.")
def withdraw(session: Session, directory: str | None, profile: str, yes: bool) -> None:
    """Take certificates back from userCertificate of accounts, as far as a receipt says that we put them there.

    This undoes deliveries. To stop new ones, change the profile: --no-publish-to-directory.
    """
    with session.application() as application:
        name = chosen_directory(application, directory).name
        counts = application.deliveries.counts(name)
        which = f"of profile {profile} " if profile else ""
        confirm(f"Take back certificates {which}from accounts of {name} ({sum(counts.values())} in all)?", yes=yes)
        asyncio.run(application.deliveries.withdraw(name, profile=profile, actor=session.actor))
        _carry_out(session, application, name)


def _carry_out(session: Session, application: Application, directory: str) -> None:
    """Raises what kept the directory from being asked; what is queued stays queued."""

    async def work() -> Carried:
        await application.deliveries.make_due(directory, now=application.clock.now())
        await application.deliveries.expire(now=application.clock.now())
        return await carry_out(application, directory, actor=session.actor, said=_say)

    def _say(delivery: Delivery, words: str) -> None:
        session.say(f"  {format_serial(delivery.serial)}  {words}")

    carried = asyncio.run(work())
    if carried.fault is not None:
        raise carried.fault
    item = {"added": carried.added, "removed": carried.removed, "postponed": carried.postponed}
    show_item(session, {"directory": directory, **item, **delivery_summary(application, directory)})
    session.done(f"{carried.added} added, {carried.removed} gone, {carried.postponed} to be tried again")
