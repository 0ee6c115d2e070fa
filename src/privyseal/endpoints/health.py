# SPDX-License-Identifier: Apache-2.0
"""Probes: ``/livez`` says that the process runs, ``/readyz`` that it can serve. Neither tells details."""

from __future__ import annotations

from typing import Protocol

from privyseal.ca.issuer import Issuer
from privyseal.endpoints.http import Request, Response, text


class Store(Protocol):
    """Something that answers when the store does."""

    def version(self) -> int:
        """Raises when the store does not answer."""


class Issuers(Protocol):
    """The CAs."""

    def issuers(self) -> tuple[Issuer, ...]:
        """Every CA version."""


class HealthEndpoint:
    """Answers the probes."""

    def __init__(self, *, database: Store, catalog: Issuers) -> None:
        self._database = database
        self._catalog = catalog

    async def live(self, request: Request, incident: str) -> Response:
        """Always 200: no dependency may make an orchestrator kill a process that only waits."""
        return text(200, "ok")

    async def ready(self, request: Request, incident: str) -> Response:
        """200 when the store answers and there is a CA, else 503."""
        self._database.version()
        return text(200, "ready") if self._catalog.issuers() else text(503, "no CA yet")
