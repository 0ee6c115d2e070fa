# SPDX-License-Identifier: Apache-2.0
"""A throwaway domain controller: Samba as one process in a directory and on a loopback address of its own.

A domain is provisioned once, kept as an archive in the cache directory, and unpacked for each controller.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import ipaddress
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.outside.hosts import names
from tests.outside.krb5 import write_krb5_conf
from tests.outside.tools import Ran, require_root, require_tool, run

REALM: Final = "AD.EXAMPLE.TEST"
DNS_DOMAIN: Final = "ad.example.test"
BASE: Final = "DC=ad,DC=example,DC=test"
CONFIGURATION: Final = f"CN=Configuration,{BASE}"
PKS: Final = f"CN=Public Key Services,CN=Services,{CONFIGURATION}"
HOST: Final = f"dc1.{DNS_DOMAIN}"
SECOND_HOST: Final = f"dc2.{DNS_DOMAIN}"  # a clone under another name; it has the service names too
ADMIN: Final = f"Administrator@{DNS_DOMAIN}"
PASSWORD: Final = "Adm1n-Passw0rd!"
START_SECONDS: Final = 30.0

# samba_spnupdate belongs to a service that does not run here, so the names are added by hand.
_SERVICE_NAMES: Final = (f"ldap/{HOST}", f"ldap/{HOST}/{DNS_DOMAIN}", "ldap/DC1", f"ldap/{SECOND_HOST}")
DIRECTORIES: Final = "etc private state cache lock run ncalrpc log tls".split()
_CONFIGURATION_TEXT: Final = """[global]
  netbios name = {netbios}
  workgroup = ADTEST
  realm = {realm}
  server role = active directory domain controller
  server services = ldap, cldap, kdc
  dcerpc endpoint servers =
  interfaces = {address}/8
  bind interfaces only = yes
  private dir = {top}/private
  state directory = {top}/state
  cache directory = {top}/cache
  lock directory = {top}/lock
  pid directory = {top}/run
  ncalrpc dir = {top}/ncalrpc
  ntp signd socket directory = {top}/run/ntp_signd
  winbindd socket directory = {top}/run/winbindd
  binddns dir = {top}/bind-dns
  log file = {top}/log/log.%m
  logging = file
  disable netbios = yes
  tls keyfile = {top}/tls/key.pem
  tls certfile = {top}/tls/cert.pem
  tls cafile = {top}/tls/ca.pem
[sysvol]
  path = {top}/state/sysvol
  read only = No
[netlogon]
  path = {top}/state/sysvol/{domain}/scripts
  read only = No
