# SPDX-License-Identifier: Apache-2.0
"""What the index knows of a search: for each block the rows that match for sure, and those that may match.

The second set always holds the first, and every row that matches. What lies between is decided by its row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from privyseal.model.search.query import Among, Clause, Field, Holds, Search, Status, Within
from privyseal.store.engine import Database, Row
from privyseal.store.search_sql import stored
from privyseal.store.search_terms import (
    ALL,
    BLOCK,
    DAY,
    GRAM,
    HOLD,
    REVOKED,
    WHERE,
    day,
    gather,
    grams,
    unpack,
    value_key,
)

_MOST_GRAMS: Final = 4
_FARTHEST: Final = DAY * 9_999_999
_PREFIXES: Final = {
    Field.PROFILE: "p", Field.REVISION: "v", Field.KIND: "k", Field.PROTOCOL: "o", Field.REASON: "x",
    Field.ISSUED: "d", Field.ENDS: "e", Field.REVOKED: "r",
}  # fmt: skip
_IDS: Final = {
    Field.SERIAL: "SELECT id FROM certificates WHERE issuer_id IN (SELECT id FROM authorities) AND serial = ?",
    Field.ENTITY: "SELECT c.id FROM entities e JOIN certificates c ON c.entity_id = e.id "
    "WHERE e.kind IN ('device', 'user') AND e.name = ?",
    Field.DEVICE: "SELECT c.id FROM entities e JOIN certificates c ON c.entity_id = e.id "
    "WHERE e.kind = 'device' AND e.name = ?",
    Field.USER: "SELECT c.id FROM entities e JOIN certificates c ON c.entity_id = e.id "
    "WHERE e.kind = 'user' AND e.name = ?",
}


_VALUES: Final = {Field.SID: "s", Field.REQUESTER: "q"}


class Known(NamedTuple):
    """Rows of one block: those that match for sure, and those that may."""

    sure: int
    maybe: int


def _both(one: Known, other: Known) -> Known:
    return Known(one.sure & other.sure, one.maybe & other.maybe)


def _either(one: Known, other: Known) -> Known:
    return Known(one.sure | other.sure, one.maybe | other.maybe)


class SearchPlan:
    """One search over the index. Cheap clauses are asked first; a block where nothing is left is left at once."""

    def __init__(self, database: Database, search: Search) -> None:
        self._database = database
        self._now = search.now
        self._only = -1
        """The blocks in question, one bit for each; all of them, as long as no clause knows better."""
        self._rarest: dict[str, tuple[str, ...]] = {}
        asked = [(self._probe(clause), clause.negated) for clause in sorted(search.clauses, key=_cost)]
        self._asked: list[tuple[Callable[[int], Known], bool]] = asked

    def blocks(self, top: int) -> list[int]:
        """Blocks below ``top`` in which something may match, the newest first."""
        return [block for block in range(top - 1, -1, -1) if self._only >> block & 1]

    def known(self, block: int) -> Known:
        """What the index knows of one block."""
        found: Known | None = None
        for probe, negated in self._asked:
            if negated:
                told, found = probe(block), found or self._everything(block)
                found = Known(found.sure & ~told.maybe, found.maybe & ~told.sure)
            else:
                found = probe(block) if found is None else _both(found, probe(block))
            if not found.maybe:
                break
        return self._everything(block) if found is None else found

    def _everything(self, block: int) -> Known:
        rows = self._term(block, ALL)
        return Known(rows, rows)

    def issued_by(self, block: int, issuer_id: int) -> int:
        """The rows of a block that one CA version signed."""
        return self._term(block, f"i{issuer_id}")

    def status(self, block: int, status: Status) -> Known:
        """The rows of a block with this status."""
        if status is Status.RESERVED:
            return Known(0, 0)
        if status in (Status.REVOKED, Status.HELD):
            rows = self._term(block, REVOKED if status is Status.REVOKED else f"x{HOLD}")
            return Known(rows, rows)
        found = self._terms(block, (ALL, REVOKED))
        live = found.get(ALL, 0) & ~found.get(REVOKED, 0)
        ended = self._days(block, "e", None, self._now + 1)
        if status is Status.EXPIRED:
            return Known(live & ended.sure, live & ended.maybe)
        lasting = Known(live & ~ended.maybe, live & ~ended.sure)
        if status is Status.ACTIVE:
            return lasting
        late = self._days(block, "l", None, self._now + 1)
        if status is Status.EXPIRING:
            return _both(lasting, late)
        return _both(lasting, Known(live & ~late.maybe, live & ~late.sure))

    # --- clauses -------------------------------------------------------------------------------------

    def _probe(self, clause: Clause) -> Callable[[int], Known]:
        if isinstance(clause, Holds):
            return partial(self._text, clause)
        if isinstance(clause, Within):
            prefix = _PREFIXES[clause.field]
            if not clause.negated:
                self._only &= self._where_days(prefix, clause.since, clause.until)
            return partial(self._days, prefix=prefix, since=clause.since, until=clause.until)
        if clause.field is Field.STATUS:
            statuses = tuple(map(Status, clause.values))
            if not clause.negated:
                self._only &= self._where_statuses(statuses)
            return partial(self._statuses, statuses)
        if clause.field in _IDS:
            return self._rows(clause, _IDS[clause.field], [stored(clause.field, value) for value in clause.values])
        if clause.field in _VALUES:
            keys: list[Any] = [value_key(_VALUES[clause.field], value) for value in clause.values]
            return self._rows(clause, "SELECT certificate_id FROM search_values WHERE value = ?", keys)
        if clause.field in (Field.ISSUER, Field.VERSION):
            terms = self._issuers(clause)
        else:
            terms = [f"{_PREFIXES[clause.field]}{stored(clause.field, value)!s}" for value in clause.values]
        if not clause.negated:
            self._only &= self._where(terms)
        return partial(self._union, terms)

    def _rows(self, clause: Among, sql: str, values: list[Any]) -> Callable[[int], Known]:
        sets: dict[int, list[int]] = {}
        for value in values:
            for (certificate_id,) in self._database.read(sql, (value,)):
                sets.setdefault(certificate_id // BLOCK, []).append(certificate_id % BLOCK)
        found = {block: gather(places) for block, places in sets.items()}
        if not clause.negated:
            self._only &= sum(1 << block for block in found)
        exact = clause.field in _IDS
        return lambda block: Known(found.get(block, 0) if exact else 0, found.get(block, 0))

    def _issuers(self, clause: Among) -> list[str]:
        rows = self._database.read("SELECT id, name, version FROM authorities")
        at = 1 if clause.field is Field.ISSUER else 2
        return [f"i{row[0]}" for row in rows if str(row[at]) in clause.values]

    def _statuses(self, wanted: tuple[Status, ...], block: int) -> Known:
        found = Known(0, 0)
        for status in wanted:
            found = _either(found, self.status(block, status))
        return found

    def _union(self, terms: list[str], block: int) -> Known:
        rows = 0
        for bits in self._terms(block, terms).values():
            rows |= bits
        return Known(rows, rows)

    def _days(self, block: int, prefix: str, since: int | None, until: int | None) -> Known:
        start, end = since or 0, _FARTHEST if until is None else until
        sure = maybe = 0
        for term, packed in self._stored_days(block, prefix, since, until):
            first, bits = int(term[1:]) * DAY, unpack(packed)
            maybe |= bits
            if start <= first and first + DAY <= end:
                sure |= bits
        return Known(sure, maybe)

    def _text(self, clause: Holds, block: int) -> Known:
        found = Known(0, 0)
        for needle in clause.needles:
            rows = self._needle(needle, block)
            whole = len(needle) == 3 and clause.field is Field.TEXT
            found = _either(found, Known(rows if whole else 0, rows))
        return found

    def _needle(self, needle: str, block: int) -> int:
        """Rows with every gram of the needle, or with the few that were the rarest in the first block."""
        chosen = self._rarest.get(needle)
        wanted = chosen or tuple(f"{GRAM}{gram}" for gram in grams(needle))
        found = self._terms(block, wanted)
        if chosen is None:
            sizes = {term: found[term].bit_count() if term in found else 0 for term in wanted}
            self._rarest[needle] = tuple(sorted(wanted, key=lambda term: sizes[term])[:_MOST_GRAMS])
        if len(found) < len(wanted):
            return 0
        rows = -1
        for bits in found.values():
            rows &= bits
        return rows

    # --- where to look -------------------------------------------------------------------------------

    def _where(self, terms: list[str]) -> int:
        """Blocks that have one of these terms."""
        return _joined(self._stored(WHERE, terms).values())

    def _where_days(self, prefix: str, since: int | None, until: int | None) -> int:
        return _joined(bits for _, bits in self._stored_days(WHERE, prefix, since, until))

    def _where_statuses(self, statuses: tuple[Status, ...]) -> int:
        """Blocks in which a row may have one of these; that it is over, or not yet late, is not asked everywhere."""
        now, found = self._now, 0
        for status in statuses:
            if status in (Status.REVOKED, Status.HELD):
                found |= self._where([REVOKED if status is Status.REVOKED else f"x{HOLD}"])
            elif status is Status.EXPIRED:
                found |= self._where_days("e", None, now + 1)
            elif status is Status.EXPIRING:
                found |= self._where_days("l", None, now + 1) & self._where_days("e", now, None)
            elif status in (Status.ACTIVE, Status.VALID):
                found |= self._where_days("e" if status is Status.ACTIVE else "l", now, None)
        return found

    # --- terms ---------------------------------------------------------------------------------------

    def _term(self, block: int, term: str) -> int:
        return self._terms(block, (term,)).get(term, 0)

    def _terms(self, block: int, terms: list[str] | tuple[str, ...]) -> Mapping[str, int]:
        return {term: unpack(bits) for term, bits in self._stored(block, terms).items()}

    def _stored_days(self, block: int, prefix: str, since: int | None, until: int | None) -> list[Row]:
        last = _FARTHEST if until is None else until
        return self._database.read(
            "SELECT term, bits FROM search_terms WHERE block = ? AND term >= ? AND term <= ?",
            (block, day(prefix, since or 0), day(prefix, last - 1)),
        )

    def _stored(self, block: int, terms: list[str] | tuple[str, ...]) -> Mapping[str, bytes]:
        if not terms:
            return {}
        values: dict[str, Any] = {f"t{at}": term for at, term in enumerate(terms)}
        listed = ", ".join(f":{name}" for name in values)
        rows = self._database.read(
            f"SELECT term, bits FROM search_terms WHERE block = :block AND term IN ({listed})",
            {"block": block, **values},
        )
        return dict(rows)


def _joined(stored_sets: Iterable[bytes]) -> int:
    found = 0
    for bits in stored_sets:
        found |= int.from_bytes(bits, "little")
    return found


def _cost(clause: Clause) -> int:
    if isinstance(clause, Among):
        return 0 if clause.field in _IDS or clause.field in _VALUES else 2 if clause.field is Field.STATUS else 1
    return 3 if isinstance(clause, Within) else 4
