# SPDX-License-Identifier: Apache-2.0
"""Deliveries to accounts in a directory: queued with the intent to issue, receipted row by row, audited with each step.

A row is the receipt: ``ours`` is stored before the change is sent, and says afterwards whether we may take it back.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from privyseal.errors import PrivysealError
from privyseal.model.audit import AuditEvent
from privyseal.model.delivery import LEASE, MOST_EACH, Delivery, DeliveryState
from privyseal.model.directory import DirectoryBinding
from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import Database, Row
from privyseal.store.moments import from_seconds, to_seconds
from privyseal.store.unit import Transaction
from privyseal.x509.sid import Sid

_COLUMNS: Final = (
    "d.certificate_id, c.serial, d.directory, d.object_sid, d.state, d.due_at, d.attempts, d.ours, c.status, "
    "d.ends_at, d.dn, d.controller, d.changed_at, d.code, d.what"
)
_SOURCE: Final = "deliveries d JOIN certificates c ON c.id = d.certificate_id"
_OPEN: Final = "d.state <> 'present' AND d.state <> 'held'"  # the first half is the index's own condition
_DUE: Final = (
    f"SELECT {_COLUMNS} FROM {_SOURCE} WHERE {_OPEN} AND d.due_at <= ? AND d.directory = ? "
    "AND c.status <> 'reserved' ORDER BY d.due_at, d.certificate_id LIMIT ?"
)
_EXPIRED_AT_ONCE: Final = 500


def queue_delivery(transaction: Transaction, certificate_id: int, account: DirectoryBinding, *, ends_at: int) -> None:
    """Queue a certificate with the intent to issue it; it is due once it is signed."""
    transaction.execute(
        "INSERT INTO deliveries (certificate_id, directory, object_sid, state, ends_at, due_at, attempts, ours, "
        "controller, dn, code, what) VALUES (?,?,?,'to-add',?,?,0,0,'','',0,'')",
        (certificate_id, account.directory, account.sid.text, ends_at, to_seconds(transaction.now)),
    )


def withdraw_revoked(transaction: Transaction, certificate_id: int, *, held: bool) -> None:
    """A revoked certificate leaves its account, in the transaction that revokes it; from a hold it may come back."""
    now = to_seconds(transaction.now)
    if held:
        transaction.execute(
            "UPDATE deliveries SET state = 'to-hold', due_at = ?, attempts = 0 WHERE certificate_id = ? "
            "AND (state = 'present' OR state = 'to-add')",
            (now, certificate_id),
        )
        return
    transaction.execute("DELETE FROM deliveries WHERE certificate_id = ? AND state = 'held'", (certificate_id,))
    transaction.execute(
        "UPDATE deliveries SET state = 'to-remove', due_at = ?, attempts = 0 WHERE certificate_id = ? "
        "AND (state = 'present' OR state = 'to-hold' OR ours = 1)",
        (now, certificate_id),
    )


def restore_released(transaction: Transaction, certificate_id: int) -> None:
    """A certificate whose hold ends goes back to its account, in the transaction that ends it."""
    transaction.execute(
        "UPDATE deliveries SET state = 'to-add', due_at = ?, attempts = 0, code = 0, what = '' "
        "WHERE certificate_id = ? AND (state = 'held' OR state = 'to-hold')",
        (to_seconds(transaction.now), certificate_id),
    )


class DeliveryBook:
    """The queue and the receipts of deliveries."""

    def __init__(self, database: Database, committer: GroupCommitter) -> None:
        self._database = database
        self._committer = committer

    def directories(self, now: datetime) -> tuple[str, ...]:
        """Directories for which something is due."""
        rows = self._database.read(
            f"SELECT DISTINCT d.directory FROM {_SOURCE} WHERE {_OPEN} AND d.due_at <= ? "
            "AND c.status <> 'reserved' ORDER BY d.directory",
            (to_seconds(now),),
        )
        return tuple(row[0] for row in rows)

    def due(self, directory: str, *, now: datetime, most: int) -> tuple[Delivery, ...]:
        """What is due for one directory, the longest due first."""
        rows = self._database.read(_DUE, (to_seconds(now), directory, most))
        return tuple(_delivery(row, now) for row in rows)

    def page(self, directory: str, *, before: int, limit: int, now: datetime) -> tuple[Delivery, ...]:
        """Deliveries of certificates with ids below ``before`` (0: the newest), newest first."""
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM {_SOURCE} WHERE d.directory = ? AND (? = 0 OR d.certificate_id < ?) "
            "ORDER BY d.certificate_id DESC LIMIT ?",
            (directory, before, before, limit),
        )
        return tuple(_delivery(row, now) for row in rows)

    def counts(self, directory: str) -> dict[DeliveryState, int]:
        """How many are in each state."""
        rows = self._database.read("SELECT state, count(*) FROM deliveries WHERE directory = ? GROUP BY state",
                                   (directory,))  # fmt: skip
        found = {DeliveryState(row[0]): int(row[1]) for row in rows}
        return {state: found.get(state, 0) for state in DeliveryState}

    def faults(self, directory: str, *, most: int) -> tuple[tuple[int, int, str], ...]:
        """Code, how many deliveries wait because of it, and the words of one of them."""
        rows = self._database.read(
            "SELECT code, count(*), max(what) FROM deliveries WHERE directory = ? AND state <> 'present' "
            "AND code <> 0 GROUP BY code ORDER BY count(*) DESC LIMIT ?",
            (directory, most),
        )
        return tuple((int(row[0]), int(row[1]), str(row[2])) for row in rows)

    async def expire(self, *, now: datetime) -> int:
        """Certificates that have expired leave their accounts. How many begin to; bounded for each call."""

        def work(transaction: Transaction) -> int:
            transaction.execute("DELETE FROM deliveries WHERE state = 'held' AND ends_at <= ?", (to_seconds(now),))
            return transaction.execute(
                "UPDATE deliveries SET state = 'to-remove', due_at = ?, attempts = 0 WHERE certificate_id IN ("
                "SELECT certificate_id FROM deliveries WHERE state = 'present' AND ends_at <= ? LIMIT ?)",
                (to_seconds(now), to_seconds(now), _EXPIRED_AT_ONCE),
            ).rowcount

        return await self._committer.run(work)

    async def make_due(self, directory: str, *, now: datetime) -> int:
        """Forget the waiting time of everything that is queued for a directory, as an operator may ask."""

        def work(transaction: Transaction) -> int:
            return transaction.execute(
                "UPDATE deliveries SET due_at = ? WHERE directory = ? AND state <> 'present' AND state <> 'held' "
                "AND due_at > ?",
                (to_seconds(now), directory, to_seconds(now)),
            ).rowcount

        return await self._committer.run(work)

    async def withdraw(self, directory: str, *, profile: str, actor: str) -> int:
        """Everything of a profile (empty: of every profile) leaves its accounts again; how many begin to."""

        def work(transaction: Transaction) -> int:
            chosen = "directory = ? AND (? = '' OR certificate_id IN (SELECT id FROM certificates WHERE profile = ?))"
            values = (directory, profile, profile)
            # What was never tried leaves no trace; of what was, the directory is asked.
            unsent = transaction.execute(
                f"DELETE FROM deliveries WHERE {chosen} AND (state = 'held' OR (state = 'to-add' AND ours = 0 "
                "AND attempts = 0))",
                values,
            ).rowcount
            sent = transaction.execute(
                f"UPDATE deliveries SET state = 'to-remove', due_at = ?, attempts = 0 "
                f"WHERE {chosen} AND state <> 'to-remove'",
                (to_seconds(transaction.now), *values),
            ).rowcount
            transaction.audit(
                AuditEvent(
                    event="delivery.withdrawn",
                    actor=actor,
                    target=f"directory:{directory}",
                    detail={"profile": profile, "unsent": unsent, "to_remove": sent},
                )
            )
            return unsent + sent

        return await self._committer.run(work)

    async def intend(self, delivery: Delivery, *, dn: str, controller: str, ours: bool, actor: str) -> bool:
        """Store the intent before the change is sent; False when another process has it in hand."""

        def work(transaction: Transaction) -> bool:
            taken = transaction.execute(
                "UPDATE deliveries SET attempts = attempts + 1, due_at = ?, dn = ?, controller = ?, ours = ? "
                "WHERE certificate_id = ? AND state = ? AND due_at = ? AND attempts = ?",
                (
                    to_seconds(transaction.now + LEASE), dn, controller, int(ours), delivery.certificate_id,
                    delivery.state.value, to_seconds(delivery.due_at), delivery.attempts,
                ),
            )  # fmt: skip
            if taken.rowcount != 1:
                return False
            transaction.audit(_event("delivery.intended", delivery, actor=actor, dn=dn, controller=controller))
            return True

        return await self._committer.run(work)

    async def added(self, delivery: Delivery, *, dn: str, controller: str, ours: bool, actor: str) -> None:
        """It stands at the account. What it renews, and what is too many of ours, begins to leave."""

        def work(transaction: Transaction) -> None:
            now, mine = to_seconds(transaction.now), delivery.certificate_id
            # Meanwhile revoked or withdrawn: then it stays on its way out.
            transaction.execute(
                "UPDATE deliveries SET state = 'present', attempts = 0, code = 0, what = '', ours = ?, dn = ?, "
                "controller = ?, changed_at = ? WHERE certificate_id = ? AND state = 'to-add'",
                (int(ours), dn, controller, now, mine),
            )
            for superseded in (_renewed_by(transaction, mine), _too_many(transaction, delivery)):
                for certificate_id in superseded:
                    transaction.execute(
                        "UPDATE deliveries SET state = 'to-remove', due_at = ?, attempts = 0 "
                        "WHERE certificate_id = ? AND state = 'present'",
                        (now, certificate_id),
                    )
            transaction.audit(_event("delivery.added", delivery, actor=actor, dn=dn, controller=controller, ours=ours))

        await self._committer.run(work)

    async def gone(self, delivery: Delivery, *, dn: str, controller: str, removed: bool, actor: str) -> None:
        """Nothing of ours stands there any more; the row goes and the audit trail remembers. From a hold it stays."""

        def work(transaction: Transaction) -> None:
            # Only from the state in which the work began: meanwhile the hold may have ended, or become a revocation.
            known = delivery.certificate_id, delivery.state.value
            if delivery.state is DeliveryState.TO_HOLD:
                transaction.execute(
                    "UPDATE deliveries SET state = 'held', ours = 0, attempts = 0, code = 0, what = '', dn = '' "
                    "WHERE certificate_id = ? AND state = ?",
                    known,
                )
            else:
                transaction.execute("DELETE FROM deliveries WHERE certificate_id = ? AND state = ?", known)
            event = "delivery.removed" if removed else "delivery.dropped"
            transaction.audit(_event(event, delivery, actor=actor, dn=dn, controller=controller))

        await self._committer.run(work)

    async def postpone(
        self, delivery: Delivery, error: PrivysealError, *, until: datetime, certainly_not: bool
    ) -> None:
        """Remember what went wrong and try again later. ``certainly_not``: the controller refused, so nothing of it
        can stand there."""

        def work(transaction: Transaction) -> None:
            transaction.execute(
                "UPDATE deliveries SET due_at = ?, attempts = ?, code = ?, what = ?, "
                "ours = CASE WHEN ? = 1 AND state = 'to-add' THEN ? ELSE ours END WHERE certificate_id = ?",
                (
                    to_seconds(until), delivery.attempts + 1, error.code, error.what[:500],
                    int(certainly_not), int(delivery.ours), delivery.certificate_id,
                ),
            )  # fmt: skip

        await self._committer.run(work)

    async def postpone_all(self, directory: str, error: PrivysealError, *, now: datetime, until: datetime) -> int:
        """The directory itself cannot be asked: everything that is due for it waits."""

        def work(transaction: Transaction) -> int:
            return transaction.execute(
                "UPDATE deliveries SET due_at = ?, attempts = attempts + 1, code = ?, what = ? "
                "WHERE directory = ? AND state <> 'present' AND state <> 'held' AND due_at <= ?",
                (to_seconds(until), error.code, error.what[:500], directory, to_seconds(now)),
            ).rowcount

        return await self._committer.run(work)


def _renewed_by(transaction: Transaction, certificate_id: int) -> tuple[int, ...]:
    """The certificate that this one renews: it asked for it, as ``ra.identification`` notes."""
    row = transaction.one("SELECT requester, entity_id, profile FROM certificates WHERE id = ?", (certificate_id,))
    kind, _, serial = row[0].partition(":") if row is not None else ("", "", "")
    if row is None or kind != "certificate":
        return ()
    found = transaction.execute(
        "SELECT id FROM certificates WHERE entity_id = ? AND profile = ? AND serial = ? AND id <> ?",
        (row[1], row[2], bytes.fromhex(serial), certificate_id),
    )
    return tuple(one[0] for one in found.fetchall())


def _too_many(transaction: Transaction, delivery: Delivery) -> tuple[int, ...]:
    """The oldest of the account beyond the bound."""
    found = transaction.execute(
        "SELECT certificate_id FROM deliveries WHERE directory = ? AND object_sid = ? AND state = 'present' "
        "AND ours = 1 ORDER BY certificate_id DESC LIMIT 1000 OFFSET ?",
        (*_account(delivery), MOST_EACH),
    )
    return tuple(one[0] for one in found.fetchall())


def _account(delivery: Delivery) -> tuple[str, str]:
    return delivery.account.directory, delivery.account.sid.text


def _event(event: str, delivery: Delivery, *, actor: str, **detail: object) -> AuditEvent:
    place = {"directory": delivery.account.directory, "sid": delivery.account.sid.text}
    return AuditEvent(event=event, actor=actor, target=f"serial:{delivery.serial:x}", detail={**place, **detail})


def _delivery(row: Row, now: datetime) -> Delivery:
    ends_at = from_seconds(row[9])
    return Delivery(
        certificate_id=row[0],
        serial=int.from_bytes(row[1], "big"),
        account=DirectoryBinding(row[2], Sid.parse(row[3])),
        state=DeliveryState(row[4]),
        due_at=from_seconds(row[5]),
        attempts=row[6],
        ours=bool(row[7]),
        good=row[8] == "issued" and ends_at > now,
        dn=row[10],
        controller=row[11],
        changed_at=None if row[12] is None else from_seconds(row[12]),
        code=row[13],
        what=row[14],
    )
