# SPDX-License-Identifier: Apache-2.0
"""``privyseal explain``: what a code means and how to mend it, from the pages in this package. Works offline."""

from __future__ import annotations

from importlib.resources import files

import click

from privyseal import errors
from privyseal.cli.output import show_item, show_list, write_text
from privyseal.cli.session import Session
from privyseal.cli.verb import verb
from privyseal.errors import NotFound, PrivysealError
from privyseal.model.search.guide import FIELDS, RULES, guide


def all_codes() -> dict[int, type[PrivysealError]]:
    """Every code with its class, in order."""
    found = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, PrivysealError)]
    return {item.code: item for item in sorted(found, key=lambda item: item.code) if item.code}


def runbook(code: int) -> str:
    """The page of a code."""
    return (files("privyseal") / "runbooks" / f"{code}.md").read_text("utf-8")


@verb("explain", examples=("explain 8004", "explain 6103 -o json", "explain search", "explain"))
@click.argument("code", required=False)
def command(session: Session, code: str | None) -> None:
    """Explain an error code: what it means, why it comes, how to mend it. Without a code, list all of them.

    `explain search` tells the language in which certificates are searched.
    """
    known = all_codes()
    if code == "search":
        if session.output == "json":
            show_item(session, {"rules": list(RULES), "fields": {field.value: text for field, text in FIELDS.items()}})
        else:
            write_text(guide())
        return
    if code is None:
        items = [{"code": number, "name": item.__name__, "title": item.title} for number, item in known.items()]
        show_list(session, items, ("code", "title"))
        return
    text = code.strip().lower().removeprefix("error").strip("[] ")
    found = known.get(int(text)) if text.isascii() and text.isdecimal() and len(text) < 9 else None
    if found is None:
        raise NotFound(
            f"there is no error code {code!r}",
            why="codes have four digits, and a code that is gone is never used again",
            mend=("privyseal explain",),
        )
    if session.output == "json":
        show_item(
            session,
            {
                "code": found.code,
                "name": found.__name__,
                "title": found.title,
                "why": found.default_why,
                "mend": list(found.default_mend),
                "runbook": runbook(found.code),
            },
        )
        return
    lines = [f"error[{found.code}] {found.title}", f"  why   {found.default_why}"]
    lines += [f"  mend  {way}" for way in found.default_mend]
    write_text("\n".join([*lines, "", runbook(found.code)]))
