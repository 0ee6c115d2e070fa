# SPDX-License-Identifier: Apache-2.0
"""All rows of a table, a page at a time by primary key, whatever their number and size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Table

from privyseal.store.engine import Connection, Row

PAGE_OCTETS: Final = 16 << 20
"""Rows are many or large: a part of a CRL is a megabyte."""
_FIRST_PAGE, _LARGEST_PAGE = 16, 2000
_OURS: Final = "key NOT IN ('moved_to', 'arriving')"
"""Rows of ``meta`` that say where a store stands, not what is in it."""


def columns(table: Table) -> str:
    """Names for SELECT and INSERT."""
    return ", ".join(column.name for column in table.columns)


def insert_row(table: Table) -> str:
    """The statement that adds a row as ``pages`` gives it."""
    return f"INSERT INTO {table.name} ({columns(table)}) VALUES ({','.join('?' * len(table.columns))})"


def empty_table(table: Table) -> str:
    """The statement that removes what a new store holds."""
    return f"DELETE FROM {table.name}" + (f" WHERE {_OURS}" if table.name == "meta" else "")


def pages(connection: Connection, table: Table) -> Iterator[list[Row]]:
    """All rows by primary key."""
    names = [column.name for column in table.columns]
    keys = [column.name for column in table.primary_key.columns]
    places = [names.index(key) for key in keys]
    condition = _OURS if table.name == "meta" else "1 = 1"
    after: tuple[object, ...] = ()
    limit = _FIRST_PAGE
    while True:
        where = f"{condition} AND ({', '.join(keys)}) > ({','.join('?' * len(keys))})" if after else condition
        sql = f"SELECT {columns(table)} FROM {table.name} WHERE {where} ORDER BY {', '.join(keys)} LIMIT {limit}"
        page = connection.execute(sql, after).fetchall()
        if not page:
            return
        yield page
        after = tuple(page[-1][place] for place in places)
        largest = max(sum(len(value) for value in row if isinstance(value, bytes | str)) for row in page)
        limit = max(1, min(_LARGEST_PAGE, PAGE_OCTETS // (largest + 1)))


def highest_crl_numbers(connection: Connection) -> tuple[tuple[str, int], ...]:
    """CA version and the highest CRL number that was ever reserved for it."""
    rows = connection.execute(
        "SELECT a.name, a.version, max(c.number) FROM crls c JOIN authorities a ON a.id = c.issuer_id "
        "GROUP BY a.name, a.version ORDER BY a.name, a.version"
    )
    return tuple((f"{name} v{version}", number) for name, version, number in rows.fetchall())
