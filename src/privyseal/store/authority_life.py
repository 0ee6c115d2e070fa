# SPDX-License-Identifier: Apache-2.0
"""Changes of a CA version's state: the table of ``ca.lifecycle`` is applied to what is stored, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from privyseal.ca.lifecycle import CaEvent, Holdings, check_no_blockers, check_rollback, deletion_blockers, next_state
from privyseal.ca.lifecycle import state_at as effective_state
from privyseal.errors import NotFound
from privyseal.model.audit import AuditEvent
from privyseal.model.authority import CaRecord, CaState
from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import Database, Row
from privyseal.store.moments import from_seconds, to_seconds
from privyseal.store.unit import Transaction, bump_catalog
from privyseal.x509.certificate import read_certificate

_EVENTS: Final = {
    CaEvent.ACTIVATE: "ca.activated",
    CaEvent.REPLACE: "ca.superseded",
    CaEvent.ROLL_BACK: "ca.rolled-back",
    CaEvent.PAUSE: "ca.paused",
    CaEvent.RESUME: "ca.resumed",
    CaEvent.RETIRE: "ca.retired",
    CaEvent.REVIVE: "ca.revived",
    CaEvent.REVOKE: "ca.revoked",
}
_LEAVES: Final = (
    "SELECT count(CASE WHEN status = 'issued' THEN 1 END), count(CASE WHEN status = 'revoked' THEN 1 END) "
    "FROM certificates WHERE issuer_id = ? AND kind = 'end-entity' AND not_after > ?"
)
# What is revoked or on hold has to be told until it ends: without a CRL many relying parties would accept it again.
_TOLD_OF: Final = "issuer_id = ? AND not_after > ? AND (kind = 'end-entity' OR status = 'revoked')"


class AuthorityLife:
    """Moves CA versions from state to state. Every method re-reads the state it starts from."""

    def __init__(self, database: Database, committer: GroupCommitter) -> None:
        self._database = database
        self._committer = committer

    async def move(self, record: CaRecord, event: CaEvent, *, actor: str) -> None:
        """Let one event happen. Raises AuthorityStateUnfit."""

        def work(transaction: Transaction) -> None:
            shift(transaction, _stored(transaction, record.id), event, actor=actor)

        await self._committer.run(work)

    async def activate(self, record: CaRecord, *, actor: str, detail: Mapping[str, Any]) -> None:
        """Make a staged version the one in force, and supersede the other, both at once. Raises AuthorityStateUnfit."""

        def work(transaction: Transaction) -> None:
            _replace(transaction, record, CaEvent.ACTIVATE, actor=actor, detail=detail)

        await self._committer.run(work)

    async def roll_back(self, record: CaRecord, *, actor: str) -> None:
        """Make a superseded version the one in force again. Raises AuthorityStateUnfit, RollbackTooLate."""

        def work(transaction: Transaction) -> None:
            row = _stored(transaction, record.id)
            next_state(CaState(row[3]), CaEvent.ROLL_BACK, shown=_shown(row))
            check_rollback(from_seconds(row[4]), transaction.now, shown=_shown(row))
            _replace(transaction, record, CaEvent.ROLL_BACK, actor=actor, detail={})

        await self._committer.run(work)

    async def delete(self, record: CaRecord, *, now: datetime, actor: str) -> None:
        """Hide a version for good; its certificates and CRL numbers stay. Raises AuthorityInUse.

        Keys are destroyed afterwards, by whoever finds them named by a deleted version (``doomed_keys``).
        """

        def work(transaction: Transaction) -> None:
            row = _stored(transaction, record.id)
            state = effective_state(CaState(row[3]), read_certificate(row[5]).not_after, now)
            holdings = _holdings(transaction, row, now)
            check_no_blockers(deletion_blockers(state, holdings, shown=_shown(row)))
            transaction.execute(
                # What expired is stored under the state that it had; none of a deleted version may be in force.
                "UPDATE authorities SET deleted_at = ?, state = CASE WHEN state IN ('active', 'paused') "
                "THEN 'retired' ELSE state END WHERE id = ?",
                (to_seconds(transaction.now), record.id),
            )
            bump_catalog(transaction)
            transaction.audit(
                AuditEvent(
                    event="ca.deleted",
                    actor=actor,
                    target=f"ca:{record.name}",
                    detail={"version": record.version, "state": state.value},
                )
            )

        await self._committer.run(work)

    def doomed_keys(self) -> tuple[str, ...]:
        """Keys of deleted versions and their services that nothing else uses and that are not known to be destroyed."""
        rows = self._database.read(
            "SELECT key_ref FROM authorities WHERE deleted_at IS NOT NULL AND key_ref <> '' AND key_ref NOT IN "
            "(SELECT key_ref FROM authorities WHERE deleted_at IS NULL) "
            "UNION SELECT s.key_ref FROM services s WHERE s.key_ref <> '' AND NOT EXISTS (SELECT 1 FROM authorities a "
            "WHERE a.deleted_at IS NULL AND (a.id = s.issuer_id OR a.ledger_id = s.issuer_id))"
        )
        return tuple(row[0] for row in rows)

    async def keys_are_gone(self, key_refs: tuple[str, ...], *, actor: str) -> None:
        """Note that keys were destroyed."""

        def work(transaction: Transaction) -> None:
            for key_ref in key_refs:
                transaction.execute("UPDATE authorities SET key_ref = '' WHERE key_ref = ?", (key_ref,))
                transaction.execute("UPDATE services SET key_ref = '' WHERE key_ref = ?", (key_ref,))
                transaction.audit(AuditEvent(event="key.destroyed", actor=actor, target=f"key:{key_ref}"))

        await self._committer.run(work)

    def holdings(self, record: CaRecord, now: datetime) -> Holdings:
        """What hangs on a version, counted."""
        leaves = self._database.read_one(_LEAVES, (record.books, to_seconds(now)))
        children = self._database.read(
            "SELECT state, certificate FROM authorities WHERE parent_id = ? AND deleted_at IS NULL", (record.id,)
        )
        return Holdings(
            live_leaves=0 if leaves is None else int(leaves[0]),
            revoked_leaves=0 if leaves is None else int(leaves[1]),
            live_children=_alive(children, now),
            undeleted_children=len(children),
        )

    def is_needed(self, record: CaRecord, now: datetime) -> bool:
        """Whether anything that has not ended hangs on a version, revoked or not; looks no further than the first.

        Its key's heir takes over.
        """
        heir = self._database.read_one(
            "SELECT 1 FROM authorities WHERE id <> ? AND key_ref = ? AND state IN ('active', 'paused')",
            (record.id, record.key_ref),
        )
        children = self._database.read(
            "SELECT state, certificate FROM authorities WHERE parent_id = ? AND deleted_at IS NULL", (record.id,)
        )
        if _alive(children, now):
            return True
        return heir is None and (
            self._database.read_one(
                f"SELECT 1 FROM certificates WHERE {_TOLD_OF} ORDER BY serial DESC LIMIT 1",
                (record.books, to_seconds(now)),
            )
            is not None
        )

    def tests_issued(self, record: CaRecord) -> int:
        """How many test certificates a version has issued."""
        row = self._database.read_one("SELECT tests FROM authorities WHERE id = ?", (record.id,))
        return 0 if row is None else int(row[0])


def shift(
    transaction: Transaction, row: Row, event: CaEvent, *, actor: str, detail: Mapping[str, Any] | None = None
) -> None:
    """Apply an event to the stored row (id, name, version, state, ...) and audit it. Raises AuthorityStateUnfit."""
    after = next_state(CaState(row[3]), event, shown=_shown(row))
    transaction.execute(
        "UPDATE authorities SET state = ?, changed_at = ? WHERE id = ?",
        (after.value, to_seconds(transaction.now), row[0]),
    )
    bump_catalog(transaction)
    transaction.audit(
        AuditEvent(
            event=_EVENTS[event],
            actor=actor,
            target=f"ca:{row[1]}",
            detail={"version": row[2], "before": row[3], "after": after.value, **(detail or {})},
        )
    )


def revoke_listed(transaction: Transaction, ca_id: int, *, actor: str) -> None:
    """Revoke a version that the CRL of the CA above lists, unless it is revoked or deleted by now."""
    row = transaction.one(
        "SELECT id, name, version, state FROM authorities WHERE id = ? AND deleted_at IS NULL AND state <> 'revoked'",
        (ca_id,),
    )
    if row is not None:
        shift(transaction, row, CaEvent.REVOKE, actor=actor)


def _replace(
    transaction: Transaction, record: CaRecord, event: CaEvent, *, actor: str, detail: Mapping[str, Any]
) -> None:
    row = _stored(transaction, record.id)
    next_state(CaState(row[3]), event, shown=_shown(row))
    others = transaction.execute(
        "SELECT id, name, version, state FROM authorities WHERE name = ? AND id <> ? AND deleted_at IS NULL "
        "AND state IN ('active', 'paused')",
        (record.name, record.id),
    ).fetchall()
    for other in others:
        shift(transaction, other, CaEvent.REPLACE, actor=actor)
    shift(transaction, row, event, actor=actor, detail=detail)


def _stored(transaction: Transaction, ca_id: int) -> Row:
    row = transaction.one(
        "SELECT id, name, version, state, changed_at, certificate, ledger_id FROM authorities "
        "WHERE id = ? AND deleted_at IS NULL",
        (ca_id,),
    )
    if row is None:
        raise NotFound("the CA version was deleted a moment ago", mend=("privyseal ca list",))
    return row


def _holdings(transaction: Transaction, row: Row, now: datetime) -> Holdings:
    leaves = transaction.one(_LEAVES, (row[6] or row[0], to_seconds(now)))
    children = transaction.execute(
        "SELECT state, certificate FROM authorities WHERE parent_id = ? AND deleted_at IS NULL", (row[0],)
    ).fetchall()
    return Holdings(
        live_leaves=0 if leaves is None else int(leaves[0]),
        revoked_leaves=0 if leaves is None else int(leaves[1]),
        live_children=_alive(children, now),
        undeleted_children=len(children),
    )


def _alive(children: list[Row], now: datetime) -> int:
    over = (CaState.RETIRED, CaState.REVOKED, CaState.EXPIRED)
    return sum(
        effective_state(CaState(state), read_certificate(certificate).not_after, now) not in over
        for state, certificate in children
    )


def _shown(row: Row) -> str:
    return f"CA {row[1]} v{row[2]}"
