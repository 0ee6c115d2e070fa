# SPDX-License-Identifier: Apache-2.0
"""CMS as OpenSSL writes it, and the bounds of what is read."""

from __future__ import annotations

import pytest

from privyseal.errors import AlgorithmNotAllowed, MalformedMessage
from privyseal.protocols import cms, cms_read, cms_write
from privyseal.protocols.cms import ContentCipher, Digest, KeyTransport
from privyseal.x509 import der, oids
from tests import scep_messages as odd
from tests.unit.protocols.openssl_pipe import certificate_pem, key_pem, openssl

TEXT = b"what is inside " * 500
OAEP = ("-keyopt", "rsa_padding_mode:oaep", "-keyopt")


def encrypted_by_openssl(*options: str) -> bytes:
    """Enveloped for the RA."""
    pem = certificate_pem(odd.ra().certificate)
    recipient_last = [word for word in options if word.startswith("-keyopt") or ":" in word]
    others = [word for word in options if word not in recipient_last]
    arguments = ("cms", "-encrypt", "-binary", "-outform", "DER", *others, "-recip", "ra", *recipient_last)
    return openssl(*arguments, given=TEXT, ra=pem)


@pytest.mark.parametrize(
    ("options", "cipher", "transport"),
    [
        (("-aes128",), ContentCipher.AES_128_CBC, cms.PKCS1_V1_5),
        (("-aes192",), ContentCipher.AES_192_CBC, cms.PKCS1_V1_5),
        (("-aes256", "-keyid"), ContentCipher.AES_256_CBC, cms.PKCS1_V1_5),
        (("-des3", "-stream"), ContentCipher.DES_EDE3_CBC, cms.PKCS1_V1_5),
        (("-aes256", "-stream", "-indef"), ContentCipher.AES_256_CBC, cms.PKCS1_V1_5),
        (("-aes128", *OAEP, "rsa_oaep_md:sha1"), ContentCipher.AES_128_CBC, KeyTransport(Digest.SHA1)),
        (
            ("-aes128", *OAEP, "rsa_oaep_md:sha256"),
            ContentCipher.AES_128_CBC,
            KeyTransport(Digest.SHA256, Digest.SHA256),
        ),
        (
            ("-aes128", *OAEP, "rsa_oaep_md:sha512", "-keyopt", "rsa_mgf1_md:sha1"),
            ContentCipher.AES_128_CBC,
            KeyTransport(Digest.SHA512, Digest.SHA1),
        ),
    ],
)
def test_envelopes_made_by_openssl_open(
    options: tuple[str, ...], cipher: ContentCipher, transport: KeyTransport
) -> None:
    envelope = cms_read.read_enveloped_data(encrypted_by_openssl(*options))
    recipient = envelope.recipients[0]
    assert cms_read.certificate_parts(odd.ra().certificate).is_named_by(recipient.identifier)
    assert cms.key_transport_of(recipient) == transport
    assert cms.content_cipher_of(envelope, legacy=False) is cipher
    key = cms.unwrap_content_key(
        odd.ra().rsa_key, recipient, key_size=cipher.key_size, substitute=bytes(cipher.key_size)
    )
    assert cms.decrypt_content(envelope, key, cipher=cipher) == TEXT


@pytest.mark.parametrize("options", [(), ("-keyid",), ("-stream", "-indef")])
@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_signatures_made_by_openssl_verify(digest: str, options: tuple[str, ...]) -> None:
    body = openssl(
        *("cms", "-sign", "-nodetach", "-binary", "-outform", "DER", "-md", digest, *options),
        *("-signer", "certificate", "-inkey", "key"),
        given=TEXT,
        certificate=certificate_pem(odd.device().certificate),
        key=key_pem(odd.device().rsa_key),
    )
    signed_data = cms_read.read_signed_data(body)
    assert signed_data.content == TEXT
    signer = cms.signer_certificate(signed_data)
    assert signer.encoded == odd.device().certificate
    assert cms.verify_signed_data(signed_data, cms.public_key_of(signer), legacy=False) is Digest(digest)


def test_a_degenerate_message_made_by_openssl_is_read_in_its_order() -> None:
    chain = [odd.stranger().certificate, odd.ra().certificate, odd.device().certificate]
    pem = b"".join(certificate_pem(each) for each in chain)
    arguments = ("crl2pkcs7", "-nocrl", "-outform", "DER", "-certfile", "chain")
    signed_data = cms_read.read_signed_data(openssl(*arguments, given=b"", chain=pem))
    assert list(signed_data.certificates) == chain
    assert signed_data.signer is None
    with pytest.raises(MalformedMessage, match="no signer"):
        cms.signer_certificate(signed_data)


def test_certificates_recipients_and_attributes_are_bounded() -> None:
    too_many = [odd.device().certificate] * (cms_read.MAX_CERTIFICATES + 1)
    with pytest.raises(MalformedMessage, match="33 certificates"):
        cms_read.read_signed_data(cms_write.certificates_only(too_many))
    recipients = [odd.recipient(odd.ra(), key_size=16)] * (cms_read.MAX_RECIPIENTS + 1)
    envelope = cms_write.enveloped_data(
        b"", recipients, cipher=ContentCipher.AES_128_CBC, content_key=bytes(16), iv=bytes(16)
    )
    with pytest.raises(MalformedMessage, match="more than 32 recipients"):
        cms_read.read_enveloped_data(envelope)
    attributes = [cms_write.attribute(f"1.2.3.{number}", der.null()) for number in range(70)]
    with pytest.raises(MalformedMessage, match="over 64"):
        cms_read.read_signed_data(odd.signed(b"", attributes=attributes))


def test_a_second_signer_is_refused() -> None:
    signed_data = list(next(list(der.read(odd.signed(b"x")).children())[1].children()).children())
    *before, signers = signed_data
    body = der.sequence(*(each.encoded for each in before), der.tlv(der.SET, signers.contents, signers.contents))
    with pytest.raises(MalformedMessage, match="more than one SignerInfo"):
        cms_read.read_signed_data(der.sequence(der.oid(oids.CMS_SIGNED_DATA), der.tlv(0xA0, body)))


def test_an_attribute_with_two_values_is_refused() -> None:
    twice = der.sequence(der.oid("1.2.3"), der.tlv(der.SET, der.null(), der.null()))
    with pytest.raises(MalformedMessage, match="several values"):
        cms_read.read_signed_data(odd.signed(b"x", attributes=[twice]))


def test_oaep_with_a_label_is_refused() -> None:
    label = der.sequence(der.oid("1.2.840.113549.1.1.9"), der.octet_string(b"label"))
    algorithm = cms_read.Algorithm(der.oid(oids.RSA_OAEP)[2:], der.sequence(der.explicit(2, label)))
    recipient = cms_read.Recipient(cms_read.CertificateId(b"x", b""), algorithm, b"")
    with pytest.raises(AlgorithmNotAllowed, match="label"):
        cms.key_transport_of(recipient)


def test_a_certificate_without_subject_key_identifier_is_never_named_by_one() -> None:
    parts = cms_read.certificate_parts(odd.stranger().certificate)
    assert parts.subject_key_identifier == b""
    assert not parts.is_named_by(cms_read.CertificateId(b"", b"x"))
    assert len(cms_read.certificate_parts(odd.ra().certificate).subject_key_identifier) == 20


def test_an_envelope_for_a_recipient_named_by_key_has_version_2() -> None:
    # RFC 5652 6.1
    assert b"\x02\x01\x00\x31" in odd.envelope(b"")[:40]
    assert b"\x02\x01\x02\x31" in odd.envelope(b"", by_ski=True)[:40]
