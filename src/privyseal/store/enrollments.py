# SPDX-License-Identifier: Apache-2.0
"""The enrollment log (``ra.ports.RequestLog``): every attempt, also those that got nothing."""

from __future__ import annotations

from typing import Final

from privyseal.errors import EnrollmentRejected, NotFound, PrivysealError, StoreUnavailable
from privyseal.model.audit import AuditEvent
from privyseal.model.enrollment import Claim, EnrollmentRecord, EnrollmentState
from privyseal.store.certificates import consume_challenge, refuse_other_key
from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import Database, Row
from privyseal.store.moments import from_seconds, to_seconds
from privyseal.store.unit import Transaction

_COLUMNS: Final = (
    "n.id, n.at, n.state, n.profile, n.protocol, n.transaction_id, n.key_hash, n.evidence, n.entity_id, "
    "coalesce(e.name, ''), n.certificate_id, n.code, n.what, n.request"
)
_SOURCE: Final = "enrollments n LEFT JOIN entities e ON e.id = n.entity_id"
_INSERT: Final = (
    "INSERT INTO enrollments (at, state, profile, protocol, transaction_id, key_hash, evidence, entity_id, "
    "certificate_id, code, what, request) VALUES (?,?,?,?,?,?,?,?,NULL,?,?,?)"
)


class EnrollmentLog:
    """Implements ``RequestLog``."""

    def __init__(self, database: Database, committer: GroupCommitter) -> None:
        self._database = database
        self._committer = committer

    async def find(self, profile: str, transaction_id: str) -> tuple[EnrollmentRecord, ...]:
        """Live attempts of this transaction, and those that an operator rejected, newest first.

        What was refused at once is left out: strangers know the id, and could bury the live one under attempts.
        """
        await self._committer.turn()
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM {_SOURCE} WHERE n.transaction_id = ? AND n.profile = ? "
            "AND n.code IN (0, ?) ORDER BY n.id DESC LIMIT 32",
            (transaction_id, profile, EnrollmentRejected.code),
        )
        return tuple(_record(row) for row in rows)

    async def wait(self, claim: Claim, request_der: bytes) -> int:
        """Store an enrollment that an operator has to decide; consumes its challenge. Raises ChallengeUsed."""

        def work(transaction: Transaction) -> int:
            now = to_seconds(transaction.now)
            if claim.transaction_id:
                refuse_other_key(transaction, claim)
            enrollment_id = transaction.insert(
                _INSERT,
                (
                    now, "waiting", claim.profile, claim.protocol, claim.transaction_id, claim.key_hash,
                    claim.evidence, claim.entity_id, 0, "", request_der,
                ),
            )  # fmt: skip
            consume_challenge(transaction, claim)
            transaction.audit(
                AuditEvent(
                    event="enrollment.waiting",
                    actor=claim.requester,
                    target=f"enrollment:{enrollment_id}",
                    detail={"profile": claim.profile},
                )
            )
            return enrollment_id

        return await self._committer.run(work)

    async def refuse(self, claim: Claim, error: PrivysealError, *, incident: str) -> None:
        """Store an attempt that was refused, with the reason; nothing else of it is kept."""

        def work(transaction: Transaction) -> None:
            enrollment_id = transaction.insert(
                _INSERT,
                (
                    to_seconds(transaction.now), "refused", claim.profile, claim.protocol, claim.transaction_id,
                    claim.key_hash, claim.evidence, claim.entity_id, error.code, error.what[:500], b"",
                ),
            )  # fmt: skip
            if claim.enrollment_id is not None:
                transaction.execute(
                    "UPDATE enrollments SET state = 'failed', code = ?, what = ? WHERE id = ? AND state = 'approved'",
                    (error.code, error.what[:500], claim.enrollment_id),
                )
            transaction.audit(
                AuditEvent(
                    event="enrollment.refused",
                    actor=claim.requester,
                    target=f"enrollment:{enrollment_id}",
                    detail={"profile": claim.profile, "code": error.code, "incident": incident},
                )
            )

        await self._committer.run(work)

    async def decide(self, enrollment_id: int, state: EnrollmentState, *, actor: str) -> None:
        """An operator approves or rejects a waiting enrollment. Raises NotFound when it is not waiting."""

        def work(transaction: Transaction) -> None:
            changed = transaction.execute(
                "UPDATE enrollments SET state = ?, code = ?, what = ? WHERE id = ? AND state = 'waiting'",
                (
                    state.value,
                    0 if state is EnrollmentState.APPROVED else EnrollmentRejected.code,
                    f"{state.value} by {actor}",
                    enrollment_id,
                ),
            )
            if changed.rowcount != 1:
                raise NotFound(f"no enrollment {enrollment_id} waits for a decision")
            transaction.audit(
                AuditEvent(event=f"enrollment.{state.value}", actor=actor, target=f"enrollment:{enrollment_id}")
            )

        await self._committer.run(work)

    def get(self, enrollment_id: int) -> EnrollmentRecord:
        """One attempt. Raises NotFound."""
        row = self._database.read_one(f"SELECT {_COLUMNS} FROM {_SOURCE} WHERE n.id = ?", (enrollment_id,))
        if row is None:
            raise NotFound(f"there is no enrollment {enrollment_id}", mend=("privyseal enrollment list",))
        return _record(row)

    def page(self, *, before: int, limit: int, state: str = "") -> tuple[EnrollmentRecord, ...]:
        """Attempts with ids below ``before`` (0: the newest), newest first."""
        if not 1 <= limit <= 1000:
            raise StoreUnavailable("a page holds 1 to 1000 rows")
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM {_SOURCE} WHERE (? = 0 OR n.id < ?) AND (? = '' OR n.state = ?) "
            "ORDER BY n.id DESC LIMIT ?",
            (before, before, state, state, limit),
        )
        return tuple(_record(row) for row in rows)


def _record(row: Row) -> EnrollmentRecord:
    return EnrollmentRecord(
        id=row[0],
        at=from_seconds(row[1]),
        state=EnrollmentState(row[2]),
        profile=row[3],
        protocol=row[4],
        transaction_id=row[5],
        key_hash=row[6],
        evidence=row[7],
        entity_id=row[8],
        entity=row[9],
        certificate_id=row[10],
        code=row[11],
        what=row[12],
        request_der=row[13],
    )
