# SPDX-License-Identifier: Apache-2.0
"""``privyseal certificate revoke-many``: all that a search finds, after a look at it, in batches that may break off."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import click

from privyseal.administration.revocation import RevokeMany
from privyseal.bootstrap import Application
from privyseal.cli.acts import submit
from privyseal.cli.output import show_item
from privyseal.cli.session import Session, is_terminal
from privyseal.cli.values import REASON
from privyseal.cli.verb import verb
from privyseal.errors import InvalidValue, TooManySelected
from privyseal.model.bulk import BLAST_RADIUS
from privyseal.model.preview import Preview
from privyseal.model.revocation import CrlReason


@verb(
    "revoke-many",
    examples=(
        "certificate revoke-many --where 'profile:wifi-device san:kiosk' --reason superseded --dry-run",
        "certificate revoke-many --where 'issued:2026-03-01..2026-03-02' --reason key-compromise --most 400 --yes",
        "certificate revoke-many --where 'device:LAPTOP-042' --reason privilege-withdrawn --no-block --yes",
    ),
)
@click.option("--where", required=True, metavar="SEARCH", help="Which: privyseal explain search.")
@click.option("--reason", type=REASON, default=CrlReason.UNSPECIFIED.label, show_default=True, help="RFC 5280 reason.")
@click.option("--invalid-since", default="", metavar="TIME", help="Since when the keys are thought to be bad.")
@click.option("--block/--no-block", default=None, help="Keep the devices and users out, or let them enroll again.")
@click.option("--most", type=click.IntRange(1), default=BLAST_RADIUS, show_default=True, help="Refuse if more match.")
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def revoke_many(
    session: Session,
    where: str,
    reason: str,
    invalid_since: str,
    block: bool | None,
    most: int,
    dry_run: bool,
    yes: bool,
) -> None:
    """Revoke every end entity's certificate in force that a search finds. What was shown is what is revoked.

    What is issued after the preview is not touched, and if anything of the selection changes, nothing is
    revoked. An interrupted run goes on when it is asked for again, or by itself in a running server. Without
    --block or --no-block the reason decides: unspecified and superseded let the device come back, every other
    reason keeps it out of the profile until `device unblock` or `user unblock`.
    """
    asked: dict[str, Any] = {"where": where, "reason": reason, "invalid_since": invalid_since, "most": most}
    if block is not None:
        asked["block"] = "yes" if block else "no"
    with session.application(keys=not dry_run) as application:
        act = RevokeMany(application.inventory, application.bulk, application.clock)
        preview = asyncio.run(act.preview(asked))
        if dry_run:
            show_item(session, _item(session, preview))
            return
        if preview.counts["selected"] > most:
            raise TooManySelected(f"{where!r} selects {preview.counts['selected']} certificates; at most {most} may be")
        _ask(session, preview, yes=yes)
        result = submit(session, application, act.name, asked | dict(preview.pinned))
        if result is None:
            return
        asyncio.run(_publish(session, application))
        show_item(session, result)
    session.done(f"revoked {result['revoked']} certificate(s)")


async def _publish(session: Session, application: Application) -> None:
    """The CRLs that say so; OCSP does already."""
    for issuer in application.catalog.issuers():
        if application.status.due(issuer):
            signer = application.catalog.signer(issuer.id)
            for published in await application.status.publish_due(issuer, signer):
                session.say(f"  CRL {published.number} of {issuer.record.name} says so")


def _ask(session: Session, preview: Preview, *, yes: bool) -> None:
    if yes or not preview.counts["selected"]:
        return
    if not is_terminal(sys.stdin):
        raise InvalidValue(f"to {preview.summary}, say --yes", mend=("look at it first: --dry-run",))
    for line in (preview.summary, *preview.effects, *preview.irreversible):
        session.say(line)
    click.confirm("Revoke them?", abort=True, err=True)


def _item(session: Session, preview: Preview) -> dict[str, Any]:
    item: dict[str, Any] = {"summary": preview.summary, "effects": list(preview.effects)}
    item |= {"blockers": list(preview.blockers), "irreversible": list(preview.irreversible)}
    item |= {"counts": dict(preview.counts), "over_limit": preview.over_limit, "pinned": dict(preview.pinned)}
    if session.output != "json":
        item |= {name: "\n".join(item[name]) for name in ("effects", "blockers", "irreversible")}
        del item["pinned"]
    return item
