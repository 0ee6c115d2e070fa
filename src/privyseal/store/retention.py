# SPDX-License-Identifier: Apache-2.0
"""Carries out what ``model.retention`` says, some rows at a time, and tells what there is. Each cut is audited."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from sqlalchemy import Table

from privyseal.model.audit import AuditEvent
from privyseal.model.retention import KEPT, Keeping, TableFacts
from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import Database
from privyseal.store.moments import from_seconds, to_seconds
from privyseal.store.rows import columns
from privyseal.store.schema import metadata
from privyseal.store.unit import Transaction

DAY: Final = 86_400
_MONTH: Final = 30 * DAY
_SAMPLE: Final = 200


class RetentionBook:
    """What is kept and what goes."""

    def __init__(self, database: Database, committer: GroupCommitter) -> None:
        self._database = database
        self._committer = committer

    async def cut(self, *, most: int) -> dict[str, int]:
        """Remove what is past its time, at most so many rows of each table; how many of which."""
        found: dict[str, int] = {}
        for table in metadata.sorted_tables:
            kept = KEPT[table.name]
            if kept.days is not None and (gone := await self._committer.run(partial(_cut, table, kept, most))):
                found[table.name] = gone
        return found

    def survey(self, *, now: int) -> tuple[TableFacts, ...]:
        """Every table. Counts rows one by one: for people, not for every minute."""
        found = {table.name: self._facts(table, KEPT[table.name], now) for table in metadata.sorted_tables}
        for name, facts in found.items():
            if other := KEPT[name].grows_with:
                found[name] = replace(facts, per_day=found[other].per_day, oldest=found[other].oldest)
        return tuple(found.values())

    def _facts(self, table: Table, kept: Keeping, now: int) -> TableFacts:
        rows = self._number(f"SELECT count(*) FROM {table.name}")
        keys = ", ".join(f"{column.name} DESC" for column in table.primary_key.columns)
        sample = self._database.read(f"SELECT {columns(table)} FROM {table.name} ORDER BY {keys} LIMIT {_SAMPLE}")
        weight = sum(_octets(value) for row in sample for value in row) / max(1, len(sample))
        oldest, per_day = None, None
        if kept.age:
            # The trail counts microseconds.
            age = f"{kept.age} / 1000000" if table.name == "audit" else kept.age
            lowest = self._database.read_one(f"SELECT min({age}) FROM {table.name}")
            oldest = None if lowest is None or lowest[0] is None else int(lowest[0])
            since = max(now - _MONTH, oldest or 0)
            recent = self._number(f"SELECT count(*) FROM {table.name} WHERE {age} >= ? AND {age} <= ?", since, now)
            per_day = recent * DAY / max(DAY, now - since)
        return TableFacts(name=table.name, rows=rows, octets=round(rows * weight), oldest=oldest, per_day=per_day)

    def _number(self, sql: str, *values: int) -> int:
        row = self._database.read_one(sql, values)
        return 0 if row is None else int(row[0])


def _cut(table: Table, kept: Keeping, most: int, transaction: Transaction) -> int:
    before = to_seconds(transaction.now) - (kept.days or 0) * DAY
    keys = ", ".join(column.name for column in table.primary_key.columns)
    condition = f"{kept.age} < ?" + (f" AND {kept.where}" if kept.where else "")
    gone = transaction.execute(
        f"DELETE FROM {table.name} WHERE ({keys}) IN "
        f"(SELECT {keys} FROM {table.name} WHERE {condition} ORDER BY {kept.age} LIMIT ?)",
        (before, most),
    ).rowcount
    if gone:
        detail: dict[str, object] = {"rows": gone, "before": f"{from_seconds(before):%Y-%m-%dT%H:%M:%SZ}"}
        target = f"table:{table.name}"
        transaction.audit(AuditEvent(event="retention.cut", actor="service:retention", target=target, detail=detail))
    return gone


def _octets(value: object) -> int:
    return len(value) if isinstance(value, bytes | str) else 8
