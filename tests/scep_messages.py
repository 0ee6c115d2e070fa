# SPDX-License-Identifier: Apache-2.0
"""SCEP messages as real clients build them, and as nobody should: every deviation is one argument.

Written apart from the code under test where that matters: BER, signer infos, attributes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from privyseal.protocols import cms_write
from privyseal.protocols.cms import PKCS1_V1_5, ContentCipher, KeyTransport
from privyseal.protocols.cms_read import certificate_parts
from privyseal.protocols.scep.messages import ReplySigner
from privyseal.x509 import der, oids

START = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2036, 1, 1, tzinfo=UTC)
KEY_MATERIAL = bytes(range(32))
IV = bytes(range(16))
SUBSTITUTE = b"\xa5" * 32
NONCE = bytes(range(100, 116))
TRANSACTION_ID = "0123456789abcdef0123456789abcdef01234567"
HASHES: dict[str, hashes.HashAlgorithm] = {
    "md5": hashes.MD5(),
    "sha1": hashes.SHA1(),
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
DIGEST_OIDS = {
    "md5": oids.MD5,
    "sha1": oids.SHA1,
    "sha224": oids.SHA224,
    "sha256": oids.SHA256,
    "sha384": oids.SHA384,
    "sha512": oids.SHA512,
}

SignerKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Holder:
    """A key with its certificate."""

    key: SignerKey
    certificate: bytes

    @property
    def rsa_key(self) -> rsa.RSAPrivateKey:
        assert isinstance(self.key, rsa.RSAPrivateKey)
        return self.key

    @property
    def reply_signer(self) -> ReplySigner:
        key = self.rsa_key
        return ReplySigner(self.certificate, lambda data, name: key.sign(data, padding.PKCS1v15(), HASHES[name]))


@lru_cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    """One key per name and test run."""
    return rsa.generate_private_key(65537, 1024 if name == "small" else 2048)


def certificate(
    key: SignerKey, name: str, *, serial_number: int, extensions: Sequence[tuple[x509.ExtensionType, bool]] = ()
) -> bytes:
    """Self-signed, with the given (extension, critical) pairs."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), serial_number, START, END)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@lru_cache
def ra() -> Holder:
    """The RA, with a subject key identifier."""
    key = rsa_key("ra")
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return Holder(key, certificate(key, "RA", serial_number=0x1234567890, extensions=[(identifier, False)]))


@lru_cache
def stranger() -> Holder:
    """Somebody else's RA or CA."""
    key = rsa_key("stranger")
    return Holder(key, certificate(key, "Issuing CA", serial_number=7))


@lru_cache
def device() -> Holder:
    """A client with its self-signed certificate."""
    key = rsa_key("device")
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return Holder(key, certificate(key, "device", serial_number=99, extensions=[(identifier, False)]))


@lru_cache
def transient_device() -> Holder:
    """As Windows does it: a transient signer whose AuthorityKeyIdentifier is critical (against RFC 5280)."""
    key = rsa_key("device")
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    return Holder(key, certificate(key, "SCEP Protocol Certificate", serial_number=1, extensions=[(identifier, True)]))


@lru_cache
def ec_device() -> Holder:
    """A client whose key cannot receive an answer."""
    key = ec.generate_private_key(ec.SECP256R1())
    return Holder(key, certificate(key, "ec device", serial_number=5))


