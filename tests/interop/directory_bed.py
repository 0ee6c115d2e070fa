# SPDX-License-Identifier: Apache-2.0
"""An installation that knows a real domain controller, for tests of what the directory commands do there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from privyseal.bootstrap import Application, build
from privyseal.config import load_settings
from tests.command_line import CommandLine
from tests.installation import PASSPHRASE, new_home
from tests.outside.samba import ADMIN, BASE, DNS_DOMAIN, DomainController


def installation(place: Path, controller: DomainController) -> CommandLine:
    """A root, an issuing CA, and the controller's directory as ``samba``, by the administrator's password."""
    home = new_home(place, "rsa:2048")
    home.rename(place / "home")
    (place / "passphrase").touch(mode=0o600)
    (place / "passphrase").write_text(PASSPHRASE)
    command = CommandLine(place)
    command.works("directory", "add", "samba", *as_administrator(controller))
    return command


def as_administrator(controller: DomainController, uri: str = "") -> tuple[str, ...]:
    """Options of ``directory add`` for the administrator's password."""
    login = ("--bind", "password", "--user", ADMIN, "--password-file", str(controller.password_file))
    return "--uri", uri or controller.ldaps, *login, "--ca-file", str(controller.ca_file)


def allow(controller: DomainController, commands: str) -> None:
    """Does what the script of ``directory delegate --format samba`` says, on this controller's files."""
    for line in commands.splitlines():
        if line.startswith("samba-tool"):
            target, sddl = line.split("'")[1], line.split("'")[3]
            controller.allow(target, sddl)


def user(privyseal: CommandLine, controller: DomainController, name: str) -> str:
    """An account and the user that is bound to it; its DN."""
    dn = controller.add_user(name)
    privyseal.works("user", "create", name, "--principal", f"{name}@{DNS_DOMAIN}")
    return dn


def issue(privyseal: CommandLine, profile: str, name: str, place: Path) -> bytes:
    """A certificate for a user, in DER."""
    privyseal.works("certificate", "issue", "--profile", profile, "--user", name, "--out", str(place))
    chain = (place / f"{name}.pem").read_bytes()
    return x509.load_pem_x509_certificates(chain)[0].public_bytes(Encoding.DER)


def computer(controller: DomainController, name: str, *more: str) -> str:
    """A computer account; its DN."""
    dn = f"CN={name},CN=Computers,{BASE}"
    lines = [f"dn: {dn}", "objectClass: computer", f"sAMAccountName: {name}$", "userAccountControl: 4096", *more, ""]
    controller.add("\n".join(lines))
    return dn


@contextmanager
def application(privyseal: CommandLine) -> Iterator[Application]:
    """The same installation as the server has it."""
    built = build(load_settings(privyseal.home), passphrase=PASSPHRASE)
    try:
        yield built
    finally:
        built.close()
