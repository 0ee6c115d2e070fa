# SPDX-License-Identifier: Apache-2.0
"""`certificate export` and `certificate count`: every row once, in every form, and nothing that a spreadsheet runs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.command_line import CommandLine
from tests.installation import PASSPHRASE, PROFILE, Installation, fixture_installation, fixture_installations

__all__ = ["fixture_installation", "fixture_installations"]

FORMULA = "=cmd|' /C calc'!A1"


@pytest.fixture
def line(installation: Installation) -> CommandLine:
    (installation.home.parent / "home").symlink_to(installation.home)
    passphrase = installation.home.parent / "passphrase"
    passphrase.touch(mode=0o600)
    passphrase.write_text(PASSPHRASE)
    return CommandLine(installation.home.parent)


def test_every_row_is_written_once_in_every_form(installation: Installation, line: CommandLine, tmp_path: Path) -> None:
    names = ["LAPTOP-1", "LAPTOP-2", FORMULA]
    for name in names:
        installation.device(name, dns_name="a.example.com")
        line.works("certificate", "issue", "--profile", PROFILE, "--device", name, "--out", str(tmp_path / name[-1]))
    everything = line.json("certificate", "list")
    rows = list(csv.DictReader(io.StringIO(line.works("certificate", "export").raw.decode("utf-8"), newline="")))
    assert [row["serial"] for row in rows] == [item["serial"] for item in everything]
    assert rows[0]["entity"] == f"'{FORMULA}"
    assert line.json("certificate", "export") == everything
    lines = line.works("certificate", "export", "-o", "jsonl").out.splitlines()
    assert [json.loads(text) for text in lines] == everything
    chosen = line.works("certificate", "export", "--where", "laptop", "--columns", "entity,fingerprint").out
    assert chosen.startswith("entity,fingerprint\r\nLAPTOP-2,")
    assert chosen.count("\r\n") == 3
    assert line.works("certificate", "export", "--where", "nothing-like-it", "-o", "json").data == []


def test_counts_of_each_ca(installation: Installation, line: CommandLine, tmp_path: Path) -> None:
    installation.device("LAPTOP-1")
    line.works("certificate", "issue", "--profile", PROFILE, "--device", "LAPTOP-1", "--out", str(tmp_path / "out"))
    before = {item["ca"]: item for item in line.json("certificate", "count")}
    assert before["issuing"]["active"] == before["issuing"]["total"] > 0
    serial = line.json("certificate", "list", "--device", "LAPTOP-1")[0]["serial"]
    line.works("certificate", "revoke", serial)
    after = {item["ca"]: item for item in line.json("certificate", "count")}
    assert after["issuing"]["revoked"] == 1
    assert after["issuing"]["active"] == before["issuing"]["active"] - 1
    assert after["root"] == before["root"]


def test_a_column_that_does_not_exist_is_named_with_those_that_do(line: CommandLine) -> None:
    refused = line("certificate", "list", "--columns", "serial,colour")
    assert (refused.code, "'colour' is not one of id, serial" in refused.err) == (2, True)


def test_the_language_of_searches_is_explained(line: CommandLine) -> None:
    assert "status:expiring profile:wifi-device ends:<30d" in line.works("explain", "search").out
    assert set(line.json("explain", "search")) == {"rules", "fields"}
