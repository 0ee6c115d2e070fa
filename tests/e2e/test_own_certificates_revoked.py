# SPDX-License-Identifier: Apache-2.0
"""Revoking what the PKI made for itself: a CA, an RA or a responder acts no more from the same moment."""

from __future__ import annotations

import pytest
from cryptography.x509 import ocsp

from privyseal.ca.issuer import Issuer
from privyseal.errors import IssuerNotActive
from privyseal.model.authority import CaState
from privyseal.model.certificate import CertificateKind
from privyseal.model.crl import CrlScope
from privyseal.model.revocation import CrlReason
from privyseal.x509.certificate import read_certificate
from tests.device import Device
from tests.e2e.test_status import question, status
from tests.installation import ISSUING_CA, ROOT_CA, Installation


def revoke(service: Installation, issuer: Issuer, serial: int) -> None:
    """Revokes under any CA, not only under the issuing one."""
    signer = service.app.catalog.signer(issuer.id)
    work = service.app.status.revoke(
        issuer, serial, signer=signer, reason=CrlReason.KEY_COMPROMISE, invalid_since=None, actor="test"
    )
    service.run(work)


def test_a_revoked_ca_issues_nothing_and_its_crl_and_ocsp_go_on(installation: Installation) -> None:
    device, issuing = Device(installation), installation.issuer
    leaf, before = device.enroll(), installation.count("certificates")
    sent = device.request()
    revoke(installation, installation.app.catalog.issuer(ROOT_CA), issuing.view.serial)
    assert installation.app.authorities.get(ISSUING_CA).state is CaState.REVOKED
    assert "ca.revoked" in installation.events()
    assert device.post(sent.message).status == 403
    assert installation.count("certificates") == before
    with pytest.raises(IssuerNotActive):
        installation.app.catalog.form(device.profile)

    number = installation.app.crls.in_force(issuing.id, CrlScope())
    installation.clock.moved = issuing.record.crl.publish_every
    installation.work()
    later = installation.app.crls.in_force(issuing.id, CrlScope())
    assert number is not None
    assert later is not None
    assert later.number > number.number
    assert installation.get(f"/crl/{ISSUING_CA}/v1.crl").body == installation.app.crls.encoded(issuing.id, later.number)
    assert (
        ocsp.load_der_ocsp_response(
            installation.post("/ocsp/issuing/v1", question(leaf, issuing.view.encoded)).body
        ).certificate_status
        is ocsp.OCSPCertStatus.GOOD
    )


@pytest.mark.parametrize("kind", [CertificateKind.RA, CertificateKind.OCSP])
def test_a_revoked_service_certificate_is_replaced_and_not_used_again(
    installation: Installation, kind: CertificateKind
) -> None:
    device, issuing = Device(installation), installation.issuer
    old = installation.app.catalog.services(issuing.id, kind)[0]
    revoke(installation, issuing, read_certificate(old.certificate).serial)
    assert installation.app.catalog.services(issuing.id, kind) == ()
    installation.work()
    (new,) = installation.app.catalog.services(issuing.id, kind)
    assert new.certificate != old.certificate
    assert status(installation, device.enroll()) is ocsp.OCSPCertStatus.GOOD
