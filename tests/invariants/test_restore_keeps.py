# SPDX-License-Identifier: Apache-2.0
"""What a restore brings back: every table, and with it who may do what, who waits for whom, and no secret in clear."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from privyseal.administration.desk import Pending
from privyseal.model.access import Actor, Grant, Role
from privyseal.store.schema import metadata
from tests.api import ROOT, ApiHouse
from tests.command_line import run_line
from tests.device import Device
from tests.installation import PASSPHRASE, Installation, Installations, new_home

CHANGED = {
    "audit": "goes on: backup, restore and resync are told",
    "audit_head": "the same",
    "crls": "no CRL of before is in force; numbers go on far above",
    "crl_parts": "the same",
    "meta": "carries the marks of the restore",
    "leases": "belong to processes that are gone",
}
"""What may differ afterwards, and why. A new table is compared without being named here."""
ANNA = Actor("token:anna", (Grant(Role.OWNER),), "anna")


def tables(installation: Installation) -> dict[str, list[tuple[Any, ...]]]:
    return {
        name: sorted(installation.rows(f"SELECT * FROM {name}"), key=repr)
        for name in metadata.tables
        if name not in CHANGED
    }


def command(home: Path, passphrase: Path, *arguments: str) -> None:
    answer = run_line("--home", str(home), "--passphrase-file", str(passphrase), *arguments)
    assert answer.code == 0, answer.err


@pytest.fixture(name="passphrase")
def fixture_passphrase(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text(PASSPHRASE)
    path.chmod(0o600)
    return path


def test_roles_tokens_approvals_and_everything_else_are_as_they_were(
    installations: Installations, tmp_path: Path, passphrase: Path
) -> None:
    home, restored, file = new_home(tmp_path), tmp_path / "restored", tmp_path / "pki.backup"
    before = installations.open(home)
    api = ApiHouse(before)
    vera, ivan = api.token("vera", Role.VIEWER, labels=("blue",)), api.token("ivan", Role.OWNER)
    gone = api.token("gone", Role.VIEWER)
    api.act("token.revoke", name="gone-3")
    api.act("ca.set", name="issuing", labels=["blue"])
    hook = {"name": "hook", "url": "https://hooks.example.com/", "events": ["*"]}
    made = api.call("POST", "/webhooks", token=ivan, body=hook)
    assert made.status == 201
    device = Device(before)
    before.revoke(device.enroll())
    challenge = device.challenge()
    api.act("four-eyes.set", mode="on", reason="test")
    asked = before.run(
        api.books.desk.submit(ROOT, "role.grant", parameters={"person": "emil", "role": "viewer", "labels": []})
    )
    assert isinstance(asked, Pending)
    expected = tables(before)
    assert sum(map(bool, expected.values())) > 14, "the comparison would be empty"

    command(home, passphrase, "backup", "create", "--to", str(file))
    command(restored, passphrase, "backup", "restore", str(file))
    command(restored, passphrase, "backup", "resync", "--accept")
    after = installations.open(restored)
    found = tables(after)
    assert {name for name in expected if found[name] != expected[name]} == set()
    again = ApiHouse(after)
    assert again.call("GET", "/whoami", token=vera).data["grants"] == [
        {"person": "vera", "role": "viewer", "labels": ["blue"]}
    ]
    assert again.call("GET", "/whoami", token=gone).status == 401
    assert again.books.desk.needs_two()
    assert after.run(again.books.desk.approve(ANNA, asked.approval.id)).state.value == "done"
    device.service = after
    device.enroll(device.message(device.csr(challenge=challenge)))
    octets = file.read_bytes()
    for secret in (vera, ivan, challenge, made.data["secret"], PASSPHRASE):
        assert secret.encode() not in octets
