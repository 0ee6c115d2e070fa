# SPDX-License-Identifier: Apache-2.0
"""Questions about serials that nobody can have, and questions made to fill the memory."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.x509 import ocsp

from privyseal.endpoints.ocsp import OcspEndpoint
from privyseal.protocols.scep.messages import FailInfo, PkiStatus
from privyseal.x509 import der, oids
from tests.device import Device
from tests.installation import Installation


def question(service: Installation, serial: int, *, name: bytes = b"") -> bytes:
    """An OCSP request about any INTEGER, with a requestorName when one is given."""
    view = service.issuer.view
    bits = list(der.read(view.spki).children())[1].contents[1:]
    hashes = [der.octet_string(hashlib.sha1(octets, usedforsecurity=False).digest()) for octets in (view.subject, bits)]
    cert_id = der.sequence(der.sequence(der.oid(oids.SHA1), der.null()), *hashes, der.integer(serial))
    asker = [der.explicit(1, der.tlv(0x82, name))] if name else []
    return der.sequence(der.sequence(*asker, der.sequence(der.sequence(cert_id))))


@pytest.mark.parametrize("serial", [-1, -(1 << 100) - 5, 0, 1 << 200])
def test_ocsp_does_not_know_a_serial_that_nobody_can_have(shared: Installation, serial: int) -> None:
    answer = shared.post("/ocsp/issuing/v1", question(shared, serial))
    assert answer.status == 200
    assert ocsp.load_der_ocsp_response(answer.body).certificate_status is ocsp.OCSPCertStatus.UNKNOWN


@pytest.mark.parametrize("serial", [-1, -(1 << 100) - 5, 0, 1 << 4000])
def test_get_cert_has_no_certificate_of_such_a_serial(shared: Installation, serial: int) -> None:
    device = Device(shared)
    device.enroll()
    reply = device.send(device.get_cert(serial, by=device.holder))
    assert (reply.status, reply.fail_info) == (PkiStatus.FAILURE, FailInfo.BAD_CERT_ID)


def test_the_answer_to_a_bloated_question_is_not_kept(shared: Installation) -> None:
    endpoint = shared.http.routes["ocsp"].handler
    assert isinstance(endpoint, OcspEndpoint)
    before = len(endpoint._kept)
    for number in range(5):
        assert (
            shared.post("/ocsp/issuing/v1", question(shared, 4711, name=bytes(15_000) + bytes((number,)))).status == 200
        )
    assert len(endpoint._kept) == before
    shared.post("/ocsp/issuing/v1", question(shared, 4711))
    assert len(endpoint._kept) == before + 1
