# SPDX-License-Identifier: Apache-2.0
"""Builds the search index, block by block, long after issuance and never inside it.

A block is indexed once all of its rows exist and none is reserved; from then on only its terms of revocation change,
in the transaction that revokes. Rows above the last indexed block are searched one by one (``store/inventory.py``).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from typing import Final

from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import Database, Row
from privyseal.store.search_terms import (
    ALL,
    BLOCK,
    GRAM,
    REVOKED,
    WHERE,
    day,
    grams,
    late_from,
    pack,
    pack_places,
    unpack,
    value_key,
)
from privyseal.store.unit import Transaction

_ROWS_AT_ONCE: Final = 256
_TERMS_AT_ONCE: Final = 512
_MARK: Final = "SELECT CAST(value AS BIGINT) FROM meta WHERE key = 'search_blocks'"
_ROWS: Final = (
    "SELECT c.id, c.kind, c.issuer_id, c.profile, c.profile_revision, c.protocol, c.requester, c.sid, c.reserved_at, "
    "c.not_before, c.not_after, c.subject, c.san, coalesce(e.name, '') FROM certificates c "
    "LEFT JOIN entities e ON e.id = c.entity_id WHERE c.id >= ? AND c.id < ? ORDER BY c.id"
)
_PUT: Final = (
    "INSERT INTO search_terms (block, term, bits) VALUES (?,?,?) "
    "ON CONFLICT (block, term) DO UPDATE SET bits = excluded.bits"
)


class SearchIndex:
    """Keeps up with the inventory when the worker asks it to."""

    def __init__(self, database: Database, committer: GroupCommitter) -> None:
        self._database = database
        self._committer = committer

    async def extend(self, *, most: int) -> int:
        """Index at most so many blocks of those that are complete; returns how many."""
        done = 0
        while done < most and await self._extend_by_one():
            done += 1
        return done

    async def _extend_by_one(self) -> bool:
        block = indexed_blocks(self._database)
        first, end = block * BLOCK, (block + 1) * BLOCK
        # Ids are given in the order of commits: when one above the block is there, the block is complete.
        if self._database.read_one("SELECT 1 FROM certificates WHERE id >= ?", (end,)) is None:
            return False
        if self._database.read_one(_RESERVED, (first, end)) is not None:
            return False
        terms: defaultdict[str, list[int]] = defaultdict(list)
        values: list[tuple[int, int]] = []
        for start in range(first, end, _ROWS_AT_ONCE):
            for row in self._database.read(_ROWS, (start, min(start + _ROWS_AT_ONCE, end))):
                for term in _terms(row):
                    terms[term].append(row[0] - first)
                values += _values(row)
            await asyncio.sleep(0)  # issuance goes first
        ordered = sorted(terms)
        for at in range(0, len(ordered), _TERMS_AT_ONCE):
            some = [(block, term, pack_places(terms[term])) for term in ordered[at : at + _TERMS_AT_ONCE]]
            await self._committer.run(partial(_put_all, rows=some))
        values.sort()  # neighbours of the table's order share a page
        for at in range(0, len(values), _TERMS_AT_ONCE):
            await self._committer.run(partial(_put_values, rows=values[at : at + _TERMS_AT_ONCE]))
        facets = [term for term in ordered if not term.startswith(GRAM)]
        return await self._committer.run(partial(_finish, block=block, facets=facets))


_RESERVED: Final = "SELECT 1 FROM certificates WHERE status = 'reserved' AND id >= ? AND id < ?"


def indexed_blocks(database: Database) -> int:
    """How many blocks are indexed: rows with ids below that many times ``BLOCK``."""
    row = database.read_one(_MARK)
    return 0 if row is None else int(row[0])


def index_revocation(transaction: Transaction, certificate_id: int, *, at: int, reason: int) -> None:
    """Note in the index that a certificate is revoked. In the transaction that revokes it."""
    _turn(transaction, certificate_id, at, reason, on=True)


def unindex_revocation(transaction: Transaction, certificate_id: int) -> None:
    """Forget in the index what the store still says of a revocation. Before the store says something else."""
    row = transaction.one("SELECT at, reason FROM revocations WHERE certificate_id = ?", (certificate_id,))
    if row is not None:
        _turn(transaction, certificate_id, row[0], row[1], on=False)


def _turn(transaction: Transaction, certificate_id: int, at: int, reason: int, *, on: bool) -> None:
    block, place = divmod(certificate_id, BLOCK)
    mark = transaction.one(_MARK)
    if mark is None or block >= mark[0]:
        return
    for term in _revocation_terms(at, reason):
        row = transaction.one("SELECT bits FROM search_terms WHERE block = ? AND term = ?", (block, term))
        bits = 0 if row is None else unpack(row[0])
        bits = bits | 1 << place if on else bits & ~(1 << place)
        transaction.execute(_PUT, (block, term, pack(bits)))
        if on:
            _note(transaction, term, block)


def _note(transaction: Transaction, term: str, block: int) -> None:
    """Note that some row of the block has the term. It may stay noted when none has it any more."""
    row = transaction.one("SELECT bits FROM search_terms WHERE block = ? AND term = ?", (WHERE, term))
    before = 0 if row is None else int.from_bytes(row[0], "little")
    after = before | 1 << block
    if after != before:
        transaction.execute(_PUT, (WHERE, term, after.to_bytes((after.bit_length() + 7) // 8, "little")))


def _revocation_terms(at: int, reason: int) -> tuple[str, ...]:
    return REVOKED, f"x{reason}", day("r", at)


def _terms(row: Row) -> Iterator[str]:
    (_, kind, issuer, profile, revision, protocol, _, _, issued, not_before, not_after, *texts) = row
    yield from (ALL, f"k{kind}", f"i{issuer}", f"p{profile}", f"v{revision}", f"o{protocol}")
    yield from (day("d", issued), day("e", not_after), day("l", late_from(not_before, not_after)))
    for gram in grams("\n".join(texts)):  # what reaches over the separator is in no search
        yield f"{GRAM}{gram}"


def _values(row: Row) -> Iterator[tuple[int, int]]:
    yield value_key("q", row[6]), row[0]
    if row[7]:
        yield value_key("s", row[7]), row[0]


def _put_values(transaction: Transaction, *, rows: list[tuple[int, int]]) -> None:
    for row in rows:
        transaction.execute(
            "INSERT INTO search_values (value, certificate_id) VALUES (?,?) ON CONFLICT DO NOTHING", row
        )


def _put_all(transaction: Transaction, *, rows: list[tuple[int, str, bytes]]) -> None:
    for row in rows:
        transaction.execute(_PUT, row)


def _finish(transaction: Transaction, *, block: int, facets: list[str]) -> bool:
    """Add what may have changed since the rows were read, and count the block as indexed, in one transaction."""
    first, end = block * BLOCK, (block + 1) * BLOCK
    mark = transaction.one(_MARK)
    if (0 if mark is None else mark[0]) != block or transaction.one(_RESERVED, (first, end)):
        return False
    terms: defaultdict[str, list[int]] = defaultdict(list)
    rows = transaction.execute(
        "SELECT certificate_id, at, reason FROM revocations WHERE certificate_id >= ? AND certificate_id < ?",
        (first, end),
    ).fetchall()
    for certificate_id, at, reason in rows:
        for term in _revocation_terms(at, reason):
            terms[term].append(certificate_id - first)
    _put_all(transaction, rows=[(block, term, pack_places(places)) for term, places in terms.items()])
    for term in (*facets, *terms):
        _note(transaction, term, block)
    transaction.execute(
        "INSERT INTO meta (key, value) VALUES ('search_blocks', ?) "
        "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (str(block + 1),),
    )
    return True
