# SPDX-License-Identifier: Apache-2.0
"""``privyseal doctor``: runs the named checks and says what each saw. A check that cannot run says why."""

from __future__ import annotations

import sys
from typing import Any

import click

from privyseal.cli.checks import CHECKS, Finding, Level, examine
from privyseal.cli.exits import Exit
from privyseal.cli.output import write_json, write_text
from privyseal.cli.session import Session, tick
from privyseal.cli.verb import verb


@verb("doctor", examples=("doctor", "doctor --fail-on warning -o json", "doctor --list"))
@click.option(
    "--fail-on",
    type=click.Choice([Level.WARNING.value, Level.CRITICAL.value]),
    default=Level.CRITICAL.value,
    show_default=True,
    help="Exit with 1 from this level on.",
)
@click.option("--list", "only_list", is_flag=True, help="Only name the checks.")
def command(session: Session, fail_on: str, only_list: bool) -> None:
    """Check this installation, point by point: ok, warning or critical, each with what to do about it.

    Reads only. Without the passphrase file the checks of keys say that they could not run.
    """
    if only_list:
        for name, check in CHECKS.items():
            write_text(f"{name:<16} {(check.__doc__ or '').splitlines()[0]}")
        return
    found = [(name, finding) for name, finding in examine(session)]
    if session.output == "json":
        write_json([_item(name, finding) for name, finding in found])
    else:
        for name, finding in found:
            write_text(_line(name, finding))
    bad = {Level.CRITICAL} if fail_on == Level.CRITICAL.value else {Level.CRITICAL, Level.WARNING}
    failing = sum(finding.level in bad for _, finding in found)
    if failing:
        session.say(f"{failing} of {len(found)} points at or above {fail_on}")
        click.get_current_context().exit(Exit.FAILED)
    session.done(f"{len(found)} points checked, none at or above {fail_on}")


def _item(name: str, finding: Finding) -> dict[str, Any]:
    return {
        "check": name,
        "level": finding.level.value,
        "what": finding.what,
        "why": finding.why,
        "mend": list(finding.mend),
    }


def _line(name: str, finding: Finding) -> str:
    mark = tick(sys.stdout, good=finding.level is Level.OK)
    lines = [f"{mark} {finding.level.value:<8} {name:<16} {finding.what}"]
    if finding.level is not Level.OK:
        lines += [f"    why   {finding.why}"] if finding.why else []
        lines += [f"    mend  {way}" for way in finding.mend]
    return "\n".join(lines)
