# SPDX-License-Identifier: Apache-2.0
"""The real server process seen from its socket: one write for an answer, bounds on everything, an orderly end."""

from __future__ import annotations

import asyncio
import http.client
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from uvicorn.server import ServerState

from privyseal.protocols.scep.messages import PkiStatus
from privyseal.serve import bounded
from tests.device import Device
from tests.installation import Answer, Installation, Installations, new_home
from tests.server_process import ServerProcess


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_home(tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="module")
def installation(home: Path) -> Iterator[Installation]:
    made = Installations(home.parent)
    yield made.open(home)
    made.close()


@pytest.fixture(scope="module")
def server(home: Path, installation: Installation) -> Iterator[ServerProcess]:
    with ServerProcess(home) as running:
        yield running


def post(path: str, body: bytes, *, more: str = "") -> bytes:
    """A request as octets."""
    return f"POST {path} HTTP/1.1\r\nHost: x\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


def status(connection: socket.socket) -> int:
    """Status of what comes next, or 0 when the server hung up."""
    try:
        received = connection.recv(65536)
    except ConnectionError:
        return 0
    return int(received.split()[1]) if received else 0


@pytest.mark.parametrize("what", ["caps", "certificates", "crl", "enrollment"])
def test_head_and_body_leave_in_one_write(server: ServerProcess, installation: Installation, what: str) -> None:
    """Two small writes would meet Nagle and a delayed acknowledgement: 40 ms for every request."""
    device = Device(installation)
    requests = {
        "caps": b"GET /scep/wifi-device?operation=GetCACaps HTTP/1.1\r\nHost: x\r\n\r\n",
        "certificates": b"GET /scep/wifi-device?operation=GetCACert HTTP/1.1\r\nHost: x\r\n\r\n",
        "crl": b"GET /crl/issuing/v1.crl HTTP/1.1\r\nHost: x\r\n\r\n",
        "enrollment": post(f"{device.path}?operation=PKIOperation", device.request().message),
    }
    with server.connect() as connection:
        for _ in range(50):  # a client is often late enough to see two writes as one
            connection.sendall(requests[what])
            head, separator, body = connection.recv(1 << 20).partition(b"\r\n\r\n")
            assert separator
            assert head.startswith(b"HTTP/1.1 200 ")
            (length,) = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            assert len(body) == int(length.partition(b":")[2]) > 0


def test_an_enrollment_over_the_socket_is_the_one_in_process(server: ServerProcess, installation: Installation) -> None:
    device = Device(installation)
    sent = device.request()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    target = f"{device.path}/pkiclient.exe?operation=PKIOperation"
    # Any content type, or none: certmonger, sscep and NDES's clients differ.
    for more in ({}, {"Content-Type": "application/octet-stream"}, {"Content-Type": "text/nonsense; x=y"}):
        connection.request("POST", target, sent.message, more)
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        assert "server" not in headers
        reply = device.read(Answer(answer.status, headers, answer.read()), sent)
        assert reply.status is PkiStatus.SUCCESS
    connection.close()


def test_an_oversized_body_is_refused_before_it_is_all_there(server: ServerProcess) -> None:
    with server.connect() as connection:
        head = (
            b"POST /scep/wifi-device?operation=PKIOperation HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"
        )
        connection.sendall(head + bytes(70_000))
        assert status(connection) == 413


def test_an_endless_request_line_and_endless_headers_are_refused(server: ServerProcess) -> None:
    for start, piece in ((b"GET /", b"a" * 65536), (b"GET / HTTP/1.1\r\nx: ", b"a" * 65536),
                         (b"GET / HTTP/1.1\r\n", b"a: b\r\n" * 10_000)):  # fmt: skip
        with server.connect() as connection:
            found = None
            try:
                connection.sendall(start)
                for _ in range(64):
                    connection.sendall(piece)
            except ConnectionError:
                found = 0
            assert (status(connection) if found is None else found) in (0, 400)


_POST = b"POST /scep/wifi-device?operation=PKIOperation HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"


@pytest.mark.parametrize(
    "begun",
    [b"", b"GET / HT", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /", _POST, _POST + b"12345678",
     b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" + _POST + b"1"],
)  # fmt: skip
def test_a_head_or_body_that_never_ends_is_not_waited_for_for_ever(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    assert bounded._HEAD_SECONDS <= 30
    assert bounded._BODY_SECONDS <= 30
    monkeypatch.setattr(bounded, "_HEAD_SECONDS", 0.05)
    monkeypatch.setattr(bounded, "_BODY_SECONDS", 0.05)
    config = uvicorn.Config(installation.http, lifespan="off", http=bounded.BoundedHttp, log_config=None)
    config.load()

    async def talk() -> bytes:
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(
            lambda: bounded.BoundedHttp(config=config, server_state=ServerState(), app_state={}), "127.0.0.1", 0
        )
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        writer.write(begun)
        received = await asyncio.wait_for(reader.read(), 5)  # to the end of the connection
        writer.close()
        listening.close()
        return received

    assert installation.run(talk()).count(b"HTTP/1.1 200") == begun.count(b"livez")


@pytest.mark.parametrize(
    "request_line",
    [b"GET /\xff\xfe HTTP/1.1", b"GET /%ff%00 HTTP/1.1", b"GET http://[::1 HTTP/1.1", b"BREW / HTTP/1.1", b"\x00\x01",
     b"GET /scep/../scep/wifi-device HTTP/1.1", b"OPTIONS * HTTP/1.1", b"CONNECT x:1 HTTP/1.1", b"GET",
     b"PRI * HTTP/2.0"],
)  # fmt: skip
def test_odd_request_lines_are_refused_and_break_nothing(server: ServerProcess, request_line: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(request_line + b"\r\nHost: x\r\n\r\n")
        assert status(connection) in (0, 400, 404, 405)
    with server.connect() as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert status(connection) == 200


def test_pipelined_requests_are_answered_in_order(server: ServerProcess) -> None:
    with server.connect() as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
        received = b""
        while received.count(b"HTTP/1.1 ") < 2:
            received += connection.recv(65536)
        assert received.index(b" 200 ") < received.index(b" 404 ")


def test_a_peer_that_hangs_up_in_the_middle_leaves_no_trace_but_the_attempt(
    server: ServerProcess, installation: Installation
) -> None:
    before = installation.count("certificates")
    message = post("/scep/wifi-device?operation=PKIOperation", Device(installation).request().message)
    with server.connect() as connection:
        connection.sendall(message[:-100])
    with server.connect() as connection:
        connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert status(connection) == 200
    assert installation.count("certificates") == before


def test_it_ends_when_asked_and_gives_its_address_and_identity_back(tmp_path: Path) -> None:
    home = new_home(tmp_path)
    server = ServerProcess(home).start()
    begin = time.monotonic()
    code = server.stop()
    assert code in (0, -signal.SIGTERM)
    assert time.monotonic() - begin < 5
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=5)
    assert "Traceback" not in server.log.read_text()


def test_the_server_said_nothing_unexpected(server: ServerProcess) -> None:
    """Runs last in this module: no answer above was a fault of ours."""
    seen = server.log.read_text()
    assert "[9000]" not in seen
    assert "Traceback" not in seen
