# SPDX-License-Identifier: Apache-2.0
"""CRL forms, holds, forecast and proof at the command line; the proof against a server of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.command_line import CommandLine
from tests.outside.tools import ROOT


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A root and three issuing CAs: plain, with deltas, with shards; a profile for each."""
    line = CommandLine(tmp_path_factory.mktemp("made"))
    address = f"127.0.0.1:{free_port()}"
    line.works("init", "--organization", "Contoso", "--url", f"http://{address}", "--listen", address)
    line.works("ca", "create", "top", "--root", "--key", "ec:p256")
    for name, more in (("plain", ()), ("deltas", ("--delta-crl", "1d")), ("shards", ("--crl-shards", "3"))):
        line.works("ca", "create", name, "--parent", "top", "--key", "ec:p256", *more)
        line.works("profile", "create", name, "--issuer", name)
    line.works("device", "create", "LAPTOP")
    return line


@pytest.fixture
def line(made: CommandLine, tmp_path: Path) -> CommandLine:
    shutil.copytree(made.place, tmp_path / "pki")
    return CommandLine(tmp_path / "pki")


def issued(line: CommandLine, profile: str) -> str:
    """The serial of a new certificate."""
    out = line.place / f"out-{time.monotonic_ns()}"
    item = line.json("certificate", "issue", "--profile", profile, "--device", "LAPTOP", "--out", str(out))
    return str(item["serial"])


@contextmanager
def serving(line: CommandLine, url: str) -> Iterator[None]:
    """`privyseal serve` for this installation."""
    command = [sys.executable, "-m", "privyseal", "--home", line.home, "--passphrase-file", line.passphrase, "serve"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=ROOT / "src")
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{url}/readyz", timeout=5).close()
                break
            except urllib.error.URLError:
                assert process.poll() is None, "the server ended"
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(20)


def url_of(line: CommandLine) -> str:
    return str(line.json("ca", "get", "plain")["crl_url"]).partition("/crl/")[0]


def test_ca_get_tells_the_form(line: CommandLine) -> None:
    deltas, shards = line.json("ca", "get", "deltas"), line.json("ca", "get", "shards")
    assert (deltas["crl_number"], deltas["delta_crl_number"], deltas["delta_crl_interval"]) == (1, 2, "12h")
    assert deltas["delta_crl_url"].endswith("/crl/deltas/v1/delta.crl")
    assert (shards["crl_shards"], shards["crl_number"]) == (3, 3)
    assert shards["crl_url"].endswith("/crl/shards/v1/0.crl")


def test_a_dry_run_says_who_would_accept_it_until_when_and_changes_nothing(line: CommandLine) -> None:
    serial = issued(line, "deltas")
    found = line.works("certificate", "revoke", serial, "--dry-run", "-o", "json")
    held = found.data["held_crls"]
    assert [(item["number"], item["kind"]) for item in held] == [(2, "delta"), (1, "base")]
    assert found.data["crl_accepted_until"] == held[1]["accepted_until"] > held[0]["accepted_until"]
    assert found.data["delta_crl_accepted_until"] == held[0]["accepted_until"] > found.data["ocsp_accepted_until"]
    assert found.data["accepted_until"] == held[1]["accepted_until"]
    assert "who holds delta CRL 2 accepts it until" in found.err
    assert line.json("certificate", "status", serial)["status"] == "valid"
    revoked = line.json("certificate", "revoke", serial)
    assert (revoked["crl_number"], revoked["crl_kind"], revoked["older_crl_number"]) == (3, "delta", 1)
    assert line("certificate", "revoke", serial, "--dry-run").code == 6
    shown = line.json("certificate", "status", serial)
    assert (shown["crl_number"], shown["delta_crl_number"]) == (1, 3)


