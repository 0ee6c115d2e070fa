# SPDX-License-Identifier: Apache-2.0
"""Requests as clients send them: read, verified, opened; and every way to be refused."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from privyseal.errors import (
    AlgorithmNotAllowed,
    EnvelopeNotForUs,
    InvalidValue,
    MalformedMessage,
    MessageSignatureInvalid,
    MessageTooLarge,
    OperationUnsupported,
    RecipientKeyUnsupported,
)
from privyseal.protocols import cms, cms_write
from privyseal.protocols.cms import PKCS1_V1_5, ContentCipher, Digest, KeyTransport
from privyseal.protocols.cms_read import certificate_parts
from privyseal.protocols.scep import codec
from privyseal.protocols.scep.messages import IssuerAndSerial, IssuerAndSubject, MessageType, RaIdentity, ScepRequest
from privyseal.x509 import der, oids
from tests import scep_messages as odd

NAME = der.sequence(der.set_of(der.sequence(der.oid(oids.COMMON_NAME), der.tlv(0x0C, b"CA"))))


def opened(body: bytes, *, legacy: bool = False) -> tuple[ScepRequest, bytes]:
    request = codec.parse_request(body, legacy=legacy)
    identity, recipient = codec.find_recipient(request, [RaIdentity.of(odd.ra().certificate)])
    assert identity.certificate == odd.ra().certificate
    key = cms.unwrap_content_key(
        odd.ra().rsa_key, recipient, key_size=request.content_cipher.key_size, substitute=odd.SUBSTITUTE
    )
    return request, codec.open_request(request, key)


def test_a_request_is_read_verified_and_opened() -> None:
    request, content = opened(odd.request())
    assert content == odd.csr()
    assert request.transaction_id == odd.TRANSACTION_ID
    assert request.message_type is MessageType.PKCS_REQ
    assert request.sender_nonce == odd.NONCE
    assert request.signer_certificate == odd.device().certificate
    assert (request.digest, request.content_cipher) == (Digest.SHA256, ContentCipher.AES_128_CBC)
    assert request.key_transport == PKCS1_V1_5


@pytest.mark.parametrize(
    "cipher",
    [ContentCipher.AES_128_CBC, ContentCipher.AES_192_CBC, ContentCipher.AES_256_CBC, ContentCipher.DES_EDE3_CBC],
)
def test_aes_and_triple_des_are_accepted(cipher: ContentCipher) -> None:
    request, content = opened(odd.request(cipher=cipher))
    assert request.content_cipher is cipher
    assert content == odd.csr()


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_sha2_digests_are_accepted(digest: str) -> None:
    assert opened(odd.request(digest=digest))[0].digest is Digest(digest)


def test_single_des_with_sha1_as_scepclient_sends_it_needs_the_legacy_switch() -> None:
    body = odd.request(cipher=ContentCipher.DES_CBC, digest="sha1")
    request, content = opened(body, legacy=True)
    assert (request.content_cipher, request.digest, content) == (ContentCipher.DES_CBC, Digest.SHA1, odd.csr())
    with pytest.raises(AlgorithmNotAllowed, match="SHA-1"):
        codec.parse_request(body, legacy=False)
    with pytest.raises(AlgorithmNotAllowed, match="DES-CBC"):
        codec.parse_request(odd.request(cipher=ContentCipher.DES_CBC), legacy=False)


@pytest.mark.parametrize("digest", ["md5", "sha224"])
def test_md5_and_odd_digests_are_refused_even_for_legacy_devices(digest: str) -> None:
    body = odd.request(digest=digest)
    with pytest.raises(AlgorithmNotAllowed):
        codec.parse_request(body, legacy=True)
    address = codec.failure_address(body, legacy=False)
    assert address is not None
    assert (address.transaction_id, address.digest) == (odd.TRANSACTION_ID, Digest.SHA256)


@pytest.mark.parametrize(
    "transport",
    [
        KeyTransport(Digest.SHA1, Digest.SHA1),
        KeyTransport(Digest.SHA256, Digest.SHA256),
        KeyTransport(Digest.SHA256, Digest.SHA1),
        KeyTransport(Digest.SHA384, Digest.SHA384),
        KeyTransport(Digest.SHA512, Digest.SHA512),
    ],
)
def test_trap_5_oaep_is_accepted_and_remembered(transport: KeyTransport) -> None:
    request, content = opened(odd.signed(odd.envelope(odd.csr(), transport=transport)))
    assert request.key_transport == transport
    assert content == odd.csr()


def test_recipient_and_signer_may_be_named_by_subject_key_identifier() -> None:
    assert opened(odd.signed(odd.envelope(odd.csr(), by_ski=True), by_ski=True))[1] == odd.csr()


def test_our_recipient_need_not_be_the_first() -> None:
    assert opened(odd.signed(odd.envelope(odd.csr(), to=[odd.stranger(), odd.ra()])))[1] == odd.csr()


def test_recipients_of_other_kinds_are_passed_over() -> None:
    key_agreement = der.tlv(0xA1, der.integer(3))
    envelope = cms_write.enveloped_data(
        odd.csr(),
        [key_agreement, odd.recipient(odd.ra(), key_size=16)],
        cipher=ContentCipher.AES_128_CBC,
        content_key=odd.KEY_MATERIAL[:16],
        iv=odd.IV,
    )
    assert opened(odd.signed(envelope))[1] == odd.csr()


@pytest.mark.parametrize("piece", [1, 8, 1000])
def test_ber_as_scepclient_and_jscep_send_it_is_read(piece: int) -> None:
    envelope = odd.to_ber(odd.envelope(odd.csr()), piece=piece)
    assert opened(odd.signed(envelope))[1] == odd.csr()
    assert opened(odd.to_ber(odd.signed(envelope), piece=1000))[1] == odd.csr()


def test_signed_attributes_are_verified_in_the_order_they_came() -> None:
    assert opened(odd.signed(odd.envelope(odd.csr()), unsorted=True))[1] == odd.csr()


def test_trap_6_a_transient_signer_with_critical_authority_key_identifier_is_accepted() -> None:
    request, _ = opened(odd.signed(odd.envelope(odd.csr()), by=odd.transient_device()))
    assert request.signer_certificate == odd.transient_device().certificate


def test_more_certificates_may_come_along() -> None:
    certificates = [odd.stranger().certificate, odd.ra().certificate, odd.device().certificate]
    request, _ = opened(odd.signed(odd.envelope(odd.csr()), certificates=certificates))
    assert request.signer_certificate == odd.device().certificate


@pytest.mark.parametrize("padding", [b"\x00", b"\n", b"\r\n\x00\x00"])
def test_padding_after_the_message_is_ignored_and_anything_else_refused(padding: bytes) -> None:
    assert opened(odd.request() + padding)[1] == odd.csr()
    with pytest.raises(MalformedMessage):
        codec.parse_request(odd.request() + padding + b"\x30", legacy=False)


@pytest.mark.parametrize("signature", [oids.SHA256_WITH_RSA, oids.RSA_ENCRYPTION])
def test_signature_algorithm_may_name_the_digest_or_not(signature: str) -> None:
    opened(odd.signed(odd.envelope(odd.csr()), signature_oid=signature))


def test_an_ec_signer_verifies_but_cannot_be_answered() -> None:
    request, _ = opened(odd.signed(odd.envelope(odd.csr()), by=odd.ec_device(), signature_oid=oids.ECDSA_WITH_SHA256))
    with pytest.raises(RecipientKeyUnsupported, match="EC key"):
        codec.requester_key(request)


def test_an_rsa_key_too_small_for_the_answer_is_refused_before_anything_is_signed() -> None:
    key = odd.rsa_key("small")
    holder = odd.Holder(key, odd.certificate(key, "small", serial_number=3))
    transport = KeyTransport(Digest.SHA512, Digest.SHA512)
    request, _ = opened(odd.signed(odd.envelope(odd.csr(), transport=transport), by=holder))
    with pytest.raises(RecipientKeyUnsupported, match="1024 bits"):
        codec.requester_key(request)


@pytest.mark.parametrize(
    ("number", "content"),
    [
        (20, der.sequence(NAME, NAME)),
        (21, der.sequence(NAME, der.integer(2**152 + 1))),
        (22, der.sequence(NAME, der.integer(5))),
        (17, None),
    ],
)
def test_every_message_type_opens_to_its_own_content(number: int, content: bytes | None) -> None:
    inside = odd.csr() if content is None else content
    attributes = odd.scep_attributes(message_type=str(number))
    request, found = opened(odd.signed(odd.envelope(inside), attributes=attributes))
    assert (request.message_type, found) == (MessageType(number), inside)
    wrong = odd.csr() if content is not None else der.sequence(NAME, NAME)
    with pytest.raises(EnvelopeNotForUs):
        opened(odd.signed(odd.envelope(wrong), attributes=attributes))


def test_contents_of_poll_and_get_are_values() -> None:
    assert codec.issuer_and_subject(der.sequence(NAME, NAME)) == IssuerAndSubject(NAME, NAME)
    assert codec.issuer_and_serial(der.sequence(NAME, der.integer(77))) == IssuerAndSerial(NAME, 77)
    for bad in (b"", NAME, der.sequence(NAME), der.sequence(NAME, NAME, NAME), der.sequence(NAME, b"\x02\x00")):
        with pytest.raises(MalformedMessage):
            codec.issuer_and_serial(bad)
    with pytest.raises(MalformedMessage):
        codec.issuer_and_subject(der.sequence(NAME, der.integer(1)))


@pytest.mark.parametrize("number", ["3", "18", "0", "99"])
def test_an_unknown_message_type_is_unsupported(number: str) -> None:
    attributes = odd.scep_attributes(message_type=number)
    with pytest.raises(OperationUnsupported, match=f"messageType {number}"):
        codec.parse_request(odd.signed(odd.envelope(odd.csr()), attributes=attributes), legacy=False)


@pytest.mark.parametrize(
    "attributes",
    [
        [],
        odd.scep_attributes()[:2],
        odd.scep_attributes()[1:],
        [odd.scep_attributes()[0], odd.scep_attributes()[2]],
        odd.scep_attributes(message_type=""),
        odd.scep_attributes(message_type="-1"),
        odd.scep_attributes(message_type="1" * 5000),
        odd.scep_attributes(transaction_id=b""),
        odd.scep_attributes(transaction_id=b"a" * 256),
        odd.scep_attributes(transaction_id=b"a\nb"),
        odd.scep_attributes(transaction_id="\u00e4".encode()),
        odd.scep_attributes(text_tag=0x02),
        odd.scep_attributes(nonce=b"1234567"),
        odd.scep_attributes(nonce=bytes(65)),
        odd.scep_attributes() * 2,
    ],
)
def test_missing_repeated_or_senseless_attributes_are_refused(attributes: list[bytes]) -> None:
    with pytest.raises(MalformedMessage):
        codec.parse_request(odd.signed(odd.envelope(odd.csr()), attributes=attributes), legacy=False)


@pytest.mark.parametrize("transaction_id", [b"F+/abc=", b"12345678901234567890", b"a" * 255, b"{5C1B-0F}@x_y"], ids=str)
@pytest.mark.parametrize("tag", [0x13, 0x0C, 0x16])
def test_transaction_ids_of_all_clients_are_kept_as_sent(transaction_id: bytes, tag: int) -> None:
    attributes = odd.scep_attributes(transaction_id=transaction_id, text_tag=tag)
    request = codec.parse_request(odd.signed(odd.envelope(odd.csr()), attributes=attributes), legacy=False)
    assert request.transaction_id == transaction_id.decode()


def test_an_altered_message_does_not_verify() -> None:
    envelope = odd.envelope(odd.csr())
    body = odd.request()
    altered = body.replace(odd.NONCE, bytes(16))
    with pytest.raises(MessageSignatureInvalid, match="signature"):
        codec.parse_request(altered, legacy=False)
    with pytest.raises(MessageSignatureInvalid, match="messageDigest"):
        codec.parse_request(odd.signed(envelope, message_digest=bytes(32)), legacy=False)
    with pytest.raises(MessageSignatureInvalid, match="contentType"):
        codec.parse_request(odd.signed(envelope, content_type=oids.CMS_ENVELOPED_DATA), legacy=False)


def test_a_message_signed_by_another_key_than_it_names_does_not_verify() -> None:
    impostor = odd.Holder(odd.stranger().key, odd.device().certificate)
    with pytest.raises(MessageSignatureInvalid):
        codec.parse_request(odd.signed(odd.envelope(odd.csr()), by=impostor), legacy=False)


def test_the_signers_certificate_must_come_along() -> None:
    for certificates in ([], [odd.stranger().certificate]):
        with pytest.raises(MalformedMessage, match="certificates in the message"):
            codec.parse_request(odd.signed(odd.envelope(odd.csr()), certificates=certificates), legacy=False)


def test_a_message_for_somebody_else_is_not_for_us() -> None:
    body = odd.signed(odd.envelope(odd.csr(), to=[odd.stranger()]))
    with pytest.raises(EnvelopeNotForUs, match="none of the 1 recipients"):
        opened(body)


def test_wrong_keys_and_damaged_contents_fail_alike() -> None:
    good = odd.envelope(odd.csr())
    messages = set()
    named_wrongly = cms_write.recipient_info(
        certificate_parts(odd.ra().certificate),
        odd.stranger().rsa_key.public_key(),
        content_key=odd.KEY_MATERIAL[:16],
        transport=PKCS1_V1_5,
    )
    short_key = cms_write.recipient_info(
        certificate_parts(odd.ra().certificate),
        odd.ra().rsa_key.public_key(),
        content_key=b"short",
        transport=PKCS1_V1_5,
    )
    for bad in (
        *(_with_recipient(info) for info in (named_wrongly, short_key)),
        good[:-1] + bytes((good[-1] ^ 1,)),
        odd.envelope(b"no request at all"),
        odd.envelope(b""),
        odd.envelope(odd.csr() + b"\x01"),
        odd.envelope(odd.csr()[:-1]),
    ):
        with pytest.raises(EnvelopeNotForUs) as caught:
            opened(odd.signed(bad))
        messages.add((caught.value.what, caught.value.why, caught.value.mend))
    assert len(messages) == 1


def _with_recipient(info: bytes) -> bytes:
    return cms_write.enveloped_data(
        odd.csr(), [info], cipher=ContentCipher.AES_128_CBC, content_key=odd.KEY_MATERIAL[:16], iv=odd.IV
    )


@pytest.mark.parametrize("encrypted", [b"", b"x", bytes(256), b"\xff" * 256, bytes(257)])
def test_an_encrypted_key_that_does_not_unwrap_yields_the_substitute_and_no_word(encrypted: bytes) -> None:
    request = codec.parse_request(odd.request(), legacy=False)
    recipient = request.envelope.recipients[0]
    changed = type(recipient)(recipient.identifier, recipient.key_algorithm, encrypted)
    key = cms.unwrap_content_key(odd.ra().rsa_key, changed, key_size=16, substitute=odd.SUBSTITUTE)
    assert len(key) == 16
    with pytest.raises(InvalidValue):
        cms.unwrap_content_key(odd.ra().rsa_key, changed, key_size=32, substitute=b"short")


def test_unknown_ciphers_and_key_transports_are_refused() -> None:
    body = odd.envelope(odd.csr())
    rc2 = body.replace(der.oid(oids.AES_128_CBC), der.oid("2.16.840.1.101.3.4.1.6"))
    with pytest.raises(AlgorithmNotAllowed, match=r"2\.16\.840\.1\.101\.3\.4\.1\.6"):
        codec.parse_request(odd.signed(rc2), legacy=True)
    transport = body.replace(der.oid(oids.RSA_ENCRYPTION), der.oid(oids.RSA_PSS))
    with pytest.raises(AlgorithmNotAllowed, match="key is wrapped"):
        codec.parse_request(odd.signed(transport), legacy=True)
    with pytest.raises(AlgorithmNotAllowed, match="signature"):
        codec.parse_request(odd.signed(body, signature_oid=oids.RSA_PSS), legacy=True)


def test_truncated_messages_are_malformed() -> None:
    body = odd.request()
    for length in range(0, len(body), 7):
        with pytest.raises(MalformedMessage):
            codec.parse_request(body[:length], legacy=False)


def test_huge_and_deep_messages_are_refused_quickly() -> None:
    with pytest.raises(MessageTooLarge):
        codec.parse_request(bytes(1_000_000), legacy=False)
    with pytest.raises(MalformedMessage):
        codec.parse_request(b"\x30\x80" * 60_000, legacy=False)
    with pytest.raises(MessageTooLarge):
        codec.decode_get_query("A" * 1_000_000)


def test_nobody_is_addressed_when_the_message_does_not_say_whom() -> None:
    assert codec.failure_address(b"garbage", legacy=False) is None
    assert codec.failure_address(cms_write.certificates_only([odd.device().certificate]), legacy=False) is None
    assert codec.failure_address(odd.signed(b"", attributes=[]), legacy=False) is None


@pytest.mark.parametrize(
    "raw",
    [
        lambda text: text,
        lambda text: text.encode(),
        lambda text: text.replace("+", "%2B").replace("/", "%2f").replace("=", "%3D"),
        lambda text: text.replace("+", " "),
        lambda text: text.replace("+", "%20"),
        lambda text: text.replace("+", "-").replace("/", "_"),
        lambda text: text.rstrip("="),
        lambda text: "%0A".join(text[at : at + 60] for at in range(0, len(text), 60)) + "%0A",
        lambda text: "\n".join(text[at : at + 64] for at in range(0, len(text), 64)),
        lambda text: text + "%0D%0A",
    ],
)
def test_the_query_of_a_get_is_decoded_in_every_spelling(raw: Callable[[str], str]) -> None:
    for data in (odd.request(), bytes(range(250, 256)) * 11 + b"\xfb\xef", b"\xfb\xef\xbe\xff"):
        assert codec.decode_get_query(raw(base64.b64encode(data).decode())) == data


@pytest.mark.parametrize("raw", ["A", "AAAAA", "!!!!", "AA*A", "AA==AA==", "%", "%zz", "\u20ac"])
def test_a_query_that_is_no_base64_is_malformed(raw: str) -> None:
    with pytest.raises(MalformedMessage):
        codec.decode_get_query(raw)
