# SPDX-License-Identifier: Apache-2.0
"""The table of routes and the top loop: nothing is open by default, no error tells of the inside."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from privyseal import errors
from privyseal.endpoints import problems
from privyseal.endpoints.app import Access, Application, Route
from privyseal.endpoints.http import Request, Response, text
from privyseal.errors import (
    InvalidValue,
    MalformedMessage,
    MessageTooLarge,
    NotFound,
    PrivysealError,
    StoreUnavailable,
    TransactionReused,
)
from privyseal.protocols.ocsp import OcspError
from privyseal.protocols.scep.messages import FailInfo

SECRET = "the inside"


class Rng:
    """Not random at all."""

    def bytes(self, count: int) -> bytes:
        return bytes(range(count))


def answering(outcome: Response | Exception) -> Application:
    async def handler(request: Request, incident: str) -> Response:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    route = Route("here", frozenset({"GET", "POST"}), 10, Access.PUBLIC, "a test", handler)
    return Application((route,), Rng())


def call(application: Application, method: str = "GET", path: str = "/here", *chunks: bytes) -> tuple[int, bytes]:
    waiting = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    waiting.append({"type": "http.request", "body": b"", "more_body": False})
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b""}
    asyncio.run(application(scope, receive, send))  # type: ignore[arg-type] # a dict is a MutableMapping
    return sent[0]["status"], sent[1]["body"]


@pytest.mark.parametrize("path", ["/", "", "/nowhere", "/nowhere/here", "//", "/HERE", "/here.", "/here%2F"])
def test_what_is_not_in_the_table_is_not_found(path: str) -> None:
    assert call(answering(text(200, "ok")), "GET", path)[0] == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "HEAD", "get", ""])
def test_methods_that_are_not_in_the_table_are_refused(method: str) -> None:
    assert call(answering(text(200, "ok")), method)[0] == 405


@pytest.mark.parametrize(
    ("error", "status"),
    [(MalformedMessage(SECRET), 400), (InvalidValue(SECRET), 400), (TransactionReused(SECRET), 403),
     (NotFound(SECRET), 404), (MessageTooLarge(SECRET), 413), (StoreUnavailable(SECRET), 503),
     (ZeroDivisionError(SECRET), 500), (KeyError(SECRET), 500)],
)  # fmt: skip
def test_errors_become_a_status_and_an_incident_and_nothing_else(error: Exception, status: int) -> None:
    found, body = call(answering(error))
    assert found == status
    assert SECRET.encode() not in body
    assert b"000102030405" in body


def test_every_error_of_ours_has_an_answer_at_every_edge() -> None:
    def below(kind: type[PrivysealError]) -> set[type[PrivysealError]]:
        return {kind}.union(*(below(child) for child in kind.__subclasses__()))

    for kind in below(errors.PrivysealError):
        error = kind("x")
        assert 400 <= problems.http_status(error) < 600
        assert isinstance(problems.fail_info(error), FailInfo)
        assert isinstance(problems.ocsp_error(error), OcspError)


def test_a_body_beyond_the_limit_is_refused_at_once_and_the_route_is_told() -> None:
    told: list[tuple[PrivysealError, str]] = []

    async def handler(request: Request, incident: str) -> Response:
        return text(200, request.body.decode())

    async def note(request: Request, error: PrivysealError, incident: str) -> None:
        told.append((error, incident))

    route = Route("here", frozenset({"POST"}), 10, Access.PUBLIC, "a test", handler, note)
    application = Application((route,), Rng())
    assert call(application, "POST", "/here", b"01234", b"56789") == (200, b"0123456789\n")
    assert call(application, "POST", "/here", b"01234", b"567890", b"never read")[0] == 413
    assert [(type(error), incident) for error, incident in told] == [(MessageTooLarge, "000102030405")]


def test_a_lifespan_or_websocket_scope_is_left_alone() -> None:
    async def never() -> dict[str, Any]:
        raise AssertionError

    async def nothing(message: dict[str, Any]) -> None:
        raise AssertionError

    for kind in ("lifespan", "websocket"):
        asyncio.run(answering(text(200, "ok"))({"type": kind}, never, nothing))  # type: ignore[arg-type] # a dict
