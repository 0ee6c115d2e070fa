# SPDX-License-Identifier: Apache-2.0
"""Approvals in the store, each step with its audit row. Implements ``administration.ports.ApprovalStore``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from privyseal.errors import ApprovalOver, NotFound
from privyseal.model.access import Actor
from privyseal.model.approval import (
    UNDONE_AFTER,
    Approval,
    ApprovalState,
    preview_from_data,
    preview_to_data,
)
from privyseal.model.audit import AuditEvent
from privyseal.model.lifespan import TOLERANCE
from privyseal.model.preview import Preview
from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import Database, Row
from privyseal.store.moments import from_seconds, to_seconds
from privyseal.store.unit import Transaction

_COLUMNS: Final = (
    "id, act, parameters, preview, state, requester, requested_by, created_at, expires_at, decider, decided_at, what, "
    "result"
)
_LONGEST: Final = 500
_AT_ONCE: Final = 100


class ApprovalBook:
    """Stored approvals."""

    def __init__(self, database: Database, committer: GroupCommitter) -> None:
        self._database = database
        self._committer = committer

    async def add(
        self, act: str, parameters: Mapping[str, Any], *, preview: Preview, actor: Actor, expires_at: datetime
    ) -> Approval:
        """Store one that waits."""

        def work(transaction: Transaction) -> int:
            approval_id = transaction.insert(
                "INSERT INTO approvals (act, parameters, preview, state, requester, requested_by, created_at, "
                "expires_at, decider, what) VALUES (?,?,?,'waiting',?,?,?,?,'','')",
                (
                    act,
                    json.dumps(parameters, sort_keys=True),
                    json.dumps(preview_to_data(preview), sort_keys=True),
                    actor.name,
                    actor.person,
                    to_seconds(transaction.now),
                    to_seconds(expires_at),
                ),
            )
            detail = {"act": act, "summary": preview.summary, "person": actor.person}
            transaction.audit(_event("approval.requested", actor.name, approval_id, detail=detail))
            return approval_id

        return self.get(await self._committer.run(work))

    def get(self, approval_id: int) -> Approval:
        """Raises NotFound."""
        row = self._database.read_one(f"SELECT {_COLUMNS} FROM approvals WHERE id = ?", (approval_id,))
        if row is None:
            raise NotFound(f"there is no approval {approval_id}", mend=("privyseal approval list",))
        return _approval(row)

    def page(self, *, before: int, limit: int, state: str = "") -> tuple[Approval, ...]:
        """Approvals with ids below ``before`` (0: the newest), newest first."""
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM approvals WHERE (? = 0 OR id < ?) AND (? = '' OR state = ?) "
            "ORDER BY id DESC LIMIT ?",
            (before, before, state, state, limit),
        )
        return tuple(_approval(row) for row in rows)

    async def decide(self, approval_id: int, state: ApprovalState, *, actor: Actor, what: str) -> None:
        """From waiting to approved, denied or cancelled. Raises ApprovalOver when it is not waiting, or ran out."""

        def work(transaction: Transaction) -> None:
            now = to_seconds(transaction.now)
            row = transaction.one(
                "UPDATE approvals SET state = ?, decider = ?, decided_at = ?, what = ? "
                "WHERE id = ? AND state = 'waiting' AND expires_at > ? RETURNING act, requester",
                (state.value, actor.name, now, what[:_LONGEST], approval_id, now),
            )
            if row is None:
                raise ApprovalOver(f"approval {approval_id} was decided meanwhile, or has run out")
            detail = {"act": row[0], "requester": row[1], "person": actor.person}
            transaction.audit(_event(f"approval.{state.value}", actor.name, approval_id, detail=detail))

        await self._committer.run(work)

    async def finish(
        self, approval_id: int, state: ApprovalState, *, what: str, result: Mapping[str, Any] | None
    ) -> None:
        """From approved to done or failed. The act's own audit row tells the effect."""

        def work(transaction: Transaction) -> None:
            text = None if result is None else json.dumps(result, sort_keys=True)
            transaction.execute(
                "UPDATE approvals SET state = ?, what = ?, result = ? WHERE id = ? AND state = 'approved'",
                (state.value, what[:_LONGEST], text, approval_id),
            )
            transaction.audit(_event(f"approval.{state.value}", "service:desk", approval_id, detail={"what": what}))

        await self._committer.run(work)

    async def settle(self) -> int:
        """End what ran out, and tell as failed what was approved and then cut off; how many."""

        def work(transaction: Transaction) -> int:
            now = to_seconds(transaction.now)
            cut, ahead = to_seconds(transaction.now - UNDONE_AFTER), to_seconds(transaction.now + TOLERANCE)
            rows = transaction.execute(
                "SELECT id, state FROM approvals WHERE (state = 'waiting' AND (expires_at <= ? OR created_at > ?)) "
                "OR (state = 'approved' AND (decided_at <= ? OR decided_at > ?)) ORDER BY id LIMIT ?",
                (now, ahead, cut, ahead, _AT_ONCE),
            ).fetchall()
            for approval_id, state in rows:
                end = ApprovalState.EXPIRED if state == "waiting" else ApprovalState.FAILED
                what = "" if state == "waiting" else "cut off on its way: see the audit trail for how far it came"
                transaction.execute(
                    "UPDATE approvals SET state = ?, what = ? WHERE id = ?", (end.value, what, approval_id)
                )
                transaction.audit(_event(f"approval.{end.value}", "service:desk", approval_id, detail={"what": what}))
            return len(rows)

        due = self._database.read_one("SELECT 1 FROM approvals WHERE state IN ('waiting', 'approved') LIMIT 1")
        return 0 if due is None else await self._committer.run(work)


def _event(name: str, actor: str, approval_id: int, *, detail: dict[str, Any]) -> AuditEvent:
    return AuditEvent(event=name, actor=actor, target=f"approval:{approval_id}", detail=detail)


def _approval(row: Row) -> Approval:
    return Approval(
        id=row[0],
        act=row[1],
        parameters=json.loads(row[2]),
        preview=preview_from_data(json.loads(row[3])),
        state=ApprovalState(row[4]),
        requester=row[5],
        requested_by=row[6],
        created_at=from_seconds(row[7]),
        expires_at=from_seconds(row[8]),
        decider=row[9],
        decided_at=None if row[10] is None else from_seconds(row[10]),
        what=row[11],
        result=None if row[12] is None else json.loads(row[12]),
    )
