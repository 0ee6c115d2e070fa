# SPDX-License-Identifier: Apache-2.0
"""Acts that make and change devices and users.

What is stored about them becomes names in certificates. Where a CA in NTAuth certifies such a name for log-on,
whoever writes it decides who somebody is in the forest: then two people do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Any, Protocol

from privyseal.administration.act import SecondPerson
from privyseal.administration.parameters import Parameters
from privyseal.administration.tier0 import attributes_that_decide
from privyseal.errors import ApprovalStale, InvalidValue
from privyseal.model.access import Permission
from privyseal.model.entity import EndEntity, EntityKind, check_attributes
from privyseal.model.preview import Preview
from privyseal.model.profile import CertificateProfile

Trusted = Callable[[], Iterable[CertificateProfile]]
"""The profiles under CAs that stand in NTAuth."""


class Entities(Protocol):
    """Devices and users."""

    def named(self, kind: EntityKind, name: str) -> EndEntity:
        """Raises NotFound."""

    async def create(self, kind: EntityKind, attributes: Mapping[str, str], *, actor: str) -> EndEntity:
        """Raises NameTaken, InvalidValue."""

    async def change(
        self, entity: EndEntity, attributes: Mapping[str, str], *, enabled: bool | None, actor: str
    ) -> EndEntity:
        """Set attributes; an empty value removes one."""


class CreateEntity:
    """``entity.create``: kind (device, user), name, attributes."""

    name = "entity.create"
    permission = Permission.ENTITY_WRITE
    second_person = SecondPerson.TIER0

    def __init__(self, entities: Entities, trusted: Trusted) -> None:
        self._entities = entities
        self._trusted = trusted

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        kind, given = self._asked(parameters)
        effects = _who_could_be_meant(kind, given, self._trusted())
        return Preview(
            summary=f"make {kind.value} {given['name']} known{_listed(given)}", effects=effects, tier0=bool(effects)
        )

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``."""
        kind, given = self._asked(parameters)
        made = await self._entities.create(kind, given, actor=actor)
        return {"kind": kind.value, "name": made.name}

    def _asked(self, parameters: Mapping[str, Any]) -> tuple[EntityKind, dict[str, str]]:
        asked = Parameters(parameters, {"kind", "name", "attributes"})
        kind = _kind(asked)
        given = check_attributes(kind, {**_attributes(asked), "name": asked.text("name")})
        if "name" not in given:
            raise InvalidValue(f"a {kind.value} has a name")
        return kind, given


class ChangeEntity:
    """``entity.change``: kind, name, attributes, enabled (when it is said), state (as ``entity_state`` tells it)."""

    name = "entity.change"
    permission = Permission.ENTITY_WRITE
    second_person = SecondPerson.TIER0

    def __init__(self, entities: Entities, trusted: Trusted) -> None:
        self._entities = entities
        self._trusted = trusted

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        entity, given, enabled = self._asked(parameters)
        after = check_attributes(entity.kind, {**entity.attributes, **given})
        new = {name: value for name, value in after.items() if entity.attributes.get(name) != value}
        gone = sorted(set(entity.attributes) - set(after))
        effects = _who_could_be_meant(entity.kind, new, self._trusted())
        said = [f"removes {', '.join(gone)}"] if gone else []
        said += [] if enabled is None else ["it may have certificates" if enabled else "it gets no more certificates"]
        return Preview(
            summary=f"change {entity.kind.value} {entity.name}{_listed(new)}",
            effects=(*effects, *said),
            pinned={"state": entity_state(entity)},
            tier0=bool(effects),
        )

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``."""
        entity, given, enabled = self._asked(parameters)
        await self._entities.change(entity, given, enabled=enabled, actor=actor)
        return {"kind": entity.kind.value, "name": entity.name}

    def _asked(self, parameters: Mapping[str, Any]) -> tuple[EndEntity, dict[str, str], bool | None]:
        asked = Parameters(parameters, {"kind", "name", "attributes", "enabled", "state"})
        entity = self._entities.named(_kind(asked), asked.text("name"))
        state = entity_state(entity)
        if asked.text("state", state) != state:
            raise ApprovalStale(f"{entity.kind.value} {entity.name} was changed after this was asked for")
        given = {name: value for name, value in _attributes(asked).items() if name != "name"}
        return entity, given, asked.flag("enabled") if "enabled" in parameters else None


def entity_state(entity: EndEntity) -> str:
    """Tells two states of a device or user apart: of everything that can be changed."""
    bound = entity.binding
    state = [entity.enabled, sorted(entity.attributes.items()), bound and [bound.directory, bound.sid.text]]
    return sha256(json.dumps(state).encode()).hexdigest()[:32]


def _who_could_be_meant(
    kind: EntityKind, given: Mapping[str, str], profiles: Iterable[CertificateProfile]
) -> tuple[str, ...]:
    """A sentence for each profile that would certify one of these attributes as somebody's name for log-on."""
    return tuple(
        f"profile {profile.name} certifies {', '.join(decide)} for log-on, and CA {profile.issuer} stands in NTAuth: "
        "whoever holds such a certificate is the account of that name"
        for profile in profiles
        if profile.entity_kind is kind and (decide := sorted(attributes_that_decide(profile) & set(given)))
    )


def _kind(asked: Parameters) -> EntityKind:
    kinds = {kind.value: kind for kind in EntityKind}
    if asked.text("kind") not in kinds:
        raise InvalidValue(f"kind {asked.text('kind')[:40]!r} is not one of {', '.join(kinds)}")
    return kinds[asked.text("kind")]


def _attributes(asked: Parameters) -> dict[str, str]:
    given = asked.data("attributes")
    if not all(isinstance(value, str) for value in given.values()):
        raise InvalidValue("the values of attributes are texts")
    return dict(given)


def _listed(given: Mapping[str, str]) -> str:
    listed = ", ".join(f"{name} {value}" for name, value in sorted(given.items()) if name != "name")
    return f": {listed}" if listed else ""
