# SPDX-License-Identifier: Apache-2.0
"""Servers beside the public one, each on its own socket: the REST API and the metrics."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import uvicorn

from privyseal.bootstrap import Application
from privyseal.bootstrap.api import build_api
from privyseal.bootstrap.metrics import build_metrics
from privyseal.endpoints.app import Application as HttpApplication
from privyseal.serve.bounded import BoundedHttp


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Open sockets; None for what is not served."""

    api: socket.socket | None = None
    metrics: socket.socket | None = None

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """Those that are there."""
        return tuple(one for one in (self.api, self.metrics) if one is not None)


NOTHING: Final = Beside()


class _Quiet(uvicorn.Server):
    """Leaves the signals to the public server."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None."""
        yield


def beside_servers(application: Application, beside: Beside) -> tuple[tuple[uvicorn.Server, socket.socket], ...]:
    """A server for each socket."""
    settings = application.settings
    found = []
    if beside.api is not None:
        tls = {"ssl_certfile": settings.api_certificate or None, "ssl_keyfile": settings.api_key or None}
        found.append((_server(build_api(application), most=500, **tls), beside.api))
    if beside.metrics is not None:
        found.append((_server(build_metrics(application), most=20), beside.metrics))
    return tuple(found)


def _server(application: HttpApplication, *, most: int, **more: Any) -> uvicorn.Server:
    return _Quiet(
        uvicorn.Config(
            application,
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            date_header=False,
            loop="uvloop",
            http=BoundedHttp,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=10,
            limit_concurrency=most,
            **more,
        )
    )
