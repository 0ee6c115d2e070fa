# SPDX-License-Identifier: Apache-2.0
"""HTTP on a connection, bounded in size and time: for every socket that is served."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD_LIMIT: Final = 128 * 1024
_HEAD_SECONDS: Final = 20.0
_BODY_SECONDS: Final = 20.0
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
