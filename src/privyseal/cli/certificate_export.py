# SPDX-License-Identifier: Apache-2.0
"""``privyseal certificate export``: everything that a search finds, written as it is read, whatever there is."""

from __future__ import annotations

import asyncio
import csv
import json
import sys
from collections.abc import Mapping
from typing import Any, Final

from privyseal.bootstrap import Application
from privyseal.cli.certificates import COLUMNS, COLUMNS_OPTION, WHERE, chosen_columns, shown_item
from privyseal.cli.output import write_text
from privyseal.cli.session import Session, carries_utf8
from privyseal.cli.verb import verb
from privyseal.model.search.grammar import parse_search
from privyseal.model.search.query import Search

# Spreadsheets take a cell that begins like this for a formula, and run it.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@verb(
    "export",
    outputs=("csv", "json", "jsonl"),
    examples=(
        "certificate export",
        "certificate export --where 'status:expiring ends:<30d' --columns serial,subject,not_after",
        "certificate export --where 'issued:<1d' -o jsonl",
    ),
)
@WHERE
@COLUMNS_OPTION
def export(session: Session, where: str, columns: str | None) -> None:
    """Write every certificate that a search finds, newest first; memory does not grow with their number.

    In CSV a cell that a spreadsheet would take for a formula (it begins with = + - @) gets an apostrophe in
    front. Private keys are never in it; Privyseal keeps none.
    """
    chosen = chosen_columns(columns)
    with session.application() as application:
        search = parse_search(where, now=application.clock.now())
        written = asyncio.run(_write(application, search, chosen, form=session.output))
    session.done(f"wrote {written} certificate(s)")


async def _write(application: Application, search: Search, chosen: tuple[str, ...], *, form: str) -> int:
    written = 0
    table = csv.writer(sys.stdout, lineterminator="\r\n")
    titles = chosen or tuple(name for name in COLUMNS if name not in ("key_type", "fingerprint"))
    if form == "csv":
        table.writerow(titles)
    async for records in application.inventory.batches(search):
        for record in records:
            item = shown_item(application, record, titles)
            if form == "csv":
                table.writerow([_cell(item[name]) for name in titles])
            else:
                # One after the other, so that a list of a million is never held as a whole.
                begin = "" if form == "jsonl" else ",\n" if written else "[\n"
                sys.stdout.write(begin + _json(item) + ("\n" if form == "jsonl" else ""))
            written += 1
    if form == "json":
        write_text("\n]" if written else "[]")
    return written


def _json(item: Mapping[str, Any]) -> str:
    return json.dumps(item, ensure_ascii=not carries_utf8(sys.stdout))


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
