# SPDX-License-Identifier: Apache-2.0
"""OpenLDAP's server: a real one of LDAP that is no domain controller, quickly filled with a hundred thousand people."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from privyseal.adapters.ldap_binds import SimpleBind
from tests.outside.samba import free_address, write_tls
from tests.outside.tools import require_root, require_tool, run

SUFFIX: Final = "dc=example,dc=org"
PEOPLE: Final = f"ou=People,{SUFFIX}"
HOST: Final = "ldap.example.org"
_ADMIN, _READER = f"cn=admin,{SUFFIX}", f"cn=reader,{SUFFIX}"
_PASSWORD: Final = "0pen-Passw0rd!"
_START_SECONDS: Final = 20.0
_CONFIGURATION: Final = """include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {top}/pid
TLSCertificateFile {top}/tls/cert.pem
TLSCertificateKeyFile {top}/tls/key.pem
referral ldap://elsewhere.example.org
database mdb
directory {top}/db
suffix "{suffix}"
rootdn "{admin}"
rootpw {password}
maxsize 1073741824
index objectClass,uid eq
limits dn.exact="{reader}" size.unchecked=5
access to * by anonymous auth by users read
"""


class Slapd:
    """A running server on a loopback address of its own."""

    def __init__(self, directory: Path, address: str) -> None:
        self.directory = directory
        self.address = address
        self.uri = f"ldaps://{address}"
        self.ca_file = directory / "tls" / "ca.pem"

    def bind(self, *, limited: bool = False) -> SimpleBind:
        """The administrator's password, or that of a reader who may look at few candidates only."""
        file = self.directory / "password"
        file.touch(mode=0o600)
        file.write_text(_PASSWORD)
        return SimpleBind(_READER if limited else _ADMIN, file, self.ca_file)


@contextmanager
def slapd(people: int) -> Iterator[Slapd]:
    """A server with so many people; ended and removed after the block."""
    require_root("OpenLDAP serves LDAPS on its own port")
    program = require_tool("slapd")
    directory = Path(tempfile.mkdtemp(prefix="privyseal-slapd-"))
    process: subprocess.Popen[bytes] | None = None
    try:
        address = free_address()
        for name in ("db", "tls"):
            (directory / name).mkdir()
        write_tls(directory / "tls", names=(HOST,), address=address)
        configuration = directory / "slapd.conf"
        configuration.write_text(
            _CONFIGURATION.format(top=directory, suffix=SUFFIX, admin=_ADMIN, password=_PASSWORD, reader=_READER)
        )
        _fill(directory, configuration, people)
        process = subprocess.Popen(
            [program, "-f", configuration, "-h", f"ldaps://{address}:636", "-d", "0"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        _await(process, address)
        yield Slapd(directory, address)
    finally:
        if process is not None:
            process.terminate()
            process.wait(20)
        shutil.rmtree(directory)


def _fill(directory: Path, configuration: Path, people: int) -> None:
    ldif = directory / "people.ldif"
    with ldif.open("w") as file:
        file.write(f"dn: {SUFFIX}\nobjectClass: domain\ndc: example\n\n")
        file.write(f"dn: {PEOPLE}\nobjectClass: organizationalUnit\nou: People\n\n")
        file.write(f"dn: {_READER}\nobjectClass: person\ncn: reader\nsn: reader\nuserPassword: {_PASSWORD}\n\n")
        for number in range(people):
            name = f"person{number:06d}"
            file.write(f"dn: uid={name},{PEOPLE}\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name}\nsn: {name}\n")
            file.write(f"mail: {name}@example.org\n\n")
    run([require_tool("slapadd"), "-q", "-f", configuration, "-l", ldif], seconds=120).must_work()


def _await(process: subprocess.Popen[bytes], address: str) -> None:
    end = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection((address, 636), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"slapd does not listen on {address}:636", pytrace=False)
            time.sleep(0.02)
