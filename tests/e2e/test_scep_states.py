# SPDX-License-Identifier: Apache-2.0
"""What SCEP says when there is nothing to give: each has its own code inside, and little outside."""

from __future__ import annotations

import pytest

from privyseal.adapters import scep_client
from privyseal.cli.exits import Exit, exit_code
from privyseal.endpoints.problems import http_status
from privyseal.errors import EnrollmentPending, NextCaNotAvailable, UnknownTransaction
from privyseal.protocols.scep.messages import PkiStatus, Reply
from tests.device import Device
from tests.installation import Installation
from tests.scep_messages import rsa_key


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


def test_the_built_in_client_says_that_somebody_has_to_approve_first() -> None:
    key = rsa_key("device")
    with pytest.raises(EnrollmentPending) as raised:
        scep_client.issued_to(Reply(PkiStatus.PENDING, None, "", (), ()), key)
    assert exit_code(raised.value) is Exit.PENDING
