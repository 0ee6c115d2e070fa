# SPDX-License-Identifier: Apache-2.0
"""Finds and runs the programs that tests drive. A missing one skips the test and says how to get it, here only."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]

# Program -> Debian package that holds it. `./test` installs the same packages.
PACKAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "scepclient": ("scep",),
    "scepserver": ("scep",),
    "pki": ("strongswan-pki", "libstrongswan-standard-plugins", "libstrongswan-extra-plugins"),
    "certmonger": ("certmonger",),
    "getcert": ("certmonger",),
    "openssl": ("openssl",),
    "debootstrap": ("debootstrap",),
    "certtool": ("gnutls-bin",),
    "ocsptool": ("gnutls-bin",),
    "wrk": ("wrk",),
    "samba": ("samba", "samba-ad-dc", "samba-ad-provision", "samba-dsdb-modules", "samba-vfs-modules"),
    "samba-tool": ("samba", "python3-samba"),
    "ldbsearch": ("ldb-tools",),
    "ldbadd": ("ldb-tools",),
    "ldbmodify": ("ldb-tools",),
    "ldapsearch": ("ldap-utils", "libsasl2-modules-gssapi-mit"),
    "slapd": ("slapd",),
    "slapadd": ("slapd",),
    "faketime": ("faketime",),
    "python-ldap": ("build-essential", "python3-dev", "libldap2-dev", "libsasl2-dev", "libkrb5-dev"),
    "freeradius": ("freeradius", "freeradius-ldap", "freeradius-utils"),
    "eapol_test": ("eapoltest",),
    "kinit": ("krb5-user", "krb5-pkinit"),
    "kvno": ("krb5-user",),
    "mmdebstrap": ("mmdebstrap",),
    "curl": ("curl",),
    "charon-systemd": ("charon-systemd", "libcharon-extra-plugins", "libstrongswan-standard-plugins"),
    "swanctl": ("strongswan-swanctl",),
    "ip": ("iproute2",),
    "ping": ("iputils-ping",),
    "initdb": ("postgresql",),
    "promtool": ("prometheus",),
    "systemd-analyze": ("systemd",),
    "aiosmtpd": ("python3-aiosmtpd",),
}
NEEDS_PACKAGES: Final = "needs Debian packages: "  # the skip list of tests/conftest.py looks for these words
NEEDS_ROOT: Final = "needs root: "
SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended."""

    command: tuple[str, ...]
    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """Both outputs, as text, for assertions and their messages."""
        return (self.out + self.err).decode("utf-8", "replace")

    def must_work(self) -> Ran:
        """Itself if the program ended with 0; else the test fails with what the program said."""
        if self.code != 0:
            pytest.fail(f"{' '.join(self.command)} ended with {self.code}:\n{self.text}", pytrace=True)
        return self


def missing(reason: str) -> NoReturn:
    """The one way out when something is not there: a skip for people, a failure where everything must be there."""
    if os.environ.get("CI") == "true" and os.geteuid() == 0:
        pytest.fail(f"{reason} (in CI as root nothing is skipped)", pytrace=False)
    pytest.skip(reason)


def require_tool(name: str) -> Path:
    """Path of the program ``name``."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        missing(NEEDS_PACKAGES + " ".join(PACKAGES[name]))
    return Path(path)


def require_python_ldap() -> None:
    """Goes on where python-ldap can be imported; `./test` builds it as soon as compiler and headers are there."""
    if importlib.util.find_spec("ldap") is None:
        missing(NEEDS_PACKAGES + " ".join(PACKAGES["python-ldap"]))
    require_tool("ldapsearch")  # its packages bring the SASL mechanism of Kerberos


def require_root(purpose: str) -> None:
    """Goes on as root only."""
    if os.geteuid() != 0:
        missing(NEEDS_ROOT + purpose)


def require_chroot() -> Path:
    """The Debian 13 root directory with the newer clients, as tools/trixie-chroot built it."""
    require_root("the newer clients run in a chroot")
    found = run([str(ROOT / "tools" / "trixie-chroot"), "--find"])
    if found.code != 0:
        missing(NEEDS_ROOT + "the newer clients: sudo tools/trixie-chroot")
    return Path(found.out.decode().strip())


def run(
    command: Sequence[str | Path],
    *,
    given: bytes = b"",
    seconds: float = SECONDS,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ran:
    """Runs a program to its end. One that does not end in time is killed and reported with code 124."""
    words = tuple(str(word) for word in command)
    try:
        done = subprocess.run(
            words,
            input=given,
            capture_output=True,
            timeout=seconds,
            cwd=directory,
            env={**os.environ, "LC_ALL": "C", **(environment or {})},
            check=False,
        )
    except subprocess.TimeoutExpired as ended:
        return Ran(words, 124, ended.stdout or b"", (ended.stderr or b"") + f"\nnot done in {seconds} s".encode())
    return Ran(words, done.returncode, done.stdout, done.stderr)


def openssl(*arguments: str | Path, given: bytes = b"", seconds: float = 30.0) -> Ran:
    """Runs ``openssl``; always with a time limit, since some of its subcommands can spin for ever."""
    return run([require_tool("openssl"), *arguments], given=given, seconds=seconds)
