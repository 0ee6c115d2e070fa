# SPDX-License-Identifier: Apache-2.0
"""The server: HTTP and what falls due by itself on one event loop; several such processes share a socket."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import socket
from collections.abc import Callable
from typing import Any, Final

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from privyseal.bootstrap import Application
from privyseal.bootstrap.http import build_http
from privyseal.config import LogFormat
from privyseal.errors import AddressInUse
from privyseal.serve.beside import NOTHING, Beside, beside_servers
from privyseal.serve.logs import log_to_stderr
from privyseal.serve.turns import work_at_start, work_in_turns
from privyseal.serve.workers import Supervisor

_HEAD_LIMIT: Final = 128 * 1024
_HEAD_SECONDS: Final = 20.0
_BODY_SECONDS: Final = 20.0
_JOINED_AT_MOST: Final = 64 * 1024
_BACKLOG: Final = 512


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


class _Deadline:
    """The moment at which a connection is closed, unless something comes before it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handle: asyncio.TimerHandle | None = None

    def begin(self, seconds: float, close: Callable[[], None]) -> None:
        """Set it, when none is set."""
        if self._handle is None:
            self._handle = self._loop.call_later(seconds, close)

    def rest(self) -> None:
        """Forget it."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's httptools protocol, which by itself takes a request line and headers of any length and duration.

    A request that arrives in one piece, as most do, costs no timer.
    """

    _head = 0
    _in_head = True
    _in_body = False
    _deadline: _Deadline

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A peer that says nothing is not waited for long."""
        one_write = _OneWrite(transport, self.loop)  # type: ignore[arg-type] # a stream's transport
        super().connection_made(one_write)  # type: ignore[arg-type] # it acts like one
        self._deadline = _Deadline(self.loop)
        self._deadline.begin(_HEAD_SECONDS, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left to wait for."""
        self._deadline.rest()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """As uvicorn does it, as long as the head is within bounds."""
        super().data_received(data)
        if not (self._in_head or self._in_body) or self.transport.is_closing():
            return
        self._deadline.begin(_HEAD_SECONDS if self._in_head else _BODY_SECONDS, self.transport.close)
        if self._in_head:
            self._head += len(data)
            if self._head > _HEAD_LIMIT:
                self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        """A head begins."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is over; what follows has a time of its own."""
        self._in_head, self._in_body, self._head = False, True, 0
        self._deadline.rest()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Nothing more is waited for until the next head begins."""
        self._in_body = False
        self._deadline.rest()
        super().on_message_complete()


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


def serve(
    application: Application,
    listener: socket.socket,
    *,
    on_ready: Callable[[str], None],
    parent: int | None = None,
    beside: Beside = NOTHING,
) -> None:
    """Serve until interrupted, or until the descriptor ``parent`` ends; API and metrics on the sockets ``beside``.

    ``on_ready`` is told the address once requests are answered.
    """
    log_to_stderr(application.settings.log_format)
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
        backlog=_BACKLOG,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(application, uvicorn.Server(config), listener, on_ready, parent=parent, beside=beside))


def serve_with_workers(
    count: int,
    listener: socket.socket,
    opened: Callable[[], Application],
    *,
    on_ready: Callable[[str], None],
    log_format: LogFormat = LogFormat.TEXT,
    beside: Beside = NOTHING,
) -> None:
    """The same in ``count`` processes, each with what ``opened`` gives it. This one only watches them."""
    log_to_stderr(log_format)

    def work(ready: Callable[[], None], parent: int) -> None:
        application = opened()
        try:
            serve(application, listener, on_ready=lambda _: ready(), parent=parent, beside=beside)
        finally:
            application.close()

    listener.listen(_BACKLOG)  # from now on nobody is turned away, also while a worker starts again
    for other in beside.sockets:
        other.listen(_BACKLOG)
    Supervisor(count, work, on_ready=lambda: on_ready(_address(listener))).run()


async def _run(
    application: Application,
    server: uvicorn.Server,
    listener: socket.socket,
    on_ready: Callable[[str], None],
    *,
    parent: int | None,
    beside: Beside,
) -> None:
    await work_at_start(application)
    worker = asyncio.create_task(work_in_turns(application))
    others = beside_servers(application, beside)
    serving = [asyncio.create_task(other.serve(sockets=[place])) for other, place in others]
    if parent is not None:
        asyncio.get_running_loop().add_reader(parent, _end_with_parent, server, parent)
    # What was loaded by now lives as long as the process: keep the collector from walking it for ever.
    gc.collect()
    gc.freeze()
    announce = asyncio.create_task(_announce(server, lambda: on_ready(_address(listener))))
    try:
        await server.serve(sockets=[listener])
    finally:
        for (other, _), task in zip(others, serving, strict=True):
            other.should_exit = True
            await task
        announce.cancel()
        worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await worker


def _end_with_parent(server: uvicorn.Server, parent: int) -> None:
    asyncio.get_running_loop().remove_reader(parent)
    server.should_exit = True


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _announce(server: uvicorn.Server, say: Callable[[], None]) -> None:
    while not server.started:
        await asyncio.sleep(0.01)
    say()
