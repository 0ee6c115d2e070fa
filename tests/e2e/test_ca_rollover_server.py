# SPDX-License-Identifier: Apache-2.0
"""A rollover over the real server: gates that pass over HTTP, and a server that wakes up thirteen months late."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.command_line import CommandLine
from tests.outside.clocks import clock_off
from tests.outside.tools import ROOT, Ran, run
from tests.server_process import START_SECONDS

LATE = "+400d"


def installed(place: Path, *, validity: str) -> CommandLine:
    """An installation that serves on a free port, with a profile under an issuing CA."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    line = CommandLine(place)
    line.works(
        "init", "--organization", "Contoso", "--url", f"http://127.0.0.1:{port}", "--listen", f"127.0.0.1:{port}"
    )
    line.works("ca", "create", "top", "--root", "--key", "ec:p256")
    line.works("ca", "create", "sub", "--parent", "top", "--key", "ec:p256", "--validity", validity)
    line.works("profile", "create", "wifi", "--issuer", "sub", "--subject", "CN={{device.name}}", "--validity", "10d")
    return line


def command(line: CommandLine, *words: str) -> Ran:
    """A command in a process of its own, which may believe another time."""
    shared = ["--home", str(line.home), "--passphrase-file", str(line.passphrase)]
    return run([sys.executable, "-P", "-m", "privyseal", *shared, *words], seconds=90, directory=ROOT / "src")


@contextmanager
def served(line: CommandLine) -> Iterator[Path]:
    """``privyseal serve``; its log."""
    log, shared = line.place / "serve.log", ["--home", str(line.home), "--passphrase-file", str(line.passphrase)]
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "privyseal", *shared, "serve"], stdout=file, stderr=file, cwd=ROOT / "src"
        )
    try:
        port = int(_port(line))
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.1)
        yield log
    finally:
        process.terminate()
        assert process.wait(20) in (0, -15), log.read_text()


def _port(line: CommandLine) -> str:
    return (line.home / "privyseal.toml").read_text().rpartition(":")[2].strip().strip('"')


def test_every_gate_passes_over_http_and_enrollment_goes_on_at_the_same_url(tmp_path: Path) -> None:
    line = installed(tmp_path, validity="1000d")
    with served(line):
        assert command(line, "scep", "test", "wifi").code == 0
        line.works("ca", "renew", "sub")
        gates = line("ca", "rollover", "sub", "-o", "json")
        assert [gate["gate"] for gate in gates.data if not gate["passed"]] == ["test"], gates.out
        assert line("ca", "activate", "sub").code == 6
        tested = command(line, "scep", "test", "wifi", "--version", "2")
        assert tested.code == 0, tested.text
        assert line("ca", "rollover", "sub").code == 0
        assert line.json("ca", "activate", "sub")["state"] == "active"
        tested = command(line, "scep", "test", "wifi")
        assert tested.code == 0, tested.text
        assert command(line, "scep", "test", "wifi", "--version", "2").code != 0
        line.works("ca", "renew", "top")
        gates = line("ca", "rollover", "top", "-o", "json")
        assert gates.code == 0, gates.out
        line.works("ca", "activate", "top")
        line.works("ca", "rollback", "top")
    states = {(item["name"], item["version"]): item["state"] for item in line.json("ca", "list")}
    assert states == {
        ("top", 1): "active", ("top", 2): "superseded", ("sub", 1): "superseded", ("sub", 2): "active",
    }  # fmt: skip


def test_a_server_that_wakes_up_thirteen_months_late_heals_itself_and_renews_by_policy(tmp_path: Path) -> None:
    """RA, OCSP and CRLs ended long ago; the CA itself is at two thirds of its life, and its policy says auto."""
    line = installed(tmp_path, validity="600d")
    line.works("ca", "set", "sub", "--renew", "auto", "--at", "60%")
    with clock_off(LATE), served(line) as log:
        tested = command(line, "scep", "test", "wifi")
        assert tested.code == 0, tested.text + log.read_text()
        assert line.json("ca", "get", "sub", "--version", "2")["state"] == "staged"
        tested = command(line, "scep", "test", "wifi", "--version", "2")
        assert tested.code == 0, tested.text
        until = time.monotonic() + 150
        while line.json("ca", "get", "sub", "--version", "2")["state"] != "active":
            assert time.monotonic() < until, log.read_text()
            time.sleep(2)
    events = [item["event"] for item in line.json("audit", "list", "--event", "ca.")]
    assert events.count("ca.activated") == 1
    assert events.count("ca.superseded") == 1
