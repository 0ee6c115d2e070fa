# SPDX-License-Identifier: Apache-2.0
"""The one code that makes the first owner. Role, token and the end of the code are one transaction."""

from __future__ import annotations

from datetime import datetime
from hmac import compare_digest
from typing import Final

from privyseal.errors import FirstOwnerRefused, OwnerKnown
from privyseal.model.access import Grant, Role
from privyseal.model.audit import AuditEvent
from privyseal.model.lifespan import is_good
from privyseal.store.access import store_grant
from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import Database, Row
from privyseal.store.moments import from_seconds, to_seconds
from privyseal.store.tokens import store_token
from privyseal.store.unit import Transaction

_KEY: Final = "first_owner"
_CODE: Final = "SELECT value FROM meta WHERE key = ?"
_OWNER: Final = "SELECT person FROM role_grants WHERE role = ? AND labels = '[]' LIMIT 1"


class FirstOwnerBook:
    """The code, as long as there is one."""

    def __init__(self, database: Database, committer: GroupCommitter) -> None:
        self._database = database
        self._committer = committer

    async def offer(self, digest: bytes, *, expires_at: datetime, actor: str) -> None:
        """Store the hash of a new code instead of any before. Raises OwnerKnown."""

        def work(transaction: Transaction) -> None:
            known = transaction.one(_OWNER, (Role.OWNER.value,))
            if known is not None:
                raise OwnerKnown(f"{known[0]} is owner")
            transaction.execute(
                "INSERT INTO meta (key, value) VALUES (?,?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (_KEY, f"{digest.hex()} {to_seconds(transaction.now)} {to_seconds(expires_at)}"),
            )
            detail = {"expires_at": expires_at.isoformat()}
            transaction.audit(AuditEvent(event="first-owner.offered", actor=actor, target="access", detail=detail))

        await self._committer.run(work)

    def check(self, digest: bytes, *, now: datetime) -> None:
        """Raise FirstOwnerRefused unless the code is good now. Writes nothing: whoever guesses costs no commit."""
        _check(self._database.read_one(_CODE, (_KEY,)), digest, now=now)

    async def take(self, digest: bytes, *, person: str, token: str, token_digest: bytes, expires_at: datetime) -> None:
        """Make the person owner, with a token, and end the code. Raises FirstOwnerRefused, NameTaken."""
        actor = f"first-owner:{person}"

        def work(transaction: Transaction) -> None:
            _check(transaction.one(_CODE, (_KEY,)), digest, now=transaction.now)
            if transaction.one(_OWNER, (Role.OWNER.value,)) is not None:
                raise FirstOwnerRefused("there is an owner already")
            # Whoever comes second finds no code, whatever two processes do at the same moment.
            gone = transaction.execute("DELETE FROM meta WHERE key = ?", (_KEY,)).rowcount
            if gone != 1:
                raise FirstOwnerRefused("the code was used at this very moment")
            transaction.audit(AuditEvent(event="first-owner.taken", actor=actor, target=f"person:{person}"))
            grant = Grant(Role.OWNER)
            store_grant(transaction, person, grant, actor=actor)
            store_token(
                transaction, token, person, grants=(grant,), digest=token_digest, expires_at=expires_at, actor=actor
            )

        await self._committer.run(work)


def _check(row: Row | None, digest: bytes, *, now: datetime) -> None:
    if row is None:
        raise FirstOwnerRefused("no code is waiting to be used")
    held, made, ends = str(row[0]).split(" ")
    good = is_good(from_seconds(int(made)), from_seconds(int(ends)), now=now)
    if not compare_digest(bytes.fromhex(held), digest) or not good:
        raise FirstOwnerRefused("the code is not the one that waits, or its 30 minutes are over")
