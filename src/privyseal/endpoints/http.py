# SPDX-License-Identifier: Apache-2.0
"""HTTP requests and answers as values, read from and written to ASGI with every size bounded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from privyseal.errors import MalformedMessage, MessageTooLarge

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Request:
    """One request. ``path`` is unescaped and split at slashes; ``raw_path`` and ``query`` are as sent."""

    method: str
    path: tuple[str, ...]
    raw_path: bytes
    query: bytes
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """As sent, names in lower case."""
    peer: str = ""
    """Where the connection comes from: an IPv4 address, or the first 64 bits of an IPv6 one."""

    def header(self, name: bytes) -> bytes | None:
        """The value of a header, or None; of several the first."""
        return next((value for found, value in self.headers if found == name), None)

    def query_value(self, name: str) -> bytes | None:
        """The raw value of a query parameter, still escaped, or None."""
        prefix = name.encode() + b"="
        for part in self.query.split(b"&"):
            if part.startswith(prefix):
                return part[len(prefix) :]
        return None


@dataclass(frozen=True, slots=True)
class Response:
    """One answer."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole body. Raises MessageTooLarge as soon as it exceeds ``limit`` octets, MalformedMessage when it stops.

    How long it may take is bounded by the server, which hangs up on a peer that sends an octet a minute.
    """
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise MalformedMessage("the connection ended before the message was complete")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise MessageTooLarge(f"the body is larger than {limit} octets")
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def send_response(send: Send, response: Response) -> None:
    """Write an answer, head and body in one turn of the loop: the server sends such in one piece."""
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": [
                (b"content-type", response.content_type.encode()),
                (b"content-length", str(len(response.body)).encode()),
                *response.headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": response.body})


def text(status: int, sentence: str) -> Response:
    """A short plain answer."""
    return Response(status, "text/plain; charset=utf-8", sentence.encode() + b"\n")