def test_a_hold_and_its_release(line: CommandLine) -> None:
    serial = issued(line, "plain")
    line.works("certificate", "revoke", serial, "--reason", "certificate-hold")
    assert line.json("certificate", "status", serial)["reason"] == "certificate-hold"
    assert line.json("certificate", "release", serial)["status"] == "valid"
    again = line("certificate", "release", serial, "-o", "json")
    assert (again.code, again.error["code"]) == (6, 6401)
    assert line("certificate", "revoke", str(line.json("ca", "get", "plain")["serial"]), "--reason",
                "certificate-hold", "-o", "json").error["code"] == 6303  # fmt: skip


def test_ca_set_changes_intervals_and_turns_deltas_on_but_not_off_while_they_are_named(line: CommandLine) -> None:
    changed = line.json("ca", "set", "plain", "--crl-validity", "14d", "--delta-crl", "2d", "--delta-interval", "6h")
    assert (changed["crl_validity"], changed["crl_interval"], changed["delta_crl_interval"]) == ("14d", "7d", "6h")
    assert (changed["crl_number"], changed["delta_crl_number"]) == (2, 3)
    assert line.json("ca", "set", "plain", "--delta-interval", "3h")["delta_crl_interval"] == "3h"
    issued(line, "plain")
    assert line("ca", "set", "plain", "--no-delta-crl", "-o", "json").error["code"] == 6403
    assert line("ca", "set", "shards", "--delta-crl", "1d", "-o", "json").error["code"] == 6402
    assert line("ca", "set", "plain", "--crl-interval", "15d", "-o", "json").error["code"] == 6107
    for words in (("plain",), ("plain", "--no-delta-crl", "--delta-crl", "1d"), ("shards", "--delta-interval", "1h")):
        assert line("ca", "set", *words).code == 2
    refused = line("ca", "create", "x", "--parent", "top", "--crl-shards", "2", "--delta-crl", "1d", "-o", "json")
    assert refused.error["code"] == 6402
    assert "ca.crl-changed" in {event["event"] for event in line.json("audit", "list", "--event", "ca.")}


def test_shards_are_not_for_a_directory(line: CommandLine) -> None:
    refused = line("directory", "publish-crl", "--ca", "shards", "--yes", "-o", "json")
    assert refused.error["code"] == 6405


def test_the_doctor_looks_at_deltas_and_shards(line: CommandLine) -> None:
    import sqlite3

    with sqlite3.connect(line.home / "privyseal.db") as database:
        database.execute("UPDATE crls SET next_update = 1 WHERE base_number IS NOT NULL OR (shard = 2)")
    found = [item["what"] for item in line("doctor", "-o", "json").data if item["check"] == "crl"]
    assert any("deltas" in text and "delta CRL 2, which ended" in text for text in found), found
    assert any("/crl/shards/v1/2.crl" in text for text in found), found


@pytest.mark.parametrize("form", ["plain", "deltas", "shards"])
def test_the_world_can_see_it(line: CommandLine, form: str) -> None:
    serial = issued(line, form)
    with serving(line, url_of(line)):
        held = line.json("certificate", "revoke", serial, "--reason", "certificate-hold", "--prove")
        assert held["seen_ocsp"] == "revoked"
        assert held["crl_number"] in (held["seen_crl_number"], held["seen_delta_crl_number"])
        released = line.json("certificate", "release", serial, "--prove")
        assert released["seen_ocsp"] == "good"
        assert line.json("certificate", "revoke", serial, "--prove")["seen_at"]


def test_an_old_copy_behind_the_public_url_is_found_out(
    line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("privyseal.cli.revoking._PROVE_SECONDS", 0.0)
    serial = issued(line, "plain")
    shutil.copytree(line.place, tmp_path / "copy")
    with serving(CommandLine(tmp_path / "copy"), url_of(line)):
        answer = line("certificate", "revoke", serial, "--prove", "-o", "json")
    assert answer.error["code"] == 6406
    assert "answers good, and CRL 1" in answer.error["what"]
    assert line.json("certificate", "status", serial)["status"] == "revoked"
