# SPDX-License-Identifier: Apache-2.0
"""A CA that is paused while certificates of the same transaction are being reserved."""

from __future__ import annotations

import pytest

from privyseal.ca.lifecycle import CaEvent
from privyseal.errors import IssuerPaused
from privyseal.model.authority import CaState
from privyseal.model.certificate import CertificateKind
from privyseal.model.enrollment import Claim
from privyseal.store.authority_guard import guard_issuer
from privyseal.store.authority_life import shift
from privyseal.store.unit import Transaction
from tests.installation import ISSUING_CA, Installation


def test_a_ca_that_is_paused_in_the_same_transaction_reserves_nothing_after_it(installation: Installation) -> None:
    """Certificates of one transaction share what was read of their CA, until the transaction changes a CA."""
    form = installation.app.catalog.form("wifi-device")
    claim = Claim(kind=CertificateKind.END_ENTITY, protocol="scep", requester="test", issuer_version=1)
    row = (form.issuer.record.id, ISSUING_CA, 1, "active")

    def both(transaction: Transaction) -> None:
        guard_issuer(transaction, form.issuer.id, claim)
        shift(transaction, row, CaEvent.PAUSE, actor="test")
        guard_issuer(transaction, form.issuer.id, claim)

    with pytest.raises(IssuerPaused, match="a moment ago"):
        installation.run(installation.app.committer.run(both))
    assert installation.app.authorities.get(ISSUING_CA).state is CaState.ACTIVE
