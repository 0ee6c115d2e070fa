# SPDX-License-Identifier: Apache-2.0
"""Revocations of many certificates: the frozen selection, and carrying it out in batches that may be interrupted.

Each batch is one commit or none; who is interrupted goes on after the last one that was stored.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from privyseal.ca.ports import Clock
from privyseal.errors import AlreadyRevoked, NotFound
from privyseal.model.audit import AuditEvent
from privyseal.model.bulk import BulkRevocation
from privyseal.model.certificate import CertificateRecord, CertificateStatus
from privyseal.model.revocation import CrlReason, Revocation
from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import Database, Row
from privyseal.store.inventory import Inventory
from privyseal.store.moments import from_seconds, to_seconds
from privyseal.store.search_terms import BLOCK, members, pack_places, unpack
from privyseal.store.status import StatusBook
from privyseal.store.unit import Transaction

_AT_ONCE: Final = 100
_LEFT_ALONE: Final = timedelta(minutes=2)
_COLUMNS: Final = (
    "id, digest, search, selected, reason, invalid_since, block, actor, position, "
    "revoked, skipped, finished, touched_at"
)


class BulkBook:
    """Implements ``administration.revocation.Revocations``. ``changed`` is called when CRLs are wanted."""

    def __init__(
        self,
        database: Database,
        committer: GroupCommitter,
        *,
        inventory: Inventory,
        status: StatusBook,
        changed: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._database = database
        self._committer = committer
        self._inventory = inventory
        self._status = status
        self._changed = changed
        self._clock = clock

    async def revoke(
        self, records: Sequence[CertificateRecord], *, revocation: Revocation, block: bool, actor: str
    ) -> None:
        """Revoke each; with ``block`` its entity is kept out at once. Raises AlreadyRevoked and its kin."""
        for record in records:
            issuer = self._issuer(record)
            await self._status.revoke(issuer, record.serial, revocation=revocation, actor=actor, block=block)
        self._changed()

    async def release(self, record: CertificateRecord, *, actor: str) -> None:
        """End a hold, and let the entity in again unless another revocation keeps it out. Raises NotOnHold, WeakKey."""
        await self._status.release(self._issuer(record), record.serial, actor=actor)
        self._changed()

    async def begin(self, ids: Sequence[int], plan: BulkRevocation, *, later: bool = False) -> BulkRevocation:
        """Store the selection and the intent; ``later``: ``carry_on`` does the rest at its next turn.

        The same selection again, while it is under way, goes on instead.
        """

        def work(transaction: Transaction) -> int:
            row = transaction.one(
                "SELECT id FROM bulk_revocations WHERE digest = ? AND reason = ? AND finished = 0",
                (plan.digest, int(plan.reason)),
            )
            return int(row[0]) if row else _begin(transaction, ids, plan, later=later)

        return self.get(await self._committer.run(work))

    def get(self, bulk_id: int) -> BulkRevocation:
        """Raises NotFound."""
        row = self._database.read_one(f"SELECT {_COLUMNS} FROM bulk_revocations WHERE id = ?", (bulk_id,))
        if row is None:
            raise NotFound(f"there is no revocation of many {bulk_id}")
        return _bulk(row)

    def page(self, *, before: int, limit: int) -> tuple[BulkRevocation, ...]:
        """Those with ids below ``before`` (0: the newest), newest first."""
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM bulk_revocations WHERE (? = 0 OR id < ?) ORDER BY id DESC LIMIT ?",
            (before, before, limit),
        )
        return tuple(map(_bulk, rows))

    async def step(self, bulk: BulkRevocation) -> BulkRevocation:
        """One more batch; ``finished`` when nothing was left."""
        ids = self._next(bulk)
        if not ids:
            return await self._advance(bulk, replace(bulk, finished=True))
        good = [record for record in self._inventory.records(ids) if record.status is CertificateStatus.ISSUED]
        at = self._clock.now().replace(microsecond=0)
        revocation = Revocation(at, bulk.reason, bulk.invalid_since)
        # Together they are one commit.
        answers = await asyncio.gather(
            *(
                self._status.revoke(
                    self._issuer(record), record.serial, revocation=revocation, actor=bulk.actor, block=bulk.block
                )
                for record in good
            ),
            return_exceptions=True,
        )
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, AlreadyRevoked):
                raise answer
        self._changed()
        revoked = sum(answer is None for answer in answers)
        return await self._advance(
            bulk,
            replace(
                bulk,
                position=ids[-1],
                revoked=bulk.revoked + revoked,
                skipped=bulk.skipped + len(ids) - revoked,
            ),
        )

    async def carry_on(self, *, now: datetime) -> int:
        """Finish what an interrupted process left; how many certificates that were. The worker's part."""
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM bulk_revocations WHERE finished = 0 AND touched_at < ?",
            (to_seconds(now - _LEFT_ALONE),),
        )
        done = 0
        for row in rows:
            bulk = _bulk(row)
            while not bulk.finished:
                before, bulk = bulk, await self.step(bulk)
                done += bulk.revoked - before.revoked
        return done

    def _next(self, bulk: BulkRevocation) -> list[int]:
        first = bulk.position // BLOCK
        rows = self._database.read(
            "SELECT block, bits FROM bulk_revocation_rows WHERE bulk_id = ? AND block >= ? ORDER BY block LIMIT 2",
            (bulk.id, first),
        )
        ids = [block * BLOCK + place for block, bits in rows for place in members(unpack(bits))]
        return [certificate_id for certificate_id in ids if certificate_id > bulk.position][:_AT_ONCE]

    async def _advance(self, before: BulkRevocation, after: BulkRevocation) -> BulkRevocation:
        def work(transaction: Transaction) -> None:
            moved = transaction.execute(
                "UPDATE bulk_revocations SET position = ?, revoked = ?, skipped = ?, finished = ?, touched_at = ? "
                "WHERE id = ? AND position = ? AND finished = 0",
                (
                    after.position, after.revoked, after.skipped, int(after.finished), to_seconds(transaction.now),
                    before.id, before.position,
                ),
            )  # fmt: skip
            if moved.rowcount == 1 and after.finished:
                detail = {"revoked": after.revoked, "skipped": after.skipped}
                transaction.audit(
                    AuditEvent(
                        event="revocation.finished",
                        actor=after.actor,
                        target=f"selection:{after.digest}",
                        detail=detail,
                    )
                )

        await self._committer.run(work)
        return self.get(before.id)

    def _issuer(self, record: CertificateRecord) -> int:
        row = self._database.read_one("SELECT issuer_id FROM certificates WHERE id = ?", (record.id,))
        return 0 if row is None else int(row[0])


