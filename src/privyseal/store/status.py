# SPDX-License-Identifier: Apache-2.0
"""Revocations, holds and their release, and what settles an interrupted issuance."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Final

from privyseal.ca.lifecycle import CaEvent
from privyseal.errors import AlreadyRevoked, HoldNotPossible, NotIssued, NotOnHold, WeakKey
from privyseal.model.audit import AuditEvent
from privyseal.model.authority import CrlRules
from privyseal.model.certificate import CertificateKind, format_serial
from privyseal.model.revocation import REMOVE_FROM_CRL, CrlReason, Revocation
from privyseal.store.authority_life import shift
from privyseal.store.certificates import serial_blob
from privyseal.store.committer import GroupCommitter
from privyseal.store.crls import newest_number
from privyseal.store.deliveries import restore_released, withdraw_revoked
from privyseal.store.engine import Database, Row
from privyseal.store.entities import set_blocks
from privyseal.store.moments import from_seconds, to_seconds
from privyseal.store.search_index import index_revocation, unindex_revocation
from privyseal.store.unit import Transaction, bump_catalog
from privyseal.x509.certificate import read_certificate
from privyseal.x509.tbs import assemble, revoked_entry

_KEPT_OUT: Final = (
    "SELECT 1 FROM revocations r JOIN certificates c ON c.id = r.certificate_id "
    "WHERE c.entity_id = ? AND c.profile = ? AND r.keeps_out = 1"
)


class StatusBook:
    """Keeps revocations. Each is stored with the newest CRL number of the moment: CRLs above it must tell it."""

    def __init__(self, database: Database, committer: GroupCommitter) -> None:
        self._database = database
        self._committer = committer

    async def revoke(
        self, issuer_id: int, serial: int, *, revocation: Revocation, actor: str, block: bool = False
    ) -> None:
        """Revoke a certificate; status and CRL entry are stored in one transaction.

        With ``block`` its entity gets no other of the same profile, from the same transaction on. A CA, RA or OCSP
        responder whose certificate it is acts no more from the same moment. What is on hold may be revoked for good;
        then the date of the hold stays. Raises NotIssued for a serial that was never issued, AlreadyRevoked for one
        that is revoked, HoldNotPossible.
        """

        def work(transaction: Transaction) -> None:
            row = transaction.one(
                "SELECT id, status, kind, entity_id, profile FROM certificates WHERE issuer_id = ? AND serial = ?",
                (issuer_id, serial_blob(serial)),
            )
            if row is None or row[1] == "reserved":
                raise NotIssued(f"serial {serial:x} was not issued by this CA")
            if revocation.reason is CrlReason.CERTIFICATE_HOLD and row[2] != CertificateKind.END_ENTITY.value:
                raise HoldNotPossible(f"certificate {serial:x} is of kind {row[2]}, not an end entity's")
            stored = revocation
            if row[1] == "revoked":
                stored = _made_final(transaction, row[0], serial=serial, revocation=revocation)
            _store_revocation(transaction, row[0], issuer_id, serial=serial, revocation=stored, actor=actor)
            if block and row[3] is not None and row[4]:
                transaction.execute("UPDATE revocations SET keeps_out = 1 WHERE certificate_id = ?", (row[0],))
                set_blocks(transaction, [(row[3], row[4])], actor=actor, on=True)
            if row[2] == CertificateKind.CA.value:
                _revoke_authority(transaction, issuer_id, serial, actor=actor)
            elif row[2] != CertificateKind.END_ENTITY.value:
                _end_service(transaction, issuer_id, serial, at=revocation.at)

        await self._committer.run(work)

    async def release(self, issuer_id: int, serial: int, *, actor: str) -> None:
        """End a hold: the certificate is good again, and its entity may come back unless another revocation keeps it
        out. Raises NotIssued, NotOnHold, and WeakKey when the key was reported as compromised meanwhile.
        """

        def work(transaction: Transaction) -> None:
            row = transaction.one(
                "SELECT c.id, c.status, r.at, r.reason, r.shard, r.keeps_out, c.entity_id, c.profile "
                "FROM certificates c LEFT JOIN revocations r "
                "ON r.certificate_id = c.id WHERE c.issuer_id = ? AND c.serial = ?",
                (issuer_id, serial_blob(serial)),
            )
            if row is None or row[1] == "reserved":
                raise NotIssued(f"serial {serial:x} was not issued by this CA")
            if row[3] != CrlReason.CERTIFICATE_HOLD:
                state = "is good" if row[3] is None else f"is revoked for {CrlReason(row[3]).label}"
                raise NotOnHold(f"certificate {serial:x} {state}")
            certificate_id, shard = row[0], row[4]
            if _key_is_blocked(transaction, certificate_id):
                raise WeakKey(
                    f"the key of certificate {format_serial(serial)} was reported as compromised while it was on hold",
                    mend=("revoke it for good: privyseal certificate revoke SERIAL --reason key-compromise",),
                )
            transaction.execute("UPDATE certificates SET status = 'issued' WHERE id = ?", (certificate_id,))
            unindex_revocation(transaction, certificate_id)
            transaction.execute("DELETE FROM revocations WHERE certificate_id = ?", (certificate_id,))
            # What delta CRLs say until no base that lists the hold is in anybody's hands.
            entry = revoked_entry(serial, from_seconds(row[2]), reason=REMOVE_FROM_CRL)
            transaction.execute(
                "INSERT INTO released_holds VALUES (?,?,?,?,?)",
                (certificate_id, issuer_id, shard, newest_number(transaction, issuer_id), entry),
            )
            restore_released(transaction, certificate_id)
            transaction.audit(AuditEvent(event="certificate.released", actor=actor, target=f"serial:{serial:x}"))
            if row[5] and not transaction.one(_KEPT_OUT, (row[6], row[7])):
                set_blocks(transaction, [(row[6], row[7])], actor=actor, on=False)

        await self._committer.run(work)

    async def settle(self, instance_gone: Callable[[str], bool], *, stale_before: datetime, actor: str) -> int:
        """Settle reservations of processes that are gone, and those from before ``stale_before``; returns how many.

        The signature may exist although it was never stored, so the serial is revoked as a precaution.
        """
        open_rows = self._database.read(
            "SELECT id, issuer_id, serial, reserved_by, reserved_at FROM certificates WHERE status = 'reserved'"
        )
        orphans = [row for row in open_rows if row[4] < to_seconds(stale_before) or instance_gone(row[3])]
        for row in orphans:
            await self._committer.run(partial(_settle, row=row, actor=actor))
        return len(orphans)

    def status(self, issuer_id: int, serial: int) -> tuple[str, Revocation | None] | None:
        """Stored status of a serial and its revocation, or None when it was never reserved."""
        if serial < 0:
            return None
        row = self._database.read_one(
            "SELECT c.status, r.at, r.reason, r.invalid_since FROM certificates c "
            "LEFT JOIN revocations r ON r.certificate_id = c.id WHERE c.issuer_id = ? AND c.serial = ?",
            (issuer_id, serial_blob(serial)),
        )
        if row is None:
            return None
        if row[1] is None:
            return row[0], None
        since = None if row[3] is None else from_seconds(row[3])
        return row[0], Revocation(from_seconds(row[1]), CrlReason(row[2]), since)


def _revoke_authority(transaction: Transaction, issuer_id: int, serial: int, *, actor: str) -> None:
    """Take the CA whose certificate this is out of use: what it signed from now on, nobody could verify."""
    rows = transaction.execute(
        "SELECT id, name, version, state, certificate FROM authorities WHERE deleted_at IS NULL AND (parent_id IN "
        "(SELECT id FROM authorities WHERE id = ? OR ledger_id = ?) OR (id = ? AND parent_id IS NULL))",
        (issuer_id, issuer_id, issuer_id),
    ).fetchall()
    for row in rows:
        if read_certificate(row[4]).serial == serial:
            shift(transaction, row, CaEvent.REVOKE, actor=actor)


def _end_service(transaction: Transaction, issuer_id: int, serial: int, *, at: datetime) -> None:
    """Let the RA or OCSP certificate end now; the worker makes the next one."""
    rows = transaction.execute("SELECT id, certificate FROM services WHERE issuer_id = ?", (issuer_id,)).fetchall()
    for service_id, certificate in rows:
        if read_certificate(certificate).serial == serial:
            transaction.execute("UPDATE services SET not_after = ? WHERE id = ?", (to_seconds(at), service_id))
            bump_catalog(transaction)


def _settle(transaction: Transaction, *, row: Row, actor: str) -> None:
    certificate_id, issuer_id, serial = row[0], row[1], int.from_bytes(row[2], "big")
    still = transaction.one("SELECT 1 FROM certificates WHERE id = ? AND status = 'reserved'", (certificate_id,))
    if still is None:
        return
    revocation = Revocation(transaction.now.replace(microsecond=0), CrlReason.CESSATION_OF_OPERATION)
    transaction.execute(
        "UPDATE enrollments SET state = 'failed', code = 9000, what = 'interrupted while signing' "
        "WHERE certificate_id = ? AND state = 'running'",
        (certificate_id,),
    )
    # Nobody got what the challenge was spent for, and the serial is revoked: the device may use it once more.
    transaction.execute(
        "UPDATE challenges SET used_at = NULL WHERE id = (SELECT CAST(substr(requester, 11) AS BIGINT) "
        "FROM certificates WHERE id = ? AND substr(requester, 1, 10) = 'challenge:')",
        (certificate_id,),
    )
    _store_revocation(transaction, certificate_id, issuer_id, serial=serial, revocation=revocation, actor=actor)


def _store_revocation(
    transaction: Transaction, certificate_id: int, issuer_id: int, *, serial: int, revocation: Revocation, actor: str
) -> None:
    since = revocation.invalid_since
    if revocation.reason in (CrlReason.KEY_COMPROMISE, CrlReason.CA_COMPROMISE):
        _block_key(transaction, certificate_id)
    entry = revoked_entry(serial, revocation.at, reason=int(revocation.reason), invalid_since=since)
    transaction.execute("UPDATE certificates SET status = 'revoked' WHERE id = ?", (certificate_id,))
    unindex_revocation(transaction, certificate_id)
    index_revocation(transaction, certificate_id, at=to_seconds(revocation.at), reason=int(revocation.reason))
    transaction.execute("DELETE FROM released_holds WHERE certificate_id = ?", (certificate_id,))
    # Every CRL of a higher number holds it. So a crash before the next one leaves a trace, and the next start makes it.
    after, shard = newest_number(transaction, issuer_id), _shard(transaction, issuer_id, serial)
    withdraw_revoked(transaction, certificate_id, held=revocation.reason is CrlReason.CERTIFICATE_HOLD)
    transaction.execute(
        "INSERT INTO revocations (certificate_id, issuer_id, shard, after_number, at, reason, "
        "invalid_since, entry) VALUES (?,?,?,?,?,?,?,?) ON CONFLICT (certificate_id) DO UPDATE SET "
        "shard = excluded.shard, after_number = excluded.after_number, at = excluded.at, reason = excluded.reason, "
        "invalid_since = excluded.invalid_since, entry = excluded.entry",
        (
            certificate_id, issuer_id, shard, after, to_seconds(revocation.at),
            int(revocation.reason), None if since is None else to_seconds(since), entry,
        ),
    )  # fmt: skip
    transaction.audit(
        AuditEvent(
            event="certificate.revoked",
            actor=actor,
            target=f"serial:{serial:x}",
            detail={"reason": revocation.reason.label},
        )
    )


def _made_final(transaction: Transaction, certificate_id: int, *, serial: int, revocation: Revocation) -> Revocation:
    """What a hold becomes: revoked for another reason, since the hold. Raises AlreadyRevoked for anything else."""
    row = transaction.one("SELECT at, reason FROM revocations WHERE certificate_id = ?", (certificate_id,))
    if row is None or row[1] != CrlReason.CERTIFICATE_HOLD:
        raise AlreadyRevoked(f"certificate {serial:x} is already revoked")
    if revocation.reason is CrlReason.CERTIFICATE_HOLD:
        raise AlreadyRevoked(f"certificate {serial:x} is on hold already")
    return Revocation(from_seconds(row[0]), revocation.reason, revocation.invalid_since)


def _shard(transaction: Transaction, issuer_id: int, serial: int) -> int:
    row = transaction.one("SELECT crl_shards FROM authorities WHERE id = ?", (issuer_id,))
    return CrlRules(shards=row[0] if row else 0).shard_of(serial)


def _block_key(transaction: Transaction, certificate_id: int) -> None:
    """Nobody gets another certificate for a key that was reported as compromised."""
    digest = _key_hash(transaction, certificate_id)
    transaction.execute("INSERT INTO blocked_keys VALUES (?) ON CONFLICT DO NOTHING", (digest,))


def _key_is_blocked(transaction: Transaction, certificate_id: int) -> bool:
    if transaction.one("SELECT 1 FROM blocked_keys LIMIT 1") is None:
        return False
    digest = _key_hash(transaction, certificate_id)
    return transaction.one("SELECT 1 FROM blocked_keys WHERE key_hash = ?", (digest,)) is not None


def _key_hash(transaction: Transaction, certificate_id: int) -> bytes:
    row = transaction.one("SELECT tbs, algorithm FROM certificate_tbs WHERE certificate_id = ?", (certificate_id,))
    if row is None:
        raise NotIssued(f"certificate {certificate_id} has no content")
    return sha256(read_certificate(assemble(row[0], row[1], b"\x00")).spki).digest()
