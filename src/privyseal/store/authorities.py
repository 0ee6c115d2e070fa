# SPDX-License-Identifier: Apache-2.0
"""CA versions, and the RA and OCSP certificates that serve them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from privyseal.errors import CrlFormNotFitting, DeltaCrlStillNamed, NameTaken, NotFound
from privyseal.model.audit import AuditEvent
from privyseal.model.authority import IN_FORCE, CaKind, CaRecord, CaState, CrlRules, DeltaRules, ServiceRecord
from privyseal.model.certificate import CertificateKind
from privyseal.store.authority_names import name_authority
from privyseal.store.certificates import record_signature, serial_blob
from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import Database, Row
from privyseal.store.moments import from_seconds, to_seconds
from privyseal.store.unit import Transaction, bump_catalog
from privyseal.x509.certificate import read_certificate

_COLUMNS: Final = (
    "id, name, version, kind, state, parent_id, certificate, key_ref, hash_name, crl_validity, crl_interval, "
    "created_at, crl_shards, delta_validity, delta_interval, changed_at, ledger_id"
)


class AuthorityBook:
    """Stored CAs and their services."""

    def __init__(self, database: Database, committer: GroupCommitter) -> None:
        self._database = database
        self._committer = committer

    def all(self) -> tuple[CaRecord, ...]:
        """Every CA version that was not deleted, oldest first."""
        rows = self._database.read(f"SELECT {_COLUMNS} FROM authorities WHERE deleted_at IS NULL ORDER BY id")
        return tuple(_record(row) for row in rows)

    def last_version(self, name: str) -> int:
        """The highest version that this name ever had, deleted ones and requests included; 0 when there is none.

        A version is in URLs that certificates carry, so it is never used again.
        """
        row = self._database.read_one(
            "SELECT coalesce(max(version), 0) FROM (SELECT version FROM authorities WHERE name = ? "
            "UNION ALL SELECT version FROM authority_requests WHERE name = ?) AS versions",
            (name, name),
        )
        return 0 if row is None else int(row[0])

    def get(self, name: str, version: int = 0) -> CaRecord:
        """A CA version; 0 means the one in force, or else the newest. Raises NotFound."""
        found = [record for record in self.all() if record.name == name and version in (0, record.version)]
        if not found:
            shown = f"{name!r} version {version}" if version else repr(name)
            raise NotFound(f"there is no CA {shown}", mend=("privyseal ca list",))
        in_force = [record for record in found if record.state in IN_FORCE]
        return (in_force or found)[-1]

    async def add(
        self, record: CaRecord, *, actor: str, signed: tuple[int, bytes] | None = None, request_id: int = 0
    ) -> CaRecord:
        """Store a new CA version; its id is given here. Raises NameTaken.

        ``signed``: the reserved certificate and its signature, recorded in the same transaction: a crash leaves
        neither a certificate without its CA nor a CA without certificate. ``request_id``: the request that it ends.
        """

        def work(transaction: Transaction) -> int:
            if signed is not None:
                record_signature(transaction, signed[0], signed[1])
            transaction.execute("DELETE FROM authority_requests WHERE id = ?", (request_id,))
            _check_place(transaction, record)
            ca_id = transaction.insert(
                "INSERT INTO authorities (name, version, kind, state, parent_id, certificate, key_ref, hash_name, "
                "crl_validity, crl_interval, crl_shards, delta_validity, delta_interval, delta_since, created_at, "
                "changed_at, ledger_id, tests) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,0)",
                (
                    record.name, record.version, record.kind.value, record.state.value, record.parent_id,
                    record.certificate, record.key_ref, record.hash_name,
                    *_intervals(record.crl), record.crl.shards, *_delta(record.crl),
                    None if record.crl.delta is None else to_seconds(record.created_at),
                    to_seconds(record.created_at), to_seconds(record.changed_at), record.ledger_id or None,
                ),
            )  # fmt: skip
            name_authority(transaction, record.name)
            if record.kind is CaKind.ROOT:
                # A root signs itself, so its certificate was reserved before the root had an id.
                serial = serial_blob(read_certificate(record.certificate).serial)
                transaction.execute(
                    "UPDATE certificates SET issuer_id = ? WHERE issuer_id = 0 AND serial = ?",
                    (record.ledger_id or ca_id, serial),
                )
            bump_catalog(transaction)
            transaction.audit(
                AuditEvent(
                    event="ca.created",
                    actor=actor,
                    target=f"ca:{record.name}",
                    detail={
                        "version": record.version,
                        "kind": record.kind.value,
                        "state": record.state.value,
                        "key": "here" if record.has_key else "elsewhere",
                    },
                )
            )
            return ca_id

        ca_id = await self._committer.run(work)
        return next(found for found in self.all() if found.id == ca_id)

    async def set_crl_rules(self, record: CaRecord, rules: CrlRules, *, actor: str) -> CaRecord:
        """Change how often CRLs are published and whether there are deltas. Raises CrlFormNotFitting for other shards,
        DeltaCrlStillNamed when deltas end and certificates still name them.
        """
        if rules.shards != record.crl.shards:
            raise CrlFormNotFitting(f"CA {record.name} v{record.version} has {record.crl.shards} shards for ever")

        def work(transaction: Transaction) -> None:
            if record.crl.delta is not None and rules.delta is None:
                _check_delta_not_named(transaction, record)
            since = "NULL" if rules.delta is None else f"coalesce(delta_since, {to_seconds(transaction.now)})"
            transaction.execute(
                "UPDATE authorities SET crl_validity = ?, crl_interval = ?, delta_validity = ?, delta_interval = ?, "
                f"delta_since = {since} WHERE id = ?",
                (*_intervals(rules), *_delta(rules), record.id),
            )
            bump_catalog(transaction)
            validity, interval = _intervals(rules)
            detail: dict[str, object] = {"version": record.version, "validity": validity, "interval": interval}
            if rules.delta is not None:
                detail |= dict(zip(("delta_validity", "delta_interval"), _delta(rules), strict=True))
            transaction.audit(
                AuditEvent(event="ca.crl-changed", actor=actor, target=f"ca:{record.name}", detail=detail)
            )

        await self._committer.run(work)
        return self.get(record.name, record.version)

    async def add_service(
        self,
        issuer_id: int,
        kind: CertificateKind,
        *,
        certificate: bytes,
        key_ref: str,
        validity: tuple[datetime, datetime],
    ) -> None:
        """Store an RA or OCSP certificate; the newest is the one in use."""

        def work(transaction: Transaction) -> None:
            transaction.execute(
                "INSERT INTO services (issuer_id, kind, certificate, key_ref, not_before, not_after) "
                "VALUES (?,?,?,?,?,?)",
                (issuer_id, kind.value, certificate, key_ref, to_seconds(validity[0]), to_seconds(validity[1])),
            )
            bump_catalog(transaction)
            transaction.audit(
                AuditEvent(event=f"{kind.value}.rolled", actor="service:rollover", target=f"issuer:{issuer_id}")
            )

        await self._committer.run(work)

    def services(self, issuer_id: int, kind: CertificateKind, *, now: datetime) -> tuple[ServiceRecord, ...]:
        """Unexpired services of one kind, newest first, also those that are not valid yet."""
        rows = self._database.read(
            "SELECT id, issuer_id, kind, certificate, key_ref, not_before, not_after FROM services "
            "WHERE issuer_id = ? AND kind = ? AND not_after > ? ORDER BY id DESC",
            (issuer_id, kind.value, to_seconds(now)),
        )
        return tuple(
            ServiceRecord(
                id=row[0],
                issuer_id=row[1],
                kind=CertificateKind(row[2]),
                certificate=row[3],
                key_ref=row[4],
                not_before=from_seconds(row[5]),
                not_after=from_seconds(row[6]),
            )
            for row in rows
        )


def _check_place(transaction: Transaction, record: CaRecord) -> None:
    """Raise NameTaken when the version is there, or another one has the place that it would have."""
    if transaction.one("SELECT 1 FROM authorities WHERE name = ? AND version = ?", (record.name, record.version)):
        raise NameTaken(f"CA {record.name!r} v{record.version} exists already")
    if record.state in IN_FORCE and transaction.one(
        "SELECT 1 FROM authorities WHERE name = ? AND state IN ('active', 'paused') AND deleted_at IS NULL",
        (record.name,),
    ):
        raise NameTaken(f"another version of CA {record.name!r} is in force")
    if (record.state, record.has_key) == (CaState.STAGED, True) and transaction.one(
        "SELECT 1 FROM authorities WHERE name = ? AND state = 'staged' AND deleted_at IS NULL", (record.name,)
    ):
        raise NameTaken(f"CA {record.name!r} has a staged version already")


def _record(row: Row) -> CaRecord:
    return CaRecord(
        id=row[0],
        name=row[1],
        version=row[2],
        kind=CaKind(row[3]),
        state=CaState(row[4]),
        parent_id=row[5],
        certificate=row[6],
        key_ref=row[7],
        hash_name=row[8],
        crl=CrlRules(
            validity=timedelta(seconds=row[9]),
            publish_every=timedelta(seconds=row[10]),
            delta=None
            if row[13] is None
            else DeltaRules(validity=timedelta(seconds=row[13]), publish_every=timedelta(seconds=row[14])),
            shards=row[12],
        ),
        created_at=from_seconds(row[11]),
        changed_at=from_seconds(row[15]),
        ledger_id=row[16] or 0,
    )


def _intervals(rules: CrlRules) -> tuple[int, int]:
    return int(rules.validity.total_seconds()), int(rules.publish_every.total_seconds())


def _delta(rules: CrlRules) -> tuple[int, int] | tuple[None, None]:
    if rules.delta is None:
        return None, None
    return int(rules.delta.validity.total_seconds()), int(rules.delta.publish_every.total_seconds())


def _check_delta_not_named(transaction: Transaction, record: CaRecord) -> None:
    """Raise DeltaCrlStillNamed when a valid certificate of the CA may have been issued while deltas were on."""
    found = transaction.one(
        "SELECT count(*), max(c.not_after) FROM certificates c JOIN authorities a ON a.id = c.issuer_id "
        "WHERE c.issuer_id = ? AND c.status <> 'revoked' AND c.not_after > ? AND c.reserved_at >= a.delta_since",
        (record.id, to_seconds(transaction.now)),
    )
    if found is not None and found[0]:
        raise DeltaCrlStillNamed(
            f"{found[0]} certificate(s) of CA {record.name} v{record.version}, the last until "
            f"{from_seconds(found[1]):%Y-%m-%d}, name the delta CRL"
        )
