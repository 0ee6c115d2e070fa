# SPDX-License-Identifier: Apache-2.0
"""CMS (RFC 5652) as values -> bytes, by concatenation. What is constant is encoded once at import.

Signing is a call back to whoever holds the key; nothing here is random and nothing is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

from privyseal.errors import InvalidValue
from privyseal.protocols.cms import (
    DIGEST_OIDS,
    ContentCipher,
    Digest,
    KeyTransport,
    encrypt_content,
    wrap_content_key,
)
from privyseal.protocols.cms_read import CertificateParts, certificate_parts, header
from privyseal.x509 import der, oids

Sign = Callable[[bytes, str], bytes]

_VERSION_0, _VERSION_1, _VERSION_2 = der.integer(0), der.integer(1), der.integer(2)
_DATA: Final = der.oid(oids.CMS_DATA)
_SIGNED_DATA: Final = der.oid(oids.CMS_SIGNED_DATA)
_ENVELOPED_DATA: Final = der.oid(oids.CMS_ENVELOPED_DATA)
# Plain rsaEncryption with NULL: Debian 12's strongSwan verifies no other (RFC 3370 3.2 allows it for every digest).
_RSA_ENCRYPTION: Final = der.sequence(der.oid(oids.RSA_ENCRYPTION), der.null())
# RFC 3370 2.1, RFC 5754 2: a digest's parameters are left out.
_DIGEST_ALGORITHMS: Final = {digest: der.sequence(der.oid(dotted)) for digest, dotted in DIGEST_OIDS.items()}
_DIGEST_SETS: Final = {digest: der.tlv(der.SET, encoded) for digest, encoded in _DIGEST_ALGORITHMS.items()}
_CIPHER_OIDS: Final = {cipher: der.oid(cipher.oid) for cipher in ContentCipher}
_EMPTY_SET: Final = der.tlv(der.SET)
_NO_CONTENT: Final = der.sequence(_DATA)
_SUBJECT_KEY_IDENTIFIER = 0x80


def attribute(kind: str, value: bytes) -> bytes:
    """Attribute with one value (RFC 5652 5.3)."""
    return der.sequence(der.oid(kind), der.tlv(der.SET, value))


@lru_cache(maxsize=256)
def _attribute_head(kind: str, tag: int, size: int) -> bytes:
    encoded = attribute(kind, der.tlv(tag, bytes(size)))
    return encoded[: len(encoded) - size]


def primitive_attribute(kind: str, tag: int, contents: bytes) -> bytes:
    """Attribute with one primitive value; what stands before its contents is made once for each length."""
    return _attribute_head(kind, tag, len(contents)) + contents


_CONTENT_TYPE_IS_DATA: Final = attribute(oids.CONTENT_TYPE, _DATA)


@lru_cache(maxsize=64)
def _signer_constants(certificate: bytes) -> tuple[bytes, bytes]:
    """Of one of our own few certificates: SignerInfo's version and sid; SignedData's certificates field."""
    parts = certificate_parts(certificate)
    return _VERSION_1 + der.sequence(parts.issuer_and_serial), der.tlv(0xA0, parts.encoded)


def signed_data(
    content: bytes, attributes: Sequence[bytes], *, certificate: bytes, sign: Sign, digest: Digest
) -> bytes:
    """ContentInfo with SignedData over ``content``, signed by the RSA key of ``certificate``, which goes along.

    An empty content is written as an OCTET STRING of no octets: certmonger cannot read a message
    whose eContent is absent.
    """
    message_digest = primitive_attribute(oids.MESSAGE_DIGEST, der.OCTET_STRING, digest.over(content))
    signed = der.set_of(_CONTENT_TYPE_IS_DATA, message_digest, *attributes)
    identity, certificates = _signer_constants(certificate)
    signer_info = der.sequence(
        identity,
        _DIGEST_ALGORITHMS[digest],
        b"\xa0" + signed[1:],
        _RSA_ENCRYPTION,
        der.octet_string(sign(signed, digest.value)),
    )
    encapsulated = der.sequence(_DATA, der.tlv(0xA0, der.octet_string(content)))
    body = der.sequence(_VERSION_1, _DIGEST_SETS[digest], encapsulated, certificates, der.tlv(der.SET, signer_info))
    return der.sequence(_SIGNED_DATA, der.tlv(0xA0, body))


def certificates_only(certificates: Sequence[bytes], *, crls: Sequence[bytes] = ()) -> bytes:
    """Degenerate SignedData (RFC 8894 3.4) with certificates and CRLs in the order given.

    DER would sort the SET OF certificates; we do not, on purpose: the order is leaf first, and clients
    (iOS, micromdm) take the first certificate as theirs. RFC 5652 does not ask for DER here.
    """
    body = der.sequence(
        _VERSION_1,
        _EMPTY_SET,
        _NO_CONTENT,
        der.tlv(0xA0, *certificates) if certificates else b"",
        der.tlv(0xA1, *crls) if crls else b"",
        _EMPTY_SET,
    )
    return der.sequence(_SIGNED_DATA, der.tlv(0xA0, body))


@lru_cache(maxsize=32)
def _key_transport_algorithm(transport: KeyTransport) -> bytes:
    if transport.oaep is None:
        return _RSA_ENCRYPTION
    parameters = []
    # RFC 4055 4.1: SHA-1 is the default, and DER leaves defaults out.
    if transport.oaep is not Digest.SHA1:
        parameters.append(der.explicit(0, _hash_with_null(transport.oaep)))
    if transport.mgf is not Digest.SHA1:
        mask = der.sequence(der.oid(oids.MGF1), _hash_with_null(transport.mgf))
        parameters.append(der.explicit(1, mask))
    return der.sequence(der.oid(oids.RSA_OAEP), der.sequence(*parameters))


def _hash_with_null(digest: Digest) -> bytes:
    return der.sequence(der.oid(DIGEST_OIDS[digest]), der.null())


def recipient_info(
    certificate: CertificateParts,
    public_key: rsa.RSAPublicKey,
    *,
    content_key: bytes,
    transport: KeyTransport,
    by_subject_key_identifier: bool = False,
) -> bytes:
    """KeyTransRecipientInfo (RFC 5652 6.2.1) for the holder of ``certificate``. Raises RecipientKeyUnsupported."""
    if by_subject_key_identifier:
        identity = _VERSION_2 + der.tlv(_SUBJECT_KEY_IDENTIFIER, certificate.subject_key_identifier)
    else:
        identity = _VERSION_0 + der.sequence(certificate.issuer_and_serial)
    encrypted_key = der.octet_string(wrap_content_key(public_key, content_key, transport))
    return der.sequence(identity, _key_transport_algorithm(transport), encrypted_key)


def _version_of(recipient: bytes) -> bytes:
    _, start, _ = header(recipient, 0, len(recipient))
    return recipient[start : start + len(_VERSION_0)]


def enveloped_data(
    content: bytes, recipients: Sequence[bytes], *, cipher: ContentCipher, content_key: bytes, iv: bytes
) -> bytes:
    """ContentInfo with EnvelopedData for the recipients made by ``recipient_info``, in their order."""
    algorithm = der.sequence(_CIPHER_OIDS[cipher], der.octet_string(iv))
    encrypted = der.tlv(0x80, encrypt_content(content, content_key, iv, cipher=cipher))
    # RFC 5652 6.1: version 0 only if every recipient is version 0, that is, named by issuer and serial number.
    version = _VERSION_0 if all(_version_of(recipient) == _VERSION_0 for recipient in recipients) else _VERSION_2
    body = der.sequence(version, der.tlv(der.SET, *recipients), der.sequence(_DATA, algorithm, encrypted))
    return der.sequence(_ENVELOPED_DATA, der.tlv(0xA0, body))


def fitted(random_octets: bytes, size: int, what: str) -> bytes:
    """The first ``size`` octets of what the caller drew. Raises InvalidValue when there are too few."""
    if len(random_octets) < size:
        raise InvalidValue(f"{what} has {len(random_octets)} octets; {size} are needed")
    return random_octets[:size]
