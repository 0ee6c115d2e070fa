# SPDX-License-Identifier: Apache-2.0
"""What strangers can make grow is forgotten after a while; certificates and the audit trail never are."""

from __future__ import annotations

from datetime import timedelta

from privyseal.model.retention import KEPT
from privyseal.store.schema import metadata
from tests.device import Device
from tests.installation import Installation, Installations


def test_refused_attempts_and_unused_challenges_are_forgotten_and_nothing_else(installations: Installations) -> None:
    installation = installations()
    device = Device(installation)
    device.enroll()
    installation.post(f"/scep/{device.profile}?operation=PKIOperation", b"not a message")
    installation.challenge(installation.device())
    audit = installation.count("audit")
    states = "SELECT state FROM enrollments ORDER BY id"
    installation.work()
    assert installation.rows(states) == [("issued",), ("refused",)]
    assert installation.count("challenges") == 2

    installation.clock.moved = timedelta(days=KEPT["enrollments"].days or 0, hours=2)
    installation.work()
    assert installation.rows(states) == [("issued",)]
    assert installation.rows("SELECT count(*) FROM challenges WHERE used_at IS NULL") == [(0,)]
    assert installation.count("challenges") == 1
    assert installation.count("audit") >= audit
    assert installation.events().count("retention.cut") == 2


def test_every_table_has_a_rule_and_every_rule_a_reason() -> None:
    assert metadata.tables.keys() - KEPT.keys() == set()
    for name, kept in KEPT.items():
        assert kept.why
        assert kept.days is None or kept.age, name
        table = metadata.tables.get(name)
        if table is not None:
            assert not kept.age or kept.age in table.columns, name
            assert not kept.grows_with or kept.grows_with in KEPT, name


def test_what_is_there_is_told_with_its_growth_and_a_forecast(installation: Installation) -> None:
    Device(installation).enroll()
    installation.work()
    now = int(installation.clock.now().timestamp())
    found = {facts.name: facts for facts in installation.app.retention.survey(now=now)}
    assert found.keys() == metadata.tables.keys()
    for name in ("certificates", "audit", "enrollments"):
        assert found[name].rows == installation.count(name)
        assert found[name].per_day == found[name].rows  # all of today
        assert found[name].in_a_year() > 300 * found[name].octets
    assert found["certificate_tbs"].per_day == found["certificates"].per_day
    assert found["certificate_tbs"].octets > 500 * found["certificate_tbs"].rows
    assert found["leases"].in_a_year() == found["leases"].octets


def test_a_cut_is_bounded(installation: Installation) -> None:
    for _ in range(5):
        installation.challenge(installation.device())
    installation.clock.moved = timedelta(days=100)
    assert installation.run(installation.app.retention.cut(most=2)) == {"challenges": 2}
    assert installation.run(installation.app.retention.cut(most=9)) == {"challenges": 3}
    assert installation.run(installation.app.retention.cut(most=9)) == {}
