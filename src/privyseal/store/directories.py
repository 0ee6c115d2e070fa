# SPDX-License-Identifier: Apache-2.0
"""Directories, receipts of what was changed in them, and CAs of others that were found there.

Each receipt is stored in one transaction with its audit event.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from privyseal.directory.describe import describe
from privyseal.directory.receipts import INTENDED, Receipt
from privyseal.directory.status import ExternalCa
from privyseal.directory.undo_file import change_from_json, change_to_json
from privyseal.errors import DirectoryInUse, NameTaken, NotFound
from privyseal.model.audit import AuditEvent
from privyseal.model.directory import BindKind, DirectoryConfig
from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import Database, Row
from privyseal.store.moments import from_seconds, to_seconds
from privyseal.store.unit import Transaction


@dataclass(frozen=True, slots=True)
class ExternalAuthority:
    """A CA of others that was found in a directory and is watched for its expiry."""

    name: str
    certificate: bytes
    directory: str
    not_after: datetime


class DirectoryBook:
    """Stored directories."""

    def __init__(self, database: Database, committer: GroupCommitter) -> None:
        self._database = database
        self._committer = committer

    def get(self, name: str) -> DirectoryConfig:
        """One directory. Raises NotFound."""
        row = self._database.read_one("SELECT body FROM directories WHERE name = ?", (name,))
        if row is None:
            raise NotFound(f"there is no directory {name!r}", mend=("privyseal directory list",))
        return _config(row[0])

    def all(self) -> tuple[DirectoryConfig, ...]:
        """Every directory, in order of name."""
        return tuple(_config(row[0]) for row in self._database.read("SELECT body FROM directories ORDER BY name"))

    async def add(self, config: DirectoryConfig, *, replace_existing: bool, actor: str) -> None:
        """Store a directory. Raises NameTaken."""

        def work(transaction: Transaction) -> None:
            known = transaction.one("SELECT 1 FROM directories WHERE name = ?", (config.name,)) is not None
            if known and not replace_existing:
                raise NameTaken(
                    f"a directory {config.name!r} exists already",
                    mend=(f"privyseal directory get {config.name}", "add --replace to change how it is reached"),
                )
            transaction.execute("DELETE FROM directories WHERE name = ?", (config.name,))
            transaction.execute(
                "INSERT INTO directories (name, body, created_at) VALUES (?,?,?)",
                (config.name, json.dumps(_body(config), sort_keys=True), to_seconds(transaction.now)),
            )
            transaction.audit(
                AuditEvent(
                    event="directory.added",
                    actor=actor,
                    target=f"directory:{config.name}",
                    detail={"uris": list(config.uris), "bind": config.bind.value, "account": config.account},
                )
            )

        await self._committer.run(work)

    async def remove(self, name: str, *, actor: str) -> None:
        """Forget how a directory is reached; its receipts stay. Raises NotFound, StateError when names come from it."""

        def work(transaction: Transaction) -> None:
            if transaction.one("SELECT 1 FROM directories WHERE name = ?", (name,)) is None:
                raise NotFound(f"there is no directory {name!r}", mend=("privyseal directory list",))
            bound = transaction.one("SELECT count(*), min(kind), min(name) FROM entities WHERE directory = ?", (name,))
            if bound is not None and bound[0]:
                raise DirectoryInUse(f"{bound[0]} devices and users are bound to directory {name}, such as {bound[2]}")
            held = transaction.one("SELECT count(*) FROM deliveries WHERE directory = ?", (name,))
            if held is not None and held[0]:
                raise DirectoryInUse(
                    f"{held[0]} certificates of ours stand at accounts of directory {name}, or are on their way",
                    mend=(f"take them back first: privyseal directory withdraw --directory {name}",),
                )
            transaction.execute("DELETE FROM directories WHERE name = ?", (name,))
            transaction.audit(AuditEvent(event="directory.forgotten", actor=actor, target=f"directory:{name}"))

        await self._committer.run(work)

    async def import_externals(self, found: tuple[ExternalCa, ...], *, directory: str, actor: str) -> int:
        """Remember CAs of others; those that are known already stay as they are. How many are new."""

        def work(transaction: Transaction) -> int:
            new = 0
            for item in found:
                digest = sha256(item.certificate).digest()
                if transaction.one("SELECT 1 FROM external_authorities WHERE fingerprint = ?", (digest,)):
                    continue
                transaction.execute(
                    "INSERT INTO external_authorities "
                    "(name, fingerprint, certificate, directory, not_after, created_at) VALUES (?,?,?,?,?,?)",
                    (
                        item.name,
                        digest,
                        item.certificate,
                        directory,
                        to_seconds(item.not_after),
                        to_seconds(transaction.now),
                    ),
                )
                transaction.audit(
                    AuditEvent(
                        event="directory.imported",
                        actor=actor,
                        target=f"external-ca:{digest.hex()}",
                        detail={"name": item.name, "directory": directory, "places": list(item.places)},
                    )
                )
                new += 1
            return new

        return await self._committer.run(work)

    def externals(self) -> tuple[ExternalAuthority, ...]:
        """CAs of others that are watched, the first to expire first."""
        rows = self._database.read(
            "SELECT name, certificate, directory, not_after FROM external_authorities ORDER BY not_after, id"
        )
        return tuple(ExternalAuthority(row[0], row[1], row[2], from_seconds(row[3])) for row in rows)


class ReceiptBook:
    """Implements ``repository.ports.ReceiptStore``."""

    def __init__(self, database: Database, committer: GroupCommitter) -> None:
        self._database = database
        self._committer = committer

    async def add(self, receipt: Receipt, *, actor: str) -> None:
        """Store a receipt with its audit event; on disk when this returns."""

        def work(transaction: Transaction) -> None:
            transaction.execute(
                "INSERT INTO directory_receipts (forest, controller, change, result, usn, at) VALUES (?,?,?,?,?,?)",
                (
                    receipt.forest,
                    receipt.controller,
                    json.dumps(change_to_json(receipt.change), sort_keys=True),
                    receipt.result,
                    receipt.usn,
                    to_seconds(receipt.at),
                ),
            )
            transaction.audit(
                AuditEvent(
                    event="directory.intended" if receipt.result == INTENDED else "directory.changed",
                    actor=actor,
                    target=f"dn:{receipt.change.dn}",
                    detail={
                        "change": describe(receipt.change),
                        "result": receipt.result,
                        "controller": receipt.controller,
                        "usn": receipt.usn,
                    },
                )
            )

        await self._committer.run(work)

    def receipts(self, forest: str) -> tuple[Receipt, ...]:
        """All receipts of a forest, oldest first."""
        rows = self._database.read(
            "SELECT forest, controller, change, result, usn, at FROM directory_receipts WHERE forest = ? ORDER BY id",
            (forest,),
        )
        return tuple(map(_receipt, rows))

    def page(self, *, before: int, limit: int) -> tuple[tuple[int, Receipt], ...]:
        """Receipts of every forest with ids below ``before`` (0: the newest), newest first, each with its id."""
        rows = self._database.read(
            "SELECT forest, controller, change, result, usn, at, id FROM directory_receipts "
            "WHERE (? = 0 OR id < ?) ORDER BY id DESC LIMIT ?",
            (before, before, limit),
        )
        return tuple((int(row[6]), _receipt(row)) for row in rows)


def _receipt(row: Row) -> Receipt:
    return Receipt(
        forest=row[0],
        controller=row[1],
        change=change_from_json(json.loads(row[2])),
        result=row[3],
        usn=row[4],
        at=from_seconds(row[5]),
    )


def _body(config: DirectoryConfig) -> dict[str, Any]:
    return {
        "name": config.name,
        "uris": list(config.uris),
        "bind": config.bind.value,
        "account": config.account,
        "secret_file": config.secret_file,
        "ca_file": config.ca_file,
        "hosts": list(config.hosts),
    }


def _config(body: str) -> DirectoryConfig:
    data = json.loads(body)
    return DirectoryConfig(
        name=data["name"],
        uris=tuple(data["uris"]),
        bind=BindKind(data["bind"]),
        account=data["account"],
        secret_file=data["secret_file"],
        ca_file=data["ca_file"],
        hosts=tuple(data["hosts"]),
    )
