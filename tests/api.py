# SPDX-License-Identifier: Apache-2.0
"""The REST API of an installation, called in-process: tokens of any role, and answers as they would be on the wire."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import pytest

from privyseal.administration.desk import Done
from privyseal.administration.sign_in import local_actor
from privyseal.bootstrap.administration import Administration
from privyseal.bootstrap.api import build_api, build_endpoint, build_graph_endpoint
from privyseal.model.access import Role
from privyseal.model.token import new_secret, token_digest
from tests.installation import Installation

ROOT = local_actor("cli:root")


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        """The JSON content."""
        return json.loads(self.body)

    @property
    def code(self) -> int:
        """The code of a problem, 0 when it is none."""
        is_problem = self.headers.get("content-type") == "application/problem+json"
        return int(self.data["code"]) if is_problem else 0


class ApiHouse:
    """An installation with its API."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.books = Administration(installation.app)
        self.http = build_api(installation.app)
        self.endpoint = build_endpoint(installation.app)
        self.graph = build_graph_endpoint(installation.app)
        self._made = 0

    def act(self, act: str, /, **parameters: Any) -> Mapping[str, Any]:
        """Does an act as the user who owns the installation."""
        answer = self.installation.run(self.books.desk.submit(ROOT, act, parameters=parameters))
        assert isinstance(answer, Done), answer
        return answer.result

    def token(self, person: str, *roles: Role, labels: tuple[str, ...] = ()) -> str:
        """Grants a person roles, and makes a token for them; its secret."""
        for role in roles:
            self.act("role.grant", person=person, role=role.value, labels=list(labels))
        self._made += 1
        secret = new_secret(self._made.to_bytes(32, "big"))
        self.act(
            "token.create", name=f"{person}-{self._made}", owner=person, roles=[role.value for role in roles],
            labels=list(labels), digest=token_digest(secret).hex(),
        )  # fmt: skip
        return secret

    def call(
        self,
        method: str,
        path: str,
        *,
        token: str = "",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        peer: str = "192.0.2.7",
    ) -> ApiAnswer:
        """One request; ``path`` is below /api/v1 unless it is absolute."""
        target = path if path.startswith("//") else f"/api/v1{path}"
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = {"authorization": f"Bearer {token}"} if token else {}
        if body is not None:
            sent["content-type"] = "application/json"
        sent |= headers or {}
        return self.installation.run(self._call(method, target.replace("//", "/"), content, sent, peer))

    async def _call(self, method: str, target: str, content: bytes, sent: Mapping[str, str], peer: str) -> ApiAnswer:
        raw_path, _, query = target.encode().partition(b"?")
        answered: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            answered.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": unquote(raw_path.decode()),
            "raw_path": raw_path,
            "query_string": query,
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
            "client": (peer, 50000),
        }
        await self.http(scope, receive, send)  # type: ignore[arg-type] # a dict is a MutableMapping
        headers = {name.decode(): value.decode() for name, value in answered[0]["headers"]}
        return ApiAnswer(answered[0]["status"], headers, b"".join(part.get("body", b"") for part in answered[1:]))


@pytest.fixture(name="api")
def fixture_api(installation: Installation) -> ApiHouse:
    """The API of the installation."""
    return ApiHouse(installation)
