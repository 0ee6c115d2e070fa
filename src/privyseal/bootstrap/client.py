# SPDX-License-Identifier: Apache-2.0
"""Clients of the API: of a server over HTTPS, or of this machine's installation without a server.

The second goes through the same table and the same desk; the user who owns keys and store is an owner there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from privyseal.adapters.clock import SystemRng
from privyseal.administration.sign_in import local_actor
from privyseal.bootstrap import Application
from privyseal.bootstrap.api import build_endpoint
from privyseal.client.client import Client
from privyseal.client.transport import HttpTransport, Received, Retrying
from privyseal.endpoints.http import Request


def connect(url: str, token: str, *, ca_file: str = "") -> Client:
    """A client of a server. Raises InvalidValue for a URL that would send the token in clear."""
    chance = SystemRng().bytes
    return Client(Retrying(HttpTransport(url, token, ca_file=ca_file), chance), chance)


def in_process(application: Application, *, actor: str) -> Client:
    """A client of an opened installation, acting as ``cli:USER``."""
    return Client(_InProcess(application, actor), application.rng.bytes)


class _InProcess:
    """Implements ``client.transport.Transport`` by calling the API's front."""

    def __init__(self, application: Application, actor: str) -> None:
        self._endpoint = build_endpoint(application)
        self._actor = local_actor(actor)
        self._rng = application.rng
        self._runner = asyncio.Runner()

    def send(self, method: str, target: str, *, headers: Mapping[str, str], body: bytes) -> Received:
        """One request."""
        path, _, query = target.encode("ascii").partition(b"?")
        sent = tuple((name.lower().encode(), value.encode("latin-1")) for name, value in headers.items())
        request = Request(method, (), path, query, body, sent)
        answer = self._runner.run(self._endpoint.call(self._actor, request, incident=self._rng.bytes(6).hex()))
        return Received(
            answer.status, {name.decode(): value.decode("latin-1") for name, value in answer.headers}, answer.body
        )

    def close(self) -> None:
        """End the loop."""
        self._runner.close()
