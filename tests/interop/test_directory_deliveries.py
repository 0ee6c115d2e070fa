# SPDX-License-Identifier: Apache-2.0
"""Certificates at their accounts (userCertificate) on a real Samba domain controller; `ldbsearch` is the witness."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from privyseal.model.delivery import MOST_EACH, DeliveryState
from privyseal.model.directory import BindKind, DirectoryBinding, DirectoryConfig
from privyseal.store.deliveries import DeliveryBook
from privyseal.worker import deliver_once
from privyseal.x509.sid import Sid
from tests.command_line import CommandLine
from tests.device import Device
from tests.installation import Installation, fixture_installation, fixture_installations
from tests.interop import directory_bed
from tests.interop.directory_bed import allow, application, as_administrator, computer, issue, user
from tests.outside.relay import relayed
from tests.outside.samba import ADMIN, BASE, DNS_DOMAIN, DomainController, domain_controller
from tests.outside.tools import require_python_ldap

__all__ = ["fixture_installation", "fixture_installations"]

ATTRIBUTE = "userCertificate"
THEIRS = b"\x30\x03\x02\x01\x07"  # to the directory any octets are a certificate


@pytest.fixture(scope="module")
def controller() -> Iterator[DomainController]:
    """One controller for the module; every test has accounts of its own."""
    require_python_ldap()
    with domain_controller() as running, mock.patch.dict(os.environ, running.environment):
        yield running


@pytest.fixture
def privyseal(tmp_path: Path, controller: DomainController) -> CommandLine:
    """An installation with a profile that publishes to the directory."""
    command = directory_bed.installation(tmp_path, controller)
    command.works("profile", "create", "mail", "--preset", "user-logon", "--publish-to-directory")
    return command


def serial_of(privyseal: CommandLine, name: str) -> str:
    return str(privyseal.json("certificate", "list", "--user", name)[0]["serial"])


def test_a_certificate_is_appended_to_its_account_and_leaves_it_when_it_is_revoked(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    dn = user(privyseal, controller, "ada")
    controller.change(
        f"dn: {dn}\nchangetype: modify\nadd: {ATTRIBUTE}\n{ATTRIBUTE}:: {base64.b64encode(THEIRS).decode()}\n"
    )
    certificate = issue(privyseal, "mail", "ada", tmp_path / "1")
    assert controller.values(dn, ATTRIBUTE) == [THEIRS], "an issuance does not wait for the directory"
    assert privyseal.json("directory", "status")["deliveries"]["to_add"] == 1
    done = privyseal.json("directory", "deliver")
    assert (done["added"], done["postponed"], done["present"]) == (1, 0, 1)
    assert set(controller.values(dn, ATTRIBUTE)) == {THEIRS, certificate}
    (row,) = privyseal.json("directory", "deliveries")
    assert (row["state"], row["ours"], row["dn"]) == ("present", True, dn)
    assert privyseal.json("directory", "deliver")["added"] == 0, "a second time there is nothing to do"
    privyseal.works("certificate", "revoke", serial_of(privyseal, "ada"), "--reason", "superseded")
    assert privyseal.json("directory", "deliver")["removed"] == 1
    assert controller.values(dn, ATTRIBUTE) == [THEIRS]
    assert privyseal.json("directory", "deliveries") == []
    events = [event["event"] for event in privyseal.json("audit", "list", "--event", "delivery.")]
    assert events[::-1] == ["delivery.intended", "delivery.added", "delivery.intended", "delivery.removed"]
    privyseal.works("audit", "verify")


def test_a_hold_takes_it_away_and_its_end_puts_it_back(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    dn = user(privyseal, controller, "kay")
    certificate = issue(privyseal, "mail", "kay", tmp_path / "1")
    privyseal.works("directory", "deliver")
    serial = serial_of(privyseal, "kay")
    hold = ("certificate", "revoke", serial, "--reason", "certificate-hold")
    privyseal.works(*hold)
    assert privyseal.json("directory", "deliver")["removed"] == 1
    assert controller.values(dn, ATTRIBUTE) == []
    (row,) = privyseal.json("directory", "deliveries")
    assert (row["state"], row["ours"], row["next_try"]) == ("held", False, None)
    assert privyseal.json("directory", "status")["deliveries"]["held"] == 1
    privyseal.works("certificate", "release", serial)
    assert privyseal.json("directory", "deliver")["added"] == 1
    assert controller.values(dn, ATTRIBUTE) == [certificate]
    # Released before anybody carried the removal out: it never left, and stays ours.
    privyseal.works(*hold)
    privyseal.works("certificate", "release", serial)
    privyseal.works("directory", "deliver")
    assert controller.values(dn, ATTRIBUTE) == [certificate]
    assert privyseal.json("directory", "deliveries")[0]["ours"] is True
    # A hold that becomes a revocation is final here as well.
    privyseal.works(*hold)
    privyseal.works("directory", "deliver")
    privyseal.works("certificate", "revoke", serial, "--reason", "superseded")
    assert privyseal.json("directory", "deliver")["added"] == 0
    assert (controller.values(dn, ATTRIBUTE), privyseal.json("directory", "deliveries")) == ([], [])


def test_what_was_withdrawn_or_expired_on_hold_does_not_come_back(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    dn = user(privyseal, controller, "lea")
    issue(privyseal, "mail", "lea", tmp_path / "1")
    privyseal.works("directory", "deliver")
    serial = serial_of(privyseal, "lea")
    privyseal.works("certificate", "revoke", serial, "--reason", "certificate-hold")
    privyseal.works("directory", "withdraw", "--yes")
    privyseal.works("certificate", "release", serial)
    assert privyseal.json("directory", "deliver")["added"] == 0
    assert controller.values(dn, ATTRIBUTE) == []
    issue(privyseal, "mail", "lea", tmp_path / "2")
    serial = serial_of(privyseal, "lea")
    privyseal.works("certificate", "revoke", serial, "--reason", "certificate-hold")
    privyseal.works("directory", "deliver")
    with application(privyseal) as served:
        asyncio.run(served.deliveries.expire(now=served.clock.now() + timedelta(days=3660)))
    assert privyseal.json("directory", "deliveries") == []


def test_what_somebody_else_put_there_is_not_ours_to_take(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    dn = user(privyseal, controller, "byron")
    certificate = issue(privyseal, "mail", "byron", tmp_path / "1")
    controller.change(
        f"dn: {dn}\nchangetype: modify\nadd: {ATTRIBUTE}\n{ATTRIBUTE}:: {base64.b64encode(certificate).decode()}\n"
    )
    privyseal.works("directory", "deliver")
    assert privyseal.json("directory", "deliveries")[0]["ours"] is False
    privyseal.works("directory", "withdraw", "--yes")
    assert controller.values(dn, ATTRIBUTE) == [certificate]
    assert privyseal.json("directory", "deliveries") == []


def test_withdrawing_undoes_deliveries_of_one_profile_or_of_all(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    privyseal.works("profile", "create", "other", "--preset", "user-wifi", "--publish-to-directory")
    dn = user(privyseal, controller, "cora")
    first = issue(privyseal, "mail", "cora", tmp_path / "1")
    second = issue(privyseal, "other", "cora", tmp_path / "2")
    privyseal.works("directory", "deliver")
    assert set(controller.values(dn, ATTRIBUTE)) == {first, second}
    refused = privyseal("directory", "withdraw", "--profile", "mail")
    assert "error[7025]" in refused.err, "without a terminal it must be said"
    privyseal.works("directory", "withdraw", "--profile", "mail", "--yes")
    assert controller.values(dn, ATTRIBUTE) == [second]
    assert "error[7028]" in privyseal("directory", "remove-config", "samba").err
    privyseal.works("directory", "withdraw", "--yes")
    assert controller.values(dn, ATTRIBUTE) == []


def test_the_delegated_rights_are_enough_and_without_them_it_waits_in_sight(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    dn = user(privyseal, controller, "dora")
    machine = f"CN=svc-deliver,CN=Users,{BASE}"
    controller.add_user("svc-deliver")
    keytab = controller.keytab("svc-deliver")
    certificate = issue(privyseal, "mail", "dora", tmp_path / "1")
    privyseal.works("directory", "add", "samba", "--replace", "--uri", controller.ldap, "--keytab", str(keytab))
    assert privyseal.json("directory", "deliver")["postponed"] == 1
    assert privyseal.json("directory", "status")["deliveries"]["faults"][0]["code"] == 7008
    points = [point for point in privyseal("doctor", "-o", "json").data if point["check"] == "deliveries"]
    assert "[7008]" in points[0]["what"] and points[0]["level"] == "warning"
    words = ("--account", f"svc-deliver@{DNS_DOMAIN}", "--format", "samba", "--accounts-below", f"CN=Users,{BASE}")
    allow(controller, privyseal.works("directory", "delegate", *words).out)
    assert privyseal.json("directory", "deliver")["added"] == 1
    assert controller.values(dn, ATTRIBUTE) == [certificate]
    privyseal.works("directory", "withdraw", "--yes")
    assert controller.values(dn, ATTRIBUTE) == []
    assert "error[7008]" in privyseal("directory", "publish", "--yes").err, "those rights are for nothing else"
    assert controller.values(machine, "sAMAccountName") == [b"svc-deliver"]


def test_a_directory_that_is_away_loses_nothing_and_the_worker_comes_again(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    dn = user(privyseal, controller, "ella")
    certificate = issue(privyseal, "mail", "ella", tmp_path / "1")
    controller.stop()
    try:
        with application(privyseal) as served:
            asyncio.run(deliver_once(served))
            now = served.clock.now()
            assert served.deliveries.counts("samba")[DeliveryState.TO_ADD] == 1
            assert served.deliveries.faults("samba", most=5)[0][0] == 7001
            assert served.deliveries.due("samba", now=now, most=5) == (), "it waits before it tries again"
        assert "error[7001]" in privyseal("directory", "deliver").err
    finally:
        controller.start()
    with application(privyseal) as served:
        asyncio.run(served.deliveries.make_due("samba", now=served.clock.now()))
        asyncio.run(deliver_once(served))
    assert controller.values(dn, ATTRIBUTE) == [certificate]


def test_an_account_that_is_gone_keeps_nobody_else_waiting(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    gone, stays = user(privyseal, controller, "flora"), user(privyseal, controller, "gina")
    issue(privyseal, "mail", "flora", tmp_path / "1")
    certificate = issue(privyseal, "mail", "gina", tmp_path / "2")
    controller.change(f"dn: {gone}\nchangetype: delete\n")
    done = privyseal.json("directory", "deliver")
    assert (done["added"], done["postponed"], done["faults"][0]["code"]) == (1, 1, 7017)
    assert controller.values(stays, ATTRIBUTE) == [certificate]


def test_an_account_keeps_a_bounded_number_of_our_certificates(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    dn = user(privyseal, controller, "hanna")
    issued = [issue(privyseal, "mail", "hanna", tmp_path / str(number)) for number in range(MOST_EACH + 2)]
    privyseal.works("directory", "deliver")
    privyseal.works("directory", "deliver")
    assert set(controller.values(dn, ATTRIBUTE)) == set(issued[2:])


def test_a_user_of_no_account_gets_nothing_from_a_profile_of_the_directory(
    privyseal: CommandLine, tmp_path: Path
) -> None:
    privyseal.works("user", "create", "nobody")
    refused = privyseal("certificate", "issue", "--profile", "mail", "--user", "nobody", "--out", str(tmp_path / "1"))
    assert "error[7027]" in refused.err
    assert privyseal.json("directory", "deliveries") == []


def test_an_account_that_moved_is_found_by_its_sid(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    dn = user(privyseal, controller, "ida")
    certificate = issue(privyseal, "mail", "ida", tmp_path / "1")
    privyseal.works("directory", "deliver")
    controller.change(f"dn: {dn}\nchangetype: modrdn\nnewrdn: CN=ida the second\ndeleteoldrdn: 1\n")
    moved = f"CN=ida the second,CN=Users,{BASE}"
    assert controller.values(moved, ATTRIBUTE) == [certificate]
    privyseal.works("certificate", "revoke", serial_of(privyseal, "ida"))
    privyseal.works("directory", "add", "samba", "--replace", *as_administrator(controller))
    assert privyseal.json("directory", "deliver")["removed"] == 1
    assert controller.values(moved, ATTRIBUTE) == []


def test_the_name_of_an_account_reaches_the_screen_as_text(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    dn = user(privyseal, controller, "trick")
    issue(privyseal, "mail", "trick", tmp_path / "1")
    name = base64.b64encode(b"CN=trick\x1b[2J").decode()
    controller.change(f"dn: {dn}\nchangetype: modrdn\nnewrdn:: {name}\ndeleteoldrdn: 1\n")
    for command in ("deliver", "deliveries", "status"):
        said = privyseal.works("directory", command)
        assert "\x1b" not in said.out + said.err, command
    privyseal.works("directory", "withdraw", "--yes")


def test_an_answer_that_is_lost_leaves_an_intent_and_the_next_round_finds_out(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    dn = user(privyseal, controller, "jane")
    certificate = issue(privyseal, "mail", "jane", tmp_path / "1")
    with relayed(controller.address, 636) as relay:
        uri = f"{controller.ldaps}:{relay.port}"
        privyseal.works("directory", "add", "samba", "--replace", *as_administrator(controller, uri))
        known = DeliveryBook.intend

        async def intend(book: DeliveryBook, *arguments: Any, **named: Any) -> bool:
            taken = await known(book, *arguments, **named)
            relay.pass_answers(1)  # of the look before the change; that of the change itself is lost
            return taken

        with mock.patch.object(DeliveryBook, "intend", intend):
            assert "error[7001]" in privyseal("directory", "deliver").err
        (row,) = privyseal.json("directory", "deliveries")
        assert (row["state"], row["ours"], row["fault"][:4]) == ("to-add", True, "7001")
        assert controller.values(dn, ATTRIBUTE) == [certificate], "the controller had done it"
        relay.pass_answers(None)
        assert privyseal.json("directory", "deliver")["added"] == 1
    (row,) = privyseal.json("directory", "deliveries")
    assert (row["state"], row["ours"]) == ("present", True), "so it is ours to take back"
    privyseal.works("directory", "add", "samba", "--replace", *as_administrator(controller))
    privyseal.works("directory", "withdraw", "--yes")
    assert controller.values(dn, ATTRIBUTE) == []


def test_a_renewal_by_scep_takes_the_place_of_what_it_renews_and_an_expired_one_leaves(
    installation: Installation, controller: DomainController
) -> None:
    dn = computer(controller, "pc-renew", f"dNSHostName: pc-renew.{DNS_DOMAIN}")
    app, run = installation.app, installation.run
    config = DirectoryConfig(
        name="samba", uris=(controller.ldaps,), bind=BindKind.PASSWORD, account=ADMIN,
        secret_file=str(controller.password_file), ca_file=str(controller.ca_file),
    )  # fmt: skip
    run(app.directories.add(config, replace_existing=False, actor="test"))
    installation.profile(
        "account", names_from="directory", publish_to_directory=True, subject="CN={{device.dns_name}}", validity="90d"
    )
    device = Device(installation, profile="account")
    binding = DirectoryBinding("samba", Sid.parse(controller.sid(dn)))
    run(app.entities.change(device.entity, {}, enabled=None, actor="test", binding=binding))
    first = device.enroll()
    run(deliver_once(app))
    assert controller.values(dn, ATTRIBUTE) == [first]
    before = installation.count("audit")
    second = device.enroll(device.renewal())
    run(deliver_once(app))
    steps = [event for event in installation.events(before) if event.startswith("delivery.")]
    assert (steps[1], steps[-1]) == ("delivery.added", "delivery.removed"), "the new one stands before the old one goes"
    assert controller.values(dn, ATTRIBUTE) == [second]
    installation.clock.moved = timedelta(days=91)
    run(deliver_once(app))
    assert controller.values(dn, ATTRIBUTE) == []
    assert installation.count("deliveries") == 0
