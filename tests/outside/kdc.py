# SPDX-License-Identifier: Apache-2.0
"""A throw-away domain controller: Samba 4.24 in the chroot that tools/samba-chroot builds, on a loopback address.

It demands the SID in certificates, as Windows does. Nothing here knows Privyseal.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.outside.clocks import faketime_library
from tests.outside.tools import NEEDS_ROOT, ROOT, missing, require_root, run

REALM: Final = "AD.EXAMPLE.TEST"
DOMAIN: Final = "ad.example.test"
NETBIOS: Final = "ADTEST"
HOST: Final = f"dc1.{DOMAIN}"
BASE: Final = "DC=ad,DC=example,DC=test"
PASSWORD: Final = "Adm1n-Passw0rd!"
START_SECONDS: Final = 20.0
_DIRECTORIES: Final = ("etc", "private", "state", "cache", "lock", "run", "ncalrpc", "log", "tls")
# One process with these three services needs neither DNS nor SMB, and no other address than its own.
_CONFIGURATION: Final = """[global]
  netbios name = DC1
  workgroup = ADTEST
  realm = AD.EXAMPLE.TEST
  server role = active directory domain controller
  server services = ldap, cldap, kdc
  dcerpc endpoint servers =
  interfaces = @A@/8
  bind interfaces only = yes
  private dir = @T@/private
  state directory = @T@/state
  cache directory = @T@/cache
  lock directory = @T@/lock
  pid directory = @T@/run
  ncalrpc dir = @T@/ncalrpc
  ntp signd socket directory = @T@/run/ntp_signd
  winbindd socket directory = @T@/run/winbindd
  binddns dir = @T@/bind-dns
  log file = @T@/log/log.%m
  logging = file
  disable netbios = yes
  tls keyfile = @T@/tls/key.pem
  tls certfile = @T@/tls/cert.pem
  tls cafile = @T@/tls/ca.pem
[sysvol]
  path = @T@/state/sysvol
  read only = No
[netlogon]
  path = @T@/state/sysvol/ad.example.test/scripts
  read only = No
"""
# Samba reads the krb5.conf beside its smb.conf.
_KERBEROS: Final = """[libdefaults]
  default_realm = AD.EXAMPLE.TEST
  dns_lookup_realm = false
  dns_lookup_kdc = false
[kdc]
  enable-pkinit = yes
  pkinit_identity = FILE:@T@/tls/cert.pem,@T@/tls/key.pem
  pkinit_anchors = FILE:@T@/tls/ca.pem
  pkinit_pool = FILE:@T@/tls/pool.pem
@REVOKE@
  pkinit_principal_in_certificate = yes
  pkinit_win2k = no
  pkinit_win2k_require_binding = yes
"""
# Works on the database itself, as an administrator at the controller would; one process for many changes.
_ADMINISTER: Final = """
import json, sys, ldb
from samba.auth import system_session
from samba.dcerpc import security
from samba.ndr import ndr_unpack
from samba.param import LoadParm
from samba.samdb import SamDB
lp = LoadParm(); lp.load(sys.argv[1])
db = SamDB(url=lp.private_path("sam.ldb"), session_info=system_session(), lp=lp)
def called(name):
    return "(sAMAccountName=%s)" % ldb.binary_encode(name)
def one(name):
    return db.search(base=db.domain_dn(), expression=called(name), attrs=["objectSid"])[0]
def change(name, values):
    message = ldb.Message(one(name).dn)
    for key, value in values.items():
        message[key] = ldb.MessageElement(value, ldb.FLAG_MOD_REPLACE, key)
    db.modify(message)
sids = {}
for step in json.load(sys.stdin):
    kind, name = step["do"], step.get("name")
    if kind == "user":
        db.newuser(name, step.get("password", "S0me-Passw0rd!"), useusernameascn=True)
    elif kind == "computer":
        db.newcomputer(name)
        name += "$"
        change(name, {"userAccountControl": "4096"})  # without a password it begins disabled
    elif kind == "group":
        db.newgroup(name)
    elif kind == "member":
        db.add_remove_group_members(step["group"], [name], add_members_operation=step.get("add", True))
    elif kind == "enable":
        db.toggle_userAccountFlags(called(name), 2, on=not step["enabled"], strict=False)
    if step.get("set"):
        change(name, step["set"])
    sids[name] = str(ndr_unpack(security.dom_sid, one(name)["objectSid"][0]))
