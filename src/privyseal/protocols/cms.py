# SPDX-License-Identifier: Apache-2.0
"""CMS algorithms (RFC 5652, 3370, 3560, 5754): which are allowed, and the operations with them.

Keys, content keys and initialization vectors come in as values; nothing here is random. Whatever goes
wrong between an encrypted key and its content is one EnvelopeNotForUs (RFC 3218).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric import padding as asymmetric
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import load_der_public_key

from privyseal.errors import (
    AlgorithmNotAllowed,
    EnvelopeNotForUs,
    InvalidValue,
    MalformedMessage,
    MessageSignatureInvalid,
    RecipientKeyUnsupported,
)
from privyseal.protocols.cms_read import (
    Algorithm,
    CertificateParts,
    EnvelopedData,
    Recipient,
    SignedData,
    SignerInfo,
    certificate_parts,
    expect,
    header,
    read_algorithm,
)
from privyseal.x509 import der, oids

MAX_RSA_BITS: Final = 8192  # beyond this a single verification costs more than a whole exchange should

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class Digest(Enum):
    """Message digests, by the name that hashlib and signers know them under."""

    SHA1 = "sha1"
    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"

    def over(self, data: bytes) -> bytes:
        """The digest of ``data``."""
        if self is Digest.SHA256:  # nearly always; hashlib.new spends longer on the name than on the data
            return hashlib.sha256(data).digest()
        return hashlib.new(self.value, data).digest()


class ContentCipher(Enum):
    """Content encryption, as (OID, key octets, block octets); always CBC with PKCS#7 padding."""

    DES_CBC = (oids.DES_CBC, 8, 8)
    DES_EDE3_CBC = (oids.DES_EDE3_CBC, 24, 8)
    AES_128_CBC = (oids.AES_128_CBC, 16, 16)
    AES_192_CBC = (oids.AES_192_CBC, 24, 16)
    AES_256_CBC = (oids.AES_256_CBC, 32, 16)

    def __init__(self, oid: str, key_size: int, block_size: int) -> None:
        self.oid = oid
        self.key_size = key_size
        self.block_size = block_size


@dataclass(frozen=True, slots=True)
class KeyTransport:
    """RSAES-OAEP with these two digests, or RSAES-PKCS1-v1_5 when ``oaep`` is None."""

    oaep: Digest | None = None
    mgf: Digest = Digest.SHA1


PKCS1_V1_5: Final = KeyTransport()

DIGEST_OIDS: Final = {
    Digest.SHA1: oids.SHA1,
    Digest.SHA256: oids.SHA256,
    Digest.SHA384: oids.SHA384,
    Digest.SHA512: oids.SHA512,
}
_HASHES: Final[dict[Digest, hashes.HashAlgorithm]] = {
    Digest.SHA1: hashes.SHA1(),
    Digest.SHA256: hashes.SHA256(),
    Digest.SHA384: hashes.SHA384(),
    Digest.SHA512: hashes.SHA512(),
}


def _contents(dotted: str) -> bytes:
    return der.oid(dotted)[2:]


_DIGESTS: Final = {_contents(dotted): digest for digest, dotted in DIGEST_OIDS.items()}
_CIPHERS: Final = {_contents(cipher.oid): cipher for cipher in ContentCipher}
# A signature algorithm either names its digest or leaves it to digestAlgorithm (RFC 3370 3.2).
_RSA_SIGNATURES: Final[dict[bytes, Digest | None]] = {
    _contents(oids.RSA_ENCRYPTION): None,
    _contents(oids.SHA1_WITH_RSA): Digest.SHA1,
    _contents(oids.SHA256_WITH_RSA): Digest.SHA256,
    _contents(oids.SHA384_WITH_RSA): Digest.SHA384,
    _contents(oids.SHA512_WITH_RSA): Digest.SHA512,
}
_ECDSA_SIGNATURES: Final[dict[bytes, Digest]] = {
    _contents(oids.ECDSA_WITH_SHA1): Digest.SHA1,
    _contents(oids.ECDSA_WITH_SHA256): Digest.SHA256,
    _contents(oids.ECDSA_WITH_SHA384): Digest.SHA384,
    _contents(oids.ECDSA_WITH_SHA512): Digest.SHA512,
}
_CONTENT_TYPE: Final = _contents(oids.CONTENT_TYPE)
_MESSAGE_DIGEST: Final = _contents(oids.MESSAGE_DIGEST)
_RSA_ENCRYPTION: Final = _contents(oids.RSA_ENCRYPTION)
_RSA_OAEP: Final = _contents(oids.RSA_OAEP)
_MGF1: Final = _contents(oids.MGF1)
_P_SPECIFIED: Final = _contents("1.2.840.113549.1.1.9")  # RFC 4055 4.1
_NULL: Final = der.null()
_PKCS1: Final = asymmetric.PKCS1v15()
_KEY_FAULTS: Final = (ValueError, UnsupportedAlgorithm, InternalError)


