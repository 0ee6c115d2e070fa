# SPDX-License-Identifier: Apache-2.0
"""Programs that a benchmark starts and watches: their CPU time from /proc, and load from wrk."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final
from urllib.request import urlopen

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parent
_TICK: Final = 1 / os.sysconf("SC_CLK_TCK")


def tree_cpu_seconds(pid: int) -> float:
    """User and system time of a process and its descendants, with what they waited for."""
    children: dict[int, list[int]] = {}
    ticks: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks[int(entry.name)] = sum(map(int, fields[11:15]))
        children.setdefault(int(fields[1]), []).append(int(entry.name))
    total, left = 0, [pid]
    while left:
        one = left.pop()
        total += ticks.get(one, 0)
        left += children.get(one, [])
    return total * _TICK


class Server:
    """A server process, ended when the block ends. Ready when ``url`` answers."""

    def __init__(self, command: Sequence[str], url: str, *, log: Path) -> None:
        self._command = command
        self._url = url
        self._log = log

    def __enter__(self) -> Server:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=ROOT)
        for _ in range(600):
            if self._process.poll() is not None:
                break
            try:
                with urlopen(self._url, timeout=2):
                    return self
            except OSError:
                time.sleep(0.05)
        self._process.kill()
        self._process.wait()
        raise SystemExit(f"{self._command[0]} does not answer at {self._url}:\n{self._log.read_text()[-2000:]}")

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def cpu_seconds(self) -> float:
        """CPU time used so far."""
        return tree_cpu_seconds(self._process.pid)


@dataclass(frozen=True, slots=True)
class Load:
    """What a run of wrk brought. ``cpu`` is the server's CPU time for one good answer, in seconds."""

    good: int
    failed: int
    seconds: float
    p50: float
    p99: float
    cpu: float

    def line(self, noun: str) -> str:
        """The figures as a row of text."""
        return (
            f"{self.good / self.seconds:8.0f} {noun}/s   {self.cpu * 1e6:7.0f} us CPU   p50 {self.p50 * 1e3:6.1f} ms   "
            f"p99 {self.p99 * 1e3:6.1f} ms   {self.good} good, {self.failed} failed"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shots:
    """Requests for wrk: a file of bodies (or, for GET, paths), and which of them."""

    url: str
    file: Path
    first: int
    count: int
    minimum: int
    content_type: str = "application/x-pki-message"
    method: str = "POST"
    cycle: bool = False
    authorization: str = ""


def fire(server: Server, shots: Shots, *, connections: int, seconds: int) -> Load:
    """Send requests for some seconds, each once unless they cycle, and measure the server meanwhile."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit("wrk is missing: apt-get install -y --no-install-recommends wrk")
    base, slash, path = shots.url.removeprefix("http://").partition("/")
    environment = {
        "MESSAGES": str(shots.file),
        "FIRST": str(shots.first),
        "COUNT": str(shots.count),
        "METHOD": shots.method,
        "URL_PATH": slash + path,
        "CONTENT_TYPE": shots.content_type,
        "MINIMUM": str(shots.minimum),
        "CYCLE": "1" if shots.cycle else "0",
        "PATH": os.environ["PATH"],
        **({"AUTHORIZATION": shots.authorization} if shots.authorization else {}),
    }
    command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(HERE / "post.lua")]
    before = server.cpu_seconds()
    done = subprocess.run(
        [*command, f"http://{base}/"], env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    used = server.cpu_seconds() - before
    found = re.search(r"^RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)$", done.stdout, re.MULTILINE)
    if found is None:
        raise SystemExit(f"wrk gave no result:\n{done.stdout}\n{done.stderr}")
    good, bad, broken, duration, p50, p99 = map(int, found.groups())
    cpu = used / good if good else float("inf")
    return Load(good, bad + broken, duration / 1e6, p50=p50 / 1e6, p99=p99 / 1e6, cpu=cpu)


def cpu_of(work: Callable[[], object], rounds: int) -> float:
    """CPU seconds of one call, the mean of many in this process."""
    before = time.process_time()
    for _ in range(rounds):
        work()
    return (time.process_time() - before) / rounds


def write_shots(file: Path, bodies: Sequence[bytes]) -> None:
    """Bodies as ``post.lua`` reads them."""
    file.write_bytes(b"".join(len(body).to_bytes(4, "big") + body for body in bodies))


def verdict(name: str, ratio: float, bar: str, *, ok: bool) -> bool:
    """Print a ratio line, the one that the results are judged by."""
    print(f"RATIO {name}: {ratio:.2f} (bar: {bar}) {'ok' if ok else 'MISSED'}", flush=True)
    return ok


def python() -> str:
    """The interpreter that runs this."""
    return sys.executable
