# SPDX-License-Identifier: Apache-2.0
"""What belongs to a CA's name, requests that wait for a certificate from outside, and cross certificates."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, Final

from privyseal.errors import NameTaken, NotFound
from privyseal.model.audit import AuditEvent
from privyseal.model.authority import CrlRules, DeltaRules
from privyseal.model.authority_name import (
    AuthorityName,
    CrossCertificate,
    PendingAuthority,
    RenewalMode,
    RenewalPolicy,
)
from privyseal.store.certificates import record_signature
from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import Database, Row
from privyseal.store.moments import from_seconds, to_seconds
from privyseal.store.unit import Transaction, bump_catalog

_NAME_COLUMNS: Final = "name, description, labels, renewal, renew_at"
_PENDING_COLUMNS: Final = "id, name, version, key_ref, request, body, created_at"


def name_authority(transaction: Transaction, name: str) -> None:
    """Make the row of a name, with the defaults, unless it is there."""
    default = RenewalPolicy()
    transaction.execute(
        "INSERT INTO authority_names (name, description, labels, renewal, renew_at) VALUES (?,'','[]',?,?) "
        "ON CONFLICT (name) DO NOTHING",
        (name, default.mode.value, default.at_percent),
    )


class AuthorityNames:
    """Labels and policies by name; pending requests; cross certificates."""

    def __init__(self, database: Database, committer: GroupCommitter) -> None:
        self._database = database
        self._committer = committer

    def get(self, name: str) -> AuthorityName:
        """What is said of a name. Raises NotFound."""
        row = self._database.read_one(f"SELECT {_NAME_COLUMNS} FROM authority_names WHERE name = ?", (name,))
        if row is None:
            raise NotFound(f"there is no CA {name!r}", mend=("privyseal ca list",))
        return _name(row)

    def all(self) -> tuple[AuthorityName, ...]:
        """Every name, in order."""
        return tuple(
            _name(row) for row in self._database.read(f"SELECT {_NAME_COLUMNS} FROM authority_names ORDER BY name")
        )

    async def set(self, wanted: AuthorityName, *, actor: str) -> None:
        """Change description, labels and renewal policy. Raises NotFound."""

        def work(transaction: Transaction) -> None:
            changed = transaction.execute(
                "UPDATE authority_names SET description = ?, labels = ?, renewal = ?, renew_at = ? WHERE name = ?",
                (
                    wanted.description, json.dumps(sorted(wanted.labels)), wanted.renewal.mode.value,
                    wanted.renewal.at_percent, wanted.name,
                ),
            )  # fmt: skip
            if changed.rowcount != 1:
                raise NotFound(f"there is no CA {wanted.name!r}", mend=("privyseal ca list",))
            transaction.audit(
                AuditEvent(
                    event="ca.set",
                    actor=actor,
                    target=f"ca:{wanted.name}",
                    detail={
                        "description": wanted.description,
                        "labels": sorted(wanted.labels),
                        "renew": f"{wanted.renewal.mode.value} at {wanted.renewal.at_percent}%",
                    },
                )
            )

        await self._committer.run(work)

    # --- requests that wait ------------------------------------------------------------------------

    def pending(self) -> tuple[PendingAuthority, ...]:
        """Every request that waits, oldest first."""
        rows = self._database.read(f"SELECT {_PENDING_COLUMNS} FROM authority_requests ORDER BY id")
        return tuple(_pending(row) for row in rows)

    def pending_of(self, name: str) -> PendingAuthority:
        """The request of a name. Raises NotFound."""
        for found in self.pending():
            if found.name == name:
                return found
        raise NotFound(
            f"CA {name!r} waits for no certificate from outside",
            mend=(f"privyseal ca get {name}", f"privyseal ca create {name} --external-root"),
        )

    async def add_pending(self, wanted: PendingAuthority, *, actor: str) -> None:
        """Store a request whose key is on disk. Raises NameTaken."""

        def work(transaction: Transaction) -> None:
            if transaction.one("SELECT 1 FROM authority_requests WHERE name = ?", (wanted.name,)):
                raise NameTaken(
                    f"CA {wanted.name!r} waits for a certificate already",
                    mend=(f"privyseal ca csr {wanted.name}", f"privyseal ca install {wanted.name} FILE"),
                )
            transaction.execute(
                "INSERT INTO authority_requests (name, version, key_ref, request, body, created_at) "
                "VALUES (?,?,?,?,?,?)",
                (
                    wanted.name, wanted.version, wanted.key_ref, wanted.request,
                    json.dumps(_body(wanted), sort_keys=True), to_seconds(wanted.created_at),
                ),
            )  # fmt: skip
            name_authority(transaction, wanted.name)
            transaction.audit(
                AuditEvent(
                    event="ca.requested",
                    actor=actor,
                    target=f"ca:{wanted.name}",
                    detail={"version": wanted.version, "state": "signing-required"},
                )
            )

        await self._committer.run(work)

    async def drop_pending(self, found: PendingAuthority, *, actor: str) -> None:
        """Forget a request that will not be answered; the caller destroys its key."""

        def work(transaction: Transaction) -> None:
            transaction.execute("DELETE FROM authority_requests WHERE id = ?", (found.id,))
            transaction.audit(
                AuditEvent(
                    event="ca.deleted",
                    actor=actor,
                    target=f"ca:{found.name}",
                    detail={"version": found.version, "state": "signing-required"},
                )
            )

        await self._committer.run(work)

    # --- cross certificates ------------------------------------------------------------------------

    def crosses(self) -> tuple[CrossCertificate, ...]:
        """Every cross certificate, oldest first."""
        rows = self._database.read("SELECT subject_id, issuer_id, certificate FROM cross_certificates ORDER BY id")
        return tuple(CrossCertificate(subject_id=row[0], issuer_id=row[1], certificate=row[2]) for row in rows)

    async def add_cross(self, cross: CrossCertificate, *, signed: tuple[int, bytes], actor: str) -> None:
        """Store a cross certificate in the transaction that records its signature."""

        def work(transaction: Transaction) -> None:
            record_signature(transaction, signed[0], signed[1])
            transaction.execute(
                "INSERT INTO cross_certificates (subject_id, issuer_id, certificate) VALUES (?,?,?)",
                (cross.subject_id, cross.issuer_id, cross.certificate),
            )
            bump_catalog(transaction)
            transaction.audit(
                AuditEvent(
                    event="ca.crossed",
                    actor=actor,
                    target=f"authority:{cross.subject_id}",
                    detail={"issuer": cross.issuer_id},
                )
            )

        await self._committer.run(work)


def _name(row: Row) -> AuthorityName:
    return AuthorityName(
        name=row[0],
        description=row[1],
        labels=frozenset(json.loads(row[2])),
        renewal=RenewalPolicy(RenewalMode(row[3]), row[4]),
    )


def _body(wanted: PendingAuthority) -> dict[str, Any]:
    crl = wanted.crl
    return {
        "hash": wanted.hash_name,
        "path_length": wanted.path_length,
        "ext_key_usage": list(wanted.ext_key_usage),
        "crl_seconds": [crl.validity.total_seconds(), crl.publish_every.total_seconds()],
        "delta_seconds": None
        if crl.delta is None
        else [crl.delta.validity.total_seconds(), crl.delta.publish_every.total_seconds()],
        "shards": crl.shards,
    }


def _pending(row: Row) -> PendingAuthority:
    body = json.loads(row[5])
    validity, interval = (timedelta(seconds=value) for value in body["crl_seconds"])
    delta = None
    if body["delta_seconds"] is not None:
        first, second = (timedelta(seconds=value) for value in body["delta_seconds"])
        delta = DeltaRules(validity=first, publish_every=second)
    return PendingAuthority(
        id=row[0],
        name=row[1],
        version=row[2],
        key_ref=row[3],
        hash_name=body["hash"],
        request=row[4],
        path_length=body["path_length"],
        ext_key_usage=tuple(body["ext_key_usage"]),
        crl=CrlRules(validity=validity, publish_every=interval, delta=delta, shards=body["shards"]),
        created_at=from_seconds(row[6]),
    )
