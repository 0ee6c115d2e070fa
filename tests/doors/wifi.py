# SPDX-License-Identifier: Apache-2.0
"""A RADIUS server whose files `privyseal radius config freeradius` wrote, and log-ins through our own check."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

from privyseal.adapters.eap_login import RadiusServer, log_in
from privyseal.errors import PrivysealError
from tests.doors.house import ISSUING_CA, House, Paper
from tests.outside.clocks import clock_off
from tests.outside.radius import FreeRadius, free_udp_port
from tests.outside.tools import require_tool, run

SERVER_NAME: Final = "radius.ad.example.test"
SECRET: Final = "a secret between access point and server"
SID: Final = "S-1-5-21-1004336348-1177238915-682003330-1104"
USER_PROFILE: Final = (
    *("--for", "user", "--subject", "CN={{user.name}}", "--san", "upn:{{user.principal_name}}"),
    *("--eku", "client-auth", "--sid-extension"),
)
SERVER_PROFILE: Final = (
    *("--subject", "CN={{device.dns_name}}", "--san", "dns:{{device.dns_name}}", "--eku", "server-auth"),
)


def rsa_key() -> rsa.RSAPrivateKey:
    """A key of the size that everybody takes."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def server_paper(house: House) -> Paper:
    """The RADIUS server's certificate, issued by ``certificate issue``."""
    house.profile("radius-server", *SERVER_PROFILE)
    return house.issue("radius-server", "device", "radius1", "--dns-name", SERVER_NAME, key=rsa_key())


@dataclass(frozen=True, slots=True)
class Wifi:
    """A configured server and the way to it."""

    directory: Path
    target: RadiusServer
    secret_file: Path

    @contextmanager
    def running(self, *, clock: str = "") -> Iterator[FreeRadius]:
        """FreeRADIUS with exactly those files, perhaps with a wrong ``clock`` such as -2h."""
        server = FreeRadius(self.directory)
        with clock_off(clock) if clock else nullcontext():
            server.start()
        try:
            yield server
        finally:
            server.stop()

    def enter(self, paper: Paper, *, tls: str = "1.3", seconds: int = 8) -> str:
        """One log-in; the TLS version that was used. Raises what `radius check` would say."""
        require_tool("eapol_test")
        return log_in(self.target, certificate=paper.certificate, key=paper.key, tls=tls, seconds=seconds)

    def check(self, house: House, paper: Paper, *options: str) -> tuple[int, str]:
        """`privyseal radius check`; its exit code and all that it said."""
        answer = house.ask(
            *("radius", "check", "--server", f"127.0.0.1:{self.target.port}", "--server-name", self.target.name),
            *("--secret-file", str(self.secret_file), "--certificate", str(paper.certificate)),
            *("--key", str(paper.key), *options),
        )
        return answer.code, answer.out + answer.err

    def check_fails(self, house: House, paper: Paper, kind: type[PrivysealError], *options: str) -> None:
        """With the server's log `radius check` says what failed, and that all was well before the log-in."""
        code, said = self.check(house, paper, "--log", str(self.target.log), *options)
        assert code and "✔ OCSP" in said and "✗ TLS" in said and f"error[{kind.code}]" in said, said

    def fetch_crls(self) -> None:
        """What cron does."""
        require_tool("curl")
        run([self.directory / "refresh-crls"]).must_work()


def configure(house: House, server: Paper, *options: str, revocation: str = "ocsp", ca: str = ISSUING_CA) -> Wifi:
    """`privyseal radius config freeradius` for the loopback."""
    require_tool("freeradius")
    number = len(list(house.place.glob("radius-*")))
    directory, port = house.place / f"radius-{number}", free_udp_port()
    secret_file = house.place / "radius.secret"
    secret_file.write_text(f"{SECRET}\n")
    house.ask.works(
        *("radius", "config", "freeradius", "--out", str(directory), "--ca", ca, "--revocation", revocation),
        *("--server-certificate", str(server.certificate), "--server-key", str(server.key)),
        *("--client", "loopback=127.0.0.0/8", "--secret-file", str(secret_file)),
        *("--address", "127.0.0.1", "--port", str(port), *options),
    )
    log = directory / "log" / "out"
    target = RadiusServer(
        address="127.0.0.1", port=port, secret=SECRET, name=SERVER_NAME, roots=house.roots, log=log
    )  # fmt: skip
    return Wifi(directory, target, secret_file)
