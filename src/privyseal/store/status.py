# SPDX-License-Identifier: Apache-2.0
"""Revocations, CRL numbers and CRLs (``ca.ports.CrlLedger``), and what settles an interrupted issuance."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Final

from privyseal.errors import AlreadyRevoked, NotIssued
from privyseal.model.audit import AuditEvent
from privyseal.model.authority import CaState
from privyseal.model.certificate import CertificateKind
from privyseal.model.revocation import CrlReason, Revocation
from privyseal.store.certificates import serial_blob
from privyseal.store.committer import GroupCommitter
from privyseal.store.deliveries import withdraw_revoked
from privyseal.store.engine import Database, Row
from privyseal.store.moments import from_seconds, to_seconds
from privyseal.store.search_index import index_revocation, unindex_revocation
from privyseal.store.unit import Transaction, bump_catalog
from privyseal.x509.certificate import read_certificate
from privyseal.x509.tbs import assemble, revoked_entry

# Small objects by the million cost twice their contents; so they are joined a part at a time.
_ENTRIES_AT_ONCE: Final = 10_000


class StatusBook:
    """Implements ``CrlLedger`` and keeps revocations."""

    def __init__(self, database: Database, committer: GroupCommitter) -> None:
        self._database = database
        self._committer = committer

    async def reserve_number(self, issuer_id: int, *, this_update: datetime, next_update: datetime) -> int:
        """See ``CrlLedger.reserve_number``."""

        def work(transaction: Transaction) -> int:
            row = transaction.one("SELECT coalesce(max(number), 0) + 1 FROM crls WHERE issuer_id = ?", (issuer_id,))
            number = int(row[0]) if row else 1
            transaction.execute(
                "INSERT INTO crls (issuer_id, number, this_update, next_update, state) VALUES (?,?,?,?,'reserved')",
                (issuer_id, number, to_seconds(this_update), to_seconds(next_update)),
            )
            return number

        return await self._committer.run(work)

    async def entries(self, issuer_id: int) -> bytes:
        """See ``CrlLedger.entries``."""
        rows = self._database.reader.execute("SELECT entry FROM revocations WHERE issuer_id = ?", (issuer_id,))
        chunks: list[bytes] = []
        while some := rows.fetchmany(_ENTRIES_AT_ONCE):
            chunks.append(b"".join([entry for (entry,) in some]))
        return b"".join(chunks)

    async def record_crl(self, issuer_id: int, number: int, crl: bytes) -> None:
        """See ``CrlLedger.record_crl``; the bodies of older CRLs are let go, their numbers stay."""

        def work(transaction: Transaction) -> None:
            # It stays outdated if something was revoked since its number was reserved.
            transaction.execute(
                "UPDATE crls SET state = CASE state WHEN 'reserved' THEN 'published' ELSE state END, crl = ? "
                "WHERE issuer_id = ? AND number = ?",
                (crl, issuer_id, number),
            )
            transaction.execute(
                "UPDATE crls SET state = 'superseded', crl = NULL "
                "WHERE issuer_id = ? AND number < ? AND crl IS NOT NULL",
                (issuer_id, number),
            )
            transaction.audit(
                AuditEvent(
                    event="crl.published",
                    actor="service:crl",
                    target=f"issuer:{issuer_id}",
                    detail={"number": number, "octets": len(crl)},
                )
            )

        await self._committer.run(work)

    def latest_crl(self, issuer_id: int) -> tuple[int, datetime, datetime, bytes] | None:
        """Number, thisUpdate, nextUpdate and DER of the CRL in force, or None before the first."""
        row = self._database.read_one(
            "SELECT number, this_update, next_update, crl FROM crls WHERE issuer_id = ? AND crl IS NOT NULL "
            "ORDER BY number DESC LIMIT 1",
            (issuer_id,),
        )
        return None if row is None else (row[0], from_seconds(row[1]), from_seconds(row[2]), row[3])

    def crl_is_outdated(self, issuer_id: int) -> bool:
        """True when something was revoked since the CRL in force was begun."""
        row = self._database.read_one(
            "SELECT state FROM crls WHERE issuer_id = ? AND crl IS NOT NULL ORDER BY number DESC LIMIT 1", (issuer_id,)
        )
        return row is not None and row[0] == "outdated"

    async def revoke(self, issuer_id: int, serial: int, *, revocation: Revocation, actor: str) -> None:
        """Revoke a certificate; status and CRL entry are stored in one transaction.

        A CA, RA or OCSP responder whose certificate it is acts no more from the same moment. Raises NotIssued for
        a serial that was never issued, AlreadyRevoked for one that is revoked.
        """

        def work(transaction: Transaction) -> None:
            row = transaction.one(
                "SELECT id, status, kind FROM certificates WHERE issuer_id = ? AND serial = ?",
                (issuer_id, serial_blob(serial)),
            )
            if row is None or row[1] == "reserved":
                raise NotIssued(f"serial {serial:x} was not issued by this CA")
            if row[1] == "revoked":
                raise AlreadyRevoked(f"certificate {serial:x} is already revoked")
            _store_revocation(transaction, row[0], issuer_id, serial=serial, revocation=revocation, actor=actor)
            if row[2] == CertificateKind.CA.value:
                _retire(transaction, issuer_id, serial, actor=actor)
            elif row[2] != CertificateKind.END_ENTITY.value:
                _end_service(transaction, issuer_id, serial, at=revocation.at)

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


def _retire(transaction: Transaction, issuer_id: int, serial: int, *, actor: str) -> None:
    """Take the CA whose certificate this is out of use: what it signed from now on, nobody could verify."""
    rows = transaction.execute(
        "SELECT id, name, version, certificate FROM authorities WHERE parent_id = ? OR (id = ? AND parent_id IS NULL)",
        (issuer_id, issuer_id),
    ).fetchall()
    for ca_id, name, version, certificate in rows:
        if read_certificate(certificate).serial == serial:
            transaction.execute("UPDATE authorities SET state = ? WHERE id = ?", (CaState.RETIRED.value, ca_id))
            bump_catalog(transaction)
            transaction.audit(
                AuditEvent(event="ca.retired", actor=actor, target=f"ca:{name}", detail={"version": version})
            )


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
    withdraw_revoked(transaction, certificate_id)
    # So that a crash before the next CRL leaves a trace, and the next start publishes it.
    transaction.execute(
        "UPDATE crls SET state = 'outdated' WHERE issuer_id = ? AND state IN ('reserved', 'published')", (issuer_id,)
    )
    transaction.execute(
        "INSERT INTO revocations VALUES (?,?,?,?,?,?)",
        (
            certificate_id, issuer_id, to_seconds(revocation.at), int(revocation.reason),
            None if since is None else to_seconds(since), entry,
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


def _block_key(transaction: Transaction, certificate_id: int) -> None:
    """Nobody gets another certificate for a key that was reported as compromised."""
    row = transaction.one("SELECT tbs, algorithm FROM certificate_tbs WHERE certificate_id = ?", (certificate_id,))
    if row is None:
        raise NotIssued(f"certificate {certificate_id} has no content")
    spki = read_certificate(assemble(row[0], row[1], b"\x00")).spki
    transaction.execute("INSERT INTO blocked_keys VALUES (?) ON CONFLICT DO NOTHING", (sha256(spki).digest(),))
