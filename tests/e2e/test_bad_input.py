# SPDX-License-Identifier: Apache-2.0
"""What the SCEP endpoint must refuse: each with its own code, nothing kept but the attempt, the audit tells it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from privyseal.errors import (
    AlgorithmNotAllowed,
    CaInRequest,
    ChallengeExpired,
    ChallengeOfOtherProfile,
    ChallengeUnknown,
    ChallengeUsed,
    EntityDisabled,
    EnvelopeNotForUs,
    KeyNotAcceptable,
    MalformedMessage,
    MalformedRequest,
    MessageSignatureInvalid,
    MessageTooLarge,
    NotAuthenticated,
    OperationUnsupported,
    PrivysealError,
    ProofOfPossessionFailed,
    RecipientKeyUnsupported,
    SidInRequest,
    SubjectMismatch,
    WeakKey,
)
from privyseal.protocols.cms import PKCS1_V1_5, ContentCipher, Digest, KeyTransport
from privyseal.protocols.scep.messages import FailInfo, PkiStatus
from privyseal.x509 import der, oids
from privyseal.x509.sid import Sid
from tests.device import Device, Sent, attribute, build_csr, extension
from tests.installation import Installation
from tests.scep_messages import Holder, ec_device, envelope, rsa_key, scep_attributes, signed, stranger

SID = Sid.parse("S-1-5-21-1-2-3-1104")


@pytest.fixture
def device(shared: Installation) -> Device:
    return Device(shared)


def around(csr: Callable[[Device], bytes]) -> Callable[[Device], Sent]:
    return lambda device: device.message(csr(device))


def weak_rsa(*, exponent: int = 65537, close: bool = False) -> rsa.RSAPrivateKey:
    """A key that arithmetic shows to be weak: a small exponent, or primes next to each other."""
    if not close:
        return rsa.generate_private_key(exponent, 2048)
    numbers = rsa_key("close").private_numbers()
    first = next(n for n in candidates(numbers.p) if prime(n))
    second = next(n for n in candidates(first + 2) if prime(n))
    secret = pow(65537, -1, (first - 1) * (second - 1))
    return rsa.RSAPrivateNumbers(
        first, second, secret, secret % (first - 1), secret % (second - 1), pow(second, -1, first),
        rsa.RSAPublicNumbers(65537, first * second),
    ).private_key()  # fmt: skip


def candidates(start: int) -> Iterator[int]:
    start |= 1
    while True:
        if all(start % small for small in (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)) and start % 65537 != 1:
            yield start
        start += 2


def prime(number: int) -> bool:
    return all(pow(base, number - 1, number) == 1 for base in (2, 3, 5))


def keyed(key: Callable[[], rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey]) -> Callable[[Device], Sent]:
    return around(lambda device: device.csr(key=key()))


def with_extension(kind: str, value: bytes) -> Callable[[Device], Sent]:
    return around(lambda device: device.csr(extensions=[extension(kind, value)]))


CA_TRUE = der.sequence(der.boolean(True))
SID_URI = der.sequence(der.tlv(0x86, SID.uri.encode()))
CASES: dict[str, tuple[Callable[[Device], Sent], type[PrivysealError], FailInfo]] = {
    "an unknown challenge": (
        around(lambda device: device.csr(challenge="never given out")), ChallengeUnknown, FailInfo.BAD_REQUEST),
    "no challenge": (around(lambda device: device.csr(challenge=None)), NotAuthenticated, FailInfo.BAD_REQUEST),
    "an expired challenge": (
        around(lambda device: device.csr(challenge=device.challenge(lifetime=timedelta(seconds=-5)))),
        ChallengeExpired, FailInfo.BAD_REQUEST),
    "a challenge for another profile": (
        around(lambda device: device.csr(challenge=device.challenge(profile="elsewhere"))),
        ChallengeOfOtherProfile, FailInfo.BAD_REQUEST),
    "a signature over other octets": (
        around(lambda device: device.csr(broken=True)), ProofOfPossessionFailed, FailInfo.BAD_MESSAGE_CHECK),
    "an RSA key of 1024 bits": (keyed(lambda: rsa_key("small")), KeyNotAcceptable, FailInfo.BAD_REQUEST),
    "an EC key on another curve": (
        keyed(lambda: ec.generate_private_key(ec.SECP256K1())), KeyNotAcceptable, FailInfo.BAD_REQUEST),
    "an RSA exponent of 3": (keyed(lambda: weak_rsa(exponent=3)), WeakKey, FailInfo.BAD_REQUEST),
    "two close primes": (keyed(lambda: weak_rsa(close=True)), WeakKey, FailInfo.BAD_REQUEST),
    "a SID extension": (
        with_extension(oids.NTDS_CA_SECURITY_EXT, SID.extension_value()), SidInRequest, FailInfo.BAD_REQUEST),
    "a SID URI": (with_extension(oids.SUBJECT_ALT_NAME, SID_URI), SidInRequest, FailInfo.BAD_REQUEST),
    "CA:TRUE": (with_extension(oids.BASIC_CONSTRAINTS, CA_TRUE), CaInRequest, FailInfo.BAD_REQUEST),
    "keyCertSign": (
        with_extension(oids.KEY_USAGE, der.bit_string(b"\x04", 2)), CaInRequest, FailInfo.BAD_REQUEST),
    "a request that is no request": (
        lambda device: device.message(b"\x30\x03\x02\x01\x00"), EnvelopeNotForUs, FailInfo.BAD_MESSAGE_CHECK),
    "another recipient": (
        lambda device: device.request(to=[stranger()]), EnvelopeNotForUs, FailInfo.BAD_MESSAGE_CHECK),
    "a SHA-1 digest": (lambda device: device.request(digest="sha1"), AlgorithmNotAllowed, FailInfo.BAD_ALG),
    "an MD5 digest": (lambda device: device.request(digest="md5"), AlgorithmNotAllowed, FailInfo.BAD_ALG),
    "single DES": (
        lambda device: device.request(cipher=ContentCipher.DES_CBC), AlgorithmNotAllowed, FailInfo.BAD_ALG),
    "a signature algorithm nobody knows": (
        lambda device: device.request(signature_oid="1.2.3.4"), AlgorithmNotAllowed, FailInfo.BAD_ALG),
    "a digest of other octets": (
        lambda device: device.request(message_digest=bytes(32)), MessageSignatureInvalid, FailInfo.BAD_MESSAGE_CHECK),
    "message type CertRep": (
        lambda device: device.request(kind="3"), OperationUnsupported, FailInfo.BAD_REQUEST),
    "message type 99": (lambda device: device.request(kind="99"), OperationUnsupported, FailInfo.BAD_REQUEST),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_with_its_own_code_and_only_the_attempt_is_kept(device: Device, name: str) -> None:
    build, error, fail_info = CASES[name]
    sent = build(device)
    assert device.refused(sent) == error.code
    again = device.send(sent)
    assert (again.status, again.fail_info, again.fail_info_text) == (PkiStatus.FAILURE, fail_info, "")


def test_codes_differ_where_causes_differ() -> None:
    kinds = {error for _, error, _ in CASES.values()}
    assert len({error.code for error in kinds}) == len(kinds)


def test_a_challenge_works_once(device: Device) -> None:
    csr = device.csr()
    device.enroll(device.message(csr))
    assert device.refused(device.message(csr)) == ChallengeUsed.code


def test_a_refused_request_leaves_the_challenge_for_the_next_one(device: Device) -> None:
    secret = device.challenge()
    assert device.refused(device.message(device.csr(challenge=secret, key=rsa_key("small")))) == KeyNotAcceptable.code
    device.enroll(device.message(device.csr(challenge=secret)))


def test_a_disabled_device_is_refused(device: Device) -> None:
    service = device.service
    device.enroll()
    sent = device.request()
    service.run(service.app.entities.change(device.entity, {}, enabled=False, actor="test"))
    assert device.refused(sent) == EntityDisabled.code
    assert device.refused(device.renewal()) == EntityDisabled.code


def test_another_name_than_the_profile_builds_is_refused_where_it_must_match(shared: Installation) -> None:
    shared.profile("named", requested_name="must-match")
    device = Device(shared, profile="named")
    device.enroll()
    csr = build_csr(device.key, name="somebody-else", challenge=device.challenge())
    assert device.refused(device.message(csr)) == SubjectMismatch.code


def test_a_profile_that_takes_no_ed25519_refuses_it(shared: Installation) -> None:
    shared.profile("no-ed25519", key={"ed25519": False})
    device = Device(shared, profile="no-ed25519")
    sent = device.message(device.csr(key=ed25519.Ed25519PrivateKey.generate()))
    assert device.refused(sent) == KeyNotAcceptable.code


# --- what cannot be answered in SCEP -------------------------------------------------------------------


def refused_by_http(device: Device, *chunks: bytes, status: int, error: type[PrivysealError]) -> None:
    service = device.service
    before = service.count("certificates"), service.count("enrollments")
    answer = service.post(f"{device.path}?operation=PKIOperation", *chunks)
    assert answer.status == status
    assert answer.headers["content-type"].startswith("text/plain")
    assert (service.count("certificates"), service.count("enrollments")) == (before[0], before[1] + 1)
    assert device.refusal()[0] == error.code
    assert service.events()[-1] == "enrollment.refused"


def test_an_oversized_body_is_413_whether_it_comes_at_once_or_in_pieces(device: Device) -> None:
    refused_by_http(device, bytes(65 * 1024), status=413, error=MessageTooLarge)
    refused_by_http(device, *[bytes(1024)] * 66, status=413, error=MessageTooLarge)


@pytest.mark.parametrize("body", [b"", b"\x00", b"hello", b"\x30\x80" * 20_000, b"\x30\x84\xff\xff\xff\xff"])
def test_garbage_and_deep_nesting_are_400(device: Device, body: bytes) -> None:
    refused_by_http(device, body, status=400, error=MalformedMessage)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_message_is_400(device: Device, share: float) -> None:
    message = device.request().message
    refused_by_http(device, message[: int(len(message) * share)], status=400, error=MalformedMessage)


def test_deep_nesting_inside_the_request_is_refused_or_never_looked_into(device: Device) -> None:
    deep = b"\x02\x01\x00"
    for _ in range(3000):
        deep = der.sequence(deep)
    names = extension(oids.SUBJECT_ALT_NAME, deep)
    assert device.refused(device.message(device.csr(extensions=[names]))) == MalformedRequest.code
    device.enroll(device.message(device.csr(attributes=[attribute("1.2.3.4", deep)])))


def test_an_undecodable_get_is_400_and_kept_as_an_attempt(device: Device) -> None:
    before = device.service.count("enrollments")
    assert device.service.get(f"{device.path}?operation=PKIOperation&message=!!!").status == 400
    assert device.service.get(f"{device.path}?operation=PKIOperation").status == 400
    assert device.service.count("enrollments") == before + 2
    assert device.refusal()[0] == MalformedMessage.code


def test_a_request_signed_by_an_ec_key_is_refused_with_its_code(device: Device) -> None:
    content = envelope(device.csr(), to=[device.service.ra])
    message = signed(content, by=ec_device(), signature_oid=oids.ECDSA_WITH_SHA256, attributes=scep_attributes())
    answer = device.post(message)
    assert (answer.status, answer.content_type) == (200, "application/x-pki-message")
    assert device.refusal()[0] == RecipientKeyUnsupported.code


@pytest.mark.parametrize("transport", [PKCS1_V1_5, KeyTransport(Digest.SHA256, Digest.SHA256)])
def test_a_content_key_for_another_key_is_bad_message_check_and_no_500(device: Device, transport: KeyTransport) -> None:
    """Under OpenSSL 3.2 a PKCS #1 v1.5 unwrap with the wrong key gives random octets of random length."""
    wrong = Holder(rsa_key("stranger"), device.service.ra.certificate)  # names our RA, encrypts to another key
    for _ in range(20):
        assert device.refused(device.request(to=[wrong], transport=transport)) == EnvelopeNotForUs.code
    assert device.send(device.request(to=[wrong])).fail_info is FailInfo.BAD_MESSAGE_CHECK


def test_a_request_beyond_its_own_bounds_is_refused(device: Device) -> None:
    csr = device.csr(attributes=[attribute(f"1.2.3.{n}", der.null()) for n in range(100)])
    assert device.refused(device.message(csr)) == MalformedRequest.code


def test_base64_of_a_good_message_in_a_post_is_not_guessed_at(device: Device) -> None:
    body = base64.b64encode(device.request().message)
    refused_by_http(device, body, status=400, error=MalformedMessage)
