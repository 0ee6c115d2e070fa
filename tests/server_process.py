# SPDX-License-Identifier: Apache-2.0
"""A real server process on the loopback for an installation made in code, to be talked to, and to be killed."""

from __future__ import annotations

import contextlib
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

    def __init__(self, home: Path, *, workers: int = 1) -> None:
        self._home = home
        self._workers = workers
        self._process: subprocess.Popen[bytes] | None = None
        self.log = home.parent / f"{home.name}.log"
        self.port = 0

    def start(self) -> Self:
        """Starts it and waits until it says that it is ready."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tests.server_process", str(self._home), str(self._workers)],
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

    @property
    def workers(self) -> list[int]:
        """The processes that serve, as the kernel lists them."""
        assert self._process is not None
        pid = self._process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def kill_all(self) -> None:
        """SIGKILL for the parent and every worker, in one go."""
        pids = self.workers
        self.kill()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):  # it ends with its parent
                os.kill(pid, signal.SIGKILL)

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


def main(home: Path, workers: int) -> None:
    """What the process runs."""
    from privyseal.bootstrap import Application, build
    from privyseal.config import load_settings
    from privyseal.serve import open_socket, serve, serve_with_workers
    from tests.installation import PASSPHRASE

    def opened() -> Application:
        return build(load_settings(home), passphrase=PASSPHRASE)

    def ready(address: str) -> None:
        print(f"ready {address}", flush=True)

    listener = open_socket(*load_settings(home).address)
    if workers > 1:
        serve_with_workers(workers, listener, opened, on_ready=ready)
        return
    application = opened()
    serve(application, listener, on_ready=ready)
    application.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
