# SPDX-License-Identifier: Apache-2.0
"""``privyseal check``: the same checks as ``doctor`` in the form that monitoring plug-ins have. Reads only."""

from __future__ import annotations

from collections import Counter
from typing import Final

import click

from privyseal.cli.checks import Finding, Level, examine
from privyseal.cli.output import show_list, write_text
from privyseal.cli.session import Session
from privyseal.cli.verb import verb
from privyseal.errors import PrivysealError

_OK, _WARNING, _CRITICAL, _UNKNOWN = 0, 1, 2, 3
_WORDS: Final = {_OK: "OK", _WARNING: "WARNING", _CRITICAL: "CRITICAL"}
_CODES: Final = {Level.OK: _OK, Level.WARNING: _WARNING, Level.CRITICAL: _CRITICAL}
_SHOWN: Final = 3


@verb(
    "check",
    examples=("check --format nagios --passphrase-file /etc/privyseal/passphrase", "check", "check -o json"),
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["nagios", "table"]),
    default="table",
    show_default=True,
    help="One line or all.",
)
def command(session: Session, form: str) -> None:
    """Check this installation for a monitoring system: one line with performance data, or a table.

    Exit code 0 is ok, 1 warning, 2 critical, 3 unknown, as Nagios, Icinga and checkmk expect. `doctor` tells more.
    """
    try:
        found = list(examine(session))
    except PrivysealError as error:
        if form != "nagios":
            raise
        write_text(_plain(f"PRIVYSEAL UNKNOWN - [{error.code}] {error.what}"))
        click.get_current_context().exit(_UNKNOWN)
    worst = max((_CODES[finding.level] for _, finding in found), default=_UNKNOWN)
    if form == "nagios":
        write_text(_line(found, worst))
    else:
        items = [{"check": name, "level": finding.level.value, "what": finding.what} for name, finding in found]
        show_list(session, items, ("level", "check", "what"))
    click.get_current_context().exit(worst)


def _line(found: list[tuple[str, Finding]], worst: int) -> str:
    counts = Counter(finding.level for _, finding in found)
    bad = [(name, finding) for name, finding in found if finding.level is not Level.OK]
    bad.sort(key=lambda item: -_CODES[item[1].level])
    told = "; ".join(f"{name}: {finding.what}" for name, finding in bad[:_SHOWN]) or f"{len(found)} points are well"
    more = f"; and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
    numbers = " ".join(f"{level.value}={counts[level]};;;0;{len(found)}" for level in Level)
    return f"{_plain(f'PRIVYSEAL {_WORDS[worst]} - {told}{more}')} | {numbers}"


def _plain(text: str) -> str:
    # A bar would begin the performance data, a line end the long text.
    return " ".join(text.replace("|", "/").split())
