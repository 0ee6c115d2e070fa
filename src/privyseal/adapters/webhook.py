# SPDX-License-Identifier: Apache-2.0
"""One delivery to a receiver: to an address that was looked at, bounded in time and size, no redirects, no proxies."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from privyseal import __version__
from privyseal.errors import ServerUnreachable, WebhookUrlRefused
from privyseal.model.webhook import parse_receiver

SECONDS: Final = 10.0
# Where clouds answer with credentials of the machine (IPv6); the IPv4 one is link-local.
_METADATA: Final = frozenset({ip_address("fd00:ec2::254")})
Address = IPv4Address | IPv6Address


def deliver(url: str, body: bytes, headers: Mapping[str, str], *, seconds: float = SECONDS) -> int:
    """POST; the status of the answer. Raises ServerUnreachable, WebhookUrlRefused. Nothing of the answer is kept."""
    to = parse_receiver(url)
    address = _checked_address(to.host, to.port, loopback=to.is_loopback)
    connection = http.client.HTTPConnection(to.host, to.port, timeout=seconds)
    sent = {"Host": to.authority, "User-Agent": f"privyseal/{__version__}", "Connection": "close", **headers}
    try:
        # Connected to what was looked at: asking for the name again could give another address.
        connection.sock = socket.create_connection((str(address), to.port), timeout=seconds)
        if to.secure:
            connection.sock = ssl.create_default_context().wrap_socket(
                connection.sock, server_hostname=to.host, do_handshake_on_connect=False
            )
        with _hung_up_after(seconds, connection.sock):
            if isinstance(connection.sock, ssl.SSLSocket):
                connection.sock.do_handshake()
            connection.request("POST", to.target, body=body, headers=sent)
            return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise ServerUnreachable(f"{to.authority} does not take it: {str(error)[:200]}") from error
    finally:
        connection.close()


@contextmanager
def _hung_up_after(seconds: float, connection: socket.socket) -> Iterator[None]:
    """Time-outs are for each octet; a receiver that sends one every nine seconds has this one for all of them."""

    def hang_up() -> None:
        with suppress(OSError):  # it is over by now
            socket.socket.shutdown(connection, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _checked_address(host: str, port: int, *, loopback: bool) -> Address:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ServerUnreachable(f"the name {host} has no address: {error}") from error
    addresses = [ip_address(str(item[4][0]).partition("%")[0]) for item in found]
    for address in addresses:
        check_address(address, host=host, loopback=loopback)
    return addresses[0]


def check_address(address: Address, *, host: str, loopback: bool) -> None:
    """Private networks are where receivers stand, so they are allowed. Raises WebhookUrlRefused for what is none.

    A name that leads to the loopback, to link-local services or to a cloud's metadata would turn this service into
    a way to what only this machine may reach.
    """
    plain = address.ipv4_mapped if isinstance(address, IPv6Address) and address.ipv4_mapped else address
    if plain.is_loopback:
        if not loopback:
            raise WebhookUrlRefused(f"{host} leads to {plain}, this machine itself; name it 127.0.0.1 if that is meant")
        return
    refused = plain.is_link_local or plain.is_multicast or plain.is_unspecified or plain.is_reserved
    if refused or plain in _METADATA:
        raise WebhookUrlRefused(f"{host} leads to {plain}, which is no place for a receiver")
