# SPDX-License-Identifier: Apache-2.0
"""The domain controller of `privyseal demo --ad`: this machine's Samba as one process on a loopback address.

All that it writes is below one directory, which its owner deletes; no file of the system is touched.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from privyseal.adapters.eap_login import require_program
from privyseal.errors import InvalidValue, ServerUnreachable

REALM: Final = "AD.DEMO.TEST"
DOMAIN: Final = "ad.demo.test"
NETBIOS: Final = "DEMO"
BASE: Final = "DC=ad,DC=demo,DC=test"
HOST: Final = f"dc1.{DOMAIN}"
ADMINISTRATOR: Final = f"Administrator@{DOMAIN}"
_PORTS: Final = (88, 389, 636)
_START_SECONDS: Final = 30.0
_LONGEST_PATH: Final = 70  # a socket's path has at most 107 octets (unix(7))
_DIRECTORIES: Final = ("etc", "private", "state", "cache", "lock", "run", "ncalrpc", "log", "tls")


class DemoDomain:
    """A fresh domain below ``place``. Raises ServerUnreachable when Samba does not do what it should."""

    def __init__(self, place: Path, *, password: str) -> None:
        if len(str(place)) > _LONGEST_PATH:
            raise InvalidValue(
                f"{place} is too long for the sockets of Samba", mend=("TMPDIR=/tmp privyseal demo --ad",)
            )
        self.place = place
        self.address = _free_address()
        self._password = password
        self._process: subprocess.Popen[bytes] | None = None
        for name in _DIRECTORIES:
            (place / name).mkdir(parents=True)
        (place / "etc" / "smb.conf").write_text(_samba_conf(place, self.address))

    def provision(self) -> str:
        """Makes the domain; Samba's version."""
        options = [f"--realm={REALM}", f"--domain={NETBIOS}", "--server-role=dc", "--dns-backend=NONE", "--quiet"]
        options += [f"--adminpass={self._password}", "--host-name=dc1", f"--host-ip={self.address}"]
        self.tool("domain", "provision", *options)
        return _run([require_program("samba"), "--version"]).removeprefix("Version ").strip()

    def tool(self, *arguments: str) -> str:
        """``samba-tool`` on this domain's database."""
        return _run([require_program("samba-tool"), *arguments, "-s", str(self.place / "etc" / "smb.conf")])

    def modify(self, name: str, values: Mapping[str, str]) -> None:
        """Sets attributes of an account."""
        ldif = self.place / "change.ldif"
        lines = [f"dn: {name},{BASE}", "changetype: modify"]
        for attribute, value in values.items():
            lines += [f"replace: {attribute}", f"{attribute}: {value}", "-"]
        ldif.write_text("\n".join([*lines, "", ""]))
        _run([require_program("ldbmodify"), "-H", str(self.place / "private" / "sam.ldb"), str(ldif)])

    def trust(self, files: Mapping[str, bytes]) -> None:
        """Puts certificate, key and CAs where Samba reads them at its start: cert, key, ca, pool."""
        tls = self.place / "tls"
        for name, content in files.items():
            (tls / f"{name}.pem").touch(mode=0o600)
            (tls / f"{name}.pem").write_bytes(content)
        (self.place / "etc" / "krb5.conf").write_text(_kerberos_conf(tls))

    def start(self) -> None:
        """Starts it and waits until it answers."""
        log = self.place / "log" / "stdout"
        with log.open("wb") as stream:
            self._process = subprocess.Popen(
                [require_program("samba"), "-i", "-M", "single", "-s", str(self.place / "etc" / "smb.conf")],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        until = time.monotonic() + _START_SECONDS
        for port in _PORTS:
            while True:
                try:
                    socket.create_connection((self.address, port), timeout=2).close()
                    break
                except OSError as error:
                    if self._process.poll() is not None or time.monotonic() > until:
                        tail = log.read_text("utf-8", "replace")[-400:].strip()
                        raise ServerUnreachable(f"the demo's Samba did not start: {tail}") from error
                    time.sleep(0.05)

    def has_died(self) -> bool:
        """It was started and has ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def stop(self) -> None:
        """Ends it with all its children."""
        if self._process is None:
            return
        for how in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(self._process.pid, how)
                self._process.wait(15)
        self._process = None


def _run(command: list[str]) -> str:
    ended = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False, text=True, errors="replace"
    )
    if ended.returncode != 0:
        said = (ended.stderr.strip() or ended.stdout.strip())[-400:]
        raise ServerUnreachable(f"{Path(command[0]).name} {command[1]} failed: {said}")
    return ended.stdout


def _free_address() -> str:
    """A loopback address on whose Kerberos and LDAP ports nobody listens: Samba cannot use others."""
    for number in range(1, 200):
        address = f"127.78.{os.getpid() % 250 + 1}.{number}"
        try:
            for port in _PORTS:
                with socket.create_server((address, port)):
                    pass
        except OSError:
            continue
        return address
    raise ServerUnreachable("no loopback address has its ports 88, 389 and 636 free")


def _samba_conf(place: Path, address: str) -> str:
    # These three services make one process that needs neither DNS nor SMB.
    directories = {
        "private dir": "private",
        "state directory": "state",
        "cache directory": "cache",
        "lock directory": "lock",
        "pid directory": "run",
        "ncalrpc dir": "ncalrpc",
        "ntp signd socket directory": "run/ntp_signd",
        "winbindd socket directory": "run/winbindd",
        "binddns dir": "bind-dns",
        "log file": "log/log.%m",
        "tls keyfile": "tls/key.pem",
        "tls certfile": "tls/cert.pem",
        "tls cafile": "tls/ca.pem",
    }
    settings = {
        "netbios name": "DC1",
        "workgroup": NETBIOS,
        "realm": REALM,
        "server role": "active directory domain controller",
        "server services": "ldap, cldap, kdc",
        "dcerpc endpoint servers": "",
        "interfaces": f"{address}/8",
        "bind interfaces only": "yes",
        "logging": "file",
        "disable netbios": "yes",
        **{name: f"{place}/{path}" for name, path in directories.items()},
    }
    shares = {"sysvol": f"{place}/state/sysvol", "netlogon": f"{place}/state/sysvol/{DOMAIN}/scripts"}
    lines = ["[global]", *(f"  {name} = {value}" for name, value in settings.items())]
    for name, path in shares.items():
        lines += [f"[{name}]", f"  path = {path}", "  read only = No"]
    return "\n".join([*lines, ""])


def _kerberos_conf(tls: Path) -> str:
    """Samba reads the krb5.conf that stands beside its smb.conf."""
    return f"""[libdefaults]
  default_realm = {REALM}
  dns_lookup_realm = false
  dns_lookup_kdc = false
[kdc]
  enable-pkinit = yes
  pkinit_identity = FILE:{tls}/cert.pem,{tls}/key.pem
  pkinit_anchors = FILE:{tls}/ca.pem
  pkinit_pool = FILE:{tls}/pool.pem
  pkinit_principal_in_certificate = yes
  pkinit_win2k = no
  pkinit_win2k_require_binding = yes
"""