"""


class DomainController:
    """One controller in ``directory``; started and stopped by its process id. ``environment`` is for its clients."""

    def __init__(self, directory: Path, *, host: str = HOST, netbios: str = "DC1") -> None:
        self.directory = directory
        self._netbios = netbios
        self.host = host
        self.address = free_address()
        self.ports: tuple[int, ...] = (389, 636, 88)
        self._process: subprocess.Popen[bytes] | None = None
        self._write_configuration()
        self.ca_file = directory / "tls" / "ca.pem"
        self.krb5_conf = write_krb5_conf(directory / "client-krb5.conf", realm=REALM, kdc=self.address)
        self.environment: Mapping[str, str] = {"KRB5_CONFIG": str(self.krb5_conf)}
        self.password_file = directory / "password"
        self.password_file.touch(mode=0o600)
        self.password_file.write_text(PASSWORD + "\n")

    @property
    def ldap(self) -> str:
        """For Kerberos."""
        return f"ldap://{self.host}"

    @property
    def ldaps(self) -> str:
        """For passwords."""
        return f"ldaps://{self.host}"

    def start(self, *, environment: Mapping[str, str] | None = None) -> None:
        """Starts it, and waits until it listens for LDAP, LDAPS and Kerberos."""
        samba = require_tool("samba")
        if not self.ca_file.exists():
            write_tls(self.directory / "tls", names=(HOST, SECOND_HOST), address=self.address)
        with (self.directory / "log" / "stdout").open("ab") as log:
            self._process = subprocess.Popen(
                [samba, "-i", "-M", "single", "-s", self._configuration, "--debug-stdout", "-d", "1"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        end = time.monotonic() + START_SECONDS
        for port in self.ports:
            while not _listens(self.address, port):
                if self._process.poll() is not None or time.monotonic() > end:
                    tail = (self.directory / "log" / "stdout").read_text(errors="replace")[-2000:]
                    self.stop()
                    pytest.fail(f"samba does not listen on {self.address}:{port}:\n{tail}", pytrace=False)
                time.sleep(0.02)

    def stop(self) -> None:
        """Ends it; with SIGKILL when it does not go by itself."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def configure(self, text: str, *, ports: tuple[int, ...]) -> None:
        """Further lines for the configuration of a stopped controller, which win, and what it will listen on."""
        path, given = Path(self._configuration), {line.partition("=")[0].strip() for line in text.splitlines()}
        kept = [line for line in path.read_text().splitlines() if line.partition("=")[0].strip() not in given]
        path.write_text("\n".join([*kept, ""]).replace("[sysvol]", f"{text}\n[sysvol]"))
        self.ports = ports

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """A block in which the process lives, holds its connections, and does nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def samba_tool(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Ran:
        """``samba-tool`` on this controller's files; it may run meanwhile."""
        command: list[str | Path] = [require_tool("samba-tool"), *arguments, "-s", self._configuration]
        return run(command, environment=environment, seconds=120).must_work()

    def look(self, dn: str, *attributes: str) -> str:
        """An object as ``ldbsearch`` sees it in the database itself: a second opinion on what we wrote."""
        base = ["-H", self._database, "-s", "base", "-b", dn]
        return run([require_tool("ldbsearch"), *base, *attributes]).text.replace("\n ", "")

    def values(self, dn: str, attribute: str) -> list[bytes]:
        """All values of an attribute, by ``ldbsearch``."""
        found: list[bytes] = []
        for line in self.look(dn, attribute).splitlines():
            name, _, value = line.partition(":")
            if name.lower() == attribute.lower():
                found.append(base64.b64decode(value[1:]) if value.startswith(":") else value.strip().encode())
        return found

    def change(self, ldif: str, *, relaxed: bool = False) -> None:
        """Applies LDIF with ``changetype`` to the database itself, past all access checks."""
        options = ["--relax"] if relaxed else []
        run([require_tool("ldbmodify"), "-H", self._database, *options], given=ldif.encode()).must_work()

    def add(self, ldif: str, *, relaxed: bool = False) -> None:
        """Adds the objects of an LDIF to the database itself, all or none; ``relaxed``: also those of the system."""
        options = ["--relax"] if relaxed else []
        run([require_tool("ldbadd"), "-H", self._database, *options], given=ldif.encode(), seconds=240).must_work()

    def add_user(self, name: str, password: str = PASSWORD, *, control: int = 512, extra: Sequence[str] = ()) -> str:
        """An account; its DN. ``extra`` are further lines of LDIF."""
        dn = f"CN={name},CN=Users,{BASE}"
        self.add("\n".join([*account_ldif(dn, name, password=password, control=control), *extra, ""]))
        return dn

    def keytab(self, principal: str) -> Path:
        """A keytab with the keys of one account."""
        path = self.directory / f"{principal.replace('/', '_')}.keytab"
        self.samba_tool("domain", "exportkeytab", str(path), f"--principal={principal}")
        path.chmod(0o600)
        return path

    def allow(self, dn: str, sddl: str) -> None:
        """Adds access control entries to an object."""
        self.samba_tool("dsacl", "set", f"--objectdn={dn}", f"--sddl={sddl}")

    def sid(self, dn: str) -> str:
        """The objectSid of an account, as text."""
        return self.values(dn, "objectSid")[0].decode()

    @property
    def _configuration(self) -> str:
        return str(self.directory / "etc" / "smb.conf")

    @property
    def _database(self) -> str:
        return str(self.directory / "private" / "sam.ldb")

    def _write_configuration(self) -> None:
        text = _CONFIGURATION_TEXT.format(
            realm=REALM, address=self.address, top=self.directory, domain=DNS_DOMAIN, netbios=self._netbios
        )
        (self.directory / "etc" / "smb.conf").write_text(text)


def account_ldif(dn: str, name: str, *, password: str = PASSWORD, control: int = 512) -> list[str]:
    """Lines of LDIF for a user; without ``password`` it gets none."""
    lines = [f"dn: {dn}", "objectClass: user", f"sAMAccountName: {name}", f"userPrincipalName: {name}@{DNS_DOMAIN}"]
    lines.append(f"userAccountControl: {control}")
    if password:
        lines.append(f"clearTextPassword:: {base64.b64encode(password.encode('utf-16-le')).decode()}")
    return lines


