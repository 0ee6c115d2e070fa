# SPDX-License-Identifier: Apache-2.0
"""Searching, listing and counting certificates: by the index where there is one, row by row above it. Always exact.

Lists go from the newest to the oldest, a page at a time by key. Nothing on the way to a certificate uses this.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from privyseal.errors import StoreUnavailable
from privyseal.model.bulk import Tally
from privyseal.model.certificate import CertificateRecord
from privyseal.model.search.cursor import make_cursor, read_cursor
from privyseal.model.search.query import LARGEST_PAGE, Search, Status
from privyseal.store.certificates import RECORD_COLUMNS, RECORD_SOURCE, record_from
from privyseal.store.engine import Database
from privyseal.store.search_index import indexed_blocks
from privyseal.store.search_plan import Known, SearchPlan
from privyseal.store.search_sql import NAMES, SOURCE, STATUS, condition, names_match, texts
from privyseal.store.search_terms import BLOCK, members

_AT_ONCE: Final = 500
_COUNTED: Final = (Status.VALID, Status.EXPIRING, Status.EXPIRED, Status.REVOKED, Status.RESERVED)


@dataclass(frozen=True, slots=True)
class Page:
    """Certificates, newest first, and the cursor of the next page; empty when this is the last one."""

    records: tuple[CertificateRecord, ...]
    cursor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusCounts:
    """How many certificates of one CA version there are."""

    issuer: str
    version: int
    valid: int
    expiring: int
    expired: int
    revoked: int
    reserved: int

    @property
    def active(self) -> int:
        """In force."""
        return self.valid + self.expiring

    @property
    def total(self) -> int:
        """All."""
        return self.active + self.expired + self.revoked + self.reserved


class Inventory:
    """Answers searches. ``count`` and ``batches`` let others run in between; a page is short enough not to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, search: Search, *, limit: int, cursor: str = "") -> Page:
        """One page. Raises CursorInvalid."""
        if not 1 <= limit <= LARGEST_PAGE:
            raise StoreUnavailable(f"a page holds 1 to {LARGEST_PAGE} rows, not {limit}")
        before = read_cursor(search.text, cursor) if cursor else 0
        # One more than asked for tells whether there is a next page.
        found = list(islice((row for some in self._ids(search, before, limit + 1) for row in some), limit + 1))
        more = make_cursor(search.text, found[limit - 1]) if len(found) > limit else ""
        return Page(self.records(found[:limit]), more)

    async def count(self, search: Search) -> int:
        """How many certificates match."""
        top = indexed_blocks(self._database)
        total = await self._count_rows(search, top)
        plan = SearchPlan(self._database, search)
        for block in plan.blocks(top):
            known = plan.known(block)
            total += known.sure.bit_count()
            for some in _slices(block, known.maybe & ~known.sure):
                total += len(self._verified(search, some))
                await asyncio.sleep(0)
        return total

    async def batches(self, search: Search) -> AsyncIterator[tuple[CertificateRecord, ...]]:
        """Everything that matches, newest first, some at a time; bounded memory whatever there is."""
        for some in self._ids(search, 0, _AT_ONCE):
            yield self.records(some)
            await asyncio.sleep(0)

    async def matching(self, search: Search, *, most: int) -> list[int]:
        """The ids of what matches, newest first; at most so many."""
        found: list[int] = []
        for some in self._ids(search, 0, _AT_ONCE):
            found += some[: most - len(found)]
            if len(found) >= most:
                break
            await asyncio.sleep(0)
        return found

    def records(self, ids: Sequence[int]) -> tuple[CertificateRecord, ...]:
        """The records of these ids, in this order."""
        found: dict[int, CertificateRecord] = {}
        for at in range(0, len(ids), _AT_ONCE):
            listed, values = _listed(ids[at : at + _AT_ONCE])
            rows = self._database.read(f"SELECT {RECORD_COLUMNS} FROM {RECORD_SOURCE} WHERE c.id IN ({listed})", values)
            found.update((row[0], record_from(row)) for row in rows)
        return tuple(found[row] for row in ids if row in found)

    async def tally(self, ids: Sequence[int]) -> Tally:
        """These certificates by CA version, and the number of their devices and users."""
        by_issuer: Counter[str] = Counter()
        entities: set[int] = set()
        for at in range(0, len(ids), _AT_ONCE):
            listed, values = _listed(ids[at : at + _AT_ONCE])
            for name, version, entity in self._database.read(
                "SELECT a.name, a.version, c.entity_id FROM certificates c JOIN authorities a ON a.id = c.issuer_id "
                f"WHERE c.id IN ({listed})",
                values,
            ):
                by_issuer[f"{name} v{version}"] += 1
                entities |= {entity} if entity is not None else set()
            await asyncio.sleep(0)
        return Tally(dict(by_issuer), len(entities))

    async def status_counts(self, *, now: int) -> tuple[StatusCounts, ...]:
        """For each CA version how many certificates have which status."""
        counts: dict[tuple[int, Status], int] = {}
        search, top = Search((), now), indexed_blocks(self._database)
        self._add_statuses(counts, "c.id >= :floor", {"now": now, "floor": top * BLOCK})
        plan = SearchPlan(self._database, search)
        issuers = self._database.read("SELECT id, name, version FROM authorities ORDER BY name, version")
        for block in plan.blocks(top):
            known = {status: plan.status(block, status) for status in _COUNTED}
            unsure = 0
            for told in known.values():
                unsure |= told.maybe & ~told.sure
            for issuer, _, _ in issuers:
                rows = plan.issued_by(block, issuer)
                for status, told in known.items():
                    key = (issuer, status)
                    counts[key] = counts.get(key, 0) + (told.sure & rows & ~unsure).bit_count()
            for some in _slices(block, unsure):
                listed, values = _listed(some)
                self._add_statuses(counts, f"c.id IN ({listed})", {"now": now, **values})
            await asyncio.sleep(0)
        return tuple(
            StatusCounts(
                issuer=name,
                version=version,
                **{status.value: counts.get((issuer, status), 0) for status in _COUNTED},
            )
            for issuer, name, version in issuers
        )

    def _add_statuses(self, counts: dict[tuple[int, Status], int], where: str, values: dict[str, Any]) -> None:
        cases = " ".join(f"WHEN {STATUS[status]} THEN '{status.value}'" for status in _COUNTED)
        rows = self._database.read(
            f"SELECT c.issuer_id, CASE {cases} END, count(*) FROM certificates c WHERE {where} GROUP BY 1, 2", values
        )
        for issuer, status, number in rows:
            key = (issuer, Status(status))
            counts[key] = counts.get(key, 0) + number

    # --- rows ------------------------------------------------------------------------------------------

    def _ids(self, search: Search, before: int, wanted: int) -> Iterator[list[int]]:
        """Ids below ``before`` (0: all) that match, newest first, some at a time."""
        top = indexed_blocks(self._database)
        yield from self._rows(search, top * BLOCK, before, wanted)
        plan = SearchPlan(self._database, search)
        edge = before or top * BLOCK
        for block in plan.blocks(min(top, (edge + BLOCK - 1) // BLOCK)):
            known = plan.known(block)
            below = (1 << min(edge - block * BLOCK, BLOCK)) - 1
            known = Known(known.sure & below, known.maybe & below)
            for some in _slices(block, known.maybe, min(2 * wanted, _AT_ONCE)):
                certain = known.maybe == known.sure
                if found := some if certain else self._verified(search, some):
                    yield found

    def _rows(self, search: Search, floor: int, before: int, wanted: int) -> Iterator[list[int]]:
        """The same from the rows that are not indexed."""
        where, values = condition(search)
        needles = texts(search)
        at_once = min(wanted, _AT_ONCE) if not needles else _AT_ONCE
        while True:
            upper = " AND c.id < :before" if before else ""
            rows = self._database.read(
                f"SELECT c.id, {NAMES} FROM {SOURCE} WHERE c.id >= :floor{upper}{where} ORDER BY c.id DESC LIMIT :most",
                {**values, "floor": floor, "most": at_once} | ({"before": before} if before else {}),
            )
            if found := [row[0] for row in rows if names_match(needles, row[1:])]:
                yield found
            if len(rows) < at_once:
                return
            before = rows[-1][0]

    async def _count_rows(self, search: Search, top: int) -> int:
        if not texts(search):
            where, values = condition(search)
            row = self._database.read_one(
                f"SELECT count(*) FROM {SOURCE} WHERE c.id >= :floor{where}", {**values, "floor": top * BLOCK}
            )
            return 0 if row is None else int(row[0])
        return sum(len(some) for some in self._rows(search, top * BLOCK, 0, _AT_ONCE))

    def _verified(self, search: Search, ids: Sequence[int]) -> list[int]:
        where, values = condition(search)
        listed, more = _listed(ids)
        rows = self._database.read(
            f"SELECT c.id, {NAMES} FROM {SOURCE} WHERE c.id IN ({listed}){where} ORDER BY c.id DESC", {**values, **more}
        )
        needles = texts(search)
        return [row[0] for row in rows if names_match(needles, row[1:])]


def _slices(block: int, rows: int, at_once: int = _AT_ONCE) -> Iterator[list[int]]:
    """The ids of a set of rows, newest first, some at a time."""
    ids = [block * BLOCK + place for place in reversed(members(rows))]
    for at in range(0, len(ids), at_once):
        yield ids[at : at + at_once]


def _listed(ids: Sequence[int]) -> tuple[str, dict[str, Any]]:
    values: dict[str, Any] = {f"i{at}": row for at, row in enumerate(ids)}
    return ", ".join(f":{name}" for name in values), values
