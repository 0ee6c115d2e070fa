# SPDX-License-Identifier: Apache-2.0
"""Which ends are told of, and in which words: one digest for all of them, each threshold once. Sends nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from privyseal.model.notice import Ending, Notice

_MOST_LINES: Final = 100


def due_notices(
    endings: Iterable[Ending], told: Mapping[str, int], percents: Sequence[int], *, now: datetime
) -> tuple[Notice, ...]:
    """A notice for each end that has passed a threshold which was not told of; the nearest end first.

    ``told``: the highest percentage that was told of each subject. One that passed several at once is told once.
    """
    found = []
    for ending in endings:
        passed = max((one for one in percents if one <= ending.percent(now)), default=0)
        if passed > told.get(ending.subject, 0):
            found.append(Notice(ending=ending, percent=passed))
    return tuple(sorted(found, key=lambda notice: (notice.ending.ends, notice.ending.subject)))


def digest(notices: Sequence[Notice], *, organization: str, now: datetime) -> tuple[str, str]:
    """Title and body of the one mail."""
    first = notices[0].ending
    over = sum(notice.ending.ends <= now for notice in notices)
    counted = f"{len(notices)} certificate{'s' if len(notices) > 1 else ''} of {organization} will not renew by itself"
    title = counted if len(notices) == 1 else counted.replace("by itself", "by themselves")
    lines = [
        f"{title}. The nearest end is {first.ends:%Y-%m-%d %H:%M} UTC" + (f"; {over} ended already." if over else "."),
        "",
    ]
    for notice in notices[:_MOST_LINES]:
        ending = notice.ending
        word = "ended" if ending.ends <= now else "ends"
        lines += [f"{word} {ending.ends:%Y-%m-%d %H:%M} UTC ({notice.percent} % of its life)  {ending.shown}"]
        lines += [f"    {ending.mend}"]
    if len(notices) > _MOST_LINES:
        lines += ["", f"and {len(notices) - _MOST_LINES} more: privyseal certificate list --search status:expiring"]
    lines += ["", "Each of them is told of once at each threshold. What renews by itself is not told of."]
    return title, "\n".join(lines) + "\n"
