# SPDX-License-Identifier: Apache-2.0
"""Roles of people, the setting of four eyes, and which of our CAs stand in NTAuth. Audit rows commit with each change.

Implements ``administration.ports.AccessStore`` and ``FourEyesStore``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from privyseal.directory.changes import AddEntry, AddValue, Change, DeleteEntry, RemoveValue
from privyseal.directory.containers import Container
from privyseal.directory.receipts import NOT_DONE
from privyseal.directory.undo_file import change_from_json
from privyseal.errors import MalformedDer, NotFound
from privyseal.model.access import Grant, Role
from privyseal.model.approval import FourEyes
from privyseal.model.audit import AuditEvent
from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import Database
from privyseal.store.moments import from_seconds, to_seconds
from privyseal.store.unit import Transaction
from privyseal.x509.certificate import read_certificate

_FOUR_EYES: Final = "four_eyes"
_SEEN: Final = "ntauth_seen:"
_NTAUTH_DN: Final = f"cn={Container.NTAUTH.value},".casefold()


class AccessBook:
    """Who holds which role."""

    def __init__(self, database: Database, committer: GroupCommitter) -> None:
        self._database = database
        self._committer = committer

    def grants_of(self, person: str) -> tuple[Grant, ...]:
        """The roles of a person."""
        rows = self._database.read("SELECT role, labels FROM role_grants WHERE person = ? ORDER BY role", (person,))
        return tuple(Grant(Role(role), frozenset(json.loads(labels))) for role, labels in rows)

    def holders(self) -> tuple[tuple[str, Grant], ...]:
        """Every person with every grant, in order."""
        rows = self._database.read("SELECT person, role, labels FROM role_grants ORDER BY person, role")
        return tuple((person, Grant(Role(role), frozenset(json.loads(labels)))) for person, role, labels in rows)

    async def grant(self, person: str, grant: Grant, *, actor: str) -> None:
        """Give a role, or give it other labels."""

        await self._committer.run(lambda transaction: store_grant(transaction, person, grant, actor=actor))

    async def revoke_grant(self, person: str, role: Role, *, actor: str) -> None:
        """Take a role away. Raises NotFound."""

        def work(transaction: Transaction) -> None:
            gone = transaction.execute(
                "DELETE FROM role_grants WHERE person = ? AND role = ?", (person, role.value)
            ).rowcount
            if not gone:
                raise NotFound(f"{person} does not hold the role {role.value}", mend=("privyseal role list",))
            detail = {"role": role.value}
            transaction.audit(AuditEvent(event="role.revoked", actor=actor, target=f"person:{person}", detail=detail))

        await self._committer.run(work)

    def four_eyes(self) -> tuple[FourEyes, datetime | None]:
        """The setting, and until when it holds if it was set for a time."""
        row = self._database.read_one("SELECT value FROM meta WHERE key = ?", (_FOUR_EYES,))
        if row is None:
            return FourEyes.AUTO, None
        mode, until, _ = _setting(str(row[0]))
        return mode, until

    def lasting_four_eyes(self) -> FourEyes:
        """The setting that holds again after one that was made for a time."""
        row = self._database.read_one("SELECT value FROM meta WHERE key = ?", (_FOUR_EYES,))
        return FourEyes.AUTO if row is None else _setting(str(row[0]))[2]

    async def set_four_eyes(self, mode: FourEyes, *, until: datetime | None, actor: str, reason: str) -> None:
        """Store it; for a time only with ``until``."""

        def work(transaction: Transaction) -> None:
            row = transaction.one("SELECT value FROM meta WHERE key = ?", (_FOUR_EYES,))
            lasting = FourEyes.AUTO if row is None else _setting(str(row[0]))[2]
            value = mode.value if until is None else f"{mode.value} {to_seconds(until)} {lasting.value}"
            transaction.execute(
                "INSERT INTO meta (key, value) VALUES (?,?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (_FOUR_EYES, value),
            )
            detail = {"mode": mode.value, "until": until and until.isoformat(), "reason": reason}
            event = "access.recovered" if until else "four-eyes.set"
            transaction.audit(AuditEvent(event=event, actor=actor, target="four-eyes", detail=detail))

        await self._committer.run(work)

    def in_ntauth(self) -> frozenset[str]:
        """Names of our CAs that stand in NTAuth, by receipts or seen there; what is not known counts as there."""
        seen = self._database.read("SELECT key FROM meta WHERE key LIKE ?", (f"{_SEEN}%",))
        return self._receipted() | {str(key).removeprefix(_SEEN) for (key,) in seen}

    def _receipted(self) -> frozenset[str]:
        standing: dict[str, set[bytes]] = {}  # each forest has an object of its own
        for text, result in self._database.read("SELECT change, result FROM directory_receipts ORDER BY id"):
            change = change_from_json(json.loads(text))
            place = change.dn.casefold()
            if result != NOT_DONE and place.startswith(_NTAUTH_DN):
                _account(change, standing.setdefault(place, set()), sure=result == "done")
        return self._named(set().union(*standing.values()))

    async def note_in_ntauth(self, found: Iterable[bytes], *, directory: str, actor: str) -> frozenset[str]:
        """Remember for good which of our CAs a directory shows in NTAuth; the names of those that no receipt told of.

        Whoever put them there did so without us, and may do it again: what was seen once counts as there.
        """
        new = self._named(set(found)) - self.in_ntauth()
        if not new:
            return new

        def work(transaction: Transaction) -> None:
            for name in sorted(new):
                transaction.execute(
                    "INSERT INTO meta (key, value) VALUES (?,?) ON CONFLICT (key) DO NOTHING", (_SEEN + name, directory)
                )
                detail = {"directory": directory, "four_eyes": "on, unless they were switched off"}
                transaction.audit(
                    AuditEvent(event="ca.seen-in-ntauth", actor=actor, target=f"ca:{name}", detail=detail)
                )

        await self._committer.run(work)
        return new

    def _named(self, certificates: set[bytes]) -> frozenset[str]:
        """Our CAs that these certificates are of: a key in NTAuth is trusted by whichever of its certificates."""
        if not certificates:
            return frozenset()
        keys = {_key(certificate) for certificate in certificates}
        rows = self._database.read("SELECT name, certificate FROM authorities")
        return frozenset(name for name, certificate in rows if certificate and _key(certificate) in keys)


def _setting(text: str) -> tuple[FourEyes, datetime | None, FourEyes]:
    """The setting, until when it holds, and the one that lasts: ``on``, or ``off 1767225600 on``."""
    mode, *rest = text.split(" ")
    if not rest:
        return FourEyes(mode), None, FourEyes(mode)
    return FourEyes(mode), from_seconds(int(rest[0])), FourEyes(rest[1])


def store_grant(transaction: Transaction, person: str, grant: Grant, *, actor: str) -> None:
    """A role of a person, in the caller's transaction."""
    labels = sorted(grant.labels)
    transaction.execute(
        "INSERT INTO role_grants (person, role, labels, granted_by, granted_at) VALUES (?,?,?,?,?) "
        "ON CONFLICT (person, role) DO UPDATE SET labels = excluded.labels, granted_by = excluded.granted_by, "
        "granted_at = excluded.granted_at",
        (person, grant.role.value, json.dumps(labels), actor, to_seconds(transaction.now)),
    )
    detail = {"role": grant.role.value, "labels": labels}
    transaction.audit(AuditEvent(event="role.granted", actor=actor, target=f"person:{person}", detail=detail))


def _key(certificate: bytes) -> bytes:
    """The public key, or what cannot be read itself."""
    try:
        return read_certificate(certificate).spki
    except MalformedDer:
        return certificate


def _account(change: Change, standing: set[bytes], *, sure: bool) -> None:
    match change:
        case AddEntry(_, attributes):
            standing.update(value for name, held in attributes if name.lower() == "cacertificate" for value in held)
        case AddValue(_, _, value, _):
            standing.add(value)
        case RemoveValue(_, _, value, _) if sure:
            standing.discard(value)
        case DeleteEntry() if sure:
            standing.clear()
        case _:
            pass