@lru_cache
def csr() -> bytes:
    """The device's certification request."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "device")])
    builder = x509.CertificateSigningRequestBuilder(name).add_attribute(
        x509.ObjectIdentifier(oids.CHALLENGE_PASSWORD), b"secret"
    )
    return builder.sign(rsa_key("device"), hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def recipient(holder: Holder, *, transport: KeyTransport = PKCS1_V1_5, by_ski: bool = False, key_size: int) -> bytes:
    """RecipientInfo for ``holder``."""
    return cms_write.recipient_info(
        certificate_parts(holder.certificate),
        holder.rsa_key.public_key(),
        content_key=KEY_MATERIAL[:key_size],
        transport=transport,
        by_subject_key_identifier=by_ski,
    )


def envelope(
    content: bytes,
    *,
    cipher: ContentCipher = ContentCipher.AES_128_CBC,
    to: Sequence[Holder] = (),
    transport: KeyTransport = PKCS1_V1_5,
    by_ski: bool = False,
) -> bytes:
    """EnvelopedData for the RA, or for everybody in ``to``."""
    holders = to or (ra(),)
    return cms_write.enveloped_data(
        content,
        [recipient(holder, transport=transport, by_ski=by_ski, key_size=cipher.key_size) for holder in holders],
        cipher=cipher,
        content_key=KEY_MATERIAL[: cipher.key_size],
        iv=IV[: cipher.block_size],
    )


def scep_attributes(
    *,
    message_type: str = "19",
    transaction_id: bytes = TRANSACTION_ID.encode(),
    nonce: bytes = NONCE,
    text_tag: int = 0x13,
) -> list[bytes]:
    """The three attributes of a request."""
    return [
        cms_write.attribute(oids.SCEP_MESSAGE_TYPE, der.tlv(0x13, message_type.encode())),
        cms_write.attribute(oids.SCEP_TRANSACTION_ID, der.tlv(text_tag, transaction_id)),
        cms_write.attribute(oids.SCEP_SENDER_NONCE, der.octet_string(nonce)),
    ]


def signed(
    content: bytes,
    *,
    by: Holder | None = None,
    digest: str = "sha256",
    signature_oid: str = oids.RSA_ENCRYPTION,
    attributes: Sequence[bytes] | None = None,
    message_digest: bytes | None = None,
    content_type: str = oids.CMS_DATA,
    by_ski: bool = False,
    certificates: Sequence[bytes] | None = None,
    unsorted: bool = False,
) -> bytes:
    """SignedData over ``content``. ``unsorted`` signs the attributes in the order of RFC 8894, not of DER."""
    holder = by or device()
    found = hashes.Hash(HASHES[digest])
    found.update(content)
    members = [
        cms_write.attribute(oids.CONTENT_TYPE, der.oid(content_type)),
        cms_write.attribute(oids.MESSAGE_DIGEST, der.octet_string(message_digest or found.finalize())),
        *(scep_attributes() if attributes is None else attributes),
    ]
    ordered = b"".join(sorted(members, reverse=True) if unsorted else sorted(members))
    to_sign = der.tlv(0x31, ordered)
    if isinstance(holder.key, rsa.RSAPrivateKey):
        signature = holder.key.sign(to_sign, padding.PKCS1v15(), HASHES[digest])
    else:
        signature = holder.key.sign(to_sign, ec.ECDSA(HASHES[digest]))
    parts = certificate_parts(holder.certificate)
    sid = der.tlv(0x80, parts.subject_key_identifier) if by_ski else der.sequence(parts.issuer_and_serial)
    algorithm = der.sequence(der.oid(DIGEST_OIDS[digest]), der.null())
    signature_algorithm = der.sequence(
        der.oid(signature_oid), der.null() if isinstance(holder.key, rsa.RSAPrivateKey) else b""
    )
    signer_info = der.sequence(
        der.integer(1), sid, algorithm, der.tlv(0xA0, ordered), signature_algorithm, der.octet_string(signature)
    )
    carried = (holder.certificate,) if certificates is None else certificates
    body = der.sequence(
        der.integer(1),
        der.tlv(der.SET, algorithm),
        der.sequence(der.oid(oids.CMS_DATA), der.tlv(0xA0, der.octet_string(content))),
        der.tlv(0xA0, *carried),
        der.tlv(der.SET, signer_info),
    )
    return der.sequence(der.oid(oids.CMS_SIGNED_DATA), der.tlv(0xA0, body))


def request(
    content: bytes | None = None, *, cipher: ContentCipher = ContentCipher.AES_128_CBC, digest: str = "sha256"
) -> bytes:
    """A proper PKCSReq."""
    return signed(envelope(csr() if content is None else content, cipher=cipher), digest=digest)


def to_ber(data: bytes, *, piece: int = 1000) -> bytes:
    """As BouncyCastle streams it: indefinite lengths, octet strings in pieces, encryptedContent too."""
    return _ber(der.read(data), piece, encrypted=False)


def _ber(element: der.Element, piece: int, *, encrypted: bool) -> bytes:
    tag = element.tag
    if tag == der.OCTET_STRING or (encrypted and tag == 0x80):
        raw = element.contents
        pieces = b"".join(der.octet_string(raw[at : at + piece]) for at in range(0, len(raw), piece))
        return bytes((0x24 if tag == der.OCTET_STRING else 0xA0, 0x80)) + pieces + b"\x00\x00"
    if not tag & 0x20:
        return element.encoded
    children = list(element.children())
    # A certificate and the signed attributes stay as they are: their octets are signed.
    if [child.tag for child in children] == [0x30, 0x30, 0x03]:
        return element.encoded
    in_encrypted_content_info = tag == 0x30 and [child.tag for child in children] == [0x06, 0x30, 0x80]
    inner = b"".join(_ber(child, piece, encrypted=in_encrypted_content_info) for child in children)
    return bytes((tag, 0x80)) + inner + b"\x00\x00"


def reply_certificate() -> bytes:
    """Some issued certificate."""
    return certificate(rsa_key("device"), "issued", serial_number=4711)
