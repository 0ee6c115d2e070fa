# SPDX-License-Identifier: Apache-2.0
"""Moments in a search: dates, times, and distances from now such as 30d. A distance is never negative."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from privyseal.errors import InvalidValue
from privyseal.model.durations import parse_duration
from privyseal.model.search.query import Field, Within

ALLOWED: Final = "<30d, >7d, 2026-01-31, >=2026-01-31, <2026-01-31T12:00:00Z, or 2026-01-01..2026-02-01"
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_DAY: Final = 86400
# Beyond these no certificate ends and no store reaches.
_LATEST: Final = 253402300799


def parse_within(field: Field, value: str, *, now: int, negated: bool) -> Within:
    """``<30d`` and its kin. Raises InvalidValue with what is allowed."""
    first, dots, last = value.partition("..")
    if dots:
        since = _point(first, field)[0] if first else None
        until = _point(last, field)[1] if last else None
        if since is None and until is None:
            raise InvalidValue(f"{value!r} names no moment; allowed: {ALLOWED}")
        return Within(field, since, until, negated)
    match = re.fullmatch(r"(<=|>=|<|>|)(.*)", value, re.DOTALL)
    sign, rest = (match[1], match[2]) if match else ("", value)
    if re.fullmatch(r"\d+[a-zA-Z]", rest):
        return _distance(field, sign, rest, now=now, negated=negated)
    start, end = _point(rest, field)
    bounds = {"": (start, end), "<": (None, start), "<=": (None, end), ">": (end, None), ">=": (start, None)}
    since, until = bounds[sign]
    return Within(field, since, until, negated)


def _distance(field: Field, sign: str, text: str, *, now: int, negated: bool) -> Within:
    """Of what lies ahead the time that is left; of what lies behind the time that has passed."""
    seconds = int(parse_duration(text).total_seconds())
    if not sign:
        raise InvalidValue(f"{text!r} needs < or > before it; allowed: {ALLOWED}")
    near = sign.startswith("<")
    if field is Field.ENDS:
        edge = min(now + seconds, _LATEST)
        return Within(field, None, edge + (sign == "<="), negated) if near else _from(field, edge, sign, negated)
    edge = max(now - seconds, 0)
    if near:
        return _from(field, edge, sign.replace("<", ">"), negated)
    return Within(field, None, edge + (sign == ">="), negated)


def _from(field: Field, edge: int, sign: str, negated: bool) -> Within:
    return Within(field, edge if sign == ">=" else edge + 1, None, negated)


def _point(text: str, field: Field) -> tuple[int, int]:
    """First second of what is named, and the first one after it."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        start = int(moment.replace(microsecond=0).timestamp())
    except (ValueError, OverflowError) as error:
        raise InvalidValue(f"{text[:40]!r} is not a moment for {field.value}: allowed: {ALLOWED}") from error
    if not 0 <= start <= _LATEST:
        raise InvalidValue(f"{text[:40]!r} is outside 1970 to 9999")
    length = timedelta(seconds=_DAY) if _DATE.fullmatch(text) else timedelta(seconds=1)
    return start, start + int(length.total_seconds())
