# SPDX-License-Identifier: Apache-2.0
"""What a distribution or a container takes from here: the unit is sound and confined, the container is not root."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.command_line import run_line
from tests.outside.tools import ROOT, require_tool, run

UNIT = ROOT / "packaging" / "systemd" / "privyseal.service"
CONTAINER = ROOT / "packaging" / "container" / "Containerfile"
INSTRUCTIONS = {
    *("FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"),
}


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is there."""
    path = tmp_path / UNIT.name
    path.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(), flags=re.MULTILINE))
    return path


def test_systemd_understands_the_unit(unit: Path) -> None:
    seen = run([require_tool("systemd-analyze"), "verify", "--man=no", unit])
    assert [line for line in seen.text.splitlines() if unit.name in line] == []


def test_the_unit_is_confined(unit: Path) -> None:
    analyze = require_tool("systemd-analyze")
    seen = run([analyze, "security", "--offline=true", "--threshold=15", unit])
    assert seen.code == 0, seen.text
    assert run([analyze, "security", "--offline=true", "--threshold=1", unit]).code != 0  # the bound does bind


@pytest.mark.parametrize("home", ["/var/lib/pki", "/srv/a pki", str(Path("/", "home", "ada", "pki"))])
def test_the_unit_of_an_installation_is_sound_and_confined_as_well(tmp_path: Path, home: str) -> None:
    answer = run_line("--home", home, "--passphrase-file", "/etc/pki.pass", "init", "--systemd")
    assert answer.code == 0, answer.err
    path = tmp_path / UNIT.name
    path.write_text(answer.out)
    assert "LoadCredential=privyseal-passphrase:/etc/pki.pass\n" in answer.out
    assert ("DynamicUser=yes\nStateDirectory=pki\n" in answer.out) == home.startswith("/var/lib/")
    assert ("ProtectHome=no" in answer.out) == (Path(home).parts[1] == "home")
    analyze = require_tool("systemd-analyze")
    seen = run([analyze, "verify", "--man=no", path])
    assert [line for line in seen.text.splitlines() if path.name in line] == []
    assert run([analyze, "security", "--offline=true", "--threshold=20", path]).code == 0


def test_the_unit_holds_no_secret_and_hands_the_passphrase_over() -> None:
    text = UNIT.read_text()
    assert "LoadCredential=privyseal-passphrase:" in text
    assert "Type=notify" in text
    assert not re.search(r"(?i)environment=.*pass", text)


def instructions() -> list[tuple[str, str]]:
    lines = [line for line in CONTAINER.read_text().splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in joined.splitlines()]


def test_the_container_file_is_well_formed_and_not_for_root() -> None:
    found = instructions()
    assert {name for name, _ in found} <= INSTRUCTIONS
    assert found[0][0] == "FROM"
    stages = [number for number, (name, _) in enumerate(found) if name == "FROM"]
    last = found[stages[-1] :]
    assert [text for name, text in last if name == "USER"] == ["10001:10001"]
    for name, text in last:
        if name in ("CMD", "ENTRYPOINT"):
            assert text.startswith('["')
    assert not any("secret" in text.lower() or "passphrase" in text.lower() for name, text in found if name == "ENV")
    for name, text in found:
        if name == "COPY" and not text.startswith("--from"):
            for source in text.split()[:-1]:
                assert (ROOT / source).exists(), source


def test_the_container_installs_what_the_lock_says_with_hashes() -> None:
    assert any("--require-hashes" in text and "requirements.lock" in text for name, text in instructions())
