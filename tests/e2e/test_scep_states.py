# SPDX-License-Identifier: Apache-2.0
"""What SCEP says when there is nothing to give: each has its own code inside, and little outside."""

from __future__ import annotations

import pytest

from privyseal.endpoints.problems import http_status
from privyseal.errors import NextCaNotAvailable, UnknownTransaction
from tests.device import Device
from tests.installation import Installation


def test_no_next_ca_is_not_found(shared: Installation) -> None:
    assert shared.get("/scep/wifi-device?operation=GetNextCACert").status == 404
    assert http_status(NextCaNotAvailable("no successor")) == 404


def test_a_poll_for_a_transaction_nobody_began_is_unknown(shared: Installation) -> None:
    device = Device(shared)
    with pytest.raises(UnknownTransaction):
        shared.run(
            shared.app.registration.poll(
                device.profile, "never begun", signer_certificate=device.self_signed.certificate, incident=""
            )
        )
