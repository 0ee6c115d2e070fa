# SPDX-License-Identifier: Apache-2.0
"""Moving a store to the other engine, whole or not at all. At no moment may two stores be used.

The copy is marked as arriving until the original is marked as moved; a move that was broken off begins anew, or
ends what is left of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from privyseal.audit.chain import verify_chain
from privyseal.errors import StoreCopyDiffers, StoreInUse, StoreMoved, StoreNotEmpty, StoreUnavailable
from privyseal.model.audit import AuditEvent
from privyseal.store.audit import read_trail
from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import ARRIVING, MOVED, Connection, Database, check_usable
from privyseal.store.rows import empty_table, highest_crl_numbers, insert_row, pages
from privyseal.store.schema import metadata
from privyseal.store.unit import Transaction

Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What was proven of the copy."""

    rows: int
    audit_rows: int
    certificates: int
    highest_crl_numbers: tuple[tuple[str, int], ...]
    """CA and number."""


def copy_store(source: Database, destination: Database, *, progress: Progress) -> Moved | None:
    """Copy and prove everything, and mark the source. None when an earlier move came that far already.

    Raises StoreMoved, StoreNotEmpty, StoreInUse, StoreCopyDiffers, StoreUnavailable.
    """
    arriving = _mark(destination, ARRIVING)
    moved_to = _mark(source, MOVED)
    if moved_to == destination.label:
        return None
    if moved_to is not None:
        raise StoreMoved(f"the store {source.label} was moved to {moved_to} already")
    check_usable(source.writer, source.label)
    if arriving is None:
        raise StoreNotEmpty(
            f"{destination.label} holds a store already",
            mend=("name an empty database: createdb NAME", "a file of an earlier move: put it away, it is not used"),
        )
    try:
        return _copy(source, destination, progress)
    except (*source.faults, *destination.faults) as error:
        explained = next(one for one in (source, destination) if isinstance(error, one.faults)).explained(error)
        raise StoreUnavailable(f"the move was broken off, nothing was changed: {explained.what}") from error


async def end_move(destination: Database, committer: GroupCommitter, *, origin: str, actor: str) -> None:
    """Let the copy be used. The source must be marked by now."""

    def work(transaction: Transaction) -> None:
        if transaction.execute("DELETE FROM meta WHERE key = ?", (ARRIVING,)).rowcount:
            detail = {"from": origin}
            transaction.audit(
                AuditEvent(event="store.moved", actor=actor, target=f"store:{destination.label}", detail=detail)
            )

    await committer.run(work)


def _mark(database: Database, key: str) -> str | None:
    row = database.read_one("SELECT value FROM meta WHERE key = ?", (key,))
    return None if row is None else str(row[0])


def _copy(source: Database, destination: Database, progress: Progress) -> Moved:
    reading, writing = source.writer, destination.writer
    source.hold()
    try:
        if source.others():
            raise StoreInUse(f"{source.others()} other connection(s) to {source.label}")
        destination.hold()
        moved = _copied(reading, writing, destination, progress)
        writing.execute("COMMIT")
        reading.execute("INSERT INTO meta (key, value) VALUES (?, ?)", (MOVED, destination.label))
        source.forbid_writing()
        reading.execute("COMMIT")
    finally:
        for connection in (writing, reading):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    return moved


def _copied(reading: Connection, writing: Connection, destination: Database, progress: Progress) -> Moved:
    total, sums = 0, dict[str, bytes]()
    for table in metadata.sorted_tables:
        writing.execute(empty_table(table))
        digest, count = sha256(), 0
        for page in pages(reading, table):
            writing.executemany(insert_row(table), page)
            for row in page:
                digest.update(repr(row).encode())
            count += len(page)
            progress(table.name, count)
        sums[table.name], total = digest.digest(), total + count
    destination.number_on()
    for table in metadata.sorted_tables:
        digest = sha256()
        for page in pages(writing, table):
            for row in page:
                digest.update(repr(row).encode())
        if digest.digest() != sums[table.name]:
            raise StoreCopyDiffers(f"table {table.name} of {destination.label} is not what was written")
    head = writing.execute("SELECT seq, digest FROM audit_head WHERE id = 1").fetchone()
    audit_rows = verify_chain(read_trail(writing), head_seq=head[0], head_digest=head[1])
    numbers = highest_crl_numbers(reading)
    if numbers != highest_crl_numbers(writing):
        raise StoreCopyDiffers(f"the highest CRL numbers of {destination.label} are not those of the original")
    certificates = writing.execute("SELECT count(*) FROM certificates").fetchone()[0]
    return Moved(rows=total, audit_rows=audit_rows, certificates=certificates, highest_crl_numbers=numbers)
