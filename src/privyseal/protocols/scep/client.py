# SPDX-License-Identifier: Apache-2.0
"""The client's side of SCEP (RFC 8894): requests -> bytes, bytes -> replies. No network, no clock.

Every random octet comes in as an argument. A reply is believed only when a trusted RA signed it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypedDict, Unpack

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from privyseal.errors import (
    InputError,
    MalformedMessage,
    MessageSignatureInvalid,
    RecipientKeyUnsupported,
    ServerAnsweredWrongly,
)
from privyseal.protocols import cms, cms_write
from privyseal.protocols.cms import ContentCipher, Digest, KeyTransport
from privyseal.protocols.cms_read import (
    CertificateParts,
    EnvelopedData,
    SignedData,
    certificate_parts,
    read_enveloped_data,
    read_signed_data,
)
from privyseal.protocols.scep import attributes as scep_attributes
from privyseal.protocols.scep.caps import CA_CERTIFICATE_TYPE, CA_RA_CERTIFICATES_TYPE
from privyseal.protocols.scep.messages import (
    FailInfo,
    IssuerAndSerial,
    IssuerAndSubject,
    MessageType,
    PkiStatus,
    Reply,
)
from privyseal.x509 import der

MAX_CAPABILITIES: Final = 4096
_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


class Exchange(TypedDict):
    """What every request needs: who signs, who may read it, with what, and the octets drawn for it."""

    signer_key: rsa.RSAPrivateKey
    signer_certificate: bytes
    recipient_certificate: bytes
    transaction_id: str
    sender_nonce: bytes
    cipher: ContentCipher
    digest: Digest
    key_transport: KeyTransport
    content_key: bytes
    iv: bytes


def self_signed_certificate(
    key: rsa.RSAPrivateKey, common_name: str, *, serial_number: int, not_before: datetime, not_after: datetime
) -> bytes:
    """DER of the throw-away certificate that signs a first request (RFC 8894 2.3)."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = x509.CertificateBuilder(name, name, key.public_key(), serial_number, not_before, not_after)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def rsa_signer(key: rsa.RSAPrivateKey) -> cms_write.Sign:
    """The signing call for messages: PKCS#1 v1.5 over the data, with the hash of that name."""

    def sign(data: bytes, digest: str) -> bytes:
        return key.sign(data, padding.PKCS1v15(), _HASHES[digest])

    return sign


def build_enrollment(csr_der: bytes, *, message_type: MessageType, **exchange: Unpack[Exchange]) -> bytes:
    """PKCSReq, or RenewalReq when signed by the certificate that is to be renewed."""
    return _pki_message(csr_der, message_type, exchange)


def build_poll(wanted: IssuerAndSubject, **exchange: Unpack[Exchange]) -> bytes:
    """CertPoll for a pending enrollment; the transaction id is that of the enrollment."""
    return _pki_message(der.sequence(wanted.issuer, wanted.subject), MessageType.CERT_POLL, exchange)


def build_get_cert(wanted: IssuerAndSerial, **exchange: Unpack[Exchange]) -> bytes:
    """GetCert."""
    return _pki_message(_issuer_and_serial(wanted), MessageType.GET_CERT, exchange)


def build_get_crl(wanted: IssuerAndSerial, **exchange: Unpack[Exchange]) -> bytes:
    """GetCRL, for the CRL that covers the certificate of that issuer and serial number."""
    return _pki_message(_issuer_and_serial(wanted), MessageType.GET_CRL, exchange)


def _issuer_and_serial(wanted: IssuerAndSerial) -> bytes:
    return der.sequence(wanted.issuer, der.integer(wanted.serial_number))


def _pki_message(content: bytes, message_type: MessageType, exchange: Exchange) -> bytes:
    cipher = exchange["cipher"]
    content_key = cms_write.fitted(exchange["content_key"], cipher.key_size, "the content key")
    recipient = certificate_parts(exchange["recipient_certificate"])
    recipient_key = cms.public_key_of(recipient)
    if not isinstance(recipient_key, rsa.RSAPublicKey):
        raise RecipientKeyUnsupported(
            "the server's RA certificate holds an EC key; SCEP encrypts to RSA keys",
            mend=("give the server a separate RSA RA certificate",),
        )
    envelope = cms_write.enveloped_data(
        content,
        [
            cms_write.recipient_info(
                recipient, recipient_key, content_key=content_key, transport=exchange["key_transport"]
            )
        ],
        cipher=cipher,
        content_key=content_key,
        iv=cms_write.fitted(exchange["iv"], cipher.block_size, "the initialization vector"),
    )
    return cms_write.signed_data(
        envelope,
        (
            scep_attributes.message_type_attribute(message_type),
            scep_attributes.transaction_id_attribute(exchange["transaction_id"]),
            scep_attributes.sender_nonce_attribute(exchange["sender_nonce"]),
        ),
        certificate=exchange["signer_certificate"],
        sign=rsa_signer(exchange["signer_key"]),
        digest=exchange["digest"],
    )


