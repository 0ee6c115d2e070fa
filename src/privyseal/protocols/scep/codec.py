# SPDX-License-Identifier: Apache-2.0
"""SCEP pkiMessages (RFC 8894 section 3), the server's side: bytes -> ScepRequest, decisions -> bytes.

Key transport stays with the caller (``cms.unwrap_content_key``). Trust in the signer is not judged here.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

from privyseal.errors import (
    AlgorithmNotAllowed,
    EnvelopeNotForUs,
    InputError,
    MalformedDer,
    MalformedMessage,
    MessageTooLarge,
    OperationUnsupported,
    RecipientKeyUnsupported,
)
from privyseal.protocols import ber, cms, cms_write
from privyseal.protocols.cms import ContentCipher, Digest, KeyTransport
from privyseal.protocols.cms_read import (
    EnvelopedData,
    Recipient,
    SignedData,
    expect,
    read_enveloped_data,
    read_signed_data,
    whole,
)
from privyseal.protocols.scep import attributes as scep_attributes
from privyseal.protocols.scep.messages import (
    FailInfo,
    IssuerAndSerial,
    IssuerAndSubject,
    MessageType,
    PkiStatus,
    RaIdentity,
    ReplyAddress,
    ReplySigner,
    ScepRequest,
)
from privyseal.x509 import der, oids

_DATA: Final = der.oid(oids.CMS_DATA)[2:]
_REQUEST_TYPES: Final = frozenset(MessageType) - {MessageType.CERT_REP}
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_TO_STANDARD_ALPHABET: Final = bytes.maketrans(b"-_ ", b"+/+")
_CERT_REP: Final = scep_attributes.message_type_attribute(MessageType.CERT_REP)
# The only texts that ever leave: nothing of the inside, nothing of the request (RFC 8894 3.2.1.4).
FAIL_INFO_TEXTS: Final = {
    FailInfo.BAD_ALG: "unrecognised or unsupported algorithm",
    FailInfo.BAD_MESSAGE_CHECK: "integrity check failed",
    FailInfo.BAD_REQUEST: "transaction not permitted or supported",
    FailInfo.BAD_TIME: "message time not close enough to system time",
    FailInfo.BAD_CERT_ID: "no certificate could be identified",
}


# --- requests ----------------------------------------------------------------------------------


def decode_get_query(raw_query_value: bytes | str) -> bytes:
    """The message from the value of ``message=`` of a GET, as it stood in the URL or already unescaped.

    Takes what clients send: ``+`` raw, escaped or turned into a space; the URL alphabet; line ends;
    no padding. Raises MalformedMessage, MessageTooLarge.
    """
    value = raw_query_value.encode("utf-8", "replace") if isinstance(raw_query_value, str) else raw_query_value
    if len(value) > ber.MAX_SIZE * 4:  # every character may be escaped
        raise MessageTooLarge(f"the message parameter has {len(value)} characters; the limit is {ber.MAX_SIZE * 4}")
    value = _ESCAPE.sub(lambda match: bytes((int(match[1], 16),)), value)
    value = value.translate(_TO_STANDARD_ALPHABET, b"\r\n\t").rstrip(b"=")
    try:
        return binascii.a2b_base64(value + b"=" * (-len(value) % 4), strict_mode=True)
    except ValueError:
        raise MalformedMessage("the message parameter of the URL is not base64") from None


def parse_request(body: bytes, *, legacy: bool) -> ScepRequest:
    """The pkiMessage in ``body``, its signature verified with the certificate it carries.

    Raises MalformedMessage, MessageTooLarge, MessageSignatureInvalid, AlgorithmNotAllowed,
    OperationUnsupported.
    """
    signed_data = read_signed_data(body)
    signer_info, content = signed_data.signer, signed_data.content
    if signer_info is None or content is None or signed_data.content_type != _DATA:
        raise MalformedMessage("a pkiMessage is SignedData over data with one signer (RFC 8894 3.2); this is not")
    signer = cms.signer_certificate(signed_data)
    signer_key = cms.public_key_of(signer)
    digest = cms.verify_signed_data(signed_data, signer_key, legacy=legacy)
    signed_attributes = signer_info.attributes
    envelope = read_enveloped_data(content)
    return ScepRequest(
        transaction_id=scep_attributes.transaction_id(signed_attributes),
        message_type=_request_type(scep_attributes.message_type(signed_attributes)),
        sender_nonce=scep_attributes.sender_nonce(signed_attributes),
        signer=signer,
        signer_key=signer_key,
        envelope=envelope,
        digest=digest,
        content_cipher=cms.content_cipher_of(envelope, legacy=legacy),
        key_transport=_key_transport(envelope),
    )


def _request_type(number: int) -> MessageType:
    if number not in _REQUEST_TYPES:
        allowed = ", ".join(str(kind.value) for kind in sorted(_REQUEST_TYPES))
        raise OperationUnsupported(f"messageType {number}; requests are {allowed} (RFC 8894 3.2.1.2)")
    return MessageType(number)


def _key_transport(envelope: EnvelopedData) -> KeyTransport:
    # Answered in kind; a recipient that is not ours may use what we do not know.
    for recipient in envelope.recipients:
        try:
            return cms.key_transport_of(recipient)
        except AlgorithmNotAllowed:
            continue
    raise AlgorithmNotAllowed("no recipient's content key is wrapped by RSA PKCS#1 v1.5 or OAEP")


def failure_address(body: bytes, *, legacy: bool = False) -> ReplyAddress | None:
    """Whom to send a failure to when ``parse_request`` refused ``body``; None when it does not say.

    Nothing of this is verified: good for an answer (RFC 8894 3.2.1.4: badAlg, badMessageCheck), for
    nothing else. A client whose digest we refuse gets its answer with SHA-256.
    """
    try:
        signed_data = read_signed_data(body)
        return _address(signed_data, legacy=legacy)
    except InputError:
        return None


def _address(signed_data: SignedData, *, legacy: bool) -> ReplyAddress:
    if signed_data.signer is None:
        raise MalformedMessage("the message has no signer")
    try:
        digest = cms.digest_of(signed_data.signer.digest_algorithm, legacy=legacy)
    except AlgorithmNotAllowed:
        digest = Digest.SHA256
    signed_attributes = signed_data.signer.attributes
    return ReplyAddress(
        scep_attributes.transaction_id(signed_attributes), scep_attributes.sender_nonce(signed_attributes), digest
    )


def find_recipient(request: ScepRequest, ra_certificates: Sequence[RaIdentity]) -> tuple[RaIdentity, Recipient]:
    """Which of ours the request is encrypted to; it may name others as well. Raises EnvelopeNotForUs."""
    for recipient in request.envelope.recipients:
        for identity in ra_certificates:
            if identity.parts.is_named_by(recipient.identifier):
                return identity, recipient
    count = len(request.envelope.recipients)
    raise EnvelopeNotForUs(f"none of the {count} recipients of the message is our current RA certificate")


def open_request(request: ScepRequest, content_key: bytes) -> bytes:
    """The content: a PKCS#10 request, or the DER that ``issuer_and_subject`` and ``issuer_and_serial`` read.

    A content that is not of the form its message type asks for fails like a wrong key.
    Raises EnvelopeNotForUs.
    """
    content = cms.decrypt_content(request.envelope, content_key, cipher=request.content_cipher)
    try:
        if request.message_type is MessageType.CERT_POLL:
            issuer_and_subject(content)
        elif request.message_type in (MessageType.GET_CERT, MessageType.GET_CRL):
            issuer_and_serial(content)
        else:
            _check_certification_request(content)
    except InputError:
        raise cms.not_for_us() from None
    return content


def _check_certification_request(content: bytes) -> None:
    # RFC 2986 4.2, outermost shape only: enough to tell a request from what a wrong key leaves.
    start, end = whole(content, tag=der.SEQUENCE, what="CertificationRequest")
    position = start
    for tag in (der.SEQUENCE, der.SEQUENCE, der.BIT_STRING):
        _, position = expect(content, position, end, tag=tag, what="CertificationRequest")
    if position != end:
        raise MalformedMessage("octets follow the signature of the CertificationRequest")


def issuer_and_subject(content: bytes) -> IssuerAndSubject:
    """Content of CertPoll (RFC 8894 3.3.3). Raises MalformedMessage."""
    start, end = whole(content, tag=der.SEQUENCE, what="IssuerAndSubject")
    _, middle = expect(content, start, end, tag=der.SEQUENCE, what="issuer")
    _, after = expect(content, middle, end, tag=der.SEQUENCE, what="subject")
    if after != end:
        raise MalformedMessage("octets follow the subject of IssuerAndSubject")
    return IssuerAndSubject(content[start:middle], content[middle:end])


def issuer_and_serial(content: bytes) -> IssuerAndSerial:
    """Content of GetCert and GetCRL (RFC 8894 3.3.4). Raises MalformedMessage."""
    start, end = whole(content, tag=der.SEQUENCE, what="IssuerAndSerialNumber")
    _, middle = expect(content, start, end, tag=der.SEQUENCE, what="issuer")
    try:
        serial_number = der.read_only(content[middle:end], der.INTEGER, "serialNumber").as_int()
    except MalformedDer:
        raise MalformedMessage("IssuerAndSerialNumber does not end with a serial number") from None
    return IssuerAndSerial(content[start:middle], serial_number)


# --- replies -----------------------------------------------------------------------------------


def requester_key(request: ScepRequest) -> rsa.RSAPublicKey:
    """The key that a successful reply is encrypted to; ask before anything is signed.

    Raises RecipientKeyUnsupported.
    """
    key = request.signer_key
    if not isinstance(key, rsa.RSAPublicKey):
        raise RecipientKeyUnsupported("the certificate that signs the request holds an EC key; an RSA key is needed")
    transport, cipher = request.key_transport, reply_cipher(request)
    cms.check_capacity(key, cipher.key_size, transport)
    return key


def reply_cipher(request: ScepRequest) -> ContentCipher:
    """The client's own content cipher; 3DES for DES, which every client that sends DES can read."""
    if request.content_cipher is ContentCipher.DES_CBC:
        return ContentCipher.DES_EDE3_CBC
    return request.content_cipher


