# SPDX-License-Identifier: Apache-2.0
"""The server: HTTP and what falls due by itself on one event loop; several such processes share a socket."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import socket
from collections.abc import Callable
from typing import Final

import uvicorn
import uvloop

from privyseal.bootstrap import Application
from privyseal.bootstrap.http import build_http
from privyseal.config import LogFormat
from privyseal.errors import AddressInUse
from privyseal.serve.beside import NOTHING, Beside, beside_servers
from privyseal.serve.bounded import BoundedHttp
from privyseal.serve.logs import log_to_stderr
from privyseal.serve.turns import work_at_start, work_in_turns
from privyseal.serve.workers import Supervisor

_BACKLOG: Final = 512


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
