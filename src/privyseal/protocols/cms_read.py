# SPDX-License-Identifier: Apache-2.0
"""CMS (RFC 5652) as bytes -> frozen values: the shapes only. No algorithm is judged here, no key is touched.

Strict reading by position over one buffer (this is the hot path of SCEP); when that fails, once more
over the BER made DER. Every fault is a MalformedMessage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from privyseal.errors import MalformedDer, MalformedMessage, MessageTooLarge
from privyseal.protocols import ber
from privyseal.x509 import der, oids

MAX_CERTIFICATES = 32
MAX_RECIPIENTS = 32
MAX_ATTRIBUTES = 64

_CONTEXT_0, _CONTEXT_1, _CONTEXT_3 = 0xA0, 0xA1, 0xA3
_PRIMITIVE_0 = 0x80
_SIGNED_DATA = der.oid(oids.CMS_SIGNED_DATA)[2:]
_ENVELOPED_DATA = der.oid(oids.CMS_ENVELOPED_DATA)[2:]
_SUBJECT_KEY_IDENTIFIER = der.oid(oids.SUBJECT_KEY_IDENTIFIER)[2:]

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Algorithm:
    """AlgorithmIdentifier: contents octets of the OID, encoding of the parameters (empty when absent)."""

    identifier: bytes
    parameters: bytes

    @property
    def dotted(self) -> str:
        """The identifier as text, for messages to people."""
        try:
            return der.read(der.tlv(der.OID, self.identifier)).as_oid()
        except MalformedDer:
            return self.identifier.hex()


@dataclass(frozen=True, slots=True)
class CertificateId:
    """SignerIdentifier or RecipientIdentifier: one of the two is empty (RFC 5652 5.3, 6.2.1)."""

    issuer_and_serial: bytes
    subject_key_identifier: bytes


@dataclass(frozen=True, slots=True)
class CertificateParts:
    """What CMS needs of a certificate, as slices of it. Nothing about it is checked."""

    encoded: bytes
    issuer_and_serial: bytes
    public_key_info: bytes
    extensions: bytes

    @property
    def subject_key_identifier(self) -> bytes:
        """Value of the extension; empty when there is none. Raises MalformedMessage."""
        return _find_subject_key_identifier(self.extensions)

    def is_named_by(self, identifier: CertificateId) -> bool:
        """Whether ``identifier`` points at this certificate, octet for octet. Raises MalformedMessage."""
        if identifier.issuer_and_serial:
            return identifier.issuer_and_serial == self.issuer_and_serial
        return identifier.subject_key_identifier == self.subject_key_identifier


@dataclass(frozen=True, slots=True)
class Attribute:
    """The single value of a signed attribute: its tag and contents octets."""

    tag: int
    value: bytes


@dataclass(frozen=True, slots=True)
class SignerInfo:
    """RFC 5652 5.3. ``signed`` is what the signature is over: the attributes as received, tagged SET OF."""

    identifier: CertificateId
    digest_algorithm: Algorithm
    attributes: Mapping[bytes, Attribute]
    signed: bytes
    signature_algorithm: Algorithm
    signature: bytes


@dataclass(frozen=True, slots=True)
class SignedData:
    """RFC 5652 5.1. ``content`` is None when absent; ``signer`` is None in the degenerate form."""

    content_type: bytes
    content: bytes | None
    certificates: tuple[bytes, ...]
    crls: tuple[bytes, ...]
    signer: SignerInfo | None


@dataclass(frozen=True, slots=True)
class Recipient:
    """KeyTransRecipientInfo (RFC 5652 6.2.1)."""

    identifier: CertificateId
    key_algorithm: Algorithm
    encrypted_key: bytes


@dataclass(frozen=True, slots=True)
class EnvelopedData:
    """RFC 5652 6.1, key transport only; recipients of other kinds are passed over."""

    recipients: tuple[Recipient, ...]
    content_algorithm: Algorithm
    encrypted_content: bytes


def header(data: bytes, position: int, limit: int) -> tuple[int, int, int]:
    """Tag, start and end of the contents of the DER element at ``position``. Raises MalformedMessage."""
    start = position + 2
    if start > limit:
        raise MalformedMessage("the message ends inside an element")
    tag = data[position]
    size = data[position + 1]
    if tag & 0x1F == 0x1F:
        raise MalformedMessage("the message holds a tag number above 30")
    if size >= 0x80:
        count = size & 0x7F
        if not 1 <= count <= 4 or start + count > limit:
            raise MalformedMessage("the message holds an indefinite, oversized or cut length")
        size = int.from_bytes(data[start : start + count], "big")
        start += count
        if size < 0x80 or size >> (8 * (count - 1)) == 0:
            raise MalformedMessage("the message holds a length that is not minimally encoded")
    end = start + size
    if end > limit:
        raise MalformedMessage("an element of the message is longer than what holds it")
    return tag, start, end


def expect(data: bytes, position: int, limit: int, *, tag: int, what: str) -> tuple[int, int]:
    """Start and end of the contents of the element at ``position``, which must be ``what``."""
    start = position + 2
    # Such an element with one or, after 0x82, two octets of length needs no second look; ``header`` holds the rules for
    # the rest and for what is wrong.
    if start <= limit and data[position] == tag:
        size = data[position + 1]
        if size == 0x82 and start + 2 <= limit and data[start]:
            size = data[start] << 8 | data[start + 1]
            start += 2
        elif size >= 0x80:
            size = limit
        if start + size <= limit:
            return start, start + size
    found, start, end = header(data, position, limit)
    if found != tag:
        raise MalformedMessage(f"{what}: expected tag 0x{tag:02x}, found 0x{found:02x}")
    return start, end


def whole(data: bytes, *, tag: int, what: str) -> tuple[int, int]:
    """Like ``expect`` for the one element that fills ``data``, but for padding that some clients append."""
    start, end = expect(data, 0, len(data), tag=tag, what=what)
    if end != len(data) and data[end:].strip(ber.PADDING):
        raise MalformedMessage(f"{what}: {len(data) - end} octets follow its end")
    return start, end


def read_signed_data(data: bytes) -> SignedData:
    """ContentInfo with SignedData and at most one signer. Raises MalformedMessage, MessageTooLarge."""
    return _tolerant(_signed_data, data)


def read_enveloped_data(data: bytes) -> EnvelopedData:
    """ContentInfo with EnvelopedData. Raises MalformedMessage, MessageTooLarge."""
    return _tolerant(_enveloped_data, data)


def certificate_parts(certificate: bytes) -> CertificateParts:
    """The slices of a DER certificate (RFC 5280 4.1) that CMS refers to. Raises MalformedMessage."""
    start, end = whole(certificate, tag=der.SEQUENCE, what="certificate")
    outer_end = end
    position, end = expect(certificate, start, end, tag=der.SEQUENCE, what="tbsCertificate")
    tag, _, after = header(certificate, position, end)
    if tag == _CONTEXT_0:
        position = after
    _, serial_end = expect(certificate, position, end, tag=der.INTEGER, what="serialNumber")
    serial = certificate[position:serial_end]
    _, issuer_start = expect(certificate, serial_end, end, tag=der.SEQUENCE, what="signature")
    _, issuer_end = expect(certificate, issuer_start, end, tag=der.SEQUENCE, what="issuer")
    _, position = expect(certificate, issuer_end, end, tag=der.SEQUENCE, what="validity")
    _, key_start = expect(certificate, position, end, tag=der.SEQUENCE, what="subject")
    _, key_end = expect(certificate, key_start, end, tag=der.SEQUENCE, what="subjectPublicKeyInfo")
    position, extensions = key_end, b""
    while position < end:
        tag, start, position = header(certificate, position, end)
        if tag == _CONTEXT_3:
            extensions = certificate[start:position]
    return CertificateParts(
        certificate[:outer_end],
        certificate[issuer_start:issuer_end] + serial,
        certificate[key_start:key_end],
        extensions,
    )


def _tolerant(reader: Callable[[bytes], _Value], data: bytes) -> _Value:
    if len(data) > ber.MAX_SIZE:
        raise MessageTooLarge(f"the message has {len(data)} octets; the limit is {ber.MAX_SIZE}")
    try:
        return reader(data)
    except MalformedMessage:
        normal = ber.to_der(data)
        if normal == data:
            raise
    return reader(normal)


def _content_info(data: bytes, content_type: bytes, what: str) -> tuple[int, int]:
    start, end = whole(data, tag=der.SEQUENCE, what="ContentInfo")
    start, position = expect(data, start, end, tag=der.OID, what="contentType")
    if data[start:position] != content_type:
        raise MalformedMessage(f"the message is not {what}: {Algorithm(data[start:position], b'').dotted}")
    start, end = expect(data, position, end, tag=_CONTEXT_0, what="content")
    return expect(data, start, end, tag=der.SEQUENCE, what=what)


def _signed_data(data: bytes) -> SignedData:
    position, end = _content_info(data, _SIGNED_DATA, "SignedData")
    _, position = expect(data, position, end, tag=der.INTEGER, what="version")
    _, position = expect(data, position, end, tag=der.SET, what="digestAlgorithms")
    start, position = expect(data, position, end, tag=der.SEQUENCE, what="encapContentInfo")
    content_type, content = _encapsulated(data, start, position)
    certificates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    tag, start, after = header(data, position, end)
    if tag == _CONTEXT_0:
        certificates = _sequences(data, start, after)
        tag, start, after = header(data, after, end)
    if tag == _CONTEXT_1:
        crls = _sequences(data, start, after)
        tag, start, after = header(data, after, end)
    if tag != der.SET or after != end:
        raise MalformedMessage("SignedData does not end with signerInfos")
    signer = None
    if start != after:
        start, stop = expect(data, start, after, tag=der.SEQUENCE, what="SignerInfo")
        if stop != after:
            raise MalformedMessage("SignedData has more than one SignerInfo; one is expected")
        signer = _signer_info(data, start, stop)
    return SignedData(content_type, content, certificates, crls, signer)


def _encapsulated(data: bytes, position: int, end: int) -> tuple[bytes, bytes | None]:
    start, position = expect(data, position, end, tag=der.OID, what="eContentType")
    content_type = data[start:position]
    if position == end:
        return content_type, None
    position, end = expect(data, position, end, tag=_CONTEXT_0, what="eContent")
    start, stop = expect(data, position, end, tag=der.OCTET_STRING, what="eContent")
    if stop != end:
        raise MalformedMessage("eContent holds more than one OCTET STRING")
    return content_type, data[start:stop]


def _sequences(data: bytes, position: int, end: int) -> tuple[bytes, ...]:
    # CertificateChoices and RevocationInfoChoice have other, tagged members (RFC 5652 10.2): passed over.
    found: list[bytes] = []
    while position < end:
        tag, _, after = header(data, position, end)
        if tag == der.SEQUENCE:
            found.append(data[position:after])
        position = after
    if len(found) > MAX_CERTIFICATES:
        raise MalformedMessage(f"the message carries {len(found)} certificates; the limit is {MAX_CERTIFICATES}")
    return tuple(found)


def _signer_info(data: bytes, position: int, end: int) -> SignerInfo:
    _, position = expect(data, position, end, tag=der.INTEGER, what="version")
    identifier, position = _identifier(data, position, end)
    digest, position = _algorithm(data, position, end)
    start, after = expect(data, position, end, tag=_CONTEXT_0, what="signedAttrs")
    attributes = _attributes(data, start, after)
    # RFC 5652 5.4: the signature is over SET OF instead of IMPLICIT [0]; the octets stay as received.
    signed = b"\x31" + data[position + 1 : after]
    signature_algorithm, position = _algorithm(data, after, end)
    start, stop = expect(data, position, end, tag=der.OCTET_STRING, what="signature")
    return SignerInfo(identifier, digest, attributes, signed, signature_algorithm, data[start:stop])


def _identifier(data: bytes, position: int, end: int) -> tuple[CertificateId, int]:
    tag, start, after = header(data, position, end)
    if start == after or tag not in (der.SEQUENCE, _PRIMITIVE_0):
        raise MalformedMessage(f"neither issuerAndSerialNumber nor subjectKeyIdentifier, but tag 0x{tag:02x}")
    if tag == der.SEQUENCE:
        return CertificateId(data[start:after], b""), after
    return CertificateId(b"", data[start:after]), after


def _algorithm(data: bytes, position: int, end: int) -> tuple[Algorithm, int]:
    start, end = expect(data, position, end, tag=der.SEQUENCE, what="AlgorithmIdentifier")
    start, after = expect(data, start, end, tag=der.OID, what="algorithm")
    return Algorithm(data[start:after], data[after:end]), end


def read_algorithm(encoded: bytes) -> Algorithm:
    """An AlgorithmIdentifier that stands alone, as in the parameters of another. Raises MalformedMessage."""
    algorithm, end = _algorithm(encoded, 0, len(encoded))
    if end != len(encoded):
        raise MalformedMessage("octets follow the end of an AlgorithmIdentifier")
    return algorithm


def _attributes(data: bytes, position: int, end: int) -> dict[bytes, Attribute]:
    attributes: dict[bytes, Attribute] = {}
    while position < end:
        start, position = expect(data, position, end, tag=der.SEQUENCE, what="signed attribute")
        type_start, type_end = expect(data, start, position, tag=der.OID, what="type of a signed attribute")
        start, set_end = expect(data, type_end, position, tag=der.SET, what="values of a signed attribute")
        if set_end != position:
            raise MalformedMessage("a signed attribute is not a type and a set of values")
        tag, start, after = header(data, start, set_end)
        name = data[type_start:type_end]
        if after != set_end or name in attributes or len(attributes) == MAX_ATTRIBUTES:
            raise MalformedMessage(f"signed attributes repeat, have several values, or are over {MAX_ATTRIBUTES}")
        attributes[name] = Attribute(tag, data[start:after])
    return attributes


def _enveloped_data(data: bytes) -> EnvelopedData:
    position, end = _content_info(data, _ENVELOPED_DATA, "EnvelopedData")
    _, position = expect(data, position, end, tag=der.INTEGER, what="version")
    tag, start, after = header(data, position, end)
    if tag == _CONTEXT_0:  # originatorInfo
        tag, start, after = header(data, after, end)
    if tag != der.SET:
        raise MalformedMessage("EnvelopedData has no recipientInfos")
    recipients = _recipients(data, start, after)
    position, end = expect(data, after, end, tag=der.SEQUENCE, what="encryptedContentInfo")
    _, position = expect(data, position, end, tag=der.OID, what="contentType")
    algorithm, position = _algorithm(data, position, end)
    start, stop = expect(data, position, end, tag=_PRIMITIVE_0, what="encryptedContent")
    return EnvelopedData(recipients, algorithm, data[start:stop])


def _recipients(data: bytes, position: int, end: int) -> tuple[Recipient, ...]:
    recipients: list[Recipient] = []
    while position < end:
        tag, start, after = header(data, position, end)
        position = after
        if tag != der.SEQUENCE:
            continue
        if len(recipients) == MAX_RECIPIENTS:
            raise MalformedMessage(f"the message has more than {MAX_RECIPIENTS} recipients")
        _, start = expect(data, start, after, tag=der.INTEGER, what="version")
        identifier, start = _identifier(data, start, after)
        algorithm, start = _algorithm(data, start, after)
        start, stop = expect(data, start, after, tag=der.OCTET_STRING, what="encryptedKey")
        recipients.append(Recipient(identifier, algorithm, data[start:stop]))
    return tuple(recipients)


def _find_subject_key_identifier(extensions: bytes) -> bytes:
    if not extensions:
        return b""
    position, end = expect(extensions, 0, len(extensions), tag=der.SEQUENCE, what="extensions")
    while position < end:
        start, position = expect(extensions, position, end, tag=der.SEQUENCE, what="extension")
        start, after = expect(extensions, start, position, tag=der.OID, what="extnID")
        if extensions[start:after] == _SUBJECT_KEY_IDENTIFIER:
            tag, start, after = header(extensions, after, position)
            if tag == der.BOOLEAN:
                tag, start, after = header(extensions, after, position)
            start, after = expect(extensions, start, after, tag=der.OCTET_STRING, what="subjectKeyIdentifier")
            return extensions[start:after]
    return b""
