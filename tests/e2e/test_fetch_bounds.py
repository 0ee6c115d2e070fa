# SPDX-License-Identifier: Apache-2.0
"""URLs out of certificates of others: servers that never end, say too much, or stand where nothing is asked."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest

from privyseal.adapters.fetch import fetch
from privyseal.bootstrap.authorities import reach
from privyseal.errors import InvalidValue, ServerAnsweredWrongly, ServerUnreachable


@contextmanager
def answering(first: bytes, *, drip: bytes = b"") -> Iterator[str]:
    """A server on the loopback that sends this, then ``drip`` ten times a second for ever; its URL."""
    listener, over = socket.create_server(("127.0.0.1", 0)), Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(first)
            while drip and not over.wait(0.1):
                try:
                    connection.sendall(drip)
                except OSError:
                    return  # the client went away, which is what the test waits for

    thread = Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/root.crl"
    finally:
        over.set()
        thread.join()
        listener.close()


@pytest.mark.parametrize(
    ("first", "drip"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"X"),
    ],
)
def test_an_answer_that_never_ends_is_ended(first: bytes, drip: bytes) -> None:
    with answering(first, drip=drip) as url:
        began = time.monotonic()
        with pytest.raises(ServerUnreachable, match=r"did not come to an end within 1\.6 s"):
            fetch(url, seconds=0.2)
        assert time.monotonic() - began < 10


def test_what_an_inner_server_says_is_not_told_to_whoever_named_it() -> None:
    refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret"
    with answering(refusal) as url, pytest.raises(ServerAnsweredWrongly, match="answered 403: secret"):
        fetch(url)
    with answering(refusal) as url:
        assert asyncio.run(reach([url])) == {url: f"{url} answered 403"}


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/x", "http://[::1/x", "file:///etc/passwd", "ldap://dc/x"])
def test_what_is_no_http_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidValue):
        fetch(url)


def test_nothing_is_asked_of_link_local_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere(socket.socket):
        def getpeername(self) -> tuple[str, int]:
            return "169.254.169.254", 80

    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as url:
        monkeypatch.setattr(socket, "socket", Elsewhere)
        with pytest.raises(ServerUnreachable, match=r"169\.254\.169\.254, a link-local address"):
            fetch(url)