def build_reply_success(
    request: ScepRequest,
    *,
    certificates: Sequence[bytes],
    signer: ReplySigner,
    sender_nonce: bytes,
    content_key: bytes,
    iv: bytes,
) -> bytes:
    """CertRep SUCCESS with ``certificates`` in their order, the requester's own first, for the requester only.

    ``content_key`` and ``iv`` are fresh random octets, at least as many as ``reply_cipher`` needs.
    Raises RecipientKeyUnsupported, InvalidValue.
    """
    content = cms_write.certificates_only(certificates)
    return _success(request, content, signer=signer, sender_nonce=sender_nonce, content_key=content_key, iv=iv)


def build_reply_crl(
    request: ScepRequest, *, crl: bytes, signer: ReplySigner, sender_nonce: bytes, content_key: bytes, iv: bytes
) -> bytes:
    """CertRep SUCCESS to GetCRL (RFC 8894 3.3.2.1, 4.6). Raises as ``build_reply_success``."""
    content = cms_write.certificates_only((), crls=(crl,))
    return _success(request, content, signer=signer, sender_nonce=sender_nonce, content_key=content_key, iv=iv)


def build_reply_failure(
    request: ScepRequest | ReplyAddress,
    fail_info: FailInfo,
    *,
    signer: ReplySigner,
    sender_nonce: bytes,
    explain: bool = False,
) -> bytes:
    """CertRep FAILURE; with ``explain`` also failInfoText, from the fixed texts above."""
    more = [scep_attributes.fail_info_attribute(fail_info)]
    if explain:
        more.append(scep_attributes.fail_info_text_attribute(FAIL_INFO_TEXTS[fail_info]))
    return _cert_rep(request, b"", PkiStatus.FAILURE, more=more, signer=signer, sender_nonce=sender_nonce)


