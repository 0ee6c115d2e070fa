# SPDX-License-Identifier: Apache-2.0
"""Whoever is kept out while a request is on its way gets nothing: the store looks once more before it reserves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from privyseal.ca.issuance import LintedTbs
from privyseal.errors import EnrollmentBlocked, EntityDisabled, PrivysealError, WeakKey
from privyseal.model.enrollment import Claim
from privyseal.model.entity import EndEntity
from privyseal.model.revocation import CrlReason, Revocation
from privyseal.model.search.grammar import parse_search
from privyseal.store.certificates import CertificateLedger
from privyseal.x509.csr import parse_request
from tests.device import Device
from tests.installation import PROFILE, Installation, fixture_installation, fixture_installations
from tests.stores import fixture_store_engine

__all__ = ["fixture_installation", "fixture_installations", "fixture_store_engine"]
Meanwhile = Callable[[Installation, EndEntity, EndEntity], Awaitable[object]]


def revoked(reason: CrlReason, *, of_other: bool = False) -> Meanwhile:
    """Somebody revokes the certificate of the device, or that of the other one with the same key."""

    async def work(service: Installation, device: EndEntity, other: EndEntity) -> None:
        name = other.name if of_other else device.name
        found = parse_search(f"device:{name}", now=service.clock.now())
        records = service.app.inventory.page(found, limit=1).records
        revocation = Revocation(service.clock.now().replace(microsecond=0), reason)
        await service.app.bulk.revoke(records, revocation=revocation, block=not of_other, actor="test")

    return work


async def disabled(service: Installation, device: EndEntity, _: EndEntity) -> None:
    await service.app.entities.change(device, {}, enabled=False, actor="test")


@pytest.mark.parametrize(
    ("meanwhile", "error"),
    [
        (revoked(CrlReason.PRIVILEGE_WITHDRAWN), EnrollmentBlocked),
        (revoked(CrlReason.KEY_COMPROMISE, of_other=True), WeakKey),
        (disabled, EntityDisabled),
    ],
)
def test_what_became_true_on_the_way_counts(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, meanwhile: Meanwhile, error: type[PrivysealError]
) -> None:
    device, other = installation.device(), installation.device()
    request = parse_request(Device(installation).csr(challenge=None))
    issue_for = installation.app.registration.issue_for
    for entity in (device, other):
        installation.run(issue_for(entity, PROFILE, request, requester="test"))
    reserve, before = CertificateLedger.reserve, installation.count("certificates")

    async def late(ledger: CertificateLedger, linted: LintedTbs, claim: Claim) -> int:
        await meanwhile(installation, device, other)
        return await reserve(ledger, linted, claim)

    monkeypatch.setattr(CertificateLedger, "reserve", late)
    with pytest.raises(error):
        installation.run(issue_for(device, PROFILE, request, requester="test"))
    assert installation.count("certificates") == before
