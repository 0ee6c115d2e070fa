# SPDX-License-Identifier: Apache-2.0
"""A key that was reported as compromised never gets another certificate, by no way in."""

from __future__ import annotations

import pytest

from privyseal.errors import WeakKey
from privyseal.model.revocation import CrlReason
from privyseal.x509.csr import parse_request
from tests.device import Device
from tests.installation import Installation


def test_a_key_revoked_as_compromised_is_refused_for_everybody(installation: Installation) -> None:
    device = Device(installation)
    installation.revoke(device.enroll(), CrlReason.KEY_COMPROMISE)
    assert device.refused(device.request()) == 6005
    assert Device(installation).refused(Device(installation).request()) == 6005  # the same test key, another device
    with pytest.raises(WeakKey, match="compromised"):
        request = parse_request(device.csr(challenge=None))
        installation.run(
            installation.app.registration.issue_for(device.entity, device.profile, request, requester="test")
        )


def test_a_key_revoked_for_another_reason_may_be_used_again(installation: Installation) -> None:
    device = Device(installation)
    installation.revoke(device.enroll(), CrlReason.SUPERSEDED)
    device.enroll()