def build_reply_pending(request: ScepRequest, *, signer: ReplySigner, sender_nonce: bytes) -> bytes:
    """CertRep PENDING: the client polls."""
    return _cert_rep(request, b"", PkiStatus.PENDING, more=[], signer=signer, sender_nonce=sender_nonce)


def _success(
    request: ScepRequest, content: bytes, *, signer: ReplySigner, sender_nonce: bytes, content_key: bytes, iv: bytes
) -> bytes:
    cipher = reply_cipher(request)
    key = cms_write.fitted(content_key, cipher.key_size, "the content key")
    recipient = cms_write.recipient_info(
        request.signer, requester_key(request), content_key=key, transport=request.key_transport
    )
    envelope = cms_write.enveloped_data(
        content,
        [recipient],
        cipher=cipher,
        content_key=key,
        iv=cms_write.fitted(iv, cipher.block_size, "the initialization vector"),
    )
    return _cert_rep(request, envelope, PkiStatus.SUCCESS, more=[], signer=signer, sender_nonce=sender_nonce)


def _cert_rep(
    request: ScepRequest | ReplyAddress,
    content: bytes,
    status: PkiStatus,
    *,
    more: Sequence[bytes],
    signer: ReplySigner,
    sender_nonce: bytes,
) -> bytes:
    return cms_write.signed_data(
        content,
        (
            _CERT_REP,
            scep_attributes.pki_status_attribute(status),
            scep_attributes.transaction_id_attribute(request.transaction_id),
            scep_attributes.sender_nonce_attribute(sender_nonce),
            scep_attributes.recipient_nonce_attribute(request.sender_nonce),
            *more,
        ),
        certificate=signer.certificate,
        sign=signer.sign,
        digest=request.digest,
    )
