# SPDX-License-Identifier: Apache-2.0
"""``privyseal report tier0``: who could become any account of a forest through a CA of ours, in words."""

from __future__ import annotations

import click

from privyseal.cli.output import show_list, write_text
from privyseal.cli.session import Session
from privyseal.cli.verb import verb


@verb("tier0", examples=("report tier0", "report tier0 --ca contoso-issuing -o json"))
@click.option("--ca", "ca", metavar="CA", help="As if it stood in NTAuth. Default: those that do.")
def tier0(session: Session, ca: str | None) -> None:
    """Say who could mint a certificate for a domain administrator or a domain controller, and by what.

    People and their tokens by their roles, profiles whose names are stored here, users of this machine who can read
    the keys. Domain controllers believe the CAs in NTAuth; --ca asks before one is published there.
    """
    with session.application() as application:
        from privyseal.bootstrap.administration import Administration

        books = Administration(application)
        present = books.access.in_ntauth()
        names = [ca] if ca is not None else sorted(present)
        items = [
            {"ca": name, "in_ntauth": name in present, "who": text} for name in names for text in books.guard.of(name)
        ]
    if session.output == "json" or not items:
        show_list(session, items, ("ca", "who"))
    else:
        for item in items:
            write_text(f"{item['ca']}: {item['who']}")
    if not names:
        session.say("no CA of ours stands in NTAuth, as far as receipts tell; ask beforehand with --ca CA")
