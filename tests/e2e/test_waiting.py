# SPDX-License-Identifier: Apache-2.0
"""Enrollments that wait for an operator: nobody else hides them, and what becomes of an approved one is on record."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from privyseal.errors import ChallengeUsed, EntityDisabled, KeyNotAcceptable, PrivysealError
from privyseal.model.enrollment import EnrollmentState
from privyseal.protocols.scep.messages import PkiStatus
from privyseal.x509 import der, oids
from tests.device import Device, Sent, parsed
from tests.installation import Installation
from tests.scep_messages import Holder, certificate


@pytest.fixture(name="manual")
def fixture_manual(installation: Installation) -> Device:
    """A device of a profile whose enrollments wait."""
    installation.profile("manual", approval="manual")
    return Device(installation, profile="manual")


def approved(manual: Device) -> Sent:
    """A request that waited and was approved."""
    sent = manual.request()
    assert manual.send(sent).status is PkiStatus.PENDING
    approve(manual.service)
    return sent


def approve(service: Installation) -> None:
    """Approves the one that waits."""
    ((waiting,),) = service.rows("SELECT id FROM enrollments WHERE state = 'waiting'")
    service.run(service.app.enrollments.decide(waiting, EnrollmentState.APPROVED, actor="test"))


def test_a_stranger_cannot_bury_a_waiting_enrollment_under_refused_attempts(manual: Device) -> None:
    sent = manual.request()
    manual.send(sent)
    thief = Device(manual.service, profile="manual", key_name="thief")
    for _ in range(33):
        thief.refused(thief.message(thief.csr(challenge="wrong"), transaction_id=sent.transaction_id))
    assert manual.send(manual.poll(sent)).status is PkiStatus.PENDING
    approve(manual.service)
    assert manual.enroll(manual.poll(sent))


def test_an_own_later_attempt_that_was_refused_does_not_end_the_waiting_one(manual: Device) -> None:
    sent = manual.request()
    manual.send(sent)
    manual.refused(manual.message(manual.csr(challenge="wrong"), transaction_id=sent.transaction_id))
    assert manual.send(manual.poll(sent)).status is PkiStatus.PENDING


def test_whoever_signs_with_a_version_1_certificate_can_poll(manual: Device) -> None:
    holder = Holder(manual.key, version_1(manual.key))
    sent = manual.request(by=holder)
    assert manual.send(sent).status is PkiStatus.PENDING
    assert manual.send(manual.poll(sent, by=holder)).status is PkiStatus.PENDING
    approve(manual.service)
    issued = parsed(manual.enroll(manual.poll(sent, by=holder)))
    assert manual.send(manual.get_cert(issued.serial_number, by=holder)).status is PkiStatus.SUCCESS


def version_1(key: rsa.RSAPrivateKey) -> bytes:
    """A self-signed certificate without version and extensions."""
    fields = der.read(parsed(certificate(key, "device", serial_number=1)).tbs_certificate_bytes).children()
    tbs = der.sequence(*[field.encoded for field in fields if field.tag not in (0xA0, 0xA3)])
    algorithm = der.sequence(der.oid(oids.SHA256_WITH_RSA), der.null())
    return der.sequence(tbs, algorithm, der.bit_string(key.sign(tbs, padding.PKCS1v15(), hashes.SHA256())))


@pytest.mark.parametrize("cause", [EntityDisabled, KeyNotAcceptable])
def test_an_approved_enrollment_that_may_no_longer_be_granted_is_refused_on_record(
    manual: Device, cause: type[PrivysealError]
) -> None:
    service, sent = manual.service, approved(manual)
    if cause is EntityDisabled:
        service.run(service.app.entities.change(manual.entity, {}, enabled=False, actor="test"))
    else:
        service.profile("manual", approval="manual", key={"rsa_minimum": 3072})
    before = service.count("certificates")
    assert manual.send(manual.poll(sent)).status is PkiStatus.FAILURE
    assert service.count("certificates") == before
    assert manual.refusal()[0] == cause.code
    assert service.events()[-1] == "enrollment.refused"
    assert service.rows("SELECT code FROM enrollments WHERE state = 'failed'") == [(cause.code,)]


def test_an_expired_certificate_is_not_handed_out_again(installation: Installation) -> None:
    installation.profile("short", validity="1h")
    device = Device(installation, profile="short")
    sent = device.request()
    issued = device.enroll(sent)
    assert device.enroll(sent) == issued
    installation.clock.moved = timedelta(hours=2)
    assert device.refused(sent) == ChallengeUsed.code