print(json.dumps(sids))
"""


def kerberos_text(place: str, *, crls: Sequence[str]) -> str:
    """The krb5.conf of a controller whose files are below ``place``; paths as it sees them."""
    lines = "\n".join(f"  pkinit_revoke = FILE:{crl}" for crl in crls)
    return _KERBEROS.replace("@T@", place).replace("@REVOKE@", lines)


def require_samba() -> Path:
    """The chroot with Samba 4.24."""
    require_root("Samba's domain controller runs in a chroot, on port 88")
    found = run([ROOT / "tools" / "samba-chroot", "--find"])
    if found.code != 0:
        missing(NEEDS_ROOT + "the domain controller: sudo tools/samba-chroot")
    return Path(found.out.decode().strip())


def free_address() -> str:
    """A loopback address whose port 88 nobody uses; ports of a domain controller cannot be chosen."""
    for number in range(os.getpid() * 250, os.getpid() * 250 + 250):
        address = f"127.{80 + number // 62500 % 100}.{number // 250 % 250 + 1}.{number % 250 + 1}"
        with socket.socket() as probe:
            try:
                probe.bind((address, 88))
            except OSError:
                continue
            return address
    raise AssertionError("no loopback address is free")


class Kdc:
    """A controller of its own, cloned from one that was provisioned once; ``stop`` removes it."""

    def __init__(self) -> None:
        self._root = require_samba()
        self.address = free_address()
        self._process: subprocess.Popen[bytes] | None = None
        template = self._template()
        (self._root / "srv").mkdir(exist_ok=True)
        self.place = Path(tempfile.mkdtemp(prefix="dc-", dir=self._root / "srv"))
        shutil.copytree(template, self.place, symlinks=True, dirs_exist_ok=True)
        self._configure(self.place, self.address)

    def _inside(self, path: Path) -> str:
        return f"/{path.relative_to(self._root)}"

    def _configure(self, place: Path, address: str) -> None:
        text = _CONFIGURATION.replace("@T@", self._inside(place)).replace("@A@", address)
        (place / "etc" / "smb.conf").write_text(text)

    def _template(self) -> Path:
        """A provisioned tree in the chroot; made by whoever comes first, whole or not at all."""
        done = self._root / "privyseal-dc"
        with (self._root / "privyseal-packages").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                new = Path(tempfile.mkdtemp(prefix="privyseal-dc.new-", dir=self._root))
                for name in _DIRECTORIES:
                    (new / name).mkdir()
                self._configure(new, self.address)
                self._tool(
                    *("domain", "provision", f"--realm={REALM}", f"--domain={NETBIOS}", "--server-role=dc"),
                    *("--dns-backend=NONE", f"--adminpass={PASSWORD}", "--host-name=dc1", "--quiet"),
                    *(f"--host-ip={self.address}", "-s", f"{self._inside(new)}/etc/smb.conf"),
                )
                new.rename(done)
        return done

    def _tool(self, *arguments: str) -> None:
        run(["chroot", self._root, "samba-tool", *arguments], seconds=120).must_work()

    def administer(self, *steps: Mapping[str, object]) -> dict[str, str]:
        """Accounts made or changed in the directory; their SIDs by sAMAccountName."""
        command: list[str | Path] = [
            "chroot",
            self._root,
            "python3",
            "-c",
            _ADMINISTER,
            f"{self._inside(self.place)}/etc/smb.conf",
        ]
        ran = run(command, given=json.dumps(steps).encode(), seconds=60).must_work()
        return dict(json.loads(ran.out))

    def configure(self, *, certificate: bytes, key: bytes, root: bytes, issuers: bytes, crls: Sequence[bytes]) -> None:
        """The controller's own certificate, whom it trusts, and the CRLs that it holds: PEM, read at start."""
        tls = self.place / "tls"
        for name, content in (("cert", certificate), ("key", key), ("ca", root), ("pool", issuers)):
            (tls / f"{name}.pem").write_bytes(content)
            (tls / f"{name}.pem").chmod(0o600)
        for number, crl in enumerate(crls):
            (tls / f"crl{number}.pem").write_bytes(crl)
        inside = [f"{self._inside(tls)}/crl{number}.pem" for number in range(len(crls))]
        (self.place / "etc" / "krb5.conf").write_text(kerberos_text(self._inside(self.place), crls=inside))

    def start(self, *, clock: str = "") -> None:
        """Starts it, perhaps with a wrong ``clock`` such as -20m, and waits until LDAP and Kerberos answer."""
        out = self.place / "log" / "stdout"
        configuration = f"{self._inside(self.place)}/etc/smb.conf"
        command = ["samba", "-i", "-M", "single", "-s", configuration, "--debug-stdout", "-d", "1"]
        if clock:
            library = shutil.copy(faketime_library(), self.place)
            command = ["env", f"LD_PRELOAD={self._inside(Path(library))}", f"FAKETIME={clock}", *command]
        with out.open("wb") as stream:
            self._process = subprocess.Popen(
                ["chroot", str(self._root), *command], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream
            )
        until = time.monotonic() + START_SECONDS
        for port in (88, 389, 636):
            while True:
                try:
                    socket.create_connection((self.address, port), timeout=2).close()
                    break
                except OSError:
                    if self._process.poll() is not None or time.monotonic() > until:
                        raise AssertionError(f"samba did not start:\n{self.log[-3000:]}") from None
                    time.sleep(0.02)

    @property
    def log(self) -> str:
        """What it wrote so far."""
        return (self.place / "log" / "stdout").read_text("utf-8", "replace")

    def halt(self) -> None:
        """Ends the process; the directory stays and can be started again."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(15)
            finally:
                self._process.kill()
                self._process.wait()
                self._process = None

    def stop(self) -> None:
        """Ends it for good."""
        self.halt()
        shutil.rmtree(self.place)
