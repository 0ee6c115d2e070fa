# SPDX-License-Identifier: Apache-2.0
"""The client's side: what it builds the server reads, and it believes only what is meant for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from privyseal.errors import (
    EnvelopeNotForUs,
    InvalidValue,
    MalformedMessage,
    MessageSignatureInvalid,
    RecipientKeyUnsupported,
    ServerAnsweredWrongly,
)
from privyseal.protocols import cms, cms_write
from privyseal.protocols.cms import PKCS1_V1_5, ContentCipher, Digest, KeyTransport
from privyseal.protocols.scep import client, codec
from privyseal.protocols.scep.messages import IssuerAndSerial, IssuerAndSubject, MessageType, RaIdentity, Reply
from privyseal.x509 import der, oids
from tests import scep_messages as odd

NAME = der.sequence(der.set_of(der.sequence(der.oid(oids.COMMON_NAME), der.tlv(0x0C, b"CA"))))


def exchange(**changes: Any) -> client.Exchange:
    values: dict[str, Any] = {
        "signer_key": odd.device().rsa_key,
        "signer_certificate": odd.device().certificate,
        "recipient_certificate": odd.ra().certificate,
        "transaction_id": odd.TRANSACTION_ID,
        "sender_nonce": odd.NONCE,
        "cipher": ContentCipher.AES_256_CBC,
        "digest": Digest.SHA256,
        "key_transport": PKCS1_V1_5,
        "content_key": odd.KEY_MATERIAL,
        "iv": odd.IV,
    }
    values.update(changes)
    return cast(client.Exchange, values)


def read_by_the_server(body: bytes) -> tuple[MessageType, bytes]:
    request = codec.parse_request(body, legacy=False)
    _, recipient = codec.find_recipient(request, [RaIdentity.of(odd.ra().certificate)])
    key = cms.unwrap_content_key(
        odd.ra().rsa_key, recipient, key_size=request.content_cipher.key_size, substitute=odd.SUBSTITUTE
    )
    return request.message_type, codec.open_request(request, key)


@pytest.mark.parametrize("transport", [PKCS1_V1_5, KeyTransport(Digest.SHA256, Digest.SHA256)])
@pytest.mark.parametrize("message_type", [MessageType.PKCS_REQ, MessageType.RENEWAL_REQ])
def test_the_server_reads_our_enrollments(message_type: MessageType, transport: KeyTransport) -> None:
    body = client.build_enrollment(odd.csr(), message_type=message_type, **exchange(key_transport=transport))
    assert read_by_the_server(body) == (message_type, odd.csr())


def test_the_server_reads_our_polls_and_queries() -> None:
    poll = client.build_poll(IssuerAndSubject(NAME, NAME), **exchange())
    assert read_by_the_server(poll) == (MessageType.CERT_POLL, der.sequence(NAME, NAME))
    wanted = IssuerAndSerial(NAME, 2**159 - 1)
    for build, kind in ((client.build_get_cert, MessageType.GET_CERT), (client.build_get_crl, MessageType.GET_CRL)):
        found, content = read_by_the_server(build(wanted, **exchange()))
        assert found is kind
        assert codec.issuer_and_serial(content) == wanted


def test_a_self_signed_certificate_signs_the_first_request() -> None:
    certificate = client.self_signed_certificate(
        odd.device().rsa_key, "new device", serial_number=17, not_before=odd.START, not_after=odd.END
    )
    body = client.build_enrollment(
        odd.csr(), message_type=MessageType.PKCS_REQ, **exchange(signer_certificate=certificate)
    )
    assert codec.parse_request(body, legacy=False).signer_certificate == certificate


def test_a_server_whose_ra_has_an_ec_key_cannot_be_written_to() -> None:
    with pytest.raises(RecipientKeyUnsupported):
        client.build_poll(IssuerAndSubject(NAME, NAME), **exchange(recipient_certificate=odd.ec_device().certificate))
    with pytest.raises(InvalidValue):
        client.build_poll(IssuerAndSubject(NAME, NAME), **exchange(content_key=b"short"))


def reply(*attributes: tuple[str, bytes], by: odd.Holder | None = None, content: bytes = b"") -> bytes:
    values = {
        oids.SCEP_MESSAGE_TYPE: der.tlv(0x13, b"3"),
        oids.SCEP_PKI_STATUS: der.tlv(0x13, b"3"),
        oids.SCEP_TRANSACTION_ID: der.tlv(0x13, odd.TRANSACTION_ID.encode()),
        oids.SCEP_SENDER_NONCE: der.octet_string(bytes(16)),
        oids.SCEP_RECIPIENT_NONCE: der.octet_string(odd.NONCE),
        **dict(attributes),
    }
    encoded = [cms_write.attribute(name, value) for name, value in values.items()]
    return odd.signed(content, by=by or odd.ra(), attributes=encoded)


def understood(body: bytes) -> Reply:
    return client.parse_reply(
        body,
        transaction_id=odd.TRANSACTION_ID,
        sender_nonce=odd.NONCE,
        trusted_ra=[odd.stranger().certificate, odd.ra().certificate],
        private_key=odd.device().rsa_key,
    )


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        (oids.SCEP_MESSAGE_TYPE, der.tlv(0x13, b"19")),
        (oids.SCEP_PKI_STATUS, der.tlv(0x13, b"1")),
        (oids.SCEP_TRANSACTION_ID, der.tlv(0x13, b"another")),
        (oids.SCEP_RECIPIENT_NONCE, der.octet_string(bytes(16))),
    ],
)
def test_a_reply_to_something_else_is_not_taken(attribute: str, value: bytes) -> None:
    understood(reply())
    with pytest.raises(ServerAnsweredWrongly):
        understood(reply((attribute, value)))


def test_a_failure_must_say_a_known_reason() -> None:
    failed = (oids.SCEP_PKI_STATUS, der.tlv(0x13, b"2"))
    with pytest.raises(ServerAnsweredWrongly, match="failInfo 9"):
        understood(reply(failed, (oids.SCEP_FAIL_INFO, der.tlv(0x13, b"9"))))
    with pytest.raises(MalformedMessage):
        understood(reply(failed))


def test_a_reply_signed_by_nobody_we_trust_is_not_believed() -> None:
    with pytest.raises(MessageSignatureInvalid, match="trusted RA"):
        understood(reply(by=odd.device()))
    impostor = odd.Holder(odd.device().key, odd.ra().certificate)
    with pytest.raises(MessageSignatureInvalid):
        understood(reply(by=impostor))


def test_a_success_that_does_not_open_is_said_so() -> None:
    succeeded = (oids.SCEP_PKI_STATUS, der.tlv(0x13, b"0"))
    for envelope in (odd.envelope(odd.csr(), to=[odd.stranger()]), odd.envelope(b"junk", to=[odd.device()])):
        with pytest.raises(EnvelopeNotForUs):
            understood(reply(succeeded, content=envelope))
    with pytest.raises(ServerAnsweredWrongly, match="2 recipients"):
        understood(reply(succeeded, content=odd.envelope(b"", to=[odd.stranger(), odd.device()])))
    with pytest.raises(MalformedMessage):
        understood(reply(succeeded))


def test_capabilities_are_read_with_any_line_end() -> None:
    assert client.parse_capabilities(b"AES\r\nSHA-256\n\n Renewal ") == {"AES", "SHA-256", "Renewal"}
    assert client.parse_capabilities(b"") == frozenset()
    for bad in (b"\xff", b"A\n" * 4000):
        with pytest.raises(ServerAnsweredWrongly):
            client.parse_capabilities(bad)


@pytest.mark.parametrize(
    "call",
    [
        lambda: client.parse_ca_certificates("text/html", b"<html>"),
        lambda: client.parse_ca_certificates("application/x-x509-ca-ra-cert", cms_write.certificates_only(())),
    ],
)
def test_an_answer_that_is_no_ca_certificate_is_refused(call: Callable[[], object]) -> None:
    with pytest.raises(ServerAnsweredWrongly):
        call()
    with pytest.raises(MalformedMessage):
        client.parse_ca_certificates("application/x-x509-ca-cert", b"junk")
