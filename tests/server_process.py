# SPDX-License-Identifier: Apache-2.0
"""A real server process on the loopback for an installation made in code, to be talked to, and to be killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.outside.tools import ROOT

START_SECONDS = 30.0


class ServerProcess:
    """Runs ``serve`` for the installation in ``home``; ends with the ``with`` block."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._process: subprocess.Popen[bytes] | None = None
        self.log = home.parent / f"{home.name}.log"
        self.port = 0

    def start(self) -> Self:
        """Starts it and waits until it says that it is ready."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tests.server_process", str(self._home)],
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"},
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline().decode().strip()
        assert line.startswith("ready "), f"the server did not start: {self.log.read_text()}"
        self.port = int(line.rpartition(":")[2])
        return self

    @property
    def base(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self.port}"

    def connect(self, *, seconds: float = 10.0) -> socket.socket:
        """A raw connection; nothing on it waits longer than ``seconds``."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=seconds)

    def kill(self) -> None:
        """SIGKILL: no farewell, no flush."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        process = self._process
        if process is None:
            return 0
        process.send_signal(how)
        try:
            return process.wait(15)
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
            self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def main(home: Path) -> None:
    """What the process runs."""
    from privyseal.bootstrap import build
    from privyseal.config import load_settings
    from privyseal.serve import open_socket, serve
    from tests.installation import PASSPHRASE

    application = build(load_settings(home), passphrase=PASSPHRASE)
    serve(
        application,
        open_socket(*application.settings.address),
        on_ready=lambda address: print(f"ready {address}", flush=True),
    )
    application.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
