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


def start(place: Path) -> subprocess.Popen[str]:
    """The demo, running in a process group of its own as under a shell, with a directory for temporary files."""
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
        process_group=0,
    )


def read_until(demo: subprocess.Popen[str], stage: str) -> str:
    """What it says up to the end of a stage."""
    assert demo.stdout is not None
    said = ""
    for line in demo.stdout:
        said += line
        if stage in line:
            return said
    raise AssertionError(f"it never came to {stage}:\n{said}")


def processes(place: Path, word: str = "") -> list[int]:
    """Those that work on files of the demo; with ``word`` only programs of that name, or with it among their words."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:  # Samba writes over its command line; what it has open shows whose it is
            words = (process / "cmdline").read_text("utf-8", "replace").split("\0")
            opened = [os.readlink(one) for one in (process / "fd").iterdir()]
            name = (process / "comm").read_text().strip()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it has ended meanwhile, or is none that root may look into, so none of the demo's
        if int(process.name) != os.getpid() and any(str(place) in text for text in (*words, *opened)):
            if word in ("", name, *words):
                found.append(int(process.name))
    return found


def leftovers(place: Path) -> list[str]:
    """Files, and processes that work on them."""
    return [path.name for path in place.iterdir()] + [str(number) for number in processes(place)]


def mounts() -> str:
    """Of this machine."""
    return Path("/proc/self/mounts").read_text()


def wait_until_nothing_is_left(place: Path) -> None:
    """A short-lived program that it was waiting for may be on its last steps."""
    until = time.monotonic() + 5
    while leftovers(place) and time.monotonic() < until:
        time.sleep(0.1)
    assert leftovers(place) == []


def test_it_publishes_enrolls_logs_on_walks_in_revokes_and_is_refused_twice_in_a_row(place: Path) -> None:
    before = mounts()
    for _ in range(2):
        demo = start(place)
        said, _ = demo.communicate(timeout=300)
        assert demo.returncode == 0, said
        assert re.findall(r"✔ (\S+)", said) == STAGES
        assert "✗" not in said
        assert leftovers(place) == []
    assert mounts() == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_ended_early_it_cleans_up_all_the_same(place: Path, number: signal.Signals) -> None:
    demo = start(place)
    read_until(demo, "Controller" if number is signal.SIGTERM else "Programs")
    demo.send_signal(number)
    rest, _ = demo.communicate(timeout=30)
    assert demo.returncode == 130, rest
    wait_until_nothing_is_left(place)


def test_ctrl_c_reaches_all_its_programs_and_a_second_one_does_not_end_the_cleaning(place: Path) -> None:
    demo = start(place)
    read_until(demo, "Publish")
    os.killpg(demo.pid, signal.SIGINT)  # as a terminal does it
    time.sleep(0.05)
    while demo.poll() is None:
        os.killpg(demo.pid, signal.SIGINT)
        time.sleep(0.02)
    rest, _ = demo.communicate(timeout=30)
    assert demo.returncode == 130 and "Traceback" not in rest, rest
    wait_until_nothing_is_left(place)


SERVERS = {
    "privyseal serve": ("serve", "PKI"),
    "samba": ("samba", "Controller"),
    "freeradius": ("freeradius", "RADIUS"),
}


@pytest.mark.parametrize("name", sorted(SERVERS))
def test_a_server_of_it_that_is_killed_is_named_and_all_is_cleaned_up(place: Path, name: str) -> None:
    word, stage = SERVERS[name]
    demo = start(place)
    read_until(demo, stage)
    killed = processes(place, word)
    assert killed
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    said, _ = demo.communicate(timeout=60)
    assert demo.returncode == 7 and f"{name} of the demo ended before its time" in said, said
    wait_until_nothing_is_left(place)


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    answer = run_line("demo", "--ad")
    assert answer.code == 1 and "7056" in answer.err and "needs root" in answer.err
