# SPDX-License-Identifier: Apache-2.0
"""The API's front: who asks, may they, is the request well formed; then the operation, then its answer.

Nothing reaches an operation that its row in the table does not allow. In process, the caller names the actor.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Protocol

from privyseal.ca.ports import Clock
from privyseal.endpoints.api.face import Face
from privyseal.endpoints.api.operation import Call, Kind, Operation, Page, Reply
from privyseal.endpoints.api.problems import API
from privyseal.endpoints.api.reading import read_content, read_query
from privyseal.endpoints.api.router import Router, allowed_methods
from privyseal.endpoints.http import Request, Response
from privyseal.endpoints.limits import Buckets, FailureDelays, check_rate, too_many
from privyseal.errors import (
    AccessError,
    BodyInvalid,
    IdempotencyConflict,
    IfMatchNeeded,
    MethodRefused,
    NotFound,
    NotSignedIn,
    PrivysealError,
    TokenExpired,
    TokenRefused,
)
from privyseal.model.access import Actor, check_permission
from privyseal.model.api.codec import encode
from privyseal.model.token import Token

_JSON: Final = "application/json"
_NOBODY: Final = Actor("anonymous", ())
_LONGEST_KEY: Final = 255
_log: Final = logging.getLogger("privyseal.api")


class SignIn(Protocol):
    """Tells who is behind a secret."""

    def authenticate(self, secret: str) -> tuple[Actor, Token]:
        """Raises TokenRefused, TokenExpired."""


class TokenUse(Protocol):
    """Keeps when a token was used."""

    async def note_use(self, token: Token, *, now: datetime) -> None:
        """To the hour."""


class Remembered(Protocol):
    """What is known of an Idempotency-Key."""

    @property
    def digest(self) -> bytes:
        """Of the request."""

    @property
    def status(self) -> int:
        """Of the answer; 0 while there is none."""

    @property
    def body(self) -> bytes:
        """The answer."""


class Repeats(Protocol):
    """Answers to requests with an Idempotency-Key."""

    async def claim(self, actor: str, key: str, *, digest: bytes) -> Remembered | None:
        """None when the key is new."""

    async def answer(self, actor: str, key: str, *, status: int, body: bytes) -> None:
        """Keep the answer."""

    async def forget(self, actor: str, key: str) -> None:
        """Nothing came of it."""


class Gauge(Protocol):
    """Counts requests under way, so that their transactions can share a commit."""

    in_flight: int


class ApiEndpoint:
    """Serves the operations of a table."""

    def __init__(
        self,
        operations: Iterable[Operation],
        *,
        sign_in: SignIn,
        uses: TokenUse,
        repeats: Repeats,
        gauge: Gauge,
        clock: Clock,
        rates: Buckets | None,
        failures: FailureDelays,
        face: Face = API,
        scheme: str = "https",
    ) -> None:
        self._scheme = scheme
        self.operations = tuple(operations)
        self.face = face
        self._router = Router(self.operations)
        self._sign_in = sign_in
        self._uses = uses
        self._repeats = repeats
        self._gauge = gauge
        self._clock = clock
        self._rates = rates
        self._failures = failures

    async def handle(self, request: Request, incident: str) -> Response:
        """One request from the network."""
        try:
            path = _below_prefix(request, self.face.prefix)
            operation, parameters = self._router.find(request.method, path)
            if operation.open_because:
                return await self._serve_anybody(operation, parameters, request, incident)
            actor = await self._authenticate(request)
            return await self._serve(operation, parameters, request, actor=actor, incident=incident)
        except PrivysealError as error:
            return _refusal(error, incident, self.face)

    async def call(self, actor: Actor, request: Request, *, incident: str) -> Response:
        """One request from this process, by somebody who needs no token here; everything else is as from outside."""
        try:
            operation, parameters = self._router.find(request.method, _below_prefix(request, self.face.prefix))
            return await self._serve(operation, parameters, request, actor=actor, incident=incident)
        except PrivysealError as error:
            return _refusal(error, incident, self.face)

    async def _serve_anybody(self, operation: Operation, parameters: Any, request: Request, incident: str) -> Response:
        check_rate(self._rates, request.peer, what=request.peer)
        if operation.changes and (wait := self._failures.wait(request.peer)):
            raise too_many(f"{request.peer} was refused several times and", wait)
        try:
            return await self._serve(operation, parameters, request, actor=_NOBODY, incident=incident)
        except AccessError:
            self._failures.failed(request.peer)
            raise

    async def _authenticate(self, request: Request) -> Actor:
        scheme, _, secret = (request.header(b"authorization") or b"").decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not secret:
            raise NotSignedIn("the request has no header `Authorization: Bearer TOKEN`")
        try:
            actor, token = self._sign_in.authenticate(secret.strip())
        except (TokenRefused, TokenExpired) as error:
            # Only what fails is slowed down: a good token behind the same proxy goes on undisturbed.
            if wait := self._failures.wait(request.peer):
                raise too_many(f"{request.peer} failed to sign in several times and", wait) from error
            self._failures.failed(request.peer)
            raise
        self._failures.succeeded(request.peer)
        check_rate(self._rates, actor.name, what=actor.name)
        await self._uses.note_use(token, now=self._clock.now())
        return actor

    async def _serve(
        self, operation: Operation, parameters: Any, request: Request, *, actor: Actor, incident: str
    ) -> Response:
        if operation.permission is not None:
            check_permission(actor, operation.permission)
        query, body = read_query(operation, request), read_content(operation, request)
        if_match = (request.header(b"if-match") or b"").decode("latin-1")
        if operation.if_match and not if_match:
            raise IfMatchNeeded(f"{operation.method} {operation.path} takes the ETag of what was read as If-Match")
        call = Call(
            actor=actor,
            path=parameters,
            query=query,
            body=body,
            if_match=if_match,
            incident=incident,
            operation_path=operation.path,
            origin=f"{self._scheme}://{(request.header(b'host') or b'').decode('latin-1')}",
        )
        key = (request.header(b"idempotency-key") or b"").decode("latin-1")
        # What nobody signed in for leaves no answer behind: strangers would fill the store with them.
        if key and operation.method == "POST" and not call.dry_run and not operation.open_because:
            return await self._once(operation, call, request, key=key)
        return await self._run(operation, call)

    async def _run(self, operation: Operation, call: Call) -> Response:
        if not operation.shares_commits:
            return _answer(operation, call, await operation.handler(call))
        self._gauge.in_flight += 1
        try:
            return _answer(operation, call, await operation.handler(call))
        finally:
            self._gauge.in_flight -= 1

    async def _once(self, operation: Operation, call: Call, request: Request, *, key: str) -> Response:
        if len(key) > _LONGEST_KEY or not key.isprintable():
            raise BodyInvalid(f"Idempotency-Key is not 1 to {_LONGEST_KEY} printable characters")
        who, digest = call.actor.name, _digest(request)
        earlier = await self._repeats.claim(who, key, digest=digest)
        if earlier is not None:
            return _again(operation, earlier, digest)
        try:
            answer = await self._run(operation, call)
        except PrivysealError:
            # Nothing came of it, so the same request may be sent again once its cause is mended.
            await self._repeats.forget(who, key)
            raise
        kept = b"" if operation.keeps_secret else answer.body
        await self._repeats.answer(who, key, status=answer.status, body=kept)
        return answer


def _below_prefix(request: Request, prefix: str) -> str:
    path = request.raw_path.decode("latin-1")
    if not path.startswith(prefix + "/"):  # nor further on: what a proxy in front filters by path means the same path
        raise NotFound(f"the API begins at {prefix}", mend=(f"see {prefix}/openapi.json",))
    return path[len(prefix) :].partition("?")[0]


def _digest(request: Request) -> bytes:
    parts = (request.method.encode(), request.raw_path, request.query, request.body)
    return sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()


def _again(operation: Operation, earlier: Remembered, digest: bytes) -> Response:
    if earlier.digest != digest:
        raise IdempotencyConflict("the Idempotency-Key came with another request before")
    if not earlier.status:
        raise IdempotencyConflict("the first request with this Idempotency-Key was not answered yet, or was cut off")
    if operation.keeps_secret:
        raise IdempotencyConflict("the first request with this key was answered, with a secret that is shown once only")
    return Response(earlier.status, _JSON, earlier.body, ((b"idempotent-replayed", b"true"), *_NO_STORE))


def _answer(operation: Operation, call: Call, reply: Reply) -> Response:
    headers = tuple((name.lower().encode(), value.encode()) for name, value in reply.headers)
    content = reply.content
    if operation.kind is Kind.RAW:
        return Response(reply.status, operation.media, content, (*headers, *_NO_STORE))
    if isinstance(content, Page):
        content = _page(content, call)
    body = b"" if content is None else json.dumps(encode(content), separators=(",", ":")).encode()
    return Response(reply.status, _JSON, body, (*headers, *_NO_STORE))


def _page(page: Page, call: Call) -> dict[str, Any]:
    items = [encode(item) for item in page.items]
    if wanted := call.query.get("fields"):
        names = [name.strip() for name in str(wanted).split(",")]
        if items and (unknown := [name for name in names if name not in items[0]]):
            raise BodyInvalid(
                f"there is no field {unknown[0][:40]!r}; there are {', '.join(items[0])}",
                faults=(("/query/fields", "names a field that there is not"),),
            )
        items = [{name: item[name] for name in names} for item in items]
    data: dict[str, Any] = {"items": items, "next_cursor": page.next_cursor}
    if page.count is not None:
        data["count"] = page.count
    return data


def _refusal(error: PrivysealError, incident: str, face: Face) -> Response:
    _log.warning("%s [%d] %s", incident, error.code, error.what)
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if isinstance(error, MethodRefused):
        headers = ((b"allow", allowed_methods(error).encode()),)
    return face.refuse(error, incident, headers=headers)


_NO_STORE: Final = ((b"cache-control", b"no-store"),)
