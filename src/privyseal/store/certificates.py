# SPDX-License-Identifier: Apache-2.0
"""The issuance ledger (``ca.ports.IssuanceLedger``) and look-ups by serial.

A row is written before the signature exists and completed after it; nothing is ever deleted.
"""

from __future__ import annotations

from typing import Final

from privyseal.ca.issuance import LintedTbs
from privyseal.errors import ChallengeUsed, NotIssued, SerialBurnt, StoreUnavailable, TransactionReused
from privyseal.model.audit import AuditEvent
from privyseal.model.certificate import CertificateKind, CertificateRecord, CertificateStatus, format_serial
from privyseal.model.enrollment import Claim
from privyseal.model.revocation import CrlReason, Revocation
from privyseal.store.authority_guard import guard_issuer
from privyseal.store.committer import GroupCommitter
from privyseal.store.deliveries import queue_delivery
from privyseal.store.engine import Database, Row
from privyseal.store.entity_guard import guard_entity
from privyseal.store.moments import from_seconds, to_seconds
from privyseal.store.unit import Transaction
from privyseal.x509.tbs import assemble

RECORD_COLUMNS: Final = (
    "c.id, a.name, c.serial, c.kind, c.status, c.subject, c.san, c.profile, c.profile_revision, c.entity_id, "
    "coalesce(e.name, ''), c.not_before, c.not_after, c.protocol, c.requester, r.at, r.reason, r.invalid_since, "
    "a.version, c.sid"
)
RECORD_SOURCE: Final = (
    "certificates c LEFT JOIN authorities a ON a.id = c.issuer_id LEFT JOIN entities e ON e.id = c.entity_id "
    "LEFT JOIN revocations r ON r.certificate_id = c.id"
)
_INSERT: Final = (
    "INSERT INTO certificates (issuer_id, serial, kind, status, subject, san, profile, profile_revision, entity_id, "
    "not_before, not_after, protocol, requester, reserved_at, reserved_by, sid) "
    "VALUES (?,?,?,'reserved',?,?,?,?,?,?,?,?,?,?,?,?)"
)
_DER: Final = (
    "SELECT t.tbs, t.algorithm, s.signature FROM certificate_tbs t JOIN certificate_signatures s "
    "ON s.certificate_id = t.certificate_id WHERE t.certificate_id = ?"
)


class CertificateLedger:
    """Implements ``IssuanceLedger``; ``instance`` names this process so that its open rows can be told apart."""

    def __init__(self, database: Database, committer: GroupCommitter, instance: str) -> None:
        self._database = database
        self._committer = committer
        self._instance = instance
        self._any_blocked = (-1, True)
        """As of which version of the store, and whether any key is blocked: mostly none is."""
        row = database.read_one("SELECT CAST(value AS BIGINT) FROM meta WHERE key = 'serial_floor'")
        self._serial_floor = 0 if row is None else int(row[0])

    async def reserve(self, linted: LintedTbs, claim: Claim) -> int:
        """See ``IssuanceLedger.reserve``."""

        def work(transaction: Transaction) -> int:
            return _reserve(transaction, linted, claim, instance=self._instance)

        if self._serial_floor and linted.content is not None:
            _check_not_burnt(linted.content.serial, self._serial_floor)

        return await self._committer.run(work)

    async def record(self, certificate_id: int, signature: bytes) -> None:
        """See ``IssuanceLedger.record``."""

        def work(transaction: Transaction) -> None:
            record_signature(transaction, certificate_id, signature)

        await self._committer.run(work)

    def encoded(self, certificate_id: int) -> bytes:
        """The certificate's DER. Raises NotIssued when no signature was ever recorded."""
        row = self._database.read_one(_DER, (certificate_id,))
        if row is None:
            raise NotIssued(f"certificate {certificate_id} was reserved but never signed")
        return assemble(row[0], row[1], row[2])

    def key_is_blocked(self, key_hash: bytes) -> bool:
        """See ``ra.ports.Inventory``."""
        version = self._database.recent_version()
        if version != self._any_blocked[0]:
            self._any_blocked = (version, self._database.read_one("SELECT 1 FROM blocked_keys LIMIT 1") is not None)
        if not self._any_blocked[1]:
            return False
        return self._database.read_one("SELECT 1 FROM blocked_keys WHERE key_hash = ?", (key_hash,)) is not None

    def has_successor(self, record: CertificateRecord) -> bool:
        """Whether the same end entity got a newer certificate of the same profile."""
        return record.entity_id is not None and bool(
            self._database.read_one(
                "SELECT 1 FROM certificates WHERE entity_id = ? AND profile = ? AND id > ? AND status = 'issued' "
                "LIMIT 1",
                (record.entity_id, record.profile, record.id),
            )
        )

    def by_serial(self, issuer_id: int, serial: int) -> CertificateRecord | None:
        """The record of a serial under one CA, or None."""
        if serial < 0:
            return None
        row = self._database.read_one(
            f"SELECT {RECORD_COLUMNS} FROM {RECORD_SOURCE} WHERE c.issuer_id = ? AND c.serial = ?",
            (issuer_id, serial_blob(serial)),
        )
        return None if row is None else record_from(row)


