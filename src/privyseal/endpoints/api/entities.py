# SPDX-License-Identifier: Apache-2.0
"""Operations about devices, users, their challenges, enrollments, and the audit trail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from privyseal.administration.desk import Desk
from privyseal.administration.entities import entity_state
from privyseal.endpoints.api import examples
from privyseal.endpoints.api.acts import check_tag, submit, would
from privyseal.endpoints.api.certificates import named_entity
from privyseal.endpoints.api.cursor import make_cursor, name_of, number_of
from privyseal.endpoints.api.operation import Call, Kind, Operation, Page, QueryField, Reply
from privyseal.errors import NotFound
from privyseal.model.access import Permission, check_permission
from privyseal.model.api.shapes import (
    AuditShape,
    ChallengeMade,
    ChallengeWish,
    Decision,
    EnrollmentShape,
    EntityChange,
    EntityShape,
    EntityWish,
)
from privyseal.model.audit import AuditRow
from privyseal.model.enrollment import EnrollmentRecord, EnrollmentState
from privyseal.model.entity import EndEntity, EntityKind

_ANY: Final = frozenset[str]()
_STATE: Final = QueryField(
    name="state", doc="Only in this state.", choices=tuple(state.value for state in EnrollmentState)
)
_EVENT: Final = QueryField(name="event", doc="Only events whose name begins so.", longest=64, example="certificate.")


class Entities(Protocol):
    """Devices and users."""

    def named(self, kind: EntityKind, name: str) -> EndEntity:
        """Raises NotFound."""

    def page(self, kind: EntityKind, *, after: str, limit: int) -> tuple[EndEntity, ...]:
        """In order of name."""


class Enrollments(Protocol):
    """Attempts to enroll."""

    def get(self, enrollment_id: int) -> EnrollmentRecord:
        """Raises NotFound."""

    def page(self, *, before: int, limit: int, state: str = "") -> tuple[EnrollmentRecord, ...]:
        """Newest first."""

    async def decide(self, enrollment_id: int, state: EnrollmentState, *, actor: str) -> None:
        """Raises NotFound when it is not waiting."""


class Trail(Protocol):
    """The audit trail."""

    def page(self, *, before: int, limit: int, event: str = "") -> tuple[AuditRow, ...]:
        """Newest first."""


class Enrolling(Protocol):
    """What takes more than one book."""

    def issuer_labels(self, profile: str) -> frozenset[str]:
        """Labels of the CA of a profile; empty for one that is gone."""

    def serial_of(self, certificate_id: int | None) -> str | None:
        """As hexadecimal text."""

    def challenge_end(self, profile: str, entity: EndEntity, *, life: str | None) -> datetime:
        """When a challenge made now would end. Raises what ``challenge`` raises."""

    async def challenge(self, profile: str, entity: EndEntity, *, life: str | None, actor: str) -> tuple[str, datetime]:
        """A new challenge and its end. Raises NotFound, OperationUnsupported, VariableWithoutValue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityOperations:
    """The handlers, with what they read."""

    entities: Entities
    enrollments: Enrollments
    audit: Trail
    desk: Desk
    enrolling: Enrolling

    def table(self) -> Iterator[Operation]:
        """Every operation about these."""
        for kind in EntityKind:
            yield from self._kind(kind)
        yield Operation(
            id="create_challenge", method="POST", path="/challenges", permission=Permission.ENROLLMENT_DECIDE,
            summary="A one-time password for one enrollment; shown this once.", handler=self.create_challenge,
            status=201, body=ChallengeWish, body_example=examples.CHALLENGE_WISH, answer=ChallengeMade,
            example=examples.CHALLENGE, keeps_secret=True, previews=True,
        )  # fmt: skip
        yield from self._attempts()
        yield Operation(
            id="list_audit", method="GET", path="/audit-records", permission=Permission.AUDIT_READ, kind=Kind.PAGE,
            summary="The audit trail, newest first.", handler=self.list_audit, query=(_EVENT,), answer=AuditShape,
            example=examples.AUDIT,
        )  # fmt: skip

    def _kind(self, kind: EntityKind) -> Iterator[Operation]:
        word, path = kind.value, f"/{kind.value}s"
        example = {**examples.ENTITY, "kind": word}
        attributes = {"display_name": "Ada"} if kind is EntityKind.USER else {"dns_name": "laptop-042.contoso.com"}
        read, write = Permission.ENTITY_READ, Permission.ENTITY_WRITE
        yield Operation(
            id=f"list_{word}s", method="GET", path=path, permission=read, kind=Kind.PAGE,
            summary=f"{word.capitalize()}s in order of name.", handler=self.list_entities, answer=EntityShape,
            example=example,
        )  # fmt: skip
        yield Operation(
            id=f"create_{word}", method="POST", path=path, permission=write, status=201, kind=Kind.ACT,
            summary=f"Make a {word} known.", handler=self.create_entity, body=EntityWish,
            body_example={"name": "LAPTOP-042", "attributes": attributes}, answer=EntityShape, example=example,
        )  # fmt: skip
        yield Operation(
            id=f"get_{word}", method="GET", path=f"{path}/{{name}}", permission=read, summary=f"One {word}.",
            handler=self.get_entity, answer=EntityShape, example=example,
        )  # fmt: skip
        yield Operation(
            id=f"change_{word}", method="PATCH", path=f"{path}/{{name}}", permission=write, if_match=True,
            kind=Kind.ACT, summary=f"Change attributes of a {word}, disable or enable it.", handler=self.change_entity,
            body=EntityChange, body_example={"attributes": attributes, "enabled": False}, answer=EntityShape,
            example=example,
        )  # fmt: skip

    def _attempts(self) -> Iterator[Operation]:
        ids = {"id": "^[0-9]{1,18}$"}
        yield Operation(
            id="list_enrollments", method="GET", path="/enrollments", permission=Permission.ENROLLMENT_READ,
            kind=Kind.PAGE, summary="Attempts to enroll, newest first.", handler=self.list_enrollments,
            query=(_STATE,), answer=EnrollmentShape, example=examples.ENROLLMENT,
        )  # fmt: skip
        yield Operation(
            id="get_enrollment", method="GET", path="/enrollments/{id}", permission=Permission.ENROLLMENT_READ,
            summary="One attempt.", handler=self.get_enrollment, answer=EnrollmentShape, example=examples.ENROLLMENT,
            path_patterns=ids,
        )  # fmt: skip
        yield Operation(
            id="decide_enrollment", method="POST", path="/enrollments/{id}:decide",
            permission=Permission.ENROLLMENT_DECIDE, summary="Approve or reject one that waits.",
            handler=self.decide, body=Decision, body_example={"decision": "approve"}, answer=EnrollmentShape,
            example={**examples.ENROLLMENT, "state": "approved"}, path_patterns=ids, previews=True,
        )  # fmt: skip

    async def list_entities(self, call: Call) -> Reply:
        """A page of one kind."""
        after = name_of(call.query.get("cursor"))
        found = self.entities.page(_kind_of(call), after=after, limit=call.limit)
        more = make_cursor(found[-1].name) if len(found) == call.limit else None
        return Reply(Page(tuple(entity_shape(entity) for entity in found), more))

    async def get_entity(self, call: Call) -> Reply:
        """One."""
        return _with_tag(self.entities.named(_kind_of(call), call.path["name"]))

    async def create_entity(self, call: Call) -> Reply:
        """Its attributes become names in certificates of any CA, so a grant that names labels does not reach it."""
        check_permission(call.actor, Permission.ENTITY_WRITE, _ANY)
        wish: EntityWish = call.body
        given = {"kind": _kind_of(call).value, "name": wish.name, "attributes": dict(wish.attributes)}
        return await self._done(call, "entity.create", parameters=given, status=201)

    async def change_entity(self, call: Call) -> Reply:
        """Only in the state that the caller has seen."""
        check_permission(call.actor, Permission.ENTITY_WRITE, _ANY)
        wish: EntityChange = call.body
        entity = self.entities.named(_kind_of(call), call.path["name"])
        check_tag(call, entity_tag(entity), what=f"{entity.kind.value} {entity.name}")
        given = {"kind": entity.kind.value, "name": entity.name, "attributes": dict(wish.attributes)}
        said = {} if wish.enabled is None else {"enabled": wish.enabled}
        state = {"state": entity_state(entity)}
        return await self._done(call, "entity.change", parameters={**given, **said, **state}, status=200)

    async def _done(self, call: Call, act: str, *, parameters: dict[str, Any], status: int) -> Reply:
        reply = await submit(self.desk, call, act, parameters=parameters, status=status)
        if call.dry_run or reply.status != status:
            return reply
        return _with_tag(self.entities.named(_kind_of(call), parameters["name"].strip()), status)

    async def create_challenge(self, call: Call) -> Reply:
        """For one profile and one device or user."""
        wish: ChallengeWish = call.body
        kind, name = named_entity(wish.device, wish.user)
        if not call.actor.may(Permission.ENROLLMENT_DECIDE, self.enrolling.issuer_labels(wish.profile)):
            raise NotFound(f"there is no profile {wish.profile!r}", mend=("privyseal profile list",))
        entity = self.entities.named(kind, name)
        if call.dry_run:
            until = self.enrolling.challenge_end(wish.profile, entity, life=wish.life)
            return would(f"make a challenge for {kind.value} {name} and profile {wish.profile}, good until {until}")
        secret, until = await self.enrolling.challenge(wish.profile, entity, life=wish.life, actor=call.actor.name)
        made = ChallengeMade(secret=secret, profile=wish.profile, entity=entity.name, expires_at=until)
        return Reply(made, 201)

    async def list_enrollments(self, call: Call) -> Reply:
        """Rows that the caller does not reach are passed over, so a page may be short."""
        before = number_of(call.query.get("cursor"))
        found = self.enrollments.page(before=before, limit=call.limit, state=call.query.get("state", ""))
        more = make_cursor(found[-1].id) if len(found) == call.limit else None
        items = tuple(self._shape(row) for row in found if self._reaches(call, Permission.ENROLLMENT_READ, row))
        return Reply(Page(items, more))

    async def get_enrollment(self, call: Call) -> Reply:
        """One attempt."""
        return Reply(self._shape(self._attempt(call, Permission.ENROLLMENT_READ)))

    async def decide(self, call: Call) -> Reply:
        """Approve or reject."""
        row = self._attempt(call, Permission.ENROLLMENT_DECIDE)
        state = EnrollmentState.APPROVED if call.body.decision == "approve" else EnrollmentState.REFUSED
        if call.dry_run:
            if row.state is not EnrollmentState.WAITING:
                raise NotFound(f"no enrollment {row.id} waits for a decision")
            return would(f"{call.body.decision} enrollment {row.id} of {row.entity or 'nobody'} for {row.profile}")
        await self.enrollments.decide(row.id, state, actor=call.actor.name)
        return Reply(self._shape(self.enrollments.get(row.id)))

    async def list_audit(self, call: Call) -> Reply:
        """The whole trail: it tells of everything, so a grant that names labels does not reach it."""
        check_permission(call.actor, Permission.AUDIT_READ, _ANY)
        before = number_of(call.query.get("cursor"))
        found = self.audit.page(before=before, limit=call.limit, event=call.query.get("event", ""))
        more = make_cursor(found[-1].seq) if len(found) == call.limit else None
        return Reply(Page(tuple(_audit_shape(row) for row in found), more))

    def _attempt(self, call: Call, permission: Permission) -> EnrollmentRecord:
        text = call.path["id"]
        known = text.isascii() and text.isdecimal() and len(text) <= 18
        row = self.enrollments.get(int(text)) if known else None
        if row is None or not self._reaches(call, permission, row):
            raise NotFound(f"there is no enrollment {text[:40]!r}", mend=("privyseal enrollment list",))
        return row

    def _reaches(self, call: Call, permission: Permission, row: EnrollmentRecord) -> bool:
        return call.actor.may(permission, self.enrolling.issuer_labels(row.profile))

    def _shape(self, row: EnrollmentRecord) -> EnrollmentShape:
        return EnrollmentShape(
            id=row.id,
            at=row.at,
            state=row.state.value,
            profile=row.profile,
            protocol=row.protocol,
            entity=row.entity or None,
            transaction_id=row.transaction_id,
            serial=self.enrolling.serial_of(row.certificate_id),
            code=row.code or None,
            what=row.what or None,
        )


def entity_shape(entity: EndEntity) -> EntityShape:
    """A device or user for the wire."""
    bound = entity.binding
    return EntityShape(
        kind=entity.kind.value,
        name=entity.name,
        enabled=entity.enabled,
        attributes=dict(entity.attributes),
        directory=None if bound is None else bound.directory,
        object_sid=None if bound is None else bound.sid.text,
    )


def entity_tag(entity: EndEntity) -> str:
    """The ETag of a device or user: of everything that can be changed."""
    return f'"{entity_state(entity)}"'


def _with_tag(entity: EndEntity, status: int = 200) -> Reply:
    return Reply(entity_shape(entity), status, (("etag", entity_tag(entity)),))


def _kind_of(call: Call) -> EntityKind:
    return EntityKind(call.operation_path.split("/")[1].removesuffix("s"))


def _audit_shape(row: AuditRow) -> AuditShape:
    return AuditShape(
        seq=row.seq,
        at=row.at,
        event=row.event,
        actor=row.actor,
        target=row.target,
        detail=json.loads(row.detail),
        digest=row.digest.hex(),
    )
