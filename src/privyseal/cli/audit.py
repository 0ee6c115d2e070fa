# SPDX-License-Identifier: Apache-2.0
"""``privyseal audit``: reading the trail and checking its chain. Nothing here writes to it."""

from __future__ import annotations

import json

import click

from privyseal.cli.output import moment, show_item, show_list
from privyseal.cli.session import Session
from privyseal.cli.verb import verb
from privyseal.errors import AuditBroken, InvalidValue
from privyseal.model.audit import AuditRow
from privyseal.store.audit import AuditTrail


def audit_item(row: AuditRow) -> dict[str, object]:
    """One event with stable field names."""
    return {
        "seq": row.seq,
        "at": moment(row.at),
        "event": row.event,
        "actor": row.actor,
        "target": row.target,
        "detail": json.loads(row.detail),
        "digest": row.digest.hex(),
    }


@verb("list", examples=("audit list", "audit list --event certificate. --limit 200", "audit list -o json"))
@click.option("--event", default="", metavar="PREFIX", help="Only events that begin so, such as `ca.`.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
@click.option("--before", type=click.IntRange(0), default=0, metavar="SEQ", help="Begin below this number.")
def list_all(session: Session, event: str, limit: int, before: int) -> None:
    """List events, newest first: when, who, what, to which object."""
    with session.application() as application:
        rows = application.audit.page(before=before, limit=limit, event=event)
        show_list(session, [audit_item(row) for row in rows], ("seq", "at", "event", "actor", "target", "detail"))
        if len(rows) == limit:
            session.say(f"  more  privyseal audit list --before {rows[-1].seq}")


@verb("verify", examples=("audit verify", "audit verify --expect-head 5d6be7470998d90b...", "audit verify -o json"))
@click.option("--expect-head", metavar="HEX", help="Digest of a row that was noted earlier, in full or its beginning.")
def verify(session: Session, expect_head: str | None) -> None:
    """Check the whole chain: a changed, removed, added or reordered row is named; exit code 1.

    The chain proves that rows fit together, not that nobody wrote all of them anew. Keep the printed head on
    another machine and give it back with --expect-head: then a rewritten trail is caught as well.
    """
    with session.application() as application:
        count, head = application.audit.verify()
        if expect_head is not None:
            _expect(application.audit, expect_head)
    show_item(session, {"rows": count, "head": head.hex(), "intact": True})
    session.done(f"{count} rows, each fits the one before", after=f"privyseal audit verify --expect-head {head.hex()}")


def _expect(trail: AuditTrail, wanted: str) -> None:
    text = wanted.strip().lower().rstrip(".")
    if len(text) < 16 or any(char not in "0123456789abcdef" for char in text):
        raise InvalidValue(f"--expect-head {wanted!r} is not at least 16 hexadecimal digits")
    if not trail.holds(text):
        raise AuditBroken(
            f"no row has the digest {text}, although it was the head once",
            why="the trail was cut or written anew after that head was noted",
        )
