# SPDX-License-Identifier: Apache-2.0
"""A restored store: the mark that nothing may be signed, and what brings it in step with the world again.

The mark is a row of ``meta``; only ``bring_in_step`` takes it away, in the transaction that moves the numbers on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from privyseal.errors import StoreRestored
from privyseal.model.audit import AuditEvent
from privyseal.model.certificate import CertificateKind, format_serial
from privyseal.model.revocation import Revocation
from privyseal.store.certificates import serial_blob
from privyseal.store.committer import GroupCommitter
from privyseal.store.crls import newest_number
from privyseal.store.engine import ARRIVING, Database
from privyseal.store.moments import from_seconds, to_seconds
from privyseal.store.unit import Transaction, bump_catalog
from privyseal.x509.tbs import revoked_entry

_RESTORED: Final = "restored"
_PUT: Final = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """When the copy was made and when it was taken into use."""

    taken_at: datetime
    restored_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LostRevocation:
    """A revocation that a newer CRL tells and the store does not. ``known``: the store has the certificate."""

    issuer_id: int
    serial: int
    revocation: Revocation
    not_after: datetime
    """The CA's own end: that of the certificate is not known."""
    shard: int
    known: bool


def restored(database: Database) -> Restored | None:
    """What the mark says; None when the store is in step."""
    row = database.read_one("SELECT value FROM meta WHERE key = ?", (_RESTORED,))
    if row is None:
        return None
    found = json.loads(row[0])
    return Restored(taken_at=from_seconds(found["taken_at"]), restored_at=from_seconds(found["restored_at"]))


def check_in_step(database: Database) -> None:
    """Raises StoreRestored."""
    if (found := restored(database)) is not None:
        raise StoreRestored(
            f"the store {database.label} is a copy of {found.taken_at:%Y-%m-%d %H:%M:%S} UTC, "
            f"restored {found.restored_at:%Y-%m-%d %H:%M:%S} UTC"
        )


async def mark_restored(database: Database, committer: GroupCommitter, *, taken_at: datetime, actor: str) -> None:
    """Let the new store be opened, but not be signed with."""

    def work(transaction: Transaction) -> None:
        mark = {"taken_at": to_seconds(taken_at), "restored_at": to_seconds(transaction.now)}
        transaction.execute(_PUT, (_RESTORED, json.dumps(mark)))
        transaction.execute("DELETE FROM meta WHERE key = ?", (ARRIVING,))
        transaction.execute("DELETE FROM leases")
        detail = {"taken_at": f"{taken_at:%Y-%m-%dT%H:%M:%SZ}"}
        transaction.audit(AuditEvent(event="store.restored", actor=actor, target="store", detail=detail))

    await committer.run(work)


async def enter_lost(committer: GroupCommitter, lost: LostRevocation, *, actor: str) -> None:
    """Enter the revocation of a certificate that the store does not have, so that CRLs go on listing it."""

    def work(transaction: Transaction) -> None:
        at, reason, since = lost.revocation.at, lost.revocation.reason, lost.revocation.invalid_since
        certificate_id = transaction.insert(
            "INSERT INTO certificates (issuer_id, serial, kind, status, subject, san, profile, profile_revision, "
            "entity_id, not_before, not_after, protocol, requester, reserved_at, reserved_by, sid) "
            "VALUES (?,?,?,'revoked',?,?,?,0,NULL,?,?,'restore',?,?,'',NULL)",
            (
                lost.issuer_id, serial_blob(lost.serial), CertificateKind.END_ENTITY.value, "", "", "",
                to_seconds(at), to_seconds(lost.not_after), actor, to_seconds(transaction.now),
            ),
        )  # fmt: skip
        entry = revoked_entry(lost.serial, at, reason=int(reason), invalid_since=since)
        transaction.execute(
            "INSERT INTO revocations (certificate_id, issuer_id, shard, after_number, at, reason, invalid_since, "
            "entry) VALUES (?,?,?,?,?,?,?,?)",
            (
                certificate_id, lost.issuer_id, lost.shard, newest_number(transaction, lost.issuer_id),
                to_seconds(at), int(reason), None if since is None else to_seconds(since), entry,
            ),
        )  # fmt: skip
        target = f"serial:{format_serial(lost.serial)}"
        detail = {"reason": reason.label, "from": "a CRL"}
        transaction.audit(AuditEvent(event="certificate.revoked", actor=actor, target=target, detail=detail))

    await committer.run(work)


async def bring_in_step(
    committer: GroupCommitter, floors: Mapping[int, int], *, told: Sequence[int], actor: str
) -> None:
    """Move every CRL number to its floor, burn the serials of the time before now, and take the mark away.

    ``told``: the CAs of which a CRL was seen. CRLs in force are let go: a relying party may hold newer ones.
    """

    def work(transaction: Transaction) -> None:
        now = to_seconds(transaction.now)
        for issuer_id, floor in floors.items():
            number = max(floor, newest_number(transaction, issuer_id) + 1)
            transaction.execute(
                "UPDATE crls SET state = 'superseded' WHERE issuer_id = ? AND state = 'published'", (issuer_id,)
            )
            transaction.execute(
                "UPDATE crls SET state = 'abandoned' WHERE issuer_id = ? AND state = 'reserved'", (issuer_id,)
            )
            transaction.execute("DELETE FROM crl_parts WHERE issuer_id = ?", (issuer_id,))
            transaction.execute(
                "INSERT INTO crls (issuer_id, number, shard, base_number, this_update, next_update, state, octets) "
                "VALUES (?,?,0,NULL,?,?,'abandoned',0)",
                (issuer_id, number, now, now),
            )
        transaction.execute(_PUT, ("serial_floor", str(now)))
        transaction.execute("DELETE FROM meta WHERE key = ?", (_RESTORED,))
        bump_catalog(transaction)
        detail = {"crl_numbers": {str(key): value for key, value in floors.items()}, "crls_seen": list(told)}
        transaction.audit(AuditEvent(event="store.resynced", actor=actor, target="store", detail=detail))

    await committer.run(work)


async def note_backup(
    committer: GroupCommitter, key: str, *, event: str, detail: dict[str, object], actor: str
) -> None:
    """Note that a backup was made or tried out: ``key`` keeps when, the trail who."""

    def work(transaction: Transaction) -> None:
        transaction.execute(_PUT, (key, str(to_seconds(transaction.now))))
        transaction.audit(AuditEvent(event=event, actor=actor, target="store", detail=detail))

    await committer.run(work)
