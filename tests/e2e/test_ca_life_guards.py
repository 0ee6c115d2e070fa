# SPDX-License-Identifier: Apache-2.0
"""What must not end too early or begin too soon in the life of a CA: CRLs of what is revoked, and second versions."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509

from privyseal.errors import ActBlocked, IssuerNotActive, NameTaken
from privyseal.model.authority import CaState
from privyseal.model.revocation import CrlReason
from privyseal.protocols.scep.messages import PkiStatus
from tests.device import Device
from tests.e2e.test_ca_life import ALL_GATES, act, state
from tests.installation import ISSUING_CA, ROOT_CA, Installation

AFTER = timedelta(days=40)
"""Later than the time within which a superseded version can come back."""


def listed(service: Installation, name: str) -> set[int]:
    """Serials in the CRL of version 1 that is served, and that it is good now."""
    crl = x509.load_der_x509_crl(service.get(f"/crl/{name}/v1.crl").body)
    assert crl.next_update_utc is not None
    assert crl.next_update_utc > service.clock.now()
    return {entry.serial_number for entry in crl}


@pytest.mark.parametrize("reason", [CrlReason.KEY_COMPROMISE, CrlReason.CERTIFICATE_HOLD])
def test_a_superseded_version_goes_on_telling_what_it_revoked(installation: Installation, reason: CrlReason) -> None:
    installation.profile("wifi-device", validity="60d")
    leaf = x509.load_der_x509_certificate(Device(installation).enroll())
    installation.revoke(leaf, reason)
    act(installation, "ca.renew", name=ISSUING_CA)
    act(installation, "ca.activate", name=ISSUING_CA, accept=ALL_GATES)
    installation.clock.moved = AFTER
    installation.work()
    assert state(installation) is CaState.SUPERSEDED
    assert listed(installation, ISSUING_CA) == {leaf.serial_number}
    installation.clock.moved = timedelta(days=61)
    installation.work()
    assert state(installation) is CaState.RETIRED


def test_a_superseded_root_goes_on_telling_that_a_ca_below_it_is_revoked(installation: Installation) -> None:
    serial = installation.issuer.view.serial
    act(installation, "ca.revoke", name=ISSUING_CA)
    act(installation, "ca.renew", name=ROOT_CA)
    act(installation, "ca.activate", name=ROOT_CA, accept=ALL_GATES)
    act(installation, "ca.delete", name=ISSUING_CA)
    installation.clock.moved = AFTER
    installation.work()
    assert state(installation, ROOT_CA) is CaState.SUPERSEDED
    assert listed(installation, ROOT_CA) == {serial}


def test_a_name_has_one_staged_version(installation: Installation) -> None:
    """Two processes that renew at the same moment may both find that nothing is staged."""
    act(installation, "ca.renew", name=ISSUING_CA)
    staged = installation.app.authorities.get(ISSUING_CA, 2)
    with pytest.raises(NameTaken, match="staged"):
        installation.run(installation.app.authorities.add(replace(staged, version=3, key_ref="k"), actor="test"))


def test_a_version_whose_key_has_an_heir_stays_while_its_url_tells_of_what_is_revoked(
    installation: Installation,
) -> None:
    """The heir makes the CRL, but certificates of the older version name the URL of that one."""
    installation.profile("wifi-device", validity="60d")
    leaf = x509.load_der_x509_certificate(Device(installation).enroll())
    installation.revoke(leaf)
    act(installation, "ca.renew", name=ISSUING_CA, same_key=True)
    act(installation, "ca.activate", name=ISSUING_CA, accept=ALL_GATES)
    installation.clock.moved = AFTER
    installation.work()
    assert state(installation) is CaState.RETIRED
    with pytest.raises(ActBlocked, match=r"1 revoked certificate\(s\) of CA issuing v1 have not ended"):
        act(installation, "ca.delete", name=ISSUING_CA, version="1")
    assert listed(installation, ISSUING_CA) == {leaf.serial_number}
    installation.clock.moved = timedelta(days=61)
    act(installation, "ca.delete", name=ISSUING_CA, version="1")


def test_a_ca_below_a_revoked_one_issues_nothing_and_goes_on_telling_of_what_it_issued(
    installation: Installation,
) -> None:
    middle = installation.found("middle")
    device = Device(installation)
    leaf = x509.load_der_x509_certificate(device.enroll())
    parent = installation.app.authorities.get(ROOT_CA).id
    # As if the issuing CA stood below it.
    installation.change(
        "UPDATE authorities SET parent_id = ? WHERE name = ? AND parent_id = ?", middle.record.id, ISSUING_CA, parent
    )
    act(installation, "ca.revoke", name="middle", override=True)
    before = installation.count("certificates")
    sent = device.request()
    assert device.send(sent).status is PkiStatus.FAILURE
    assert device.refusal()[0] == IssuerNotActive.code
    assert installation.count("certificates") == before
    installation.revoke(leaf)
    assert listed(installation, ISSUING_CA) == {leaf.serial_number}
