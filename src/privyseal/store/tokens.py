# SPDX-License-Identifier: Apache-2.0
"""API tokens: hashes, what they may, and when they were last used. Implements ``administration.ports.TokenStore``."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Final

from privyseal.errors import NameTaken, NotFound
from privyseal.model.access import Grant, Role
from privyseal.model.audit import AuditEvent
from privyseal.model.token import Token
from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import Database, Row
from privyseal.store.moments import from_seconds, to_seconds
from privyseal.store.unit import Transaction

_COLUMNS: Final = "id, name, owner, grants, created_by, created_at, expires_at, last_used_at, revoked_at"
_USE_SECONDS: Final = 3600


class TokenBook:
    """Stored tokens."""

    def __init__(self, database: Database, committer: GroupCommitter) -> None:
        self._database = database
        self._committer = committer

    def token(self, name: str) -> Token:
        """The token of this name, ended or not. Raises NotFound."""
        row = self._database.read_one(f"SELECT {_COLUMNS} FROM tokens WHERE name = ?", (name,))
        if row is None:
            raise NotFound(f"there is no token {name!r}", mend=("privyseal token list",))
        return _token(row)

    def has_token(self, name: str) -> bool:
        """Also when it has ended."""
        return self._database.read_one("SELECT 1 FROM tokens WHERE name = ?", (name,)) is not None

    def by_digest(self, digest: bytes) -> Token | None:
        """The token whose secret has this hash, or None."""
        row = self._database.read_one(f"SELECT {_COLUMNS} FROM tokens WHERE hash = ?", (digest,))
        return None if row is None else _token(row)

    def page(self, *, before: int, limit: int) -> tuple[Token, ...]:
        """Tokens with ids below ``before`` (0: the newest), newest first."""
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM tokens WHERE (? = 0 OR id < ?) ORDER BY id DESC LIMIT ?", (before, before, limit)
        )
        return tuple(_token(row) for row in rows)

    async def add_token(
        self, name: str, owner: str, *, grants: tuple[Grant, ...], digest: bytes, expires_at: datetime, actor: str
    ) -> Token:
        """Store a token. Raises NameTaken."""

        def work(transaction: Transaction) -> None:
            store_token(transaction, name, owner, grants=grants, digest=digest, expires_at=expires_at, actor=actor)

        await self._committer.run(work)
        return self.token(name)

    async def revoke_token(self, name: str, *, actor: str) -> None:
        """End it now; once more is no fault. Raises NotFound."""

        def work(transaction: Transaction) -> None:
            row = transaction.one("SELECT revoked_at FROM tokens WHERE name = ?", (name,))
            if row is None:
                raise NotFound(f"there is no token {name!r}", mend=("privyseal token list",))
            if row[0] is None:
                now = to_seconds(transaction.now)
                transaction.execute("UPDATE tokens SET revoked_at = ? WHERE name = ?", (now, name))
                transaction.audit(AuditEvent(event="token.revoked", actor=actor, target=f"token:{name}"))

        await self._committer.run(work)

    async def note_use(self, token: Token, *, now: datetime) -> None:
        """Remember that it was used, at most once an hour."""
        if token.last_used_at is not None and to_seconds(now) - to_seconds(token.last_used_at) < _USE_SECONDS:
            return

        def work(transaction: Transaction) -> None:
            transaction.execute("UPDATE tokens SET last_used_at = ? WHERE id = ?", (to_seconds(now), token.id))

        await self._committer.run(work)


def store_token(
    transaction: Transaction,
    name: str,
    owner: str,
    *,
    grants: tuple[Grant, ...],
    digest: bytes,
    expires_at: datetime,
    actor: str,
) -> None:
    """A token, in the caller's transaction. Raises NameTaken."""
    if transaction.one("SELECT 1 FROM tokens WHERE name = ? OR hash = ?", (name, digest)) is not None:
        raise NameTaken(f"a token {name!r} was made before", why="the audit trail knows each by its name")
    transaction.execute(
        "INSERT INTO tokens (name, owner, grants, hash, created_by, created_at, expires_at) VALUES (?,?,?,?,?,?,?)",
        (name, owner, _grants_text(grants), digest, actor, to_seconds(transaction.now), to_seconds(expires_at)),
    )
    detail = {"owner": owner, "grants": json.loads(_grants_text(grants)), "expires_at": expires_at.isoformat()}
    transaction.audit(AuditEvent(event="token.created", actor=actor, target=f"token:{name}", detail=detail))


def _grants_text(grants: tuple[Grant, ...]) -> str:
    return json.dumps([[grant.role.value, sorted(grant.labels)] for grant in grants])


def _token(row: Row) -> Token:
    return Token(
        id=row[0],
        name=row[1],
        owner=row[2],
        grants=tuple(Grant(Role(role), frozenset(labels)) for role, labels in json.loads(row[3])),
        created_by=row[4],
        created_at=from_seconds(row[5]),
        expires_at=from_seconds(row[6]),
        last_used_at=None if row[7] is None else from_seconds(row[7]),
        revoked_at=None if row[8] is None else from_seconds(row[8]),
    )
