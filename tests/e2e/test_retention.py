# SPDX-License-Identifier: Apache-2.0
"""What strangers can make grow is forgotten after a while; certificates and the audit trail never are."""

from __future__ import annotations

from datetime import timedelta

from privyseal.worker import RETENTION
from tests.device import Device
from tests.installation import Installations


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

    installation.clock.moved = RETENTION + timedelta(hours=2)
    installation.work()
    assert installation.rows(states) == [("issued",)]
    assert installation.rows("SELECT count(*) FROM challenges WHERE used_at IS NULL") == [(0,)]
    assert installation.count("challenges") == 1
    assert installation.count("audit") >= audit
