# SPDX-License-Identifier: Apache-2.0
"""Notices: each threshold once, the nearest end first, one digest whatever their number."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privyseal.administration.notices import digest, due_notices
from privyseal.errors import InvalidValue
from privyseal.model.notice import Ending, MailTls, mail_settings

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
MAIL = {"server": "smtp.example.com:587", "sender": "pki@example.com", "to": ["ada@example.com"]}


def ending(name: str = "ca:root v1", days: int = 100) -> Ending:
    return Ending(
        subject=name, shown=name, begins=BEGIN, ends=BEGIN + timedelta(days=days), mend="privyseal ca renew root"
    )


@given(st.lists(st.integers(0, 150), min_size=1, max_size=40))
def test_each_threshold_is_told_once_whatever_the_days_of_looking(days: list[int]) -> None:
    told: dict[str, int] = {}
    seen = []
    for day in days:
        for notice in due_notices([ending()], told, (66, 80, 100), now=BEGIN + timedelta(days=day)):
            seen.append(notice.percent)
            told[notice.ending.subject] = notice.percent
    assert seen == sorted(set(seen))
    assert set(seen) <= {66, 80, 100}
    assert (max(days) >= 66) == bool(seen)


def test_the_nearest_end_comes_first_and_what_has_ended_is_said() -> None:
    now = BEGIN + timedelta(days=95)
    found = due_notices([ending("b", 100), ending("a", 90), ending("c", 1000)], {}, (66,), now=now)
    assert [notice.ending.subject for notice in found] == ["a", "b"]
    title, body = digest(found, organization="Example", now=now)
    assert title == "2 certificates of Example will not renew by themselves"
    assert "1 ended already" in body
    assert body.index("ended 2026-04-01") < body.index("ends 2026-04-11")


def test_a_thousand_ends_make_one_mail_of_bounded_length() -> None:
    now = BEGIN + timedelta(days=95)
    found = due_notices([ending(f"ca:{number}") for number in range(1000)], {}, (66,), now=now)
    title, body = digest(found, organization="Example", now=now)
    assert title.startswith("1000 certificates")
    assert "and 900 more" in body
    assert len(body) < 20_000


def test_a_life_of_no_length_is_over() -> None:
    assert ending(days=0).percent(BEGIN) == 100
    assert ending().percent(BEGIN - timedelta(days=3)) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"server": "smtp.example.com"},
        {"server": "smtp.example.com:99999"},
        {"tls": "maybe"},
        {"tls": "none"},
        {"user": "pki"},
        {"to": []},
        {"to": ["ada@example.com\nBcc: eve@example.com"]},
        {"sender": "nobody"},
        {"at_percent": [0]},
        {"at_percent": "66"},
        {"password": "secret"},
        {"ca_file": 3},
    ],
)
def test_what_is_wrong_in_the_settings_is_said(change: dict[str, object]) -> None:
    with pytest.raises(InvalidValue, match="mail"):
        mail_settings({**MAIL, **change})


def test_mail_is_protected_unless_it_stays_on_this_machine() -> None:
    assert mail_settings(MAIL).tls is MailTls.STARTTLS
    assert mail_settings({**MAIL, "server": "127.0.0.1:25", "tls": "none"}).tls is MailTls.NONE
    with pytest.raises(InvalidValue):
        mail_settings("smtp")
