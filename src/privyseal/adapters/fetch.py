# SPDX-License-Identifier: Apache-2.0
"""HTTP from the outside in: what a relying party or device would get. Bounded in time and size, no proxies.

URLs come from certificates of others as well: nothing is asked of link-local addresses, where machines keep secrets.
"""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from threading import Event, Timer
from typing import Final
from urllib.parse import urlsplit

from privyseal.errors import InvalidValue, ServerAnsweredWrongly, ServerUnreachable

_LARGEST: Final = 64 * 1024 * 1024
_SECONDS: Final = 15.0
_TIMES: Final = 8
"""Altogether it may take so many times what a single wait may: who sends an octet now and then does not hold us."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A 200 answer."""

    content_type: str
    body: bytes


def fetch(
    url: str, *, body: bytes | None = None, content_type: str = "", seconds: float = _SECONDS, quote: bool = True
) -> Fetched:
    """GET, or POST when ``body`` is given. Raises ServerUnreachable, ServerAnsweredWrongly, InvalidValue.

    Without ``quote`` the error tells nothing of an answer but its number: who gave the URL may not be let read there.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidValue(f"{url!r} is not a URL: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidValue(f"{url!r} is not an http or https URL")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, port, timeout=seconds)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Content-Type": content_type} if content_type else {}
    try:
        connection.connect()
        with _bounded(url, connection.sock, seconds * _TIMES):
            connection.request("GET" if body is None else "POST", target, body=body, headers=headers)
            response = connection.getresponse()
            answer = response.read(_LARGEST + 1)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ServerUnreachable(f"{url} does not answer: {error}") from error
    finally:
        connection.close()
    if response.status != 200:
        shown = f": {answer[:120].decode('ascii', 'replace').strip()}" if quote else ""
        raise ServerAnsweredWrongly(f"{url.partition('?')[0]} answered {response.status}{shown}")
    if len(answer) > _LARGEST:
        raise ServerAnsweredWrongly(f"{url.partition('?')[0]} answered more than {_LARGEST} octets")
    return Fetched(response.headers.get("Content-Type", ""), answer)


@contextmanager
def _bounded(url: str, connected: socket.socket, seconds: float) -> Iterator[None]:
    """Ends the connection when it has taken so long. Raises ServerUnreachable then, and for link-local addresses."""
    address = ip_address(connected.getpeername()[0].partition("%")[0])
    if address.is_link_local:
        raise ServerUnreachable(f"{url} leads to {address}, a link-local address; nothing is asked of it")
    over = Event()

    def end() -> None:
        over.set()
        with suppress(OSError):  # the other side was faster
            connected.shutdown(socket.SHUT_RDWR)

    timer = Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if over.is_set():
            raise ServerUnreachable(f"{url} did not come to an end within {seconds:g} s")
