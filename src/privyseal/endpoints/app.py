# SPDX-License-Identifier: Apache-2.0
"""The ASGI application: an explicit table of routes, one top loop that turns errors into answers."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from privyseal.ca.ports import Rng
from privyseal.endpoints.http import Receive, Request, Response, Scope, Send, read_body, send_response, text
from privyseal.endpoints.limits import Buckets, source_of
from privyseal.endpoints.problems import fault_answer, http_answer
from privyseal.errors import InputError, PrivysealError

Handler = Callable[[Request, str], Awaitable[Response]]
Note = Callable[[Request, PrivysealError, str], Awaitable[None]]
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_log: Final = logging.getLogger("privyseal.http")


class Access(Enum):
    """Who may use a route."""

    PUBLIC = "public"
    TOKEN = "token"
    """The handler authenticates each request; `endpoints/api` does, from its table of operations."""


@dataclass(frozen=True, slots=True)
class Route:
    """One first path segment: its methods, the largest body, who may use it, and why that is right."""

    segment: str
    methods: frozenset[str]
    body_limit: int
    access: Access
    reason: str
    handler: Handler
    note: Note | None = None
    """Told of a request whose body was not taken, for example because of its size."""
    on_error: Callable[[PrivysealError, str], Response] = http_answer
    on_fault: Callable[[str], Response] = fault_answer


class Application:
    """Dispatches by the first path segment below ``place``. Anything not in the table is 404.

    ``place`` is the path of the public URL. A proxy in front may have taken it away: then nothing is missing.
    """

    def __init__(self, routes: Sequence[Route], rng: Rng, *, place: str = "", rates: Buckets | None = None) -> None:
        self.routes = {route.segment: route for route in routes}
        self._rng = rng
        self._rates = rates
        self._place = tuple(part for part in place.split("/") if part)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        if scope["type"] != "http":
            return
        await send_response(send, await self._answer(scope, receive))

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        path, raw_path = self._below_place(scope)
        route = self.routes.get(path[0]) if path else None
        if route is None:
            return text(404, "not found")
        if scope["method"] not in route.methods:
            return text(405, "method not allowed")
        incident = self._rng.bytes(6).hex()
        try:
            peer = scope.get("client")
            more = (scope.get("headers", ()), source_of(peer[0]) if peer else "")
            if self._rates is not None and (wait := self._rates.wait(more[1])):
                return _wait(wait)
            request = Request(scope["method"], path, raw_path, scope["query_string"], b"", *more)
            if request.method in _WITH_BODY:
                body = await self._body(request, receive, route, incident)
                request = Request(request.method, path, raw_path, request.query, body, *more)
            return await route.handler(request, incident)
        except PrivysealError as error:
            _log.warning("%s [%d] %s", incident, error.code, error.what)
            return route.on_error(error, incident)
        except Exception:
            # The one place where a fault of ours meets a peer: it learns the incident's id, the log the rest.
            _log.exception("%s [9000] unexpected fault at /%s", incident, path[0])
            return route.on_fault(incident)

    def _below_place(self, scope: Scope) -> tuple[tuple[str, ...], bytes]:
        path = tuple(part for part in scope["path"].split("/") if part)
        raw_path = bytes(scope.get("raw_path") or b"")
        if not self._place or path[: len(self._place)] != self._place:
            return path, raw_path
        # What follows stays as it was sent: OCSP's base64 may hold slashes.
        for _ in self._place:
            raw_path = b"/" + raw_path.lstrip(b"/").partition(b"/")[2]
        return path[len(self._place) :], raw_path

    async def _body(self, request: Request, receive: Receive, route: Route, incident: str) -> bytes:
        try:
            return await read_body(receive, route.body_limit)
        except InputError as error:
            if route.note is not None:
                await route.note(request, error, incident)
            raise


def _wait(seconds: int) -> Response:
    headers = ((b"retry-after", str(seconds).encode()), (b"cache-control", b"no-store"))
    return replace(text(429, "too many requests from one place"), headers=headers)