def record_signature(transaction: Transaction, certificate_id: int, signature: bytes) -> None:
    """Complete a reserved row. Raises StoreUnavailable when it was settled meanwhile."""
    transaction.execute("INSERT INTO certificate_signatures VALUES (?,?)", (certificate_id, signature))
    row = transaction.one(
        "UPDATE certificates SET status = 'issued' WHERE id = ? AND status = 'reserved' "
        "RETURNING serial, requester, profile",
        (certificate_id,),
    )
    if row is None:
        raise StoreUnavailable(f"certificate {certificate_id} was settled by another process meanwhile")
    transaction.execute(
        "UPDATE enrollments SET state = 'issued' WHERE certificate_id = ? AND state = 'running'",
        (certificate_id,),
    )
    detail = {"profile": row[2]} if row[2] else {}
    transaction.audit(
        AuditEvent(event="certificate.issued", actor=row[1], target=f"serial:{row[0].hex()}", detail=detail)
    )


def serial_blob(serial: int) -> bytes:
    """A serial as stored: big-endian, as long as DER content octets would be without the sign octet."""
    return serial.to_bytes(max(1, (serial.bit_length() + 7) // 8), "big")


def record_from(row: Row) -> CertificateRecord:
    """A record from ``RECORD_COLUMNS``."""
    revocation = None
    if row[15] is not None:
        since = None if row[17] is None else from_seconds(row[17])
        revocation = Revocation(from_seconds(row[15]), CrlReason(row[16]), since)
    return CertificateRecord(
        id=row[0],
        issuer=row[1] or "",
        issuer_version=row[18] or 0,
        serial=int.from_bytes(row[2], "big"),
        kind=CertificateKind(row[3]),
        status=CertificateStatus(row[4]),
        subject=row[5],
        san=row[6],
        profile=row[7],
        profile_revision=row[8],
        entity_id=row[9],
        entity=row[10],
        not_before=from_seconds(row[11]),
        not_after=from_seconds(row[12]),
        protocol=row[13],
        requester=row[14],
        sid=row[19] or "",
        revocation=revocation,
    )


def _check_not_burnt(serial: int, floor: int) -> None:
    """Certificates that a restored store lost may have any serial of the time before it was brought in step."""
    if serial >> 96 < floor:
        at = from_seconds(serial >> 96)
        raise SerialBurnt(
            f"the serial is of {at:%Y-%m-%d %H:%M:%S} UTC, and from {from_seconds(floor)} on they are new"
        )


def _reserve(transaction: Transaction, linted: LintedTbs, claim: Claim, *, instance: str) -> int:
    content = linted.content
    if content is None:
        raise StoreUnavailable("only certificates are reserved here")
    guard_issuer(transaction, linted.issuer_id, claim)
    guard_entity(transaction, claim)
    now = to_seconds(transaction.now)
    certificate_id = transaction.insert(
        _INSERT,
        (
            linted.issuer_id, serial_blob(content.serial), claim.kind.value, claim.subject, claim.san, claim.profile,
            claim.profile_revision, claim.entity_id, to_seconds(content.not_before), to_seconds(content.not_after),
            claim.protocol, claim.requester, now, instance, claim.sid or None,
        ),
    )  # fmt: skip
    transaction.execute(
        "INSERT INTO certificate_tbs VALUES (?,?,?)", (certificate_id, linted.tbs, linted.algorithm.identifier)
    )
    if claim.transaction_id:
        _claim_enrollment(transaction, claim, certificate_id)
    consume_challenge(transaction, claim)
    if claim.deliver_to is not None:
        queue_delivery(transaction, certificate_id, claim.deliver_to, ends_at=to_seconds(content.not_after))
    detail: dict[str, object] = {"profile": claim.profile} if claim.profile else {}
    if claim.remark:
        detail["remark"] = claim.remark
    transaction.audit(
        AuditEvent(
            event="certificate.reserved",
            actor=claim.requester,
            target=f"serial:{format_serial(content.serial)}",
            detail=detail,
        )
    )
    return certificate_id


def consume_challenge(transaction: Transaction, claim: Claim) -> None:
    """Mark the claim's challenge as used, here and only here. Raises ChallengeUsed when it was already."""
    if claim.challenge_id is None:
        return
    used = transaction.execute(
        "UPDATE challenges SET used_at = ? WHERE id = ? AND used_at IS NULL",
        (to_seconds(transaction.now), claim.challenge_id),
    )
    if used.rowcount != 1:
        raise ChallengeUsed("the challenge was used by another request a moment ago")


def refuse_other_key(transaction: Transaction, claim: Claim) -> list[Row]:
    """Id, evidence and state of the transaction's live enrollments. Raises TransactionReused."""
    rows = transaction.execute(
        "SELECT id, key_hash, evidence, state FROM enrollments WHERE transaction_id = ? AND profile = ? "
        "AND state IN ('waiting', 'approved', 'running', 'issued')",
        (claim.transaction_id, claim.profile),
    ).fetchall()
    if any(key_hash != claim.key_hash for _, key_hash, _, _ in rows):
        raise TransactionReused(f"transaction {claim.transaction_id[:80]!r} belongs to another key")
    return [(enrollment_id, evidence, state) for enrollment_id, _, evidence, state in rows]


def _claim_enrollment(transaction: Transaction, claim: Claim, certificate_id: int) -> None:
    for enrollment_id, evidence, state in refuse_other_key(transaction, claim):
        if evidence == claim.evidence and enrollment_id != claim.enrollment_id and state in ("running", "issued"):
            raise ChallengeUsed("the same request is being served already")
    now = to_seconds(transaction.now)
    if claim.enrollment_id is not None:
        taken = transaction.execute(
            "UPDATE enrollments SET state = 'running', certificate_id = ? WHERE id = ? AND state = 'approved'",
            (certificate_id, claim.enrollment_id),
        )
        if taken.rowcount != 1:
            raise ChallengeUsed("the approved enrollment is being served already")
        return
    transaction.execute(
        "INSERT INTO enrollments (at, state, profile, protocol, transaction_id, key_hash, evidence, entity_id, "
        "certificate_id, code, what, request) VALUES (?,'running',?,?,?,?,?,?,?,0,'',?)",
        (
            now, claim.profile, claim.protocol, claim.transaction_id, claim.key_hash, claim.evidence,
            claim.entity_id, certificate_id, b"",
        ),
    )  # fmt: skip
