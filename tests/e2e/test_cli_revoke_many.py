# SPDX-License-Identifier: Apache-2.0
"""`certificate revoke-many` and `device unblock`: look first, then what was shown, and CRL and OCSP say so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command_line import CommandLine
from tests.installation import PASSPHRASE, PROFILE, Installation, fixture_installation, fixture_installations

__all__ = ["fixture_installation", "fixture_installations"]
WHERE = ("certificate", "revoke-many", "--where", "kiosk")


@pytest.fixture
def line(installation: Installation, tmp_path: Path) -> CommandLine:
    """Three devices with a certificate each, two of them kiosks."""
    home = installation.home.parent / "home"
    home.symlink_to(installation.home)
    passphrase = installation.home.parent / "passphrase"
    passphrase.touch(mode=0o600)
    passphrase.write_text(PASSPHRASE)
    line = CommandLine(installation.home.parent)
    for name in ("kiosk-1", "kiosk-2", "laptop-1"):
        installation.device(name)
        line.works(*issuing(name, tmp_path))
    return line


def issuing(name: str, place: Path) -> tuple[str, ...]:
    return ("certificate", "issue", "--profile", PROFILE, "--device", name, "--out", str(place / name))


def test_a_look_changes_nothing_and_the_deed_is_what_was_seen(
    line: CommandLine, installation: Installation, tmp_path: Path
) -> None:
    seen = line.json(*WHERE, "--reason", "key-compromise", "--dry-run")
    assert (seen["counts"]["selected"], seen["over_limit"]) == (2, False)
    assert "selected" in line.works(*WHERE, "--dry-run").out
    assert line(*WHERE).code == 2, "nobody is there to be asked, and nobody said --yes"
    assert line.works("certificate", "list", "--status", "revoked", "--count").out.strip() == "0"
    done = line.works(*WHERE, "--reason", "key-compromise", "--yes", "-o", "json")
    assert (done.data["revoked"], done.data["selected"]) == (2, 2)
    assert "CRL" in done.err
    assert len(list(installation.crl())) == 2
    refused = line(*issuing("kiosk-1", tmp_path / "again"))
    assert (refused.code, "[6312]" in refused.err) == (5, True)
    assert line.json("device", "get", "kiosk-1")["blocked_profiles"] == [PROFILE]
    line.works("device", "unblock", "kiosk-1")
    line.works(*issuing("kiosk-1", tmp_path / "again-2"))


def test_more_than_was_allowed_is_refused(line: CommandLine) -> None:
    refused = line(*WHERE, "--most", "1", "--yes")
    assert (refused.code, "[6311]" in refused.err) == (5, True)
    assert line.works("certificate", "list", "--status", "revoked", "--count").out.strip() == "0"


def test_one_certificate_and_whether_its_device_comes_back(line: CommandLine) -> None:
    serials = {item["entity"]: item["serial"] for item in line.json("certificate", "list", "--kind", "end-entity")}
    assert "unblocked" in line.works("certificate", "revoke", serials["kiosk-1"], "--reason", "certificate-hold").err
    assert line.json("device", "get", "kiosk-1")["blocked_profiles"] == [PROFILE]
    line.works("certificate", "release", serials["kiosk-1"])
    assert line.json("device", "get", "kiosk-1")["blocked_profiles"] == []
    line.works("certificate", "revoke", serials["laptop-1"], "--reason", "key-compromise", "--no-block")
    assert line.json("device", "get", "laptop-1")["blocked_profiles"] == []