@contextmanager
def domain_controller(*, host: str = HOST) -> Iterator[DomainController]:
    """A running controller of a fresh domain, reachable under its name from this process and its children."""
    require_root("Samba serves LDAP and Kerberos on their own ports")
    controller = new_controller(host=host)
    try:
        with names({controller.host: controller.address}):
            controller.start()
            yield controller
    finally:
        controller.stop()
        shutil.rmtree(controller.directory)


def new_controller(*, host: str = HOST) -> DomainController:
    """A controller that is not started yet, unpacked from the archive."""
    # Not below pytest's directories: the paths of Samba's sockets must stay under 108 octets.
    directory = Path(tempfile.mkdtemp(prefix="privyseal-dc-"))
    directory.chmod(0o755)
    run(["tar", "-x", "-S", "-f", _archive(), "-C", directory]).must_work()
    return DomainController(directory, host=host)


def free_address() -> str:
    """A loopback address on which nobody serves LDAP."""
    while True:
        address = f"127.77.{random.randrange(1, 255)}.{random.randrange(1, 255)}"
        try:
            with socket.create_server((address, 389)):
                return address
        except OSError:
            continue


def write_tls(directory: Path, *, names: Sequence[str], address: str) -> None:
    """A CA, and a certificate of it for the controller, as PEM files where Samba looks for them."""
    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name.from_rfc4514_string("CN=Throwaway DC Authority")
    now = datetime.now(UTC)

    def builder(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder(issuer_name=issuer, subject_name=subject, public_key=public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
        )

    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    root = (
        builder(issuer, authority.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .sign(authority, hashes.SHA256())
    )
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    alternatives.append(x509.IPAddress(ipaddress.ip_address(address)))
    leaf = (
        builder(x509.Name.from_rfc4514_string(f"CN={names[0]}"), key.public_key())
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(authority, hashes.SHA256())
    )
    private = directory / "key.pem"
    private.touch(mode=0o600)
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (directory / "cert.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    (directory / "ca.pem").write_bytes(root.public_bytes(Encoding.PEM))


def _listens(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False


def _archive() -> Path:
    """The provisioned domain as an archive; made when it is not there, by one process at a time."""
    version = run([require_tool("samba"), "--version"]).must_work().text
    recipe = f"{version}{_CONFIGURATION_TEXT}{_SERVICE_NAMES}{PASSWORD}"
    cache = Path(os.environ.get("PRIVYSEAL_CACHE") or Path.home() / ".cache" / "privyseal")
    cache.mkdir(parents=True, exist_ok=True)
    archive = cache / f"samba-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}.tar"
    with (cache / "samba.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.exists():
            work = Path(tempfile.mkdtemp(prefix="samba.new.", dir=cache))
            try:
                _provision(work)
                run(["tar", "-c", "-S", "-f", work / "archive.tar", "-C", work / "dc", "."]).must_work()
                (work / "archive.tar").replace(archive)
            finally:
                shutil.rmtree(work)
    return archive


def _provision(work: Path) -> None:
    top = work / "dc"
    for name in DIRECTORIES:
        (top / name).mkdir(parents=True)
    configuration = top / "etc" / "smb.conf"
    configuration.write_text(
        _CONFIGURATION_TEXT.format(realm=REALM, address="127.0.0.1", top=top, domain=DNS_DOMAIN, netbios="DC1")
    )
    tool = require_tool("samba-tool")
    command = ["domain", "provision", f"--realm={REALM}", "--domain=ADTEST", "--server-role=dc", "--dns-backend=NONE"]
    command += [f"--adminpass={PASSWORD}", "--host-name=dc1", "--host-ip=127.0.0.1", "--quiet"]
    run([tool, *command, "-s", configuration], seconds=120).must_work()
    for name in _SERVICE_NAMES:
        run([tool, "spn", "add", name, "DC1$", "-s", configuration]).must_work()
    for name in ("run", "log", "ncalrpc"):
        shutil.rmtree(top / name)
        (top / name).mkdir()
    (top / "private" / "tls").mkdir(exist_ok=True)
