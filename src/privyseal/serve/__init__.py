# SPDX-License-Identifier: Apache-2.0
"""The server process: one event loop with HTTP and the worker, one process a core at most."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from privyseal.bootstrap import Application
from privyseal.bootstrap.http import build_http
from privyseal.errors import AddressInUse
from privyseal.worker import work_forever, work_once

_HEAD_LIMIT: Final = 128 * 1024
_HEAD_SECONDS: Final = 20.0
_JOINED_AT_MOST: Final = 64 * 1024


class _OneWrite:
    """A transport that sends what is written in one turn of the loop in one piece, which uvloop by itself does not.

    Head and body in two small segments meet a delayed acknowledgement: 40 ms for each request of some clients.
    """

    def __init__(self, inner: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._inner = inner
        self._loop = loop
        self._held: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def write(self, data: bytes) -> None:
        """Hold it until the turn is over."""
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(data)

    def flush(self) -> None:
        """Send what is held."""
        held, self._held = self._held, []
        if not held or self._inner.is_closing():
            return
        if len(held) > 1 and len(held[-1]) > _JOINED_AT_MOST:
            held = [b"".join(held[:-1]), held[-1]]  # a large CRL is not copied, and fills segments of its own
        else:
            held = [b"".join(held)]
        for piece in held:
            self._inner.write(piece)

    def close(self) -> None:
        """Send what is held and close."""
        self.flush()
        self._inner.close()


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's httptools protocol, which by itself takes a request line and headers of any length and duration."""

    _head = 0
    _in_head = True
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A peer that says nothing is not waited for long."""
        one_write = _OneWrite(transport, self.loop)  # type: ignore[arg-type] # a stream's transport
        super().connection_made(one_write)  # type: ignore[arg-type] # it acts like one
        self._deadline = self.loop.call_later(_HEAD_SECONDS, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left to wait for."""
        self._rest()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """As uvicorn does it, as long as the head is within bounds."""
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head += len(data)
            if self._head > _HEAD_LIMIT:
                self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        """A head begins."""
        self._in_head = True
        if self._deadline is None:
            self._deadline = self.loop.call_later(_HEAD_SECONDS, self.transport.close)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is over."""
        self._in_head, self._head = False, 0
        self._rest()
        super().on_headers_complete()

    def _rest(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def open_socket(host: str, port: int) -> socket.socket:
    """A listening socket. Raises AddressInUse."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
        raise AddressInUse(f"{host}:{port} {reason}") from error
    return listener


def serve(application: Application, listener: socket.socket, *, on_ready: Callable[[str], None]) -> None:
    """Serve until interrupted. ``on_ready`` is told the address once requests are answered."""
    log_to_stderr()
    config = uvicorn.Config(
        build_http(application),
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
        limit_concurrency=1000,
        backlog=512,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(application, uvicorn.Server(config), listener, on_ready))


async def _run(
    application: Application, server: uvicorn.Server, listener: socket.socket, on_ready: Callable[[str], None]
) -> None:
    await work_once(application)
    worker = asyncio.create_task(work_forever(application))
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    # What was loaded by now lives as long as the process: keep the collector from walking it for ever.
    gc.collect()
    gc.freeze()
    announce = asyncio.create_task(_announce(server, lambda: on_ready(f"{shown}:{port}")))
    try:
        await server.serve(sockets=[listener])
    finally:
        announce.cancel()
        worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await worker


async def _announce(server: uvicorn.Server, say: Callable[[], None]) -> None:
    while not server.started:
        await asyncio.sleep(0.01)
    say()


def log_to_stderr() -> None:
    """One line an event on standard error, time in UTC; systemd and containers collect it from there."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
