# SPDX-License-Identifier: Apache-2.0
"""The operations that nobody needs a token for, each with its reason, and the pages behind a problem's `type`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from privyseal import __version__
from privyseal.endpoints.api import examples
from privyseal.endpoints.api.face import Face
from privyseal.endpoints.api.openapi import document
from privyseal.endpoints.api.operation import Call, Kind, Operation, Reply
from privyseal.endpoints.api.problems import API
from privyseal.endpoints.http import Request, Response
from privyseal.errors import NotFound
from privyseal.model.api.shapes import Health


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOperations:
    """Health and the API's own description."""

    has_ca: Callable[[], bool]
    """Raises when the store does not answer."""
    described: Callable[[], bytes]

    def table(self) -> Iterator[Operation]:
        """Everything that is open."""
        yield Operation(
            id="health", method="GET", path="/health", permission=None, summary="Whether the service can work.",
            handler=self.health, answer=Health, example=examples.HEALTH,
            open_because="load balancers ask it; it tells no more than that it runs",
        )  # fmt: skip
        yield Operation(
            id="openapi", method="GET", path="/openapi.json", permission=None, kind=Kind.RAW, handler=self.openapi,
            summary="This description.", answer=None, example={"openapi": "3.1.0"},
            open_because="it is the same in every installation and published with the source",
        )  # fmt: skip

    async def health(self, call: Call) -> Reply:
        """Asks the store."""
        return Reply(Health(status="ok" if self.has_ca() else "no-ca", version=__version__))

    async def openapi(self, call: Call) -> Reply:
        """The document."""
        return Reply(self.described())


class Description:
    """The OpenAPI document as octets, made at the first request."""

    def __init__(self, face: Face = API) -> None:
        self._face = face
        self._operations: tuple[Operation, ...] = ()
        self._made = b""

    def of(self, operations: Iterable[Operation]) -> None:
        """What it describes."""
        self._operations = tuple(operations)

    def data(self) -> dict[str, Any]:
        """The document."""
        return document(self._operations, self._face)

    def __call__(self) -> bytes:
        """As JSON."""
        self._made = self._made or json.dumps(self.data()).encode()
        return self._made


class ProblemPages:
    """Answers ``/problems/CODE`` with the runbook: what a problem's ``type`` leads to."""

    def __init__(self, runbook: Callable[[int], str | None]) -> None:
        self._runbook = runbook

    async def page(self, request: Request, incident: str) -> Response:
        """Markdown, as `privyseal explain` prints it."""
        code = request.path[-1] if len(request.path) == 2 else ""
        text = self._runbook(int(code)) if code.isascii() and code.isdecimal() and len(code) == 4 else None
        if text is None:
            raise NotFound("there is no such error code")
        return Response(200, "text/markdown; charset=utf-8", text.encode())
