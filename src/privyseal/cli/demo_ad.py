# SPDX-License-Identifier: Apache-2.0
"""``privyseal demo --ad``: a throw-away domain, Wi-Fi and PKI; its stages are the commands that a site would type."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from privyseal.adapters.clock import SystemClock, SystemRng
from privyseal.adapters.eap_login import RadiusServer, log_in, require_program
from privyseal.adapters.fetch import fetch
from privyseal.adapters.files import write_atomically
from privyseal.adapters.keys_subscriber import key_pem
from privyseal.adapters.kinit import Kdc, get_ticket
from privyseal.adapters.scep_client import ScepClient
from privyseal.cli.demo_domain import ADMINISTRATOR, BASE, DOMAIN, HOST, NETBIOS, REALM, DemoDomain
from privyseal.cli.stages import Stages
from privyseal.errors import (
    DemoNeedsRoot,
    EapAccountRefused,
    EapCertificateRevoked,
    PrivysealError,
    ServerAnsweredWrongly,
    ServerUnreachable,
)

_PROGRAMS: Final = ("samba", "samba-tool", "ldbmodify", "kinit", "freeradius", "eapol_test")
_ROOT_CA, _ISSUING_CA = "demo-root", "demo-issuing"
_RADIUS: Final = f"radius1.{DOMAIN}"
_SECONDS: Final = 20.0
_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class _Paper:
    """A certificate with its chain, and its key, in files."""

    certificate: Path
    key: Path


class _Demo:
    """What the stages share. ``cli`` runs one command of ours in a process of its own."""

    def __init__(self, place: Path, stages: Stages) -> None:
        self.place, self.stages, self.rng = place, stages, SystemRng()
        self.passphrase = self.secret("passphrase")
        self.base = f"127.0.0.1:{_free_port(socket.SOCK_STREAM)}"
        self.password = self.secret("administrator", before="Aa1-")
        self.domain = DemoDomain(place / "domain", password=self.password.read_text())
        self.started: dict[str, subprocess.Popen[bytes]] = {}

    def secret(self, name: str, *, before: str = "") -> Path:
        """A file with a fresh secret."""
        path = self.place / f"{name}.secret"
        write_atomically(path, before.encode() + self.rng.bytes(12).hex().encode())
        return path

    def cli(self, *arguments: str) -> Any:
        """`privyseal ARGUMENTS`, its JSON. Raises ServerAnsweredWrongly with what the command said."""
        ended = subprocess.run(
            [*self._program(), *arguments, "-o", "json"], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        if ended.returncode != 0:
            said = ended.stderr.decode("utf-8", "replace").strip()
            raise ServerAnsweredWrongly(f"`privyseal {' '.join(arguments[:2])}` ended with {ended.returncode}: {said}")
        return json.loads(ended.stdout)

    def _program(self) -> list[str]:
        flags = ["--home", str(self.place / "home"), "--passphrase-file", str(self.passphrase)]
        return [sys.executable, "-P", "-m", "privyseal", *flags]

    def serve(self) -> None:
        """`privyseal serve`, in the background."""
        self._spawn([*self._program(), "serve", "--listen", self.base], "privyseal serve")
        self._wait_for(lambda: bool(fetch(f"http://{self.base}/readyz", seconds=2).body is not None), "privyseal serve")

    def radius(self, directory: Path) -> None:
        """FreeRADIUS with exactly the files in ``directory``, in the background."""
        self._spawn([require_program("freeradius"), "-f", "-x", "-l", "stdout", "-d", str(directory), "-n", "radiusd"],
                    "freeradius")  # fmt: skip
        log = self.log("freeradius")
        self._wait_for(lambda: b"Ready to process requests" in log.read_bytes(), "freeradius")

    def log(self, name: str) -> Path:
        """What a server of the demo said."""
        return self.place / f"{name}.log"

    def _spawn(self, command: list[str], name: str) -> None:
        with self.log(name).open("wb") as stream:
            self.started[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True
            )

    def _wait_for(self, ready: Any, name: str) -> None:
        until = time.monotonic() + _SECONDS
        while True:
            try:
                if ready():
                    return
            except PrivysealError:
                pass
            if self.started[name].poll() is not None or time.monotonic() > until:
                tail = self.log(name).read_text("utf-8", "replace")[-400:].strip()
                raise ServerUnreachable(f"{name} of the demo did not start: {tail}")
            time.sleep(0.03)

    def died(self) -> str:
        """The server of the demo that ended by itself, if one did."""
        ended = [name for name, process in self.started.items() if process.poll() is not None]
        return next(iter(ended), "samba" if self.domain.has_died() else "")

    def stop(self) -> None:
        """Ends all that was started. Nothing interrupts it any more."""
        for number in _ENDING:
            signal.signal(number, signal.SIG_IGN)
        for process in reversed(self.started.values()):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.domain.stop()

    def path(self, name: str) -> Path:
        """A file of the demo."""
        return self.place / name

    def export(self, ca: str) -> Path:
        """A CA's certificate as a file."""
        path = self.path(f"{ca}.pem")
        if not path.exists():
            ended = subprocess.run([*self._program(), "ca", "export", ca, "-o", "pem"], capture_output=True, check=True)
            path.write_bytes(ended.stdout)
        return path

    def issue(self, profile: str, device: str, dns_name: str) -> _Paper:
        """`certificate issue` for a server of ours."""
        self.cli("device", "create", device, "--dns-name", dns_name)
        out = self.path(device)
        self.cli("certificate", "issue", "--profile", profile, "--device", device, "--out", str(out))
        chained = self.path(f"{device}.chain.pem")
        chained.write_bytes((out / f"{device}.pem").read_bytes() + self.export(_ISSUING_CA).read_bytes())
        return _Paper(chained, out / f"{device}.key")

    def enroll(self, profile: str, kind: str, name: str) -> _Paper:
        """A device enrolls itself by SCEP over HTTP."""
        made = self.cli("scep", "challenge", "create", "--profile", profile, f"--{kind}", name)
        client = ScepClient(made["scep_url"], self.rng)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        enrolled = client.enroll(
            client.server(), key=key, name=name, challenge=made["challenge"], now=SystemClock().now()
        )  # fmt: skip
        paper = _Paper(self.path(f"{name}.client.pem"), self.path(f"{name}.client.key"))
        pem = enrolled.certificate.public_bytes(Encoding.PEM)
        paper.certificate.write_bytes(pem + self.export(_ISSUING_CA).read_bytes())
        write_atomically(paper.key, key_pem(key))
        return paper

    def ticket(self, principal: str, paper: _Paper) -> None:
        """kinit with a certificate."""
        kdc = Kdc(
            realm=REALM,
            address=self.domain.address,
            host=HOST,
            roots=self.export(_ROOT_CA),
            pool=self.export(_ISSUING_CA),
        )
        get_ticket(kdc, principal, certificate=paper.certificate, key=paper.key)