def digest_of(algorithm: Algorithm, *, legacy: bool) -> Digest:
    """The digest that ``algorithm`` names. Raises AlgorithmNotAllowed: MD5 always, SHA-1 unless ``legacy``."""
    digest = _DIGESTS.get(algorithm.identifier)
    if digest is None:
        raise AlgorithmNotAllowed(f"digest {algorithm.dotted}; allowed are SHA-256, SHA-384 and SHA-512")
    _check_digest(digest, legacy=legacy)
    return digest


def _check_digest(digest: Digest, *, legacy: bool) -> None:
    if digest is Digest.SHA1 and not legacy:
        raise AlgorithmNotAllowed("digest SHA-1; allowed are SHA-256, SHA-384 and SHA-512")


def content_cipher_of(enveloped_data: EnvelopedData, *, legacy: bool) -> ContentCipher:
    """The cipher of the content. Raises AlgorithmNotAllowed: DES-CBC unless ``legacy``, unknown ones always."""
    algorithm = enveloped_data.content_algorithm
    cipher = _CIPHERS.get(algorithm.identifier)
    if cipher is None or (cipher is ContentCipher.DES_CBC and not legacy):
        name = "DES-CBC" if cipher else algorithm.dotted
        raise AlgorithmNotAllowed(f"content cipher {name}; allowed are AES-128/192/256-CBC and 3DES-CBC")
    _initialization_vector(algorithm, cipher)
    return cipher


def _initialization_vector(algorithm: Algorithm, cipher: ContentCipher) -> bytes:
    start, end = expect(algorithm.parameters, 0, len(algorithm.parameters), tag=der.OCTET_STRING, what="CBC parameter")
    if end - start != cipher.block_size or end != len(algorithm.parameters):
        raise MalformedMessage(f"the initialization vector must have {cipher.block_size} octets")
    return algorithm.parameters[start:end]


def key_transport_of(recipient: Recipient) -> KeyTransport:
    """How the content key was wrapped for ``recipient``. Raises AlgorithmNotAllowed, MalformedMessage."""
    algorithm = recipient.key_algorithm
    if algorithm.identifier == _RSA_ENCRYPTION:
        return PKCS1_V1_5
    if algorithm.identifier == _RSA_OAEP:
        return _oaep(algorithm.parameters)
    raise AlgorithmNotAllowed(f"key transport {algorithm.dotted}; allowed are RSA PKCS#1 v1.5 and OAEP")


@lru_cache(maxsize=64)
def _oaep(parameters: bytes) -> KeyTransport:
    # RSAES-OAEP-params (RFC 4055 4.1); every absent field means SHA-1. SHA-1 in OAEP needs no collision
    # resistance and is the default of most clients, hence allowed without the legacy switch.
    if parameters in (b"", _NULL):
        return KeyTransport(Digest.SHA1)
    position, end = expect(parameters, 0, len(parameters), tag=der.SEQUENCE, what="RSAES-OAEP-params")
    digest = mgf = Digest.SHA1
    while position < end:
        tag, start, position = header(parameters, position, end)
        algorithm = read_algorithm(parameters[start:position])
        if tag == 0xA0:
            digest = digest_of(algorithm, legacy=True)
        elif tag == 0xA1 and algorithm.identifier == _MGF1:
            mgf = digest_of(read_algorithm(algorithm.parameters), legacy=True)
        elif tag != 0xA2 or algorithm != Algorithm(_P_SPECIFIED, b"\x04\x00"):
            raise AlgorithmNotAllowed("OAEP with a label or another mask function than MGF1 is not supported")
    return KeyTransport(digest, mgf)


