# SPDX-License-Identifier: Apache-2.0
"""Work that goes on after its request was answered: what it is, and how far it has come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from privyseal.endpoints.api import examples
from privyseal.endpoints.api.cursor import make_cursor, number_of
from privyseal.endpoints.api.operation import Call, Kind, Operation, Page, Reply
from privyseal.errors import NotFound
from privyseal.model.access import Permission, check_permission
from privyseal.model.api.shapes import OPERATION, OperationShape, RevokedMany
from privyseal.model.bulk import BulkRevocation, operation_name

_READ = Permission.OPERATION_READ


class Works(Protocol):
    """Revocations of many."""

    def get(self, bulk_id: int) -> BulkRevocation:
        """Raises NotFound."""

    def page(self, *, before: int, limit: int) -> tuple[BulkRevocation, ...]:
        """Newest first."""


@dataclass(frozen=True, slots=True)
class LongOperations:
    """The handlers. What is under way may reach any CA, so a grant that names labels does not reach it."""

    works: Works

    def table(self) -> Iterator[Operation]:
        """Reading only; what begins them stands with what it is about."""
        yield Operation(
            id="list_operations", method="GET", path="/operations", permission=_READ, kind=Kind.PAGE,
            summary="Work that goes on by itself, newest first.", handler=self.list_all, answer=OperationShape,
            example=examples.OPERATION,
        )  # fmt: skip
        yield Operation(
            id="get_operation", method="GET", path="/operations/{id}", permission=_READ, handler=self.get,
            summary="How far it has come, and its result.", answer=OperationShape, example=examples.OPERATION,
            path_patterns={"id": OPERATION},
        )  # fmt: skip

    async def list_all(self, call: Call) -> Reply:
        """Newest first."""
        check_permission(call.actor, _READ, frozenset())
        found = self.works.page(before=number_of(call.query.get("cursor")), limit=call.limit)
        more = make_cursor(found[-1].id) if len(found) == call.limit else None
        return Reply(Page(tuple(map(operation_shape, found)), more))

    async def get(self, call: Call) -> Reply:
        """One."""
        check_permission(call.actor, _READ, frozenset())
        return Reply(operation_shape(self.works.get(operation_number(call.path["id"]))))


def operation_number(text: str) -> int:
    """The number in the name of an operation. Raises NotFound."""
    number = text.removeprefix("op_")
    if not text.startswith("op_") or not number.isascii() or not number.isdecimal() or len(number) > 18:
        raise NotFound(f"there is no operation {text[:40]!r}")
    return int(number)


def operation_shape(bulk: BulkRevocation) -> OperationShape:
    """A revocation of many for the wire."""
    done = RevokedMany(selected=bulk.selected, revoked=bulk.revoked, skipped=bulk.skipped, selection=bulk.digest)
    begun = "running" if bulk.touched_at else "waiting"
    return OperationShape(
        id=operation_name(bulk.id),
        kind="certificate.revoke-many",
        state="done" if bulk.finished else begun,
        summary=f"revoke {bulk.selected} certificate(s) that match {bulk.where!r} for {bulk.reason.label}",
        actor=bulk.actor,
        done=bulk.revoked + bulk.skipped,
        total=bulk.selected,
        touched_at=bulk.touched_at,
        result=done if bulk.finished else None,
    )
