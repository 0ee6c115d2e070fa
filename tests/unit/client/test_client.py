# SPDX-License-Identifier: Apache-2.0
"""The client: what is tried again, what is not, how pages follow, and that a server's error is raised as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from privyseal.client.client import Client
from privyseal.client.transport import HttpTransport, Received, Retrying
from privyseal.errors import BodyInvalid, NotPermitted, ServerAnsweredWrongly, ServerUnreachable, TooManyRequests
from privyseal.model.api.access_shapes import GrantWish, TokenWish

GRANT = {"person": "ada", "role": "viewer", "labels": []}


class Told:
    """A transport that answers what it was told, and remembers what it was asked."""

    def __init__(self, *answers: Received | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, Mapping[str, str], bytes]] = []

    def send(self, method: str, target: str, *, headers: Mapping[str, str], body: bytes) -> Received:
        self.asked.append((method, target, headers, body))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.asked.clear()


def said(status: int, data: Any, **headers: str) -> Received:
    return Received(status, headers, data if isinstance(data, bytes) else json.dumps(data).encode())


def problem(status: int, code: int) -> Received:
    data = {
        "type": "/problems/1", "title": "t", "status": status, "detail": "what", "code": code, "cause": "why",
        "remedies": [{"text": "mend"}], "retryable": False, "correlation_id": "1", "from_a_newer_server": 1,
    }  # fmt: skip
    return said(status, data)


def chance(count: int) -> bytes:
    return bytes(count)


def client(*answers: Received | Exception) -> tuple[Client, Told, list[float]]:
    told, slept = Told(*answers), list[float]()
    return Client(Retrying(told, chance, sleep=slept.append), chance), told, slept


def test_reading_is_tried_again_with_growing_pauses_and_as_long_as_the_server_asks() -> None:
    busy = said(503, {}, **{"retry-after": "7"})
    page = said(200, {"items": [GRANT], "next_cursor": None})
    speaking, told, slept = client(ServerUnreachable("gone"), said(503, {}), busy, page)
    assert [grant.person for grant in speaking.roles()] == ["ada"]
    assert len(told.asked) == 4 and slept == [pytest.approx(0.1), pytest.approx(0.2), 7.0]


def test_it_gives_up_after_a_few_times() -> None:
    speaking, told, slept = client(*[ServerUnreachable("gone")] * 9)
    with pytest.raises(ServerUnreachable):
        speaking.whoami()
    assert len(told.asked) == 4 and len(slept) == 3


def test_a_post_is_repeated_with_the_same_key_and_a_delete_is_not_repeated() -> None:
    speaking, told, _ = client(ServerUnreachable("gone"), said(201, GRANT))
    speaking.grant_role(GrantWish(person="ada", role="viewer"))
    keys = {headers["Idempotency-Key"] for _, _, headers, _ in told.asked}
    assert len(told.asked) == 2 and len(keys) == 1
    speaking, told, _ = client(ServerUnreachable("gone"), said(200, {}))
    with pytest.raises(ServerUnreachable):
        speaking.revoke_role("ada", "viewer")
    assert len(told.asked) == 1


def test_pages_follow_the_cursor_and_stop() -> None:
    pages = [said(200, {"items": [GRANT], "next_cursor": "n2"}), said(200, {"items": [], "next_cursor": "n3"}),
             said(200, {"items": [GRANT], "next_cursor": None})]  # fmt: skip
    speaking, told, _ = client(*pages)
    assert len(list(speaking.roles())) == 2
    assert [target.rpartition("cursor=")[2] for _, target, _, _ in told.asked[1:]] == ["n2", "n3"]


@pytest.mark.parametrize(("status", "code", "kind"), [(403, 8304, NotPermitted), (400, 8340, BodyInvalid)])
def test_the_servers_error_is_raised_as_the_same_error(status: int, code: int, kind: type[Exception]) -> None:
    speaking, _, _ = client(problem(status, code))
    with pytest.raises(kind) as caught:
        speaking.create_token(TokenWish(name="t", roles=("viewer",)))
    assert (caught.value.what, caught.value.why, caught.value.mend) == ("what", "why", ("mend",))  # type: ignore[attr-defined] # ours


def test_too_many_requests_are_waited_for_and_then_told() -> None:
    speaking, told, slept = client(*[problem(429, 8307)] * 4)
    with pytest.raises(TooManyRequests):
        speaking.whoami()
    assert len(told.asked) == 4 and len(slept) == 3


@pytest.mark.parametrize(
    "answer", [said(200, b"<html>"), said(502, b"<html>"), said(200, {"name": 1}), said(418, {}), problem(400, 4444)]
)
def test_an_answer_that_is_not_of_ours_is_told_as_that(answer: Received) -> None:
    speaking, _, _ = client(answer, answer, answer, answer)
    with pytest.raises(ServerAnsweredWrongly):
        speaking.whoami()


def test_names_are_escaped_in_paths() -> None:
    speaking, told, _ = client(problem(404, 9007))
    with pytest.raises(Exception, match="what"):
        speaking.authority("../../x?y#z")
    assert told.asked[0][1] == "/api/v1/authorities/..%2F..%2Fx%3Fy%23z"


def test_nobody_listening_is_unreachable_and_not_a_trace() -> None:
    with pytest.raises(ServerUnreachable):
        HttpTransport("http://127.0.0.1:1", "t", timeout=2).send("GET", "/", headers={}, body=b"")
