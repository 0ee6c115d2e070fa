# SPDX-License-Identifier: Apache-2.0
"""Files that belong to somebody else, and two processes that do the same at once."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from unittest import mock

import pytest

from privyseal.adapters.instance import Instance
from privyseal.adapters.keys import FileKeyStore
from privyseal.errors import FileNotAccessible, NameTaken
from privyseal.x509.names import DistinguishedName
from tests.command_line import CommandLine
from tests.installation import ROOT_CA, Installation, Installations, new_home

INIT = ("init", "--organization", "Example", "--url", "http://pki.example.com")


@pytest.fixture(name="line")
def fixture_line(tmp_path: Path) -> CommandLine:
    """The command line with a fresh installation."""
    line = CommandLine(tmp_path)
    line.works(*INIT)
    return line


def denied(path: object, *_: object, **__: object) -> int:
    """What the kernel says of another user's file."""
    raise PermissionError(13, "Permission denied", str(path))


def test_a_home_of_another_user_is_named_and_is_no_fault_of_ours(line: CommandLine) -> None:
    with mock.patch.object(Path, "exists", denied):
        answer = line("ca", "list", "-o", "json")
    assert (answer.code, answer.error["code"]) == (1, FileNotAccessible.code)
    assert "privyseal.toml" in answer.error["what"]


def test_a_place_where_no_home_can_be_made_is_named(tmp_path: Path) -> None:
    with mock.patch.object(Path, "mkdir", denied):
        answer = CommandLine(tmp_path)(*INIT, "-o", "json")
    assert (answer.code, answer.error["code"]) == (1, FileNotAccessible.code)


def test_a_trace_that_cannot_stand_in_home_stands_elsewhere_and_not_on_the_screen(
    line: CommandLine, tmp_path: Path
) -> None:
    (line.home / "privyseal.log").mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with (
        mock.patch("privyseal.cli.authorities._in_order", side_effect=RuntimeError("the detail")),
        mock.patch("tempfile.gettempdir", return_value=str(elsewhere)),
    ):
        answer = line("ca", "list", "-o", "json")
    assert answer.error["code"] == 9000
    assert "Traceback" not in answer.err
    (log,) = elsewhere.iterdir()
    assert "the detail" in log.read_text()


def test_an_unreadable_key_is_said_and_the_other_cas_are_still_served(installation: Installation) -> None:
    root = installation.app.catalog.issuer(ROOT_CA)
    key = installation.home / "keys" / f"{root.record.key_ref}.pem"
    key.unlink()
    key.mkdir()
    with pytest.raises(FileNotAccessible):
        installation.app.catalog.signer(root.id)
    before = installation.crl().extensions
    installation.clock.moved = root.record.crl.publish_every
    installation.work()
    assert installation.crl().extensions != before


def test_the_lock_of_another_users_process_keeps_nobody_from_starting(tmp_path: Path) -> None:
    instance = Instance(tmp_path)
    with mock.patch.object(os, "open", denied):
        assert not instance.is_gone("of-another-user")
    instance.close()


def test_a_key_directory_opened_by_two_at_once_gets_one_protection(tmp_path: Path) -> None:
    both, passwords = threading.Barrier(2), list[bytes]()

    def begin() -> None:
        both.wait()
        passwords.append(FileKeyStore(tmp_path, "passphrase")._password)

    threads = [threading.Thread(target=begin) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passwords) == 2
    assert len({*passwords, FileKeyStore(tmp_path, "passphrase")._password}) == 1


def test_a_disabling_survives_a_change_that_was_begun_before_it(installations: Installations, tmp_path: Path) -> None:
    home = new_home(tmp_path)
    one, other = installations.open(home), installations.open(home)
    device = one.device("LAPTOP")
    stale = other.app.entities.named(device.kind, "LAPTOP")
    one.run(one.app.entities.change(device, {"serial_number": "1"}, enabled=False, actor="test"))
    changed = other.run(other.app.entities.change(stale, {"model": "X1"}, enabled=None, actor="test"))
    assert not changed.enabled
    assert (changed.attributes["serial_number"], changed.attributes["model"]) == ("1", "X1")


def test_two_cas_never_have_one_subject(installation: Installation) -> None:
    for taken in (installation.issuer, installation.app.catalog.issuer(ROOT_CA)):
        before = installation.count("certificates")
        with pytest.raises(NameTaken):
            installation.found("other", subject=DistinguishedName.from_der(taken.view.subject))
        assert installation.count("certificates") == before