@lru_cache(maxsize=32)
def _padding(transport: KeyTransport) -> asymmetric.AsymmetricPadding:
    if transport.oaep is None:
        return _PKCS1
    return asymmetric.OAEP(asymmetric.MGF1(_HASHES[transport.mgf]), _HASHES[transport.oaep], None)


def signer_certificate(signed_data: SignedData) -> CertificateParts:
    """The certificate, among those carried, that the signer names. Raises MalformedMessage."""
    if signed_data.signer is None:
        raise MalformedMessage("the message has no signer")
    for certificate in signed_data.certificates:
        parts = certificate_parts(certificate)
        if parts.is_named_by(signed_data.signer.identifier):
            return parts
    count = len(signed_data.certificates)
    raise MalformedMessage(f"none of the {count} certificates in the message is the one its signer names")


def public_key_of(certificate: CertificateParts) -> PublicKey:
    """Its RSA or EC public key, of bounded size. Raises AlgorithmNotAllowed, MalformedMessage."""
    try:
        key = load_der_public_key(certificate.public_key_info)
    except UnsupportedAlgorithm:
        raise AlgorithmNotAllowed("the signer's key is of an unknown kind; allowed are RSA and EC") from None
    except (ValueError, InternalError):
        raise MalformedMessage("the signer's certificate holds no readable public key") from None
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise AlgorithmNotAllowed("the signer's key is neither RSA nor EC")
    if key.key_size > MAX_RSA_BITS:
        raise AlgorithmNotAllowed(f"the signer's RSA key has {key.key_size} bits; the limit is {MAX_RSA_BITS}")
    return key


def verify_signed_data(signed_data: SignedData, public_key: PublicKey, *, legacy: bool) -> Digest:
    """Checks digest, content type and signature (RFC 5652 5.4, 5.6); the digest it was signed with.

    Whether the key may be trusted is not judged. Raises AlgorithmNotAllowed, MalformedMessage,
    MessageSignatureInvalid.
    """
    signer = signed_data.signer
    if signer is None:
        raise MalformedMessage("the message has no signer")
    digest = digest_of(signer.digest_algorithm, legacy=legacy)
    _check_attributes(signed_data, signer, digest)
    _verify_signature(signer, public_key, digest, legacy=legacy)
    return digest


def _check_attributes(signed_data: SignedData, signer: SignerInfo, digest: Digest) -> None:
    content_type = signer.attributes.get(_CONTENT_TYPE)
    message_digest = signer.attributes.get(_MESSAGE_DIGEST)
    if content_type is None or message_digest is None:
        raise MalformedMessage("the signed attributes lack contentType or messageDigest (RFC 5652 5.3)")
    if content_type.tag != der.OID or content_type.value != signed_data.content_type:
        raise MessageSignatureInvalid("the signed contentType is not that of the content")
    if message_digest.tag != der.OCTET_STRING or message_digest.value != digest.over(signed_data.content or b""):
        raise MessageSignatureInvalid("the signed messageDigest is not that of the content")


def _verify_signature(signer: SignerInfo, public_key: PublicKey, digest: Digest, *, legacy: bool) -> None:
    algorithm = signer.signature_algorithm
    try:
        if isinstance(public_key, rsa.RSAPublicKey) and algorithm.identifier in _RSA_SIGNATURES:
            digest = _RSA_SIGNATURES[algorithm.identifier] or digest
            _check_digest(digest, legacy=legacy)
            public_key.verify(signer.signature, signer.signed, _PKCS1, _HASHES[digest])
        elif isinstance(public_key, ec.EllipticCurvePublicKey) and algorithm.identifier in _ECDSA_SIGNATURES:
            digest = _ECDSA_SIGNATURES[algorithm.identifier]
            _check_digest(digest, legacy=legacy)
            public_key.verify(signer.signature, signer.signed, ec.ECDSA(_HASHES[digest]))
        else:
            raise AlgorithmNotAllowed(f"signature {algorithm.dotted}; allowed are RSA PKCS#1 v1.5 and ECDSA with SHA-2")
    except (InvalidSignature, *_KEY_FAULTS):
        raise MessageSignatureInvalid("the signature does not verify with the signer's public key") from None


