# SPDX-License-Identifier: Apache-2.0
"""The ASGI application: an explicit table of routes, one top loop that turns errors into answers."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from privyseal.ca.ports import Rng
from privyseal.endpoints.http import Receive, Request, Response, Scope, Send, read_body, send_response, text
from privyseal.endpoints.problems import http_answer
from privyseal.errors import PrivysealError

Handler = Callable[[Request, str], Awaitable[Response]]
_log: Final = logging.getLogger("privyseal.http")


class Access(Enum):
    """Who may use a route. Whatever is not PUBLIC would need an authenticated peer; so far nothing is."""

    PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class Route:
    """One first path segment: its methods, the largest body, who may use it, and why that is right."""

    segment: str
    methods: frozenset[str]
    body_limit: int
    access: Access
    reason: str
    handler: Handler


class Application:
    """Dispatches by the first path segment. Anything not in the table is 404."""

    def __init__(self, routes: Sequence[Route], rng: Rng) -> None:
        self.routes = {route.segment: route for route in routes}
        self._rng = rng

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        if scope["type"] != "http":
            return
        await send_response(send, await self._answer(scope, receive))

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        path = tuple(part for part in scope["path"].split("/") if part)
        route = self.routes.get(path[0]) if path else None
        if route is None:
            return text(404, "not found")
        if scope["method"] not in route.methods:
            return text(405, "method not allowed")
        incident = ""
        try:
            body = await read_body(receive, route.body_limit) if scope["method"] == "POST" else b""
            incident = self._rng.bytes(6).hex()
            request = Request(scope["method"], path, scope.get("raw_path") or b"", scope["query_string"], body)
            return await route.handler(request, incident)
        except PrivysealError as error:
            incident = incident or self._rng.bytes(6).hex()
            _log.warning("%s [%d] %s", incident, error.code, error.what)
            return http_answer(error, incident)
        except Exception:
            # The one place where a fault of ours meets a peer: it learns the incident's id, the log the rest.
            incident = incident or self._rng.bytes(6).hex()
            _log.exception("%s [9000] unexpected fault at /%s", incident, path[0])
            return text(500, f"internal error (incident {incident})")
