# SPDX-License-Identifier: Apache-2.0
"""Notices by a real mail server: who is told of, once, over TLS with a password; and what happens when it says no."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from privyseal.bootstrap.notices import look_for_ends, notice_book, send_mails, send_test
from privyseal.errors import ConfigurationInvalid, NoticeNotSent
from privyseal.model.notice import MailSettings, mail_settings
from privyseal.worker import tell_of_ends
from tests.command_line import run_line
from tests.device import Device
from tests.e2e.test_api_server import server_certificate
from tests.installation import Installation
from tests.outside.mail_server import PASSWORD, REFUSED, USER, MailServer, mail_server

Start = Callable[[str], MailServer]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a mail server with this kind of TLS."""
    certificate, key = server_certificate(tmp_path)
    with ExitStack() as running:
        yield lambda tls: running.enter_context(mail_server(tmp_path, certificate=certificate, key=key, tls=tls))


def settings(installation: Installation, server: MailServer, **changes: Any) -> MailSettings:
    """Mail to that server, in force for the installation."""
    password = installation.home / "mail.pass"
    password.write_text(PASSWORD)
    password.chmod(0o600)
    found = {
        "server": f"127.0.0.1:{server.port}",
        "user": USER,
        "password_file": "mail.pass",
        "ca_file": str(server.place.parent / "api.pem"),
        "sender": "pki@example.com",
        "to": ["ada@example.com", "grace@example.com"],
    } | changes
    mail = mail_settings({name: value for name, value in found.items() if value is not None})
    object.__setattr__(installation.app, "settings", replace(installation.app.settings, mail=mail))
    return mail


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_ca_that_nobody_renews_is_told_of_once_at_each_threshold(
    installation: Installation, start: Start, tls: str
) -> None:
    server = start(tls)
    settings(installation, server, tls=tls)
    installation.found("short", validity=timedelta(days=100))
    assert installation.run(look_for_ends(installation.app)) == 0
    for days in (67, 68, 81, 82):
        installation.clock.moved = timedelta(days=days, hours=1)
        installation.work()
        installation.run(tell_of_ends(installation.app))
    mails = server.taken(2)
    assert [("66 %" in str(mail["text"]), "80 %" in str(mail["text"])) for mail in mails] == [
        (True, False),
        (False, True),
    ]
    for mail in mails:
        assert (mail["tls"], mail["to"]) == (True, ["ada@example.com", "grace@example.com"])
        assert "CA short v1" in str(mail["text"])
        assert PASSWORD not in str(mail["text"])
    assert installation.events().count("notice.given") == installation.events().count("notice.sent") == 2
    assert PASSWORD not in repr(installation.rows("SELECT * FROM audit"))


def test_what_renews_itself_is_not_told_of_and_what_missed_it_is(installation: Installation, start: Start) -> None:
    settings(installation, start("starttls"))
    device, by_hand = Device(installation), Device(installation)
    device.enroll()
    by_hand.enroll()
    installation.change("UPDATE certificates SET protocol = 'operator' WHERE id = (SELECT max(id) FROM certificates)")
    told = {}
    for days in (200, 310, 345):
        installation.clock.moved = timedelta(days=days)
        installation.work()
        installation.run(look_for_ends(installation.app))
        told[days] = [body for (body,) in installation.rows("SELECT body FROM mails ORDER BY id")]
    assert told[200] == []
    assert len(told[310]) == 1  # 85 % of its life: only what an operator issued
    assert device.entity.name not in told[310][0]
    assert by_hand.entity.name in told[310][0]
    assert len(told[345]) == 2  # 94 %: the device has missed its renewal
    assert device.entity.name in told[345][1]


def test_a_device_that_renewed_is_not_told_of(installation: Installation, start: Start) -> None:
    settings(installation, start("starttls"))
    device = Device(installation)
    device.enroll()
    installation.clock.moved = timedelta(days=345)
    installation.work()
    device.enroll()
    assert installation.run(look_for_ends(installation.app)) == 0


def test_a_mail_that_is_refused_waits_longer_each_time_and_is_given_up_after_a_week(
    installation: Installation, start: Start
) -> None:
    server = start("starttls")
    settings(installation, server, to=[REFUSED])
    installation.found("short", validity=timedelta(days=10))
    installation.clock.moved = timedelta(days=7)
    installation.run(tell_of_ends(installation.app))
    attempts = []
    for hours in range(0, 9 * 24, 1):
        installation.clock.moved = timedelta(days=7, hours=hours)
        installation.run(send_mails(installation.app))
        (mail,) = notice_book(installation.app).page(most=5)
        attempts.append(mail.attempts)
    assert mail.state == "given-up"
    assert mail.code == NoticeNotSent.code
    assert REFUSED in mail.what
    assert 20 < attempts[-1] < 45
    assert server.taken(0) == []
    assert "notice.given-up" in installation.events()


def test_a_wrong_password_an_unknown_server_or_no_tls_is_no_mail(installation: Installation, start: Start) -> None:
    server = start("starttls")
    mail = settings(installation, server)
    send_test(installation.app, mail)
    assert len(server.taken(1)) == 1
    with pytest.raises(NoticeNotSent, match="certificate"):
        send_test(installation.app, replace(mail, ca_file=""))
    with pytest.raises(NoticeNotSent, match=r"530|AUTH"):
        send_test(installation.app, replace(mail, user="", password_file=""))
    (installation.home / "mail.pass").write_text("wrong")
    with pytest.raises(NoticeNotSent, match="535") as seen:
        send_test(installation.app, mail)
    assert "wrong" not in seen.value.what
    with pytest.raises(NoticeNotSent, match="does not take it"):
        send_test(installation.app, replace(mail, port=1))


def test_notice_test_and_list_at_the_command_line(installation: Installation, start: Start) -> None:
    line = ("--home", str(installation.home), "notice")
    answer = run_line(*line, "test", "-o", "json")
    assert answer.error["code"] == ConfigurationInvalid.code
    server = start("none")
    path = installation.home / "privyseal.toml"
    path.write_text(
        path.read_text()
        + f'\n[mail]\nserver = "127.0.0.1:{server.port}"\ntls = "none"\nsender = "pki@example.com"\n'
        + 'to = ["ada@example.com"]\n'
    )
    assert run_line(*line, "test", "-o", "json").data["taken"] is True
    assert json.loads(run_line(*line, "list", "-o", "json").raw) == []


def test_without_mail_the_event_alone_tells_webhooks(installation: Installation) -> None:
    installation.found("short", validity=timedelta(days=10))
    installation.clock.moved = timedelta(days=8)
    assert installation.run(look_for_ends(installation.app)) == 1
    assert installation.count("mails") == 0
    assert installation.events()[-1] == "notice.given"