def unwrap_content_key(
    private_key: rsa.RSAPrivateKey, recipient: Recipient, *, key_size: int, substitute: bytes
) -> bytes:
    """The content key; on any failure ``substitute`` (fresh random octets) in its place, and no word about it.

    RFC 3218 2.3.2: whoever sends guesses must not learn which of them had a valid padding or length.
    """
    if len(substitute) < key_size:
        raise InvalidValue(f"the substitute key has {len(substitute)} octets; {key_size} are needed")
    padding = _padding(key_transport_of(recipient))
    try:
        key = private_key.decrypt(recipient.encrypted_key, padding)
    except _KEY_FAULTS:
        key = b""
    return key if len(key) == key_size else substitute[:key_size]


def _cipher(cipher: ContentCipher, key: bytes, iv: bytes) -> Cipher[CBC]:
    if cipher is ContentCipher.DES_CBC:
        # DES is 3DES with three equal keys; the library offers only the latter.
        return Cipher(TripleDES(key * 3), CBC(iv))
    return Cipher(TripleDES(key) if cipher is ContentCipher.DES_EDE3_CBC else AES(key), CBC(iv))


def decrypt_content(enveloped_data: EnvelopedData, content_key: bytes, *, cipher: ContentCipher) -> bytes:
    """The content. Raises EnvelopeNotForUs, the same for a wrong key as for a damaged content."""
    try:
        iv = _initialization_vector(enveloped_data.content_algorithm, cipher)
        decryptor = _cipher(cipher, content_key, iv).decryptor()
        padded = decryptor.update(enveloped_data.encrypted_content) + decryptor.finalize()
        unpadder = PKCS7(cipher.block_size * 8).unpadder()
        return unpadder.update(padded) + unpadder.finalize()
    except (MalformedMessage, *_KEY_FAULTS):
        raise not_for_us() from None


def not_for_us() -> EnvelopeNotForUs:
    """The one error for everything that may go wrong inside an envelope."""
    return EnvelopeNotForUs("the envelope does not open with our key to a content of the expected form")


def encrypt_content(content: bytes, content_key: bytes, iv: bytes, *, cipher: ContentCipher) -> bytes:
    """``content``, padded and encrypted."""
    count = cipher.block_size - len(content) % cipher.block_size
    encryptor = _cipher(cipher, content_key, iv).encryptor()
    return encryptor.update(content + bytes((count,)) * count) + encryptor.finalize()  # RFC 5652 6.3


def check_capacity(public_key: rsa.RSAPublicKey, key_size: int, transport: KeyTransport) -> None:
    """Raises RecipientKeyUnsupported when the RSA key is too small to carry a content key of ``key_size`` octets."""
    overhead = 11 if transport.oaep is None else 2 * _HASHES[transport.oaep].digest_size + 2
    if key_size + overhead > (public_key.key_size + 7) // 8:
        raise RecipientKeyUnsupported(f"the requester's RSA key of {public_key.key_size} bits is too small for a reply")


def wrap_content_key(public_key: rsa.RSAPublicKey, content_key: bytes, transport: KeyTransport) -> bytes:
    """The content key for the holder of ``public_key``. Raises RecipientKeyUnsupported."""
    try:
        return public_key.encrypt(content_key, _padding(transport))
    except _KEY_FAULTS:
        raise RecipientKeyUnsupported(
            f"the requester's RSA key of {public_key.key_size} bits cannot carry a content key",
            why="its numbers are not those of a usable RSA key",
        ) from None
