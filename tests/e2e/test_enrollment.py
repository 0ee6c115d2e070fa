# SPDX-License-Identifier: Apache-2.0
"""Enrollment through the SCEP endpoint: idempotency, waiting, renewal, look-ups, and who gets nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from privyseal.errors import (
    ChallengeUsed,
    EnrollmentRejected,
    NextCaNotAvailable,
    NotAuthenticated,
    RenewalSignerRefused,
    RenewalTooEarly,
    TransactionReused,
    UnknownTransaction,
)
from privyseal.model.authority import CaKind
from privyseal.model.enrollment import EnrollmentState
from privyseal.protocols.cms_read import read_signed_data
from privyseal.protocols.scep import client
from privyseal.protocols.scep.messages import FailInfo, PkiStatus, Reply
from privyseal.x509.names import DistinguishedName
from tests.device import GET_CRL, PKCS_REQ, Device, Sent, parsed
from tests.installation import ISSUING_CA, Installation
from tests.scep_messages import Holder, certificate, rsa_key


@pytest.fixture
def device(installation: Installation) -> Device:
    return Device(installation)


@pytest.fixture
def manual(installation: Installation) -> Device:
    installation.profile("manual", approval="manual")
    return Device(installation, profile="manual")


def together(device: Device, messages: list[Sent]) -> list[Reply]:
    """Sends all of them at once."""
    service = device.service

    async def all_of_them() -> list[Reply]:
        target = f"{device.path}?operation=PKIOperation"
        answers = await asyncio.gather(*(service.call("POST", target, sent.message) for sent in messages))
        return [device.read(answer, sent) for answer, sent in zip(answers, messages, strict=True)]

    return service.run(all_of_them())


def decide(service: Installation, state: EnrollmentState) -> None:
    """An operator decides everything that waits."""
    for (number,) in service.rows("SELECT id FROM enrollments WHERE state = 'waiting'"):
        service.run(service.app.enrollments.decide(number, state, actor="operator"))


# --- idempotency --------------------------------------------------------------------------------------


def test_eight_identical_messages_at_once_make_one_certificate_and_all_get_it(device: Device) -> None:
    sent, before = device.request(), device.service.count("certificates")
    replies = together(device, [sent] * 8)
    assert device.service.count("certificates") == before + 1
    assert {reply.status for reply in replies} <= {PkiStatus.SUCCESS, PkiStatus.PENDING}
    granted = {reply.certificates for reply in replies if reply.status is PkiStatus.SUCCESS}
    assert len(granted) == 1
    for reply in (device.send(device.poll(sent)), device.send(sent)):
        assert {reply.certificates} == granted


def test_eight_messages_built_anew_for_one_transaction_make_one_certificate(device: Device) -> None:
    csr, before = device.csr(), device.service.count("certificates")
    together(device, [device.message(csr, transaction_id="one") for _ in range(8)])
    assert device.service.count("certificates") == before + 1


def test_one_challenge_in_eight_transactions_at_once_gives_one_certificate(device: Device) -> None:
    csr, before = device.csr(), device.service.count("certificates")
    replies = together(device, [device.message(csr) for _ in range(8)])
    assert device.service.count("certificates") == before + 1
    assert sorted(reply.status for reply in replies) == [PkiStatus.SUCCESS] + [PkiStatus.FAILURE] * 7
    assert device.refusal()[0] == ChallengeUsed.code


def test_two_keys_in_one_transaction_at_once_give_one_certificate(device: Device) -> None:
    other = Device(device.service, key_name="thief")
    before = device.service.count("certificates")
    replies = together(device, [owner.request(transaction_id="shared") for owner in (device, other)])
    assert device.service.count("certificates") == before + 1
    assert sorted(reply.status for reply in replies) == [PkiStatus.SUCCESS, PkiStatus.FAILURE]
    assert device.refusal()[0] == TransactionReused.code


def test_a_revoked_certificate_is_not_handed_out_again(device: Device) -> None:
    sent = device.request()
    device.service.revoke(device.enroll(sent))
    assert device.refused(sent) == ChallengeUsed.code
    assert device.send(device.poll(sent)).status is PkiStatus.FAILURE


# --- waiting for an operator ------------------------------------------------------------------------------


def test_pending_then_approved_then_polled(manual: Device) -> None:
    sent, before = manual.request(), manual.service.count("certificates")
    for message in (sent, sent, manual.poll(sent)):
        assert manual.send(message).status is PkiStatus.PENDING
    assert manual.service.count("enrollments") == 1
    decide(manual.service, EnrollmentState.APPROVED)
    issued = manual.enroll(manual.poll(sent))
    assert manual.service.count("certificates") == before + 1
    assert manual.enroll(manual.poll(sent)) == issued
    assert manual.enroll(sent) == issued
    events = manual.service.events()
    assert "enrollment.waiting" in events
    assert "enrollment.approved" in events


def test_pending_then_rejected_is_a_failure(manual: Device, caplog: pytest.LogCaptureFixture) -> None:
    sent = manual.request()
    manual.send(sent)
    decide(manual.service, EnrollmentState.REFUSED)
    assert manual.send(manual.poll(sent)).status is PkiStatus.FAILURE
    assert f"[{EnrollmentRejected.code}]" in caplog.text
    assert manual.send(sent).status is PkiStatus.FAILURE  # its challenge is spent
    assert "enrollment.refused" in manual.service.events()


def test_one_challenge_makes_one_waiting_enrollment_however_often_it_is_used_at_once(manual: Device) -> None:
    csr = manual.csr()
    sent = manual.message(csr)
    replies = together(manual, [sent] * 4 + [manual.message(csr) for _ in range(4)])
    assert manual.service.rows("SELECT count(*) FROM enrollments WHERE state = 'waiting'") == [(1,)]
    assert PkiStatus.PENDING in {reply.status for reply in replies}
    assert {reply.status for reply in replies} <= {PkiStatus.PENDING, PkiStatus.FAILURE}


def test_a_waiting_transaction_is_not_taken_over_by_another_key(manual: Device) -> None:
    sent = manual.request()
    thief = Device(manual.service, profile="manual", key_name="thief")
    together(manual, [sent, thief.request(transaction_id=sent.transaction_id)])
    assert manual.service.rows("SELECT count(*) FROM enrollments WHERE state = 'waiting'") == [(1,)]
    assert thief.refused(thief.request(transaction_id=sent.transaction_id)) == TransactionReused.code


def test_eight_polls_at_once_after_approval_make_one_certificate_and_no_failure(manual: Device) -> None:
    sent, before = manual.request(), manual.service.count("certificates")
    manual.send(sent)
    decide(manual.service, EnrollmentState.APPROVED)
    replies = together(manual, [manual.poll(sent) for _ in range(8)])
    assert manual.service.count("certificates") == before + 1
    assert {reply.status for reply in replies} <= {PkiStatus.SUCCESS, PkiStatus.PENDING}
    assert PkiStatus.SUCCESS in {reply.status for reply in replies}


def test_somebody_else_cannot_poll(manual: Device) -> None:
    sent = manual.request()
    manual.send(sent)
    decide(manual.service, EnrollmentState.APPROVED)
    stranger = Device(manual.service, profile="manual", key_name="stranger")
    assert manual.send(stranger.poll(sent)).status is PkiStatus.FAILURE
    assert manual.enroll(manual.poll(sent))


def test_a_poll_for_a_transaction_that_never_was_is_a_failure(device: Device, caplog: pytest.LogCaptureFixture) -> None:
    assert device.send(device.poll(device.request())).status is PkiStatus.FAILURE
    assert f"[{UnknownTransaction.code}]" in caplog.text


def test_a_device_that_was_disabled_while_waiting_gets_nothing(manual: Device) -> None:
    sent, service = manual.request(), manual.service
    manual.send(sent)
    service.run(service.app.entities.change(manual.entity, {}, enabled=False, actor="test"))
    decide(service, EnrollmentState.APPROVED)
    before = service.count("certificates")
    assert manual.send(manual.poll(sent)).status is PkiStatus.FAILURE
    assert service.count("certificates") == before


# --- renewal -----------------------------------------------------------------------------------------------


def test_renewal_opens_at_the_share_of_the_lifetime_that_the_profile_says(device: Device) -> None:
    service = device.service
    service.profile("windowed", renew_at_percent=66, validity="100d")
    owner = Device(service, profile="windowed")
    first = owner.enroll()
    assert owner.refused(owner.renewal()) == RenewalTooEarly.code
    service.clock.moved = timedelta(days=65)
    assert owner.refused(owner.renewal()) == RenewalTooEarly.code
    service.clock.moved = timedelta(days=67)
    service.work()
    assert owner.enroll(owner.renewal()) != first


def test_renewal_with_an_unchanged_key_gives_a_new_certificate(device: Device) -> None:
    first = parsed(device.enroll())
    second = parsed(device.enroll(device.renewal()))
    assert second.public_key() == first.public_key()
    assert second.serial_number != first.serial_number


@pytest.mark.parametrize("kind", ["17", "19"])
def test_a_client_that_keeps_transaction_key_and_challenge_still_gets_new_certificates(
    device: Device, kind: str
) -> None:
    csr = device.csr()
    serials = {parsed(device.enroll(device.message(csr, transaction_id="kept"))).serial_number}
    for _ in range(3):
        serials.add(parsed(device.enroll(device.renewal(kind=kind, csr=csr, transaction_id="kept"))).serial_number)
    assert len(serials) == 4


def test_the_same_renewal_again_gives_the_same_certificate(device: Device) -> None:
    device.enroll()
    sent = device.renewal()
    assert device.enroll(sent) == device.send(sent).certificates[0]


def test_a_revoked_certificate_does_not_renew(device: Device) -> None:
    device.service.revoke(device.enroll())
    for kind in ("17", PKCS_REQ):
        assert device.refused(device.renewal(kind=kind)) == RenewalSignerRefused.code


def test_an_expired_certificate_does_not_renew(device: Device) -> None:
    device.enroll()
    device.service.clock.moved = timedelta(days=366)
    device.service.work()
    assert device.refused(device.renewal()) == RenewalSignerRefused.code


def test_a_certificate_of_another_profile_does_not_renew(device: Device) -> None:
    device.service.profile("another")
    device.enroll()
    other = Device(device.service, profile="another")
    other.issued = device.issued
    assert other.refused(other.renewal()) == RenewalSignerRefused.code


def test_somebody_elses_certificate_does_not_renew(device: Device) -> None:
    foreign = device.self_signed
    assert device.refused(device.renewal(by=foreign)) == RenewalSignerRefused.code
    assert device.refused(device.renewal(by=foreign, kind=PKCS_REQ)) == NotAuthenticated.code


def test_a_look_alike_of_our_certificate_does_not_renew(device: Device) -> None:
    """Same issuer name and serial, but another key and a signature that is not ours."""
    ours = parsed(device.enroll())
    key = rsa_key("thief")
    builder = x509.CertificateBuilder(
        ours.issuer, ours.subject, key.public_key(), ours.serial_number, ours.not_valid_before_utc,
        ours.not_valid_after_utc, list(ours.extensions),
    )  # fmt: skip
    forged = Holder(key, builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER))
    assert device.refused(device.renewal(by=forged)) == RenewalSignerRefused.code


def test_the_ra_cannot_renew_itself(device: Device) -> None:
    assert device.refused(device.renewal(by=device.service.ra)) == RenewalSignerRefused.code


# --- GetCert, GetCRL, GetNextCACert --------------------------------------------------------------------------


def test_get_cert_gives_the_owner_its_certificate_and_nobody_elses(device: Device) -> None:
    issued = parsed(device.enroll())
    other = Device(device.service, key_name="stranger")
    other.enroll()
    reply = device.send(device.get_cert(issued.serial_number, by=device.holder))
    assert reply.certificates == (device.issued[-1],)
    for asker in (other.holder, other.self_signed):
        refused = other.send(other.get_cert(issued.serial_number, by=asker))
        assert (refused.status, refused.fail_info) == (PkiStatus.FAILURE, FailInfo.BAD_CERT_ID)
    unknown = device.send(device.get_cert(4711, by=device.holder))
    assert (unknown.status, unknown.fail_info) == (PkiStatus.FAILURE, FailInfo.BAD_CERT_ID)


def test_get_cert_after_renewal_gives_the_old_one_to_the_same_device(device: Device) -> None:
    first = device.enroll()
    renewed = device.enroll(device.renewal(csr=device.csr(challenge=None, key=rsa_key("renewed"))))
    holder = Holder(rsa_key("renewed"), renewed)
    reply = device.send(device.get_cert(parsed(first).serial_number, by=holder))
    assert reply.certificates == (first,)


def test_get_crl_gives_the_crl_in_force(device: Device) -> None:
    issued = device.enroll()
    device.service.revoke(issued)
    serial = parsed(issued).serial_number
    (crl,) = device.send(device.get_cert(serial, kind=GET_CRL)).crls
    assert crl == device.service.get("/crl/issuing/v1.crl").body
    assert x509.load_der_x509_crl(crl).get_revoked_certificate_by_serial_number(serial) is not None
    foreign = parsed(certificate(device.key, "nobody", serial_number=1)).subject.public_bytes()
    assert device.send(device.get_cert(serial, issuer=foreign, kind=GET_CRL)).fail_info is FailInfo.BAD_CERT_ID


def test_get_next_ca_cert_exists_only_with_a_staged_successor(device: Device, caplog: pytest.LogCaptureFixture) -> None:
    service = device.service
    target = f"{device.path}?operation=GetNextCACert"
    assert service.get(target).status == 404
    assert f"[{NextCaNotAvailable.code}]" in caplog.text
    assert b"GetNextCACert" not in service.get(f"{device.path}?operation=GetCACaps").body
    successor = service.found(ISSUING_CA, successor=True, subject=DistinguishedName.parse("CN=DEMO Next,O=Example"))
    assert successor.record.version == 2
    assert b"GetNextCACert\n" in service.get(f"{device.path}?operation=GetCACaps").body
    answer = service.get(target)
    assert (answer.status, answer.content_type) == (200, "application/x-x509-next-ca-cert")
    outer = read_signed_data(answer.body)
    assert outer.certificates == (service.ra.certificate,)
    assert read_signed_data(outer.content or b"").certificates == (successor.view.encoded,)
    device.enroll()  # the active version still issues
    assert parsed(device.issued[-1]).issuer.public_bytes() == service.issuer.view.subject


# --- off means off ----------------------------------------------------------------------------------------------


def test_a_profile_whose_scep_is_off_answers_404_and_issues_nothing(device: Device) -> None:
    service = device.service
    service.profile("off", scep={"enabled": False})
    off = Device(service, profile="off")
    before = service.count("certificates")
    for operation in ("GetCACaps", "GetCACert", "GetNextCACert"):
        assert service.get(f"/scep/off?operation={operation}").status == 404
    assert off.post(off.request().message).status == 404
    assert service.count("certificates") == before
    assert service.get("/scep/never-made?operation=GetCACaps").status == 404
    service.profile("off", scep={"enabled": True})
    assert service.get("/scep/off?operation=GetCACaps").status == 200


def test_the_root_has_no_ra_and_takes_no_enrollment(device: Device) -> None:
    service = device.service
    assert service.app.catalog.issuer("root").record.kind is CaKind.ROOT
    assert [kind for _, kind in service.rows("SELECT issuer_id, kind FROM services WHERE issuer_id = 1")] == ["ocsp"]


def test_our_own_client_reads_what_get_ca_cert_says(device: Device) -> None:
    answer = device.service.get(f"{device.path}?operation=GetCACert")
    assert client.parse_ca_certificates(answer.content_type, answer.body)[0] == device.service.ra.certificate
