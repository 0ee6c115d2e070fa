# SPDX-License-Identifier: Apache-2.0
"""One running Privyseal for all doors of a test module, and the certificates that it issued: a directory of files.

Everything is made by its command line and by SCEP, as a site would.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from privyseal.adapters.clock import SystemRng
from privyseal.adapters.fetch import fetch
from privyseal.adapters.scep_client import ScepClient
from privyseal.errors import ServerUnreachable
from tests.command_line import CommandLine

ROOT_CA, ISSUING_CA, OTHER_CA = "doors-root", "doors-issuing", "doors-other"
START_SECONDS: Final = 20.0
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Paper:
    """A certificate with the CA that signed it, and its key, in files."""

    certificate: Path
    key: Path


def write_paper(place: Path, name: str, *, chain: Sequence[x509.Certificate], key: Key) -> Paper:
    """Files for programs that are not ours."""
    paper = Paper(place / f"{name}.pem", place / f"{name}.key")
    paper.certificate.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in chain))
    paper.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    paper.key.chmod(0o600)
    return paper


class House:
    """A root, two issuing CAs below it, and ``privyseal serve`` on the loopback."""

    def __init__(self, place: Path, *, key: str = "rsa:2048") -> None:
        self.place = place
        self.papers = place / "papers"
        self.papers.mkdir()
        self.ask = CommandLine(place)
        self.ask.passphrase.write_text("a passphrase for tests only\n")
        self.ask.passphrase.chmod(0o600)
        self._log = place / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.address = os.environ.get("PRIVYSEAL_DOORS_ADDRESS", "127.0.0.1")
        with socket.socket() as free:
            free.bind((self.address, 0))
            self.listen = f"{self.address}:{free.getsockname()[1]}"
        self.base = f"http://{self.listen}"
        self.ask.works("init", "--organization", "Doors", "--url", self.base)
        self.ask.works("ca", "create", ROOT_CA, "--root", "--key", key)
        for name in (ISSUING_CA, OTHER_CA):
            self.ask.works("ca", "create", name, "--parent", ROOT_CA, "--key", key)
        self.roots = self._export(ROOT_CA)
        self.issuing = self._export(ISSUING_CA)

    def _export(self, name: str) -> Path:
        path = self.papers / f"{name}.pem"
        path.write_bytes(self.ask.works("ca", "export", name, "-o", "pem").raw)
        return path

    def start(self) -> None:
        """Starts ``privyseal serve`` and waits until it answers."""
        first = [sys.executable, "-P", "-m", "privyseal", "--home", str(self.ask.home)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*first, "--passphrase-file", str(self.ask.passphrase), "serve", "--listen", self.listen],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                fetch(f"{self.base}/readyz", seconds=2)
                return
            except ServerUnreachable:
                if self._process.poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.02)

    def stop(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(10)
            finally:
                self._process.kill()
                self._process.wait()
                self._process = None

    # --- certificates --------------------------------------------------------------------------------------

    def profile(self, name: str, *options: str, issuer: str = ISSUING_CA) -> None:
        """A profile under the issuing CA."""
        self.ask.works("profile", "create", name, "--issuer", issuer, *options)

    def enroll(self, profile: str, kind: str, name: str, *attributes: str, paper: str = "") -> Paper:
        """A device or user enrolls itself by SCEP, over HTTP; ``attributes`` are those that it is made with."""
        if name not in {item["name"] for item in self.ask.json(kind, "list")}:
            self.ask.works(kind, "create", name, *attributes)
        made = self.ask.json("scep", "challenge", "create", "--profile", profile, f"--{kind}", name)
        client = ScepClient(made["scep_url"], SystemRng())
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        now = datetime.now(UTC)
        enrolled = client.enroll(client.server(), key=key, name=name, challenge=made["challenge"], now=now)
        return self._keep(paper or name, enrolled.certificate, key)

    def issue(self, profile: str, kind: str, name: str, *attributes: str, key: Key, paper: str = "") -> Paper:
        """``certificate issue`` for a request with ``key``, as an administrator does it for a server."""
        if name not in {item["name"] for item in self.ask.json(kind, "list")}:
            self.ask.works(kind, "create", name, *attributes)
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        request = builder.sign(key, SHA256()).public_bytes(Encoding.PEM)
        options = ("--profile", profile, f"--{kind}", name, "--csr", "-", "-o", "pem")
        answer = self.ask.works("certificate", "issue", *options, given=request)
        return self._keep(paper or name, x509.load_pem_x509_certificates(answer.raw)[0], key)

    def _keep(self, name: str, certificate: x509.Certificate, key: Key) -> Paper:
        issuers = [x509.load_pem_x509_certificate(path.read_bytes()) for path in self.papers.glob("doors-*.pem")]
        signed_by = [one for one in issuers if one.subject == certificate.issuer]
        return write_paper(self.papers, name, chain=[certificate, *signed_by], key=key)

    def revoke(self, paper: Paper) -> None:
        """``certificate revoke``."""
        self.ask.works("certificate", "revoke", str(paper.certificate), "--reason", "superseded")
