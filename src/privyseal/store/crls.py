# SPDX-License-Identifier: Apache-2.0
"""CRL numbers and CRLs (``ca.ports.CrlLedger``). Numbers stay for ever; octets as long as the CRL is in force.

A large CRL is written and removed a part at a time, so that no issuance waits long for its turn to write.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Final

from privyseal.ca.ports import Apart
from privyseal.errors import NotFound, StoreUnavailable
from privyseal.model.audit import AuditEvent
from privyseal.model.crl import CrlFacts, CrlScope
from privyseal.store.certificates import serial_blob
from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import Connection, Database, Row
from privyseal.store.moments import from_seconds, to_seconds
from privyseal.store.unit import Transaction

_PART: Final = 1 << 19
_PARTS_AT_ONCE: Final = 2
# Joined by the database, so many at a time: row by row this thread would wait for the interpreter a million times.
_ENTRIES_AT_ONCE: Final = 10_000
_FACTS: Final = "number, shard, base_number, this_update, next_update, octets, digest"
# Word for word the condition of the index crls_live, or it would not be used.
_LIVE: Final = "state IN ('reserved', 'published')"
_PAGE: Final = (
    "SELECT CAST(group_concat(entry, '') AS BLOB), max(certificate_id) FROM (SELECT certificate_id, entry "
    "FROM revocations WHERE issuer_id = ? AND shard = ? AND certificate_id > ? ORDER BY certificate_id LIMIT ?) AS page"
)
_CHANGED: Final = (
    "SELECT entry FROM revocations WHERE issuer_id = ? AND shard = ? AND after_number >= ? "
    "UNION ALL SELECT entry FROM released_holds WHERE issuer_id = ? AND shard = ? AND after_number >= ?"
)


class CrlBook:
    """Implements ``CrlLedger``, and tells what is in force."""

    def __init__(self, database: Database, committer: GroupCommitter, apart: Apart) -> None:
        self._database = database
        self._committer = committer
        self._apart = apart

    async def reserve_crl(
        self, issuer_id: int, scope: CrlScope, *, this_update: datetime, next_update: datetime
    ) -> tuple[int, int | None]:
        """See ``CrlLedger.reserve_crl``."""

        def work(transaction: Transaction) -> tuple[int, int | None]:
            base = _oldest_base(transaction, issuer_id, scope.shard) if scope.delta else None
            if scope.delta and base is None:
                raise NotFound(f"issuer {issuer_id} has no base CRL in force that a delta could be based on")
            number = newest_number(transaction, issuer_id) + 1
            transaction.execute(
                "INSERT INTO crls (issuer_id, number, shard, base_number, this_update, next_update, state, octets) "
                "VALUES (?,?,?,?,?,?,'reserved',0)",
                (issuer_id, number, scope.shard, base, to_seconds(this_update), to_seconds(next_update)),
            )
            return number, base

        return await self._committer.run(work)

    async def entries(self, issuer_id: int, shard: int, *, since: int | None) -> bytes:
        """See ``CrlLedger.entries``."""
        return await self._apart(partial(_entries, self._database, issuer_id, shard, since))

    async def record_crl(self, issuer_id: int, number: int, crl: bytes) -> CrlFacts:
        """See ``CrlLedger.record_crl``; the octets of the older ones of its scope are let go, their numbers stay."""
        digest = await self._apart(lambda: sha256(crl).digest()) if len(crl) > _PART else sha256(crl).digest()
        starts = list(range(0, len(crl), _PART))
        for part, start in enumerate(starts[:-1]):
            await self._committer.run(partial(_write_part, issuer_id, number, part, crl[start : start + _PART]))
            if part % _PARTS_AT_ONCE == 0:
                await self._apart(self._database.relieve)
        last = crl[starts[-1] :]

        def work(transaction: Transaction) -> tuple[CrlFacts, bool]:
            _write_part(issuer_id, number, len(starts) - 1, last, transaction)
            return _publish(transaction, issuer_id, number, octets=len(crl), digest=digest)

        facts, left_over = await self._committer.run(work)
        if left_over:
            await self._sweep(issuer_id)
        return facts

    async def _sweep(self, issuer_id: int) -> None:
        """Remove the octets of CRLs that are not in force any more, also those that a crash left."""
        dead = self._database.read(
            "SELECT p.number, max(p.part) FROM crl_parts p JOIN crls c ON c.issuer_id = p.issuer_id "
            "AND c.number = p.number WHERE p.issuer_id = ? AND c.state IN ('superseded', 'abandoned') "
            "GROUP BY p.number",
            (issuer_id,),
        )
        for number, last in dead:
            for first in range(0, last + 1, _PARTS_AT_ONCE):
                await self._committer.run(partial(_remove_parts, issuer_id, number, first))
                await self._apart(self._database.relieve)

    def in_force(self, issuer_id: int, scope: CrlScope) -> CrlFacts | None:
        """The CRL of this scope that relying parties get, or None before the first."""
        row = self._database.read_one(
            f"SELECT {_FACTS} FROM crls WHERE issuer_id = ? AND shard = ? AND base_number {_kind(scope.delta)} "
            f"AND {_LIVE} AND state = 'published' ORDER BY number DESC LIMIT 1",
            (issuer_id, scope.shard),
        )
        return None if row is None else _facts(row)

    def newest(self, issuer_id: int) -> CrlFacts | None:
        """The newest base CRL in force of a CA, whatever its shard."""
        row = self._database.read_one(
            f"SELECT {_FACTS} FROM crls WHERE issuer_id = ? AND base_number IS NULL AND {_LIVE} "
            "AND state = 'published' ORDER BY number DESC LIMIT 1",
            (issuer_id,),
        )
        return None if row is None else _facts(row)

    def highest_number(self, issuer_id: int) -> int:
        """The highest number that was ever reserved; 0 before the first."""
        row = self._database.read_one("SELECT coalesce(max(number), 0) FROM crls WHERE issuer_id = ?", (issuer_id,))
        return 0 if row is None else int(row[0])

    def still_good(self, issuer_id: int, shard: int, *, now: datetime) -> tuple[CrlFacts, ...]:
        """Every CRL, base and delta, that was published and has not ended: somebody may hold it. Newest first."""
        rows = self._database.read(
            f"SELECT {_FACTS} FROM crls WHERE issuer_id = ? AND shard = ? AND next_update > ? "
            "AND state IN ('published', 'superseded') ORDER BY number DESC",
            (issuer_id, shard, to_seconds(now)),
        )
        return tuple(_facts(row) for row in rows)

    def last_change(self, issuer_id: int, shard: int) -> int:
        """The newest CRL number that was reserved when something was last revoked or released; -1 before that."""
        row = self._database.read_one(
            "SELECT coalesce(max(newest), -1) FROM ("
            "SELECT max(after_number) AS newest FROM revocations WHERE issuer_id = ? AND shard = ? UNION ALL "
            "SELECT max(after_number) AS newest FROM released_holds WHERE issuer_id = ? AND shard = ?) AS changes",
            (issuer_id, shard, issuer_id, shard),
        )
        return -1 if row is None else int(row[0])

    def knows(self, issuer_id: int, serial: int) -> bool:
        """Whether this CA ever reserved the serial."""
        wanted = "SELECT 1 FROM certificates WHERE issuer_id = ? AND serial = ?"
        return serial >= 0 and self._database.read_one(wanted, (issuer_id, serial_blob(serial))) is not None

    def encoded(self, issuer_id: int, number: int) -> bytes:
        """The DER of a CRL in force. Raises NotFound when a newer one took its place."""
        return _joined(self._database, self._database.reader, issuer_id, number)

    async def encoded_apart(self, issuer_id: int, number: int) -> bytes:
        """The same, read off the event loop."""
        return await self._apart(lambda: _joined(self._database, self._database.background, issuer_id, number))


def _kind(delta: bool) -> str:
    return "IS NOT NULL" if delta else "IS NULL"


def newest_number(transaction: Transaction, issuer_id: int) -> int:
    """The highest CRL number that was ever reserved."""
    row = transaction.one("SELECT coalesce(max(number), 0) FROM crls WHERE issuer_id = ?", (issuer_id,))
    return int(row[0]) if row else 0


def _oldest_base(transaction: Transaction, issuer_id: int, shard: int) -> int | None:
    row = transaction.one(
        "SELECT min(number) FROM crls WHERE issuer_id = ? AND shard = ? AND base_number IS NULL AND next_update > ? "
        "AND state IN ('published', 'superseded')",
        (issuer_id, shard, to_seconds(transaction.now)),
    )
    return None if row is None else row[0]


def _entries(database: Database, issuer_id: int, shard: int, since: int | None) -> bytes:
    connection = database.background
    chunks: list[bytes] = []
    connection.execute("BEGIN")  # one moment for all pages: nothing is listed twice
    try:
        if since is not None:
            rows = connection.execute(_CHANGED, (issuer_id, shard, since) * 2)
            while some := rows.fetchmany(_ENTRIES_AT_ONCE):
                chunks.append(b"".join([entry for (entry,) in some]))
            return b"".join(chunks)
        last = -1
        while True:
            page = connection.execute(_PAGE, (issuer_id, shard, last, _ENTRIES_AT_ONCE)).fetchone()
            if page[1] is None:
                return b"".join(chunks)
            chunks.append(page[0])
            last = page[1]
    except database.faults as error:
        raise database.explained(error) from error
    finally:
        connection.execute("COMMIT")


def _joined(database: Database, connection: Connection, issuer_id: int, number: int) -> bytes:
    try:
        rows = connection.execute(
            "SELECT body FROM crl_parts WHERE issuer_id = ? AND number = ? ORDER BY part", (issuer_id, number)
        ).fetchall()
        state = connection.execute(
            "SELECT state, octets FROM crls WHERE issuer_id = ? AND number = ?", (issuer_id, number)
        ).fetchone()
    except database.faults as error:
        raise database.explained(error) from error
    body = b"".join([part for (part,) in rows])
    if state is None or state[0] != "published" or len(body) != state[1]:
        raise NotFound(f"CRL {number} of issuer {issuer_id} is not in force")
    return body


def _write_part(issuer_id: int, number: int, part: int, body: bytes, transaction: Transaction) -> None:
    transaction.execute("INSERT INTO crl_parts VALUES (?,?,?,?)", (issuer_id, number, part, body))


def _remove_parts(issuer_id: int, number: int, first: int, transaction: Transaction) -> None:
    transaction.execute(
        "DELETE FROM crl_parts WHERE issuer_id = ? AND number = ? AND part >= ? AND part < ?",
        (issuer_id, number, first, first + _PARTS_AT_ONCE),
    )


def _publish(
    transaction: Transaction, issuer_id: int, number: int, *, octets: int, digest: bytes
) -> tuple[CrlFacts, bool]:
    """The CRL takes the place of the older ones of its scope. Also: whether octets of those are left to be removed."""
    row = transaction.one(
        f"UPDATE crls SET state = CASE state WHEN 'reserved' THEN 'published' ELSE state END, octets = ?, digest = ? "
        f"WHERE issuer_id = ? AND number = ? RETURNING {_FACTS}, state",
        (octets, digest, issuer_id, number),
    )
    if row is None:
        raise StoreUnavailable(f"CRL {number} of issuer {issuer_id} was never reserved")
    if row[7] != "published":
        return _facts(row), True  # another process was faster with a newer one: that one counts
    facts = _facts(row)
    older = transaction.execute(
        "UPDATE crls SET state = CASE state WHEN 'reserved' THEN 'abandoned' ELSE 'superseded' END "
        f"WHERE issuer_id = ? AND shard = ? AND {_LIVE} AND number < ? AND base_number {_kind(facts.scope.delta)} "
        "RETURNING number, octets, this_update",
        (issuer_id, facts.shard, number),
    ).fetchall()
    for old, size, _ in older:
        if 0 < size <= _PART:
            transaction.execute("DELETE FROM crl_parts WHERE issuer_id = ? AND number = ?", (issuer_id, old))
    if not facts.scope.delta:
        transaction.execute(
            "DELETE FROM released_holds WHERE issuer_id = ? AND shard = ? AND after_number < ?",
            (issuer_id, facts.shard, _oldest_base(transaction, issuer_id, facts.shard) or 0),
        )
    detail: dict[str, object] = {"number": number, "octets": octets}
    detail |= {"shard": facts.shard} if facts.shard else {}
    detail |= {"base": facts.base_number} if facts.base_number is not None else {}
    before = max((from_seconds(this_update) for _, _, this_update in older), default=facts.this_update)
    if before > facts.this_update:
        # A clock was set back. Numbers rise all the same; whoever compares dates finds the reason here.
        detail |= {"this_update": facts.this_update.isoformat(), "earlier_than": before.isoformat()}
    transaction.audit(
        AuditEvent(event="crl.published", actor="service:crl", target=f"issuer:{issuer_id}", detail=detail)
    )
    return facts, any(size > _PART or size == 0 for _, size, _ in older)


def _facts(row: Row) -> CrlFacts:
    return CrlFacts(
        number=row[0],
        shard=row[1],
        base_number=row[2],
        this_update=from_seconds(row[3]),
        next_update=from_seconds(row[4]),
        octets=row[5],
        digest=row[6],
    )