def _begin(transaction: Transaction, ids: Sequence[int], plan: BulkRevocation, *, later: bool) -> int:
    since = None if plan.invalid_since is None else to_seconds(plan.invalid_since)
    bulk_id = transaction.insert(
        "INSERT INTO bulk_revocations (digest, search, selected, reason, invalid_since, block, actor, position, "
        "revoked, skipped, finished, touched_at) VALUES (?,?,?,?,?,?,?,0,0,0,0,?)",
        (
            plan.digest, plan.where, len(ids), int(plan.reason), since, int(plan.block), plan.actor,
            0 if later else to_seconds(transaction.now),
        ),
    )  # fmt: skip
    places: defaultdict[int, list[int]] = defaultdict(list)
    for certificate_id in ids:
        places[certificate_id // BLOCK].append(certificate_id % BLOCK)
    for block, some in places.items():
        transaction.execute(
            "INSERT INTO bulk_revocation_rows (bulk_id, block, bits) VALUES (?,?,?)",
            (bulk_id, block, pack_places(sorted(some))),
        )
    detail = {"search": plan.where, "selected": len(ids), "reason": plan.reason.label, "block": plan.block}
    transaction.audit(
        AuditEvent(event="revocation.begun", actor=plan.actor, target=f"selection:{plan.digest}", detail=detail)
    )
    return bulk_id


def _bulk(row: Row) -> BulkRevocation:
    return BulkRevocation(
        id=row[0],
        digest=row[1],
        where=row[2],
        selected=row[3],
        reason=CrlReason(row[4]),
        invalid_since=None if row[5] is None else from_seconds(row[5]),
        block=bool(row[6]),
        actor=row[7],
        position=row[8],
        revoked=row[9],
        skipped=row[10],
        finished=bool(row[11]),
        touched_at=from_seconds(row[12]) if row[12] else None,
    )
