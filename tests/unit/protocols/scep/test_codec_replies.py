# SPDX-License-Identifier: Apache-2.0
"""Replies as clients need them: read back by asn1crypto, openssl and our own client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asn1crypto import cms as oracle

from privyseal.errors import InvalidValue
from privyseal.protocols.cms import PKCS1_V1_5, ContentCipher, Digest, KeyTransport
from privyseal.protocols.scep import client, codec
from privyseal.protocols.scep.messages import FailInfo, PkiStatus, Reply, ReplyAddress, ScepRequest
from privyseal.x509 import der, oids
from tests import scep_messages as odd
from tests.unit.protocols.openssl_pipe import decrypted, verified

SERVER_NONCE = bytes(range(200, 216))
CRL = der.sequence(der.sequence(der.integer(1)), der.sequence(der.oid(oids.SHA256_WITH_RSA)), der.bit_string(b"\x00"))
TRANSPORTS = [PKCS1_V1_5, KeyTransport(Digest.SHA1), KeyTransport(Digest.SHA256, Digest.SHA256)]


def asked(**changes: Any) -> ScepRequest:
    envelope = odd.envelope(
        odd.csr(),
        cipher=changes.get("cipher", ContentCipher.AES_128_CBC),
        transport=changes.get("transport", PKCS1_V1_5),
    )
    return codec.parse_request(odd.signed(envelope, digest=changes.get("digest", "sha256")), legacy=True)


def success(request: ScepRequest, *, certificates: tuple[bytes, ...] | None = None) -> bytes:
    return codec.build_reply_success(
        request,
        certificates=(odd.reply_certificate(),) if certificates is None else certificates,
        signer=odd.ra().reply_signer,
        sender_nonce=SERVER_NONCE,
        content_key=odd.SUBSTITUTE,
        iv=odd.NONCE,
    )


def failure(request: ScepRequest | ReplyAddress, **more: bool) -> bytes:
    return codec.build_reply_failure(
        request, FailInfo.BAD_REQUEST, signer=odd.ra().reply_signer, sender_nonce=SERVER_NONCE, **more
    )


def pending(request: ScepRequest) -> bytes:
    return codec.build_reply_pending(request, signer=odd.ra().reply_signer, sender_nonce=SERVER_NONCE)


def understood(body: bytes) -> Reply:
    return client.parse_reply(
        body,
        transaction_id=odd.TRANSACTION_ID,
        sender_nonce=odd.NONCE,
        trusted_ra=[odd.ra().certificate],
        private_key=odd.device().rsa_key,
    )


def decrypted_by_openssl(envelope: bytes) -> bytes:
    return decrypted(envelope, odd.device().rsa_key)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("cipher", list(ContentCipher))
def test_openssl_verifies_and_decrypts_a_success_in_every_cipher_and_key_transport(
    cipher: ContentCipher, transport: KeyTransport
) -> None:
    body = success(asked(cipher=cipher, transport=transport))
    degenerate = decrypted_by_openssl(verified(body))
    certificates = oracle.ContentInfo.load(degenerate, strict=True)["content"]["certificates"]
    assert [found.dump() for found in certificates] == [odd.reply_certificate()]


@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha384", "sha512"])
def test_openssl_verifies_every_status_in_the_clients_own_digest(digest: str) -> None:
    request = asked(digest=digest)
    assert verified(success(request))
    assert verified(failure(request)) == b""
    assert verified(pending(request)) == b""
    assert signer_info(failure(request))["digest_algorithm"]["algorithm"].native == digest


def signer_info(body: bytes) -> oracle.SignerInfo:
    return oracle.ContentInfo.load(body, strict=True)["content"]["signer_infos"][0]


def attributes(body: bytes) -> dict[str, Any]:
    return {each["type"].dotted: each["values"][0] for each in signer_info(body)["signed_attrs"]}


@pytest.mark.parametrize(("build", "status"), [(success, b"0"), (failure, b"2"), (pending, b"3")])
def test_the_signed_attributes_are_those_of_rfc_8894_sorted_as_der(
    build: Callable[[ScepRequest], bytes], status: bytes
) -> None:
    body = build(asked())
    found = attributes(body)
    assert found[oids.SCEP_MESSAGE_TYPE].dump() == b"\x13\x013"
    assert found[oids.SCEP_PKI_STATUS].dump() == b"\x13\x01" + status
    assert found[oids.SCEP_TRANSACTION_ID].dump() == b"\x13\x28" + odd.TRANSACTION_ID.encode()
    assert found[oids.SCEP_RECIPIENT_NONCE].dump() == b"\x04\x10" + odd.NONCE
    assert found[oids.SCEP_SENDER_NONCE].dump() == b"\x04\x10" + SERVER_NONCE
    assert (oids.SCEP_FAIL_INFO in found) == (status == b"2")
    encoded = [each.dump() for each in signer_info(body)["signed_attrs"]]
    assert encoded == sorted(encoded)


@pytest.mark.parametrize("build", [success, failure, pending])
def test_the_signature_algorithm_is_plain_rsa_encryption_for_strongswan(build: Callable[[ScepRequest], bytes]) -> None:
    algorithm = signer_info(build(asked()))["signature_algorithm"]
    assert algorithm.dump() == der.sequence(der.oid(oids.RSA_ENCRYPTION), der.null())


@pytest.mark.parametrize("build", [failure, pending])
def test_failure_and_pending_have_a_content_that_is_present_and_empty_for_certmonger(
    build: Callable[[ScepRequest], bytes],
) -> None:
    encapsulated = oracle.ContentInfo.load(build(asked()))["content"]["encap_content_info"]
    assert encapsulated.dump() == der.sequence(der.oid(oids.CMS_DATA), der.tlv(0xA0, b"\x04\x00"))


def test_the_ra_certificate_goes_along_outside_so_that_clients_can_verify() -> None:
    for body in (success(asked()), failure(asked()), pending(asked())):
        certificates = oracle.ContentInfo.load(body)["content"]["certificates"]
        assert [found.dump() for found in certificates] == [odd.ra().certificate]


@pytest.mark.parametrize(
    ("sent", "answered"),
    [(each, each) for each in ContentCipher if each is not ContentCipher.DES_CBC]
    + [(ContentCipher.DES_CBC, ContentCipher.DES_EDE3_CBC)],
)
def test_the_answer_uses_the_clients_cipher_and_triple_des_for_des(
    sent: ContentCipher, answered: ContentCipher
) -> None:
    request = asked(cipher=sent)
    assert codec.reply_cipher(request) is answered
    content = oracle.ContentInfo.load(verified(success(request)))["content"]
    assert content["encrypted_content_info"]["content_encryption_algorithm"]["algorithm"].dotted == answered.oid


def test_trap_8_the_issued_certificate_stays_first_whatever_der_would_sort() -> None:
    chain = (odd.reply_certificate(), odd.ra().certificate, odd.stranger().certificate)
    for order in (chain, tuple(reversed(chain))):
        assert understood(success(asked(), certificates=order)).certificates == order


def test_our_client_understands_what_our_server_says() -> None:
    request = asked()
    assert understood(success(request)) == Reply(PkiStatus.SUCCESS, None, "", (odd.reply_certificate(),), ())
    assert understood(failure(request)) == Reply(PkiStatus.FAILURE, FailInfo.BAD_REQUEST, "", (), ())
    assert understood(pending(request)) == Reply(PkiStatus.PENDING, None, "", (), ())
    text = understood(failure(request, explain=True)).fail_info_text
    assert text == codec.FAIL_INFO_TEXTS[FailInfo.BAD_REQUEST]


def test_a_crl_is_answered_as_degenerate_signed_data() -> None:
    body = codec.build_reply_crl(
        asked(),
        crl=CRL,
        signer=odd.ra().reply_signer,
        sender_nonce=SERVER_NONCE,
        content_key=odd.SUBSTITUTE,
        iv=odd.NONCE,
    )
    assert understood(body) == Reply(PkiStatus.SUCCESS, None, "", (), (CRL,))


def test_a_refused_message_can_still_be_answered() -> None:
    address = codec.failure_address(odd.request(digest="md5"), legacy=False)
    assert address is not None
    assert understood(failure(address)).status is PkiStatus.FAILURE
    same = codec.failure_address(odd.request(digest="sha512"), legacy=False)
    assert same == asked(digest="sha512").address
    old = codec.failure_address(odd.request(digest="sha1"), legacy=True)
    assert old == asked(digest="sha1").address


def test_every_fail_info_has_a_fixed_text() -> None:
    assert set(codec.FAIL_INFO_TEXTS) == set(FailInfo)
    assert all(text.isascii() and len(text) < 80 for text in codec.FAIL_INFO_TEXTS.values())


def test_too_few_random_octets_are_refused_and_more_are_cut() -> None:
    request = asked(cipher=ContentCipher.AES_256_CBC)
    for content_key, iv in ((b"short", odd.NONCE), (odd.SUBSTITUTE, b"short")):
        with pytest.raises(InvalidValue):
            codec.build_reply_success(
                request,
                certificates=(),
                signer=odd.ra().reply_signer,
                sender_nonce=SERVER_NONCE,
                content_key=content_key,
                iv=iv,
            )
