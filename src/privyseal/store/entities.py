# SPDX-License-Identifier: Apache-2.0
"""End entities and the challenges bound to them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType

from privyseal.errors import NameTaken, NotFound
from privyseal.model.audit import AuditEvent
from privyseal.model.challenge import Challenge
from privyseal.model.directory import DirectoryBinding
from privyseal.model.entity import EndEntity, EntityKind, check_attributes
from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import Database, Row
from privyseal.store.moments import from_seconds, to_seconds
from privyseal.store.unit import Transaction
from privyseal.x509.sid import Sid

_ENTITY = "SELECT id, kind, name, attributes, enabled, directory, object_sid, blocked FROM entities"
_NOTHING: frozenset[str] = frozenset()
_PROMISED = (
    "SELECT e.id, e.kind, e.name, e.attributes, e.enabled, e.directory, e.object_sid, e.blocked, "
    "c.id, c.profile, c.created_at, c.expires_at, c.used_at "
    "FROM challenges c JOIN entities e ON e.id = c.entity_id WHERE c.hash = ?"
)


class EntityBook:
    """Devices and users (``ra.ports.EntityBook``)."""

    def __init__(self, database: Database, committer: GroupCommitter) -> None:
        self._database = database
        self._committer = committer

    async def entity(self, entity_id: int) -> EndEntity:
        """The entity with this id. Raises NotFound."""
        row = self._database.read_one(f"{_ENTITY} WHERE id = ?", (entity_id,))
        if row is None:
            raise NotFound(f"there is no end entity {entity_id}")
        await self._committer.turn()
        return _entity(row)

    async def promised(self, digest: bytes) -> tuple[Challenge, EndEntity] | None:
        """The challenge whose secret has this hash and whom it is bound to, or None."""
        row = self._database.read_one(_PROMISED, (digest,))
        await self._committer.turn()
        if row is None:
            return None
        used = None if row[12] is None else from_seconds(row[12])
        challenge = Challenge(
            id=row[8],
            profile=row[9],
            entity_id=row[0],
            created_at=from_seconds(row[10]),
            expires_at=from_seconds(row[11]),
            used_at=used,
        )
        return challenge, _entity(row)

    def named(self, kind: EntityKind, name: str) -> EndEntity:
        """The device or user of this name. Raises NotFound."""
        row = self._database.read_one(f"{_ENTITY} WHERE kind = ? AND name = ?", (kind.value, name))
        if row is None:
            raise NotFound(f"there is no {kind.value} {name!r}", mend=(f"privyseal {kind.value} create {name}",))
        return _entity(row)

    def page(self, kind: EntityKind, *, after: str, limit: int) -> tuple[EndEntity, ...]:
        """Entities of one kind in order of name, after ``after``."""
        rows = self._database.read(
            f"{_ENTITY} WHERE kind = ? AND name > ? ORDER BY name LIMIT ?", (kind.value, after, limit)
        )
        return tuple(_entity(row) for row in rows)

    async def create(
        self,
        kind: EntityKind,
        attributes: Mapping[str, str],
        *,
        actor: str,
        binding: DirectoryBinding | None = None,
    ) -> EndEntity:
        """Store a new device or user. Raises NameTaken, InvalidValue and their kin."""
        kept = check_attributes(kind, attributes)
        name = kept["name"]

        def work(transaction: Transaction) -> int:
            if transaction.one("SELECT 1 FROM entities WHERE kind = ? AND name = ?", (kind.value, name)):
                raise NameTaken(f"a {kind.value} {name!r} exists already", mend=(f"privyseal {kind.value} get {name}",))
            _check_unbound(transaction, binding)
            entity_id = transaction.insert(
                "INSERT INTO entities (kind, name, attributes, enabled, created_at, directory, object_sid) "
                "VALUES (?,?,?,1,?,?,?)",
                (
                    kind.value,
                    name,
                    json.dumps(kept, sort_keys=True),
                    to_seconds(transaction.now),
                    *_binding_columns(binding),
                ),
            )
            transaction.audit(
                AuditEvent(
                    event=f"{kind.value}.created",
                    actor=actor,
                    target=f"{kind.value}:{name}",
                    detail=_binding_detail(binding),
                )
            )
            return entity_id

        return EndEntity(await self._committer.run(work), kind, name, MappingProxyType(kept), True, binding)

    async def change(
        self,
        entity: EndEntity,
        attributes: Mapping[str, str],
        *,
        enabled: bool | None,
        actor: str,
        binding: DirectoryBinding | None = None,
    ) -> EndEntity:
        """Set attributes (an empty value removes one) and, unless None, its account and whether it may have
        certificates.
        """

        def work(transaction: Transaction) -> EndEntity:
            # As it is now: what another process changed since ``entity`` was read must stay, above all a disabling.
            row = transaction.one(f"{_ENTITY} WHERE id = ?", (entity.id,))
            found = entity if row is None else _entity(row)
            kept = check_attributes(entity.kind, {**found.attributes, **attributes, "name": entity.name})
            able = found.enabled if enabled is None else enabled
            if binding != found.binding:
                _check_unbound(transaction, binding)
            bound = binding or found.binding
            transaction.execute(
                "UPDATE entities SET attributes = ?, enabled = ?, directory = ?, object_sid = ? WHERE id = ?",
                (json.dumps(kept, sort_keys=True), int(able), *_binding_columns(bound), entity.id),
            )
            transaction.audit(
                AuditEvent(
                    event=f"{entity.kind.value}.changed",
                    actor=actor,
                    target=f"{entity.kind.value}:{entity.name}",
                    detail={"attributes": sorted(attributes), "enabled": able, **_binding_detail(binding)},
                )
            )
            return EndEntity(entity.id, entity.kind, entity.name, MappingProxyType(kept), able, bound, found.blocked)

        return await self._committer.run(work)

    async def unblock(self, entity: EndEntity, profiles: Collection[str], *, actor: str) -> EndEntity:
        """Let an entity have certificates of these profiles again."""
        blocks = [(entity.id, profile) for profile in profiles]
        await self._committer.run(lambda transaction: set_blocks(transaction, blocks, actor=actor, on=False))
        return self.named(entity.kind, entity.name)

    async def create_challenge(
        self, digest: bytes, *, profile: str, entity: EndEntity, expires_at: datetime, actor: str
    ) -> None:
        """Store the hash of a new challenge for one entity and profile."""

        def work(transaction: Transaction) -> None:
            transaction.execute(
                "INSERT INTO challenges (hash, profile, entity_id, created_at, expires_at) VALUES (?,?,?,?,?)",
                (digest, profile, entity.id, to_seconds(transaction.now), to_seconds(expires_at)),
            )
            transaction.audit(
                AuditEvent(
                    event="challenge.created",
                    actor=actor,
                    target=f"{entity.kind.value}:{entity.name}",
                    detail={"profile": profile, "expires_at": expires_at.isoformat()},
                )
            )

        await self._committer.run(work)


def entity_of(transaction: Transaction, entity_id: int) -> EndEntity | None:
    """A device or user as it is in this transaction."""
    row = transaction.one(f"{_ENTITY} WHERE id = ?", (entity_id,))
    return None if row is None else _entity(row)


def set_blocks(transaction: Transaction, blocks: Collection[tuple[int, str]], *, actor: str, on: bool) -> None:
    """Keep entities from further certificates of a profile, or let them in again: pairs of entity id and profile.

    Whoever lets an entity in takes that from every revocation that kept it out.
    """
    for entity_id, profile in sorted(blocks):
        entity = entity_of(transaction, entity_id)
        if entity is None:
            continue
        if not on:
            transaction.execute(
                "UPDATE revocations SET keeps_out = NULL WHERE keeps_out = 1 AND certificate_id IN "
                "(SELECT id FROM certificates WHERE entity_id = ? AND profile = ?)",
                (entity_id, profile),
            )
        blocked = entity.blocked | {profile} if on else entity.blocked - {profile}
        if blocked == entity.blocked:
            continue
        stored = json.dumps(sorted(blocked)) if blocked else None
        transaction.execute("UPDATE entities SET blocked = ? WHERE id = ?", (stored, entity_id))
        transaction.audit(
            AuditEvent(
                event=f"{entity.kind.value}.{'blocked' if on else 'unblocked'}",
                actor=actor,
                target=f"{entity.kind.value}:{entity.name}",
                detail={"profile": profile},
            )
        )


def _entity(row: Row) -> EndEntity:
    binding = None if row[5] is None else DirectoryBinding(row[5], Sid.parse(row[6]))
    blocked = _NOTHING if row[7] is None else frozenset(json.loads(row[7]))
    return EndEntity(row[0], EntityKind(row[1]), row[2], _attributes(row[3]), bool(row[4]), binding, blocked)


def _binding_columns(binding: DirectoryBinding | None) -> tuple[str | None, str | None]:
    return (None, None) if binding is None else (binding.directory, binding.sid.text)


def _binding_detail(binding: DirectoryBinding | None) -> dict[str, str]:
    return {} if binding is None else {"directory": binding.directory, "sid": binding.sid.text}


def _check_unbound(transaction: Transaction, binding: DirectoryBinding | None) -> None:
    """One account is one device or user: two would be a second way to get its certificates, after one is disabled."""
    if binding is None:
        return
    row = transaction.one(
        "SELECT kind, name FROM entities WHERE directory = ? AND object_sid = ?", (binding.directory, binding.sid.text)
    )
    if row is not None:
        raise NameTaken(
            f"account {binding.sid.text} of directory {binding.directory} is already bound to {row[0]} {row[1]!r}",
            why="one account is one device or user",
            mend=(f"privyseal {row[0]} get {row[1]}",),
        )


@lru_cache(maxsize=4096)
def _attributes(text: str) -> Mapping[str, str]:
    return MappingProxyType(json.loads(text))
