# SPDX-License-Identifier: Apache-2.0
"""``privyseal retention``: what is stored, how long, and what it comes to. Nothing here removes anything."""

from __future__ import annotations

from privyseal.cli.output import moment, show_list
from privyseal.cli.session import Session
from privyseal.cli.verb import verb
from privyseal.model.retention import KEPT, TableFacts
from privyseal.store.moments import from_seconds, to_seconds

_MIB = 1 << 20


@verb("list", examples=("retention list", "retention list -o json"))
def list_all(session: Session) -> None:
    """List every table: rows, size, oldest row, growth, how long rows are kept, and the size in a year.

    Sizes are weighed by a sample, without indexes. The server removes what is past its time by itself, some rows a
    minute, and the audit trail says so. Certificates, revocations, CRL numbers and the trail are kept for ever.
    """
    with session.application() as application:
        found = application.retention.survey(now=to_seconds(application.clock.now()))
    items = [_item(facts) for facts in sorted(found, key=lambda facts: -facts.octets)]
    show_list(session, items, ("table", "rows", "mib", "oldest", "rows_a_day", "kept", "mib_in_a_year"))
    total, then = sum(facts.octets for facts in found), sum(facts.in_a_year() for facts in found)
    session.say(f"about {total / _MIB:.1f} MiB of rows now, {then / _MIB:.1f} MiB in a year if it goes on like this")


def _item(facts: TableFacts) -> dict[str, object]:
    kept = KEPT[facts.name]
    return {
        "table": facts.name,
        "rows": facts.rows,
        "mib": round(facts.octets / _MIB, 2),
        "octets": facts.octets,
        "oldest": None if facts.oldest is None else moment(from_seconds(facts.oldest)),
        "rows_a_day": None if facts.per_day is None else round(facts.per_day, 1),
        "kept": "for ever" if kept.days is None else f"{kept.days} days",
        "only": kept.where,
        "why": kept.why,
        "mib_in_a_year": round(facts.in_a_year() / _MIB, 2),
    }
