# SPDX-License-Identifier: Apache-2.0
"""A real Privyseal process on the loopback, set up by its own command line; nothing else here knows those commands."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.outside.tools import Ran, run

ROOT_CA, ISSUING_CA = "interop-root", "interop-issuing"
START_SECONDS: Final = 20.0


class Service:
    """One installation in a directory of its own, with a root and an issuing CA, serving on a free port."""

    def __init__(self, home: Path, *, issuer_key: str) -> None:
        self._home = home / "home"
        self._log = home / "server.log"
        self._passphrase = home / "passphrase"
        self._passphrase.write_text("a passphrase for tests only\n")
        self._passphrase.chmod(0o600)
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.base = f"http://{self.address}"
        self.command("init", "--organization", "Interop", "--url", self.base)
        self.command("ca", "create", ROOT_CA, "--root", "--key", issuer_key)
        self.command("ca", "create", ISSUING_CA, "--parent", ROOT_CA, "--key", issuer_key)

    def command(self, *arguments: str) -> Ran:
        """``privyseal ARGUMENTS``, which must work."""
        first = [sys.executable, "-P", "-m", "privyseal", "--home", str(self._home)]
        return run([*first, "--passphrase-file", str(self._passphrase), *arguments], seconds=60).must_work()

    def ask(self, *arguments: str) -> Any:
        """``privyseal ARGUMENTS -o json``, parsed."""
        return json.loads(self.command(*arguments, "-o", "json").out)

    def start(self) -> None:
        """Starts ``privyseal serve`` and waits until it answers."""
        first = [sys.executable, "-P", "-m", "privyseal", "--home", str(self._home)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*first, "--passphrase-file", str(self._passphrase), "serve", "--listen", self.address],
                stdout=log,
                stderr=log,
                env={**os.environ, "LC_ALL": "C.UTF-8"},
            )
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.base}/", timeout=2).close()
                return
            except urllib.error.HTTPError:
                return  # it answers, if only that there is nothing
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"privyseal serve does not answer:\n{self.log}")

    def stop(self) -> None:
        """Ends the process; it must do so within ten seconds of being asked."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            finally:
                self._process.kill()
                self._process.wait()

    @property
    def log(self) -> str:
        """What the server wrote so far."""
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    def create_profile(self, name: str, *, chain: str, legacy: bool, manual: bool) -> str:
        """A profile for devices; gives its SCEP URL. Renewal is open at once, so that a test can renew."""
        more = ["--legacy-devices"] * legacy + ["--approval", "manual"] * manual
        names = ["--subject", "CN={{device.name}}", "--san", "dns:{{device.dns_name}}"]
        self.command(
            *("profile", "create", name, "--issuer", ISSUING_CA, *names, "--renew-at", "0"),
            *("--chain", chain, *more),
        )
        return str(self.ask("scep", "url", name)["url"])

    def create_challenge(self, profile: str, device: str) -> str:
        """A fresh challenge for ``device``, which is made first."""
        if device not in {item["name"] for item in self.ask("device", "list")}:
            self.command("device", "create", device, "--dns-name", f"{device}.example.com")
        made = self.ask("scep", "challenge", "create", "--profile", profile, "--device", device)
        return str(made["challenge"])

    def approve_all(self) -> None:
        """Approves every enrollment that waits."""
        waiting = [item for item in self.ask("enrollment", "list") if item["state"] == "waiting"]
        assert waiting, "no enrollment waits for approval"
        for item in waiting:
            self.command("enrollment", "approve", str(item["id"]))

    def serials(self) -> set[int]:
        """Serials of all certificates that the store knows as issued."""
        return {int(item["serial"], 16) for item in self.ask("certificate", "list")}

    def chain(self) -> list[bytes]:
        """The issuing CA's and the root's certificates, DER."""
        pems = [self.command("ca", "export", name, "-o", "pem").out for name in (ISSUING_CA, ROOT_CA)]
        return [x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER) for pem in pems]
