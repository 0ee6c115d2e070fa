# SPDX-License-Identifier: Apache-2.0
"""`privyseal demo --ad` tells its whole story on real parts, and leaves nothing behind, also when it is ended early."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command_line import run_line
from tests.outside.tools import ROOT, require_python_ldap, require_root, require_tool

STAGES = "Programs Domain PKI Controller Publish Enroll Log RADIUS Wi-Fi Disabled Revoked".split()


@pytest.fixture(name="place")
def fixture_place() -> Iterator[Path]:
    """For temporary files; short, since sockets are made below it."""
    with tempfile.TemporaryDirectory(prefix="demo-", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture(name="demo")
def fixture_demo(place: Path) -> subprocess.Popen[str]:
    """The demo, running, with a directory for temporary files of its own."""
    require_root("a domain controller has its ports below 1024")
    require_python_ldap()
    for name in ("samba", "kinit", "freeradius", "eapol_test"):
        require_tool(name)
    environment = {**os.environ, "TMPDIR": str(place), "LC_ALL": "C.UTF-8"}
    environment["PYTHONPATH"] = str(ROOT / "src")
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "privyseal", "demo", "--ad"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        cwd=ROOT,
    )


def leftovers(place: Path) -> list[str]:
    """Files, and processes that work on them."""
    processes = [
        path.parent.name
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if path.exists() and str(place).encode() in path.read_bytes()
    ]
    return [path.name for path in place.iterdir()] + processes


def test_it_publishes_enrolls_logs_on_walks_in_revokes_and_is_refused(demo: subprocess.Popen[str], place: Path) -> None:
    said, _ = demo.communicate(timeout=120)
    assert demo.returncode == 0, said
    assert re.findall(r"✔ (\S+)", said) == STAGES
    assert "✗" not in said
    assert leftovers(place) == []


def test_ended_early_it_cleans_up_all_the_same(demo: subprocess.Popen[str], place: Path) -> None:
    assert demo.stdout is not None
    with demo.stdout as said:
        for line in said:
            if "Controller" in line:
                demo.send_signal(signal.SIGTERM)
                break
        rest = said.read()
    assert demo.wait(30) == 130, rest
    # A short-lived program that it was waiting for may be on its last steps.
    until = time.monotonic() + 5
    while leftovers(place) and time.monotonic() < until:
        time.sleep(0.1)
    assert leftovers(place) == []


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    answer = run_line("demo", "--ad")
    assert answer.code == 1 and "7056" in answer.err and "needs root" in answer.err
