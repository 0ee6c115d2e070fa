# SPDX-License-Identifier: Apache-2.0
"""Operations about directories. Whoever asks for one reaches all of a forest, so a grant that names labels does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from privyseal.administration.desk import Desk
from privyseal.endpoints.api import examples
from privyseal.endpoints.api.acts import submit
from privyseal.endpoints.api.cursor import make_cursor, name_of, number_of
from privyseal.endpoints.api.operation import Call, Kind, Operation, Page, Reply
from privyseal.model.access import Permission, check_permission
from privyseal.model.api.codec import decode
from privyseal.model.api.directory_shapes import (
    DirectoryShape,
    DirectoryStatus,
    Published,
    PublishItem,
    PublishWish,
    ReceiptShape,
)
from privyseal.model.api.shapes import NAME

_READ, _WRITE = Permission.DIRECTORY_READ, Permission.DIRECTORY_WRITE
_ALL: Final = frozenset[str]()


class Directories(Protocol):
    """Directories, and what is known of them."""

    def all(self) -> tuple[DirectoryShape, ...]:
        """In order of name."""

    def get(self, name: str) -> DirectoryShape:
        """Raises NotFound."""

    def receipts(self, *, before: int, limit: int) -> tuple[ReceiptShape, ...]:
        """Newest first."""

    def items(self, items: Sequence[PublishItem]) -> list[dict[str, Any]]:
        """As the act takes them. Raises NotFound, BodyInvalid."""

    async def status(self, name: str, *, actor: str) -> DirectoryStatus:
        """Asked of every controller now. Raises the 7000s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryOperations:
    """The handlers, with what they read."""

    desk: Desk
    directories: Directories

    def table(self) -> Iterator[Operation]:
        """Every operation about directories."""
        names = {"name": NAME}
        yield Operation(
            id="list_directories", method="GET", path="/directories", permission=_READ, kind=Kind.PAGE,
            summary="Directories that are known.", handler=self.list_all, answer=DirectoryShape,
            example=examples.DIRECTORY,
        )  # fmt: skip
        yield Operation(
            id="get_directory", method="GET", path="/directories/{name}", permission=_READ, summary="One directory.",
            handler=self.get, answer=DirectoryShape, example=examples.DIRECTORY, path_patterns=names,
        )  # fmt: skip
        yield Operation(
            id="get_directory_status", method="GET", path="/directories/{name}/status", permission=_READ,
            summary="Ask every controller what it holds, and whether it shows all that we published.",
            handler=self.status, answer=DirectoryStatus, example=examples.DIRECTORY_STATUS, path_patterns=names,
        )  # fmt: skip
        yield Operation(
            id="publish_to_directory", method="POST", path="/directories/{name}:publish", permission=_WRITE,
            kind=Kind.ACT, summary="Publish CAs; with `dry_run` the plan, whose fingerprint can be sent along.",
            handler=self.publish, body=PublishWish, body_example=examples.PUBLISH_WISH, answer=Published,
            example=examples.PUBLISHED, path_patterns=names,
        )  # fmt: skip
        yield Operation(
            id="list_directory_receipts", method="GET", path="/directory-receipts", permission=_READ, kind=Kind.PAGE,
            summary="Every change of a directory, newest first.", handler=self.receipts, answer=ReceiptShape,
            example=examples.RECEIPT,
        )  # fmt: skip

    async def list_all(self, call: Call) -> Reply:
        """In order of name."""
        check_permission(call.actor, _READ, _ALL)
        after = name_of(call.query.get("cursor"))
        found = [shape for shape in self.directories.all() if shape.name > after]
        items = tuple(found[: call.limit])
        return Reply(Page(items, make_cursor(items[-1].name) if len(found) > call.limit else None))

    async def get(self, call: Call) -> Reply:
        """One."""
        check_permission(call.actor, _READ, _ALL)
        return Reply(self.directories.get(call.path["name"]))

    async def status(self, call: Call) -> Reply:
        """Asked now."""
        check_permission(call.actor, _READ, _ALL)
        return Reply(await self.directories.status(call.path["name"], actor=call.actor.name))

    async def publish(self, call: Call) -> Reply:
        """``directory.publish``."""
        check_permission(call.actor, _WRITE, _ALL)
        wish: PublishWish = call.body
        directory = self.directories.get(call.path["name"]).name
        given = {"directory": directory, "plan": wish.plan, "items": self.directories.items(wish.items)}
        reply = await submit(self.desk, call, "directory.publish", parameters=given)
        done = not call.dry_run and isinstance(reply.content, Mapping)
        return Reply(decode(Published, dict(reply.content)), reply.status) if done else reply

    async def receipts(self, call: Call) -> Reply:
        """Newest first."""
        check_permission(call.actor, _READ, _ALL)
        found = self.directories.receipts(before=number_of(call.query.get("cursor")), limit=call.limit)
        more = make_cursor(found[-1].id) if len(found) == call.limit else None
        return Reply(Page(found, more))