def run_ad_demo() -> None:
    """The whole story. Raises DemoNeedsRoot, DoorProgramMissing, and what a stage raises."""
    if os.geteuid() != 0:
        raise DemoNeedsRoot("`privyseal demo --ad` was not started as root")
    begun, stages = time.perf_counter(), Stages()
    for number in _ENDING:
        signal.signal(number, signal.default_int_handler)
    with ExitStack() as stack:
        with stages.stage("Programs"):
            found = [require_program(name) for name in _PROGRAMS]
            stages.tell(" ".join(Path(one).name for one in found))
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)  # until it is known what is to be deleted
        place = Path(tempfile.mkdtemp(prefix="privyseal-demo-"))
        stack.callback(shutil.rmtree, place)
        stack.callback(signal.pthread_sigmask, signal.SIG_UNBLOCK, _ENDING)
        demo = _Demo(place, stages)
        stack.callback(demo.stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        try:
            _tell_the_story(demo)
        except PrivysealError as error:
            if name := demo.died():
                raise ServerUnreachable(f"{name} of the demo ended before its time; then: {error.what}") from error
            raise
        print(f"  Done in {time.perf_counter() - begun:.1f} s; all of it is deleted now", flush=True)


def _tell_the_story(demo: _Demo) -> None:
    version = _make_domain_and_pki(demo)
    _publish(demo)
    alice, computer = _enroll(demo)
    _log_on(demo, alice, computer, version=version)
    _walk_in(demo, alice, computer)


def _make_domain_and_pki(demo: _Demo) -> str:
    stages, domain = demo.stages, demo.domain
    with stages.stage("Domain"):
        version = domain.provision()
        for name in ("alice", "radius"):
            domain.tool("user", "create", name, demo.password.read_text())
        domain.modify("CN=alice,CN=Users", {"userPrincipalName": f"alice@{DOMAIN}"})
        domain.modify("CN=radius,CN=Users", {"userPrincipalName": f"radius@{DOMAIN}"})
        domain.tool("computer", "create", "PC1")
        domain.modify(
            "CN=PC1,CN=Computers",
            {"dNSHostName": f"pc1.{DOMAIN}", "userPrincipalName": f"pc1$@{DOMAIN}", "userAccountControl": "4096"},
        )
        domain.tool("group", "add", "wifi-users")
        domain.tool("group", "addmembers", "wifi-users", "alice,PC1$")
        stages.tell(f"{DOMAIN} with alice and PC1, by Samba {version}")
    with stages.stage("PKI"):
        demo.cli("init", "--organization", "DEMO", "--url", f"http://{demo.base}")
        demo.cli("ca", "create", _ROOT_CA, "--root", "--key", "rsa:2048")
        demo.cli("ca", "create", _ISSUING_CA, "--parent", _ROOT_CA, "--key", "rsa:2048")
        demo.serve()
        stages.tell(f"{_ROOT_CA}, {_ISSUING_CA}, serving at http://{demo.base}")
    with stages.stage("Controller"):
        options = ["--preset", "domain-controller", "--domain", DOMAIN, "--netbios", NETBIOS]
        names = ("dns:{{device.dns_name}}", f"dns:{DOMAIN}", f"dns:{NETBIOS}", f"kpn:krbtgt/{REALM}@{REALM}")
        for name in (*names, f"ip:{domain.address}"):  # by address as well: a demo has no DNS
            options += ["--san", name]
        demo.cli("profile", "create", "kdc", *options)
        paper = demo.issue("kdc", "dc1", HOST)
        domain.trust(
            {
                "cert": paper.certificate.read_bytes(),
                "key": paper.key.read_bytes(),
                "ca": demo.export(_ROOT_CA).read_bytes(),
                "pool": demo.export(_ISSUING_CA).read_bytes(),
            }
        )
        domain.start()
        stages.tell(f"{HOST} on {domain.address}, with a certificate of ours")
    return version


def _publish(demo: _Demo) -> None:
    with demo.stages.stage("Publish"):
        uri = f"ldaps://{demo.domain.address}"
        log_in_as = ("--bind", "password", "--user", ADMINISTRATOR, "--password-file", str(demo.password))
        demo.cli("directory", "add", "demo", "--uri", uri, *log_in_as, "--ca-file", str(demo.export(_ROOT_CA)))
        published = demo.cli("directory", "publish", "--yes")
        # From here on acts below this CA would wait for a second person, and a demo has one.
        demo.cli("access", "four-eyes", "off", "--reason", "a demo has one person")
        published_too = demo.cli("directory", "publish", "--ca", _ISSUING_CA, "NTAuthCA", "--yes")
        changes = len(published["changes"]) + len(published_too["changes"])
        demo.stages.tell(f"RootCA, SubCA and NTAuthCA: {changes} changes, each read back")


def _enroll(demo: _Demo) -> tuple[_Paper, _Paper]:
    with demo.stages.stage("Enroll"):
        demo.cli("profile", "create", "user-logon", "--preset", "user-logon")
        demo.cli("profile", "create", "computer", "--preset", "computer-wifi")
        demo.cli("user", "create", "alice", "--directory", "demo", "--principal", f"alice@{DOMAIN}")
        demo.cli("device", "create", "PC1", "--directory", "demo", "--principal", f"pc1$@{DOMAIN}")
        papers = demo.enroll("user-logon", "user", "alice"), demo.enroll("computer", "device", "PC1")
        demo.stages.tell("alice and PC1 by SCEP; name and SID came from the directory")
    return papers


def _log_on(demo: _Demo, alice: _Paper, computer: _Paper, *, version: str) -> None:
    with demo.stages.stage("Log on"):
        demo.ticket("alice", alice)
        demo.ticket("pc1$", computer)
        demo.stages.tell("Kerberos tickets for alice and pc1$, by certificate")
    if _release(version) < (4, 24):
        print(f"    note        Samba {version} demands no SID and no CRL; 4.24 and Windows do")


def _walk_in(demo: _Demo, alice: _Paper, computer: _Paper) -> None:
    stages, out = demo.stages, demo.path("radius")
    with stages.stage("RADIUS"):
        demo.cli("profile", "create", "radius", "--preset", "radius-server")
        own = demo.issue("radius", "radius1", _RADIUS)
        secret, port = demo.secret("radius"), _free_port(socket.SOCK_DGRAM)
        demo.cli(
            *("radius", "config", "freeradius", "--out", str(out), "--client", "demo=127.0.0.1"),
            *("--server-certificate", str(own.certificate), "--server-key", str(own.key)),
            *("--secret-file", str(secret), "--address", "127.0.0.1", "--port", str(port)),
            *("--directory-uri", f"ldaps://{demo.domain.address}", "--directory-base", BASE),
            *("--directory-user", f"radius@{DOMAIN}", "--directory-password-file", str(demo.password)),
            *("--group", f"CN=wifi-users,CN=Users,{BASE}"),
        )
        demo.radius(out)
        stages.tell("FreeRADIUS wants the account enabled, with this SID, in wifi-users")
    door = RadiusServer(
        address="127.0.0.1", port=port, secret=secret.read_text(), name=_RADIUS, roots=demo.export(_ROOT_CA),
        log=demo.log("freeradius"),
    )  # fmt: skip
    with stages.stage("Wi-Fi"):
        used = [
            log_in(door, certificate=paper.certificate, key=paper.key, tls=tls)
            for paper in (alice, computer)
            for tls in ("1.2", "1.3")
        ]
        stages.tell(f"alice and PC1 let in by EAP-TLS, TLS {' and '.join(sorted(set(used)))}")
    with stages.stage("Disabled"):
        demo.domain.tool("user", "disable", "alice")
        with _refused(EapAccountRefused, "a disabled account was let in"):
            log_in(door, certificate=alice.certificate, key=alice.key, tls="1.3")
        demo.domain.tool("user", "enable", "alice")
        log_in(door, certificate=alice.certificate, key=alice.key, tls="1.3")
        stages.tell("alice disabled in the directory: refused; enabled again: let in")
    with stages.stage("Revoked"):
        demo.cli("certificate", "revoke", str(alice.certificate), "--reason", "key-compromise")
        with _refused(EapCertificateRevoked, "a revoked certificate was let in"):
            log_in(door, certificate=alice.certificate, key=alice.key, tls="1.3")
        log_in(door, certificate=computer.certificate, key=computer.key, tls="1.3")
        stages.tell("alice's certificate revoked: refused at once; PC1 still gets in")


@contextmanager
def _refused(kind: type[PrivysealError], otherwise: str) -> Iterator[None]:
    """What stands inside must be refused, for this reason. Raises ServerAnsweredWrongly when it is not."""
    try:
        yield
    except kind:
        return
    raise ServerAnsweredWrongly(otherwise)


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("-")[0].split(".")[:2] if part.isdecimal())


def _free_port(kind: socket.SocketKind) -> int:
    with socket.socket(type=kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
