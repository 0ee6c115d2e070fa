# SPDX-License-Identifier: Apache-2.0
"""Two real controllers that do not hold the same, and a connection that is lost in the middle of a change."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from privyseal.bootstrap.directory import connector
from privyseal.directory.changes import AddValue
from privyseal.directory.receipts import INTENDED, Receipt
from privyseal.errors import ControllersDisagree
from privyseal.repository.proof import check_proofs, prove
from privyseal.store.directories import ReceiptBook
from tests.command_line import CommandLine
from tests.interop.directory_bed import application, as_administrator, installation
from tests.outside.relay import relayed
from tests.outside.samba import HOST, PKS, SECOND_HOST, DomainController, domain_controller
from tests.outside.samba_pair import Pair, two_controllers
from tests.outside.tools import require_python_ldap


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """Two controllers for the module; tests write where no other looks."""
    require_python_ldap()
    with two_controllers() as running, mock.patch.dict(os.environ, running.first.environment):
        # One CA file for both: commands know one for each directory.
        both = running.first.ca_file.read_bytes() + running.second.ca_file.read_bytes()
        running.first.ca_file.write_bytes(both)
        yield running


@pytest.fixture
def privyseal(pair: Pair, tmp_path: Path) -> Iterator[CommandLine]:
    """An installation that knows the first controller; what it published goes with it."""
    command = installation(tmp_path, pair.first)
    yield command
    clean(command, pair.first)
    pair.replicate()


def clean(command: CommandLine, controller: DomainController) -> None:
    """Takes out what a test has published."""
    command.works("directory", "add", "samba", "--replace", *as_administrator(controller))
    for ca, target in (("root", "RootCA"), ("issuing", "SubCA")):
        command("directory", "remove", "--ca", ca, target, "--yes")


def issuing_dn(privyseal: CommandLine) -> str:
    subject = privyseal.json("ca", "get", "issuing")["subject"]
    return f"CN={subject.partition(',')[0].partition('=')[2]},CN=AIA,{PKS}"


def shown(privyseal: CommandLine) -> dict[str, bool]:
    """Controller -> it shows everything, by ``directory verify``; its exit code must say the same."""
    answer = privyseal("directory", "verify", "-o", "json")
    found: dict[str, bool] = {}
    for item in answer.data:
        name = item["controller"].partition("://")[2] or item["controller"]
        found[name] = found.get(name, True) and item["shown"]
    assert answer.code == (0 if all(found.values()) else 1)
    return found


def test_what_only_one_controller_holds_is_told_for_each_until_they_agree(pair: Pair, privyseal: CommandLine) -> None:
    said = privyseal.works("directory", "publish", "--ca", "issuing", "SubCA", "--yes")
    assert "1 of 2 controllers show everything" in said.err and SECOND_HOST in said.err
    dn, certificate = issuing_dn(privyseal), privyseal.works("ca", "export", "issuing", "-o", "der").raw
    assert (pair.first.values(dn, "cACertificate"), pair.second.values(dn, "cACertificate")) == ([certificate], [])
    assert shown(privyseal) == {HOST: True, SECOND_HOST: False}
    status = privyseal.json("directory", "status")
    (different,) = (item for item in status["differences"] if item["dn"].lower() == dn.lower())
    assert (different["present_on"], different["missing_on"]) == ([HOST], [SECOND_HOST])
    with application(privyseal) as served:
        config = served.directories.get("samba")
        changes = (AddValue(dn, "cACertificate", certificate),)
        names = (HOST, SECOND_HOST)
        with pytest.raises(ControllersDisagree, match=SECOND_HOST):
            check_proofs(prove(names, changes, connect=connector(config), now=served.clock.now))
        pair.replicate()
        check_proofs(prove(names, changes, connect=connector(config), now=served.clock.now))
    assert pair.second.values(dn, "cACertificate") == [certificate]
    assert shown(privyseal) == {HOST: True, SECOND_HOST: True}
    assert privyseal.json("directory", "status")["differences"] == []


def test_a_removal_is_told_for_each_as_well(pair: Pair, privyseal: CommandLine) -> None:
    privyseal.works("directory", "publish", "--ca", "root", "RootCA", "--yes")
    pair.replicate()
    said = privyseal.works("directory", "remove", "--ca", "root", "RootCA", "--yes")
    assert "1 of 2 controllers show everything" in said.err
    assert any(item["present_on"] == [SECOND_HOST] for item in privyseal.json("directory", "status")["differences"])
    pair.replicate()
    assert privyseal.json("directory", "status")["differences"] == []


def test_the_same_object_made_on_both_stays_one_that_verifies(pair: Pair, privyseal: CommandLine) -> None:
    words = ("directory", "publish", "--ca", "issuing", "SubCA", "--yes")
    privyseal.works(*words)
    other = as_administrator(pair.first, pair.second.ldaps)
    privyseal.works("directory", "add", "samba", "--replace", *other)
    privyseal.works(*words)
    pair.replicate()  # one of the two objects is renamed by the controller that finds both
    assert shown(privyseal) == {HOST: True, SECOND_HOST: True}
    assert privyseal.json(*words)["changes"] == []


def test_a_controller_that_is_away_does_not_hide_what_the_other_shows(pair: Pair, privyseal: CommandLine) -> None:
    privyseal.works("directory", "publish", "--ca", "issuing", "SubCA", "--yes")
    pair.replicate()
    pair.second.stop()
    try:
        assert shown(privyseal) == {HOST: True, SECOND_HOST: False}
        faults = {item["fault"] for item in privyseal("directory", "verify", "-o", "json").data} - {None}
        assert len(faults) == 1 and faults.pop().startswith("7001")
        away = privyseal.json("directory", "status")["unreachable"]
        assert [(item["controller"], item["code"]) for item in away] == [(SECOND_HOST, 7001)]
    finally:
        pair.second.start()
    assert shown(privyseal) == {HOST: True, SECOND_HOST: True}


@pytest.fixture(scope="module")
def controller() -> Iterator[DomainController]:
    """One controller for what happens on the way to it."""
    require_python_ldap()
    with domain_controller() as running, mock.patch.dict(os.environ, running.environment):
        yield running


@pytest.mark.parametrize(
    ("answers", "written"),
    [(1, True), (0, False)],
    ids=["the-answer-is-lost", "the-line-is-dead-before"],
)
def test_a_change_whose_answer_never_came_is_settled_by_the_next_run(
    controller: DomainController, tmp_path: Path, answers: int, written: bool
) -> None:
    privyseal = installation(tmp_path, controller)
    dn, certificate = issuing_dn(privyseal), privyseal.works("ca", "export", "issuing", "-o", "der").raw
    words = ("directory", "publish", "--ca", "issuing", "SubCA", "--yes")
    with relayed(controller.address, 636) as relay:
        uri = f"{controller.ldaps}:{relay.port}"
        privyseal.works("directory", "add", "samba", "--replace", *as_administrator(controller, uri))
        known = ReceiptBook.add

        async def add(book: ReceiptBook, receipt: Receipt, **named: Any) -> None:
            await known(book, receipt, **named)
            if receipt.result == INTENDED:
                relay.pass_answers(answers)  # each change begins with a look; its answer is the first one

        with mock.patch.object(ReceiptBook, "add", add):
            broken = privyseal(*words)
        assert "error[7001]" in broken.err and "not done" in broken.err
        assert results(privyseal) == ["intended", "unknown"]
        assert controller.values(dn, "cACertificate") == ([certificate] if written else [])
        relay.pass_answers(None)
        again = privyseal.works(*words, "-o", "json")
        assert f"settled  {'done' if written else 'not done'}" in again.err
        assert len(again.data["changes"]) == (0 if written else 1)
    clean(privyseal, controller)
    assert controller.values(dn, "cACertificate") == [], "what was settled as done is ours to remove"


def results(privyseal: CommandLine) -> list[str]:
    with application(privyseal) as served:
        return [receipt.result for receipt in served.receipts.receipts("ad.example.test")]
