# SPDX-License-Identifier: Apache-2.0
"""The shared SQL as PostgreSQL reads it. Each text is translated once."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

# What stands in quotes is left alone, and a percent sign is doubled everywhere, as psycopg wants it.
_TOKEN: Final = re.compile(r"'(?:[^']|'')*'|%|\?|(?<![:\w]):([a-z_]\w*)")
# What has no common form. Input that is ordered by a subquery arrives in its order.
_PHRASES: Final = {
    "CAST(group_concat(entry, '') AS BLOB)": "string_agg(entry, CAST('' AS bytea))",
    "instr(": "strpos(",
}
_TEXTS: Final = 4096


@lru_cache(maxsize=_TEXTS)
def statement(sql: str) -> bytes:
    """``?`` and ``:name`` become psycopg's placeholders."""
    for ours, theirs in _PHRASES.items():
        sql = sql.replace(ours, theirs)
    return _TOKEN.sub(_placeholder, sql).encode()


@lru_cache(maxsize=_TEXTS)
def returning_id(sql: str) -> str:
    """An INSERT that gives the new row's id."""
    return f"{sql} RETURNING id"


def _placeholder(match: re.Match[str]) -> str:
    found = match[0]
    if found == "?":
        return "%s"
    if match[1]:
        return f"%({match[1]})s"
    return found.replace("%", "%%")
