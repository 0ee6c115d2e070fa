# SPDX-License-Identifier: Apache-2.0
"""``store move`` both ways: everything arrives, only one store is ever used, and what breaks off is done once more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from privyseal.bootstrap import store_place
from privyseal.config import load_settings
from privyseal.errors import (
    AuditBroken,
    StoreCopyDiffers,
    StoreInUse,
    StoreMoved,
    StoreNotEmpty,
    StoreUnavailable,
)
from privyseal.store import moving
from privyseal.store.opening import StorePlace, open_store
from tests.command_line import Answer, CommandLine, run_line
from tests.device import Device
from tests.installation import Installation, Installations, new_home
from tests.outside.postgresql import PostgresServer, shared_server


@pytest.fixture
def server() -> PostgresServer:
    return shared_server()


@pytest.fixture
def home(installations: Installations, tmp_path: Path) -> Path:
    """An installation with two certificates, one of them revoked."""
    home = new_home(tmp_path)
    opened = installations.open(home)
    opened.work()
    device = Device(opened)
    device.enroll()
    opened.revoke(device.enroll())
    installations.end(opened)
    return home


def try_move(home: Path, target: str) -> Answer:
    return run_line("--home", str(home), "store", "move", "--to", target, "-o", "json")


def move(home: Path, target: str) -> Any:
    answer = try_move(home, target)
    assert answer.code == 0, answer.err
    return answer.data


def crl_number(opened: Installation) -> int:
    return opened.crl().extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def contents(opened: Installation) -> dict[str, list[tuple[Any, ...]]]:
    tables = ("certificates", "certificate_tbs", "certificate_signatures", "revocations", "enrollments", "entities")
    return {table: opened.rows(f"SELECT * FROM {table} ORDER BY 1") for table in tables}


def test_everything_arrives_and_goes_on_there_and_back_again(
    installations: Installations, home: Path, server: PostgresServer
) -> None:
    before = installations.open(home)
    expected, number = contents(before), crl_number(before)
    events = before.events()
    installations.end(before)
    moved = move(home, server.new())
    assert moved["certificates"] == len(expected["certificates"])
    there = installations.open(home)
    assert there.app.database.label.startswith("postgresql://")
    assert contents(there) == expected
    assert there.events() == [*events, "store.moved"]
    device = Device(there)
    there.revoke(device.enroll())
    assert crl_number(there) > number
    expected = contents(there)
    installations.end(there)
    (home / "privyseal.db").rename(home / "old.db")
    move(home, "sqlite")
    back = installations.open(home)
    assert contents(back) == expected
    Device(back).enroll()
    assert back.events().count("store.moved") == 2


def test_the_old_store_is_never_used_again(installations: Installations, home: Path, server: PostgresServer) -> None:
    old = store_place(load_settings(home))
    kept_open = installations.open(home)
    device = Device(kept_open)
    sent = device.request()
    for lock in (home / "run").iterdir():
        lock.unlink()  # as if it ran where nobody sees it
    move(home, server.new())
    with pytest.raises(StoreMoved, match="was moved to postgresql"):
        open_store(old)
    with pytest.raises(StoreUnavailable, match="this store was moved"):
        kept_open.device("LAPTOP-LATE")
    assert device.post(sent.message).status == 503


def test_a_store_that_a_process_has_open_is_not_moved(
    installations: Installations, home: Path, server: PostgresServer
) -> None:
    running = installations.open(home)
    answer = try_move(home, server.new())
    assert answer.error["code"] == StoreInUse.code
    installations.end(running)
    url = server.new()
    move(home, url)
    elsewhere = open_store(StorePlace(path=Path("unused"), url=url))
    (home / "privyseal.db").rename(home / "old.db")
    answer = try_move(home, "sqlite")
    assert answer.error["code"] == StoreInUse.code
    elsewhere.close()


def test_a_destination_that_holds_something_is_left_alone(home: Path, server: PostgresServer) -> None:
    url = server.new()
    server.execute("CREATE TABLE theirs (x int)", database=url.partition("@/")[2].partition("?")[0])
    answer = try_move(home, url)
    assert answer.error["code"] == StoreNotEmpty.code
    move(home, server.new())
    answer = try_move(home, "sqlite")  # the file of the first move is still there
    assert answer.error["code"] == StoreNotEmpty.code


@pytest.mark.parametrize("step", ["highest_crl_numbers", "verify_chain", "end_move"])
def test_a_move_that_is_broken_off_is_done_once_more(
    installations: Installations, home: Path, server: PostgresServer, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    url = server.new()
    owner = "privyseal.cli.store" if step == "end_move" else "privyseal.store.moving"
    monkeypatch.setattr(f"{owner}.{step}", die)
    assert try_move(home, url).code != 0
    monkeypatch.undo()
    with pytest.raises(StoreMoved, match="has not ended"):
        open_store(StorePlace(path=Path("unused"), url=url))
    if step != "end_move":  # nothing was changed: the old one goes on
        opened = installations.open(home)
        Device(opened).enroll()
        installations.end(opened)
    move(home, url)
    Device(installations.open(home)).enroll()


def test_a_copy_that_differs_is_not_taken_into_use(
    installations: Installations, home: Path, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = moving.pages

    def lossy(connection: Any, table: Any) -> Any:
        for page in inner(connection, table):
            reading = type(connection).__module__ == "sqlite3"
            yield page if reading or table.name != "certificates" else page[:-1]

    monkeypatch.setattr(moving, "pages", lossy)
    answer = try_move(home, server.new())
    assert answer.error["code"] == StoreCopyDiffers.code
    assert "certificates" in answer.error["what"]
    monkeypatch.undo()
    opened = installations.open(home)
    opened.change("UPDATE audit SET target = 'other' WHERE seq = 3")
    installations.end(opened)
    answer = try_move(home, server.new())
    assert answer.error["code"] == AuditBroken.code
    Device(installations.open(home)).enroll()


def test_an_installation_begins_in_postgresql(tmp_path: Path, server: PostgresServer) -> None:
    line, url = CommandLine(tmp_path), server.new()
    begin = ("init", "--organization", "Example", "--url", "http://pki.example.com", "--store", url)
    assert line.json(*begin)["store"] == url
    assert not (line.home / "privyseal.db").exists()
    line.works("ca", "create", "root", "--root", "--key", "ec:p256")
    assert line.json(*begin)["created"] is False
    assert [found["name"] for found in line.json("ca", "list")] == ["root"]
    assert line("init", "--store", server.new()).code != 0  # it has a store
    line.works("audit", "verify")
