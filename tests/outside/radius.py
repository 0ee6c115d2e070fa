# SPDX-License-Identifier: Apache-2.0
"""FreeRADIUS in the foreground, and eapol_test as the Wi-Fi client that logs in. Nothing here knows Privyseal."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.outside.tools import Ran, require_tool, run

START_SECONDS = 15.0


def free_udp_port(address: str = "127.0.0.1") -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


class FreeRadius:
    """Runs the configuration in ``directory`` as it stands; ends with the ``with`` block."""

    def __init__(self, directory: Path) -> None:
        self._program = require_tool("freeradius")
        self._directory = directory
        self._out = directory / "log" / "out"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Starts it and waits until it says that it is ready."""
        with self._out.open("wb") as out:
            self._process = subprocess.Popen(
                [self._program, "-f", "-l", "stdout", "-xx", "-d", str(self._directory), "-n", "radiusd"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        until = time.monotonic() + START_SECONDS
        while "Ready to process requests" not in self.log:
            if self._process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"FreeRADIUS did not start:\n{self.log[-3000:]}")
            time.sleep(0.01)
        return self

    @property
    def log(self) -> str:
        """What it wrote so far."""
        return self._out.read_text("utf-8", "replace")

    def stop(self) -> None:
        """Ends it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(10)
            finally:
                self._process.kill()
                self._process.wait()
                self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class WifiClient:
    """A client that trusts ``roots`` for a server of the name ``server_name``."""

    roots: Path
    server_name: str
    port: int
    secret: str
    address: str = "127.0.0.1"

    def log_in(self, certificate: Path, key: Path, *, tls: str = "1.3") -> Ran:
        """One EAP-TLS log-in; code 0 means that the door is open."""
        phase1 = {"1.2": "tls_disable_tlsv1_3=1", "1.3": "tls_disable_tlsv1_3=0"}[tls]
        lines = [
            "network={",
            "key_mgmt=WPA-EAP",
            "eap=TLS",
            'identity="anonymous@example.test"',
            f'ca_cert="{self.roots}"',
            f'client_cert="{certificate}"',
            f'private_key="{key}"',
            f'domain_match="{self.server_name}"',
            f'phase1="{phase1}"',
            "}",
        ]
        place = key.with_name(f"{key.name}.wifi")
        place.write_text("\n".join(lines) + "\n")
        server = ["-a", self.address, "-p", str(self.port), "-s", self.secret, "-A", "127.0.0.1", "-t", "8"]
        return run([require_tool("eapol_test"), "-c", place, *server], seconds=20)