def parse_capabilities(body: bytes) -> frozenset[str]:
    """The keywords of a GetCACaps answer. Raises ServerAnsweredWrongly."""
    if len(body) > MAX_CAPABILITIES or not body.isascii():
        raise ServerAnsweredWrongly(f"GetCACaps answered {len(body)} octets that are not a short list of keywords")
    return frozenset(line.strip() for line in body.decode("ascii").splitlines() if line.strip())


def parse_ca_certificates(content_type: str, body: bytes) -> tuple[bytes, ...]:
    """The certificates of a GetCACert answer, in its order.

    Raises ServerAnsweredWrongly, MalformedMessage, MessageTooLarge.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == CA_CERTIFICATE_TYPE:
        return (certificate_parts(body).encoded,)
    if kind != CA_RA_CERTIFICATES_TYPE:
        allowed = f"{CA_CERTIFICATE_TYPE} and {CA_RA_CERTIFICATES_TYPE}"
        raise ServerAnsweredWrongly(f"GetCACert answered with content type {content_type!r}; allowed are {allowed}")
    certificates = read_signed_data(body).certificates
    if not certificates:
        raise ServerAnsweredWrongly("GetCACert answered without a certificate")
    return certificates


def parse_reply(
    body: bytes,
    *,
    transaction_id: str,
    sender_nonce: bytes,
    trusted_ra: Sequence[bytes],
    private_key: rsa.RSAPrivateKey,
) -> Reply:
    """The CertRep in ``body``, signed by one of ``trusted_ra`` and meant for this request.

    Raises MalformedMessage, MessageTooLarge, MessageSignatureInvalid, AlgorithmNotAllowed,
    EnvelopeNotForUs, ServerAnsweredWrongly.
    """
    signed_data = read_signed_data(body)
    signer = _trusted_signer(signed_data, trusted_ra)
    cms.verify_signed_data(signed_data, cms.public_key_of(signer), legacy=True)
    if signed_data.signer is None or signed_data.content is None:
        raise MalformedMessage("the reply has no signer or no content")
    found = signed_data.signer.attributes
    if scep_attributes.message_type(found) != MessageType.CERT_REP:
        raise ServerAnsweredWrongly("the reply's messageType is not CertRep")
    if scep_attributes.transaction_id(found) != transaction_id:
        raise ServerAnsweredWrongly("the reply belongs to another transaction")
    if scep_attributes.recipient_nonce(found) != sender_nonce:
        raise ServerAnsweredWrongly("the reply's recipientNonce is not the nonce that was sent: it may be a replay")
    status = _status(scep_attributes.pki_status(found))
    if status is PkiStatus.FAILURE:
        fail_info = _fail_info(scep_attributes.fail_info(found))
        return Reply(status, fail_info, scep_attributes.fail_info_text(found), (), ())
    if status is PkiStatus.PENDING:
        return Reply(status, None, "", (), ())
    inside = _open_reply(read_enveloped_data(signed_data.content), private_key)
    return Reply(status, None, "", inside.certificates, inside.crls)


def _trusted_signer(signed_data: SignedData, trusted_ra: Sequence[bytes]) -> CertificateParts:
    if signed_data.signer is not None:
        for certificate in trusted_ra:
            parts = certificate_parts(certificate)
            if parts.is_named_by(signed_data.signer.identifier):
                return parts
    raise MessageSignatureInvalid(
        f"the reply is not signed by one of the {len(trusted_ra)} trusted RA certificates",
        why="the server uses another RA certificate than the one that GetCACert gave",
        mend=("fetch GetCACert again",),
    )


def _status(number: int) -> PkiStatus:
    if number not in frozenset(PkiStatus):
        raise ServerAnsweredWrongly(f"pkiStatus {number}; allowed are 0, 2 and 3")
    return PkiStatus(number)


def _fail_info(number: int) -> FailInfo:
    if number not in frozenset(FailInfo):
        raise ServerAnsweredWrongly(f"failInfo {number}; allowed are 0 to 4")
    return FailInfo(number)


def _open_reply(envelope: EnvelopedData, private_key: rsa.RSAPrivateKey) -> SignedData:
    if len(envelope.recipients) != 1:
        raise ServerAnsweredWrongly(f"the reply has {len(envelope.recipients)} recipients; one is expected")
    cipher = cms.content_cipher_of(envelope, legacy=True)
    # No oracle here: the message came signed from the RA, and nobody is told how opening it ended.
    content_key = cms.unwrap_content_key(
        private_key, envelope.recipients[0], key_size=cipher.key_size, substitute=bytes(cipher.key_size)
    )
    content = cms.decrypt_content(envelope, content_key, cipher=cipher)
    try:
        return read_signed_data(content)
    except InputError:
        raise cms.not_for_us() from None
