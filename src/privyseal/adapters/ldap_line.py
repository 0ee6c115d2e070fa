# SPDX-License-Identifier: Apache-2.0
"""The connection under LDAP: made, encrypted and cut off here, so that nothing on it can last longer than agreed.

libldap gets a connected socket. Left to itself it waits for ever, busily, when a server accepts and then says nothing
during the TLS handshake, and it names no reason when it does not trust a certificate; `ssl` does both well.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from privyseal.errors import DirectoryTimeout, DirectoryUnreachable, InvalidValue, TlsNotTrusted

_PIECE: Final = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The longest that one thing may take."""

    connect_seconds: float = 5.0
    operation_seconds: float = 15.0


@dataclass(frozen=True, slots=True)
class Controller:
    """Where one domain controller listens."""

    host: str
    port: int
    tls: bool

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'ldaps' if self.tls else 'ldap'}://{host}:{self.port}"


def parse_controller(text: str, *, tls: bool) -> Controller:
    """A host name or an ``ldap://`` or ``ldaps://`` address; ``tls`` is for a name without scheme."""
    try:
        parts = urlsplit(text if "://" in text else f"{'ldaps' if tls else 'ldap'}://{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise InvalidValue(f"{text!r} is not the address of a domain controller: {error}") from error
    if parts.scheme not in ("ldap", "ldaps") or not host or parts.path.strip("/") or parts.query or parts.username:
        raise InvalidValue(f"{text!r} is not the address of a domain controller, like dc1.example.com or ldaps://dc1")
    encrypted = parts.scheme == "ldaps"
    return Controller(host, port or (636 if encrypted else 389), encrypted)


class Line:
    """A connected socket, the descriptor that libldap uses, and the shears."""

    def __init__(self, raw: socket.socket, *, encrypted: socket.socket | None = None) -> None:
        self._raw = raw
        self._encrypted = encrypted
        self.descriptor = os.dup(raw.fileno())
        self.too_late = False

    @contextmanager
    def watched(self, seconds: float) -> Iterator[None]:
        """Cuts the line when the block has not ended after so many seconds; then ``too_late`` is set."""
        timer = threading.Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _cut(self) -> None:
        self.too_late = True
        self._shut()

    def _shut(self) -> None:
        for one in (self._encrypted, self._raw):  # the relay may be stuck in sending to a controller that hangs
            if one is not None:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Ends the connection; libldap closes its own descriptor."""
        self._shut()
        self._raw.close()


def open_line(controller: Controller, *, ca_file: Path | None, seconds: float) -> Line:
    """Connect. Raises DirectoryUnreachable, DirectoryTimeout and TlsNotTrusted."""
    encrypted = None
    with ExitStack() as given_up:
        raw = _connected(controller, seconds)
        given_up.callback(raw.close)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if controller.tls:
            encrypted = _encrypted(raw, controller, ca_file)
            encrypted.settimeout(None)
            raw, inner = socket.socketpair()
            relay = threading.Thread(
                target=_relay, args=(encrypted, inner), name=f"ldaps {controller.host}", daemon=True
            )
            relay.start()  # it ends when either side does, so cutting the pair cuts everything
        else:
            raw.settimeout(None)
        given_up.pop_all()
        return Line(raw, encrypted=encrypted)


def _connected(controller: Controller, seconds: float) -> socket.socket:
    try:
        return socket.create_connection((controller.host, controller.port), timeout=seconds)
    except (socket.gaierror, UnicodeError) as error:
        raise DirectoryUnreachable(
            f"{controller}: the name {controller.host} does not resolve: {error}",
            why="no DNS server or hosts file that this machine asks knows the name",
            mend=("use the controller's full name", "let this machine ask the domain's DNS servers"),
        ) from error
    except TimeoutError as error:
        raise DirectoryTimeout(f"{controller} did not accept the connection within {seconds:g} s") from error
    except OSError as error:
        raise DirectoryUnreachable(f"{controller}: {error.strerror or error}") from error


def _encrypted(raw: socket.socket, controller: Controller, ca_file: Path | None) -> ssl.SSLSocket:
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise TlsNotTrusted(
            f"the CA file {ca_file} cannot be used: {error}",
            why="it is missing, may not be read, or holds no certificate in PEM",
            mend=("convert DER to PEM: openssl x509 -inform DER -in CA.cer -out CA.pem",),
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        return context.wrap_socket(raw, server_hostname=controller.host)
    except ssl.SSLCertVerificationError as error:
        raise TlsNotTrusted(f"{controller}: {error.verify_message}") from error
    except TimeoutError as error:
        raise DirectoryTimeout(f"{controller} accepted the connection and then did not speak TLS") from error
    except (OSError, ssl.SSLError) as error:
        raise DirectoryUnreachable(
            f"{controller}: the TLS handshake failed: {error.strerror or error}",
            why="the port does not speak TLS; a domain controller without a certificate closes 636 at once",
            mend=("use Kerberos on ldap://HOST", "give the controller a certificate for server authentication"),
        ) from error


def _relay(encrypted: ssl.SSLSocket, inner: socket.socket) -> None:
    """Carries bytes both ways until one side ends."""
    try:
        poll = select.poll()
        poll.register(encrypted, select.POLLIN)
        poll.register(inner, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if inner.fileno() in ready:
                if not (sent := inner.recv(_PIECE)):
                    return
                encrypted.sendall(sent)
            if encrypted.fileno() in ready:
                # What TLS has decrypted already no poll announces, so it is taken until nothing is left.
                while True:
                    if not (received := encrypted.recv(_PIECE)):
                        return
                    inner.sendall(received)
                    if not encrypted.pending():
                        break
    except OSError:
        return  # the other side of the pair sees the end, and says so with the operation it was in
    finally:
        encrypted.close()
        inner.close()
