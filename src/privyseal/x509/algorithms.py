# SPDX-License-Identifier: Apache-2.0
"""Key types and signature algorithms: which hash goes with which key, and how each is written in DER.

Nothing here signs; verification raises and never answers with a boolean.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from privyseal.errors import InvalidValue, SigningFailed
from privyseal.x509 import der, oids

LARGE: Final = 1 << 20
"""From so many octets on, an operation would hold up the event loop."""
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


class KeyType(Enum):
    """The kinds of key that Privyseal makes for its own CAs and responders."""

    RSA_2048 = "rsa:2048"
    RSA_3072 = "rsa:3072"
    RSA_4096 = "rsa:4096"
    P256 = "ec:p256"
    P384 = "ec:p384"
    P521 = "ec:p521"
    ED25519 = "ed25519"

    @classmethod
    def parse(cls, text: str) -> KeyType:
        """The key type written as in ``rsa:3072`` or ``ec:p256``. Raises InvalidValue."""
        wanted = text.strip().lower().replace("p-", "p")
        for member in cls:
            if member.value == wanted:
                return member
        raise InvalidValue(f"key type {text!r} is not one of {', '.join(member.value for member in cls)}")


@dataclass(frozen=True, slots=True)
class SignatureAlgorithm:
    """One way to sign: the AlgorithmIdentifier as DER and the hash it runs over (None for Ed25519)."""

    name: str
    identifier: bytes
    hash_name: str | None


_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


def _rsa(name: str, dotted: str, hash_name: str) -> SignatureAlgorithm:
    # RFC 4055 section 5: the parameters field is NULL for PKCS #1 v1.5.
    return SignatureAlgorithm(name, der.sequence(der.oid(dotted), der.null()), hash_name)


def _bare(name: str, dotted: str, hash_name: str | None) -> SignatureAlgorithm:
    # RFC 5758 section 3.2 and RFC 8410 section 3: the parameters field is absent.
    return SignatureAlgorithm(name, der.sequence(der.oid(dotted)), hash_name)


RSA_SIGNATURES: Final = {
    "sha256": _rsa("RSA-SHA256", oids.SHA256_WITH_RSA, "sha256"),
    "sha384": _rsa("RSA-SHA384", oids.SHA384_WITH_RSA, "sha384"),
    "sha512": _rsa("RSA-SHA512", oids.SHA512_WITH_RSA, "sha512"),
}
# The hash is as strong as the curve, so that neither is the weaker half (FIPS 186-5 section 6.1.1).
_EC_SIGNATURES: Final = {
    "secp256r1": _bare("ECDSA-SHA256", oids.ECDSA_WITH_SHA256, "sha256"),
    "secp384r1": _bare("ECDSA-SHA384", oids.ECDSA_WITH_SHA384, "sha384"),
    "secp521r1": _bare("ECDSA-SHA512", oids.ECDSA_WITH_SHA512, "sha512"),
}
_ED25519_SIGNATURE: Final = _bare("Ed25519", oids.ED25519, None)
_BY_IDENTIFIER: Final = {
    algorithm.identifier: algorithm
    for algorithm in (*RSA_SIGNATURES.values(), *_EC_SIGNATURES.values(), _ED25519_SIGNATURE)
}


def signature_algorithm(key: PublicKey, hash_name: str | None = None) -> SignatureAlgorithm:
    """The algorithm that a key of this kind signs with.

    ``hash_name`` (sha256, sha384, sha512) is a choice for RSA only; the default there is SHA-256 up to
    3072 bits and SHA-512 above. For EC the curve decides, for Ed25519 the scheme. Raises InvalidValue.
    """
    if isinstance(key, rsa.RSAPublicKey):
        chosen = hash_name or ("sha256" if key.key_size <= 3072 else "sha512")
        if chosen not in RSA_SIGNATURES:
            raise InvalidValue(f"hash {chosen!r} is not one of sha256, sha384, sha512")
        return RSA_SIGNATURES[chosen]
    fitting = _ED25519_SIGNATURE
    if isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in _EC_SIGNATURES:
            raise InvalidValue(f"curve {key.curve.name} is not one of P-256, P-384, P-521")
        fitting = _EC_SIGNATURES[key.curve.name]
    if hash_name not in (None, fitting.hash_name):
        raise InvalidValue(f"hash {hash_name!r} does not fit this key; {fitting.name} is the one that does")
    return fitting


def key_type_of(key: PublicKey) -> KeyType:
    """The kind of a key, to make another of the same. Raises InvalidValue for one that Privyseal does not make."""
    if isinstance(key, rsa.RSAPublicKey):
        return KeyType.parse(f"rsa:{key.key_size}")
    if isinstance(key, ec.EllipticCurvePublicKey):
        return KeyType.parse(f"ec:p{key.curve.key_size}")
    return KeyType.ED25519


def algorithm_of(identifier: bytes) -> SignatureAlgorithm:
    """The known algorithm whose AlgorithmIdentifier is exactly these bytes. Raises InvalidValue."""
    if identifier not in _BY_IDENTIFIER:
        raise InvalidValue("the signature algorithm is not one that Privyseal signs with")
    return _BY_IDENTIFIER[identifier]


def hash_for(algorithm: SignatureAlgorithm) -> hashes.HashAlgorithm:
    """The hash object of an algorithm that has one. Raises InvalidValue for Ed25519."""
    if algorithm.hash_name is None:
        raise InvalidValue(f"{algorithm.name} takes no separate hash")
    return _HASHES[algorithm.hash_name]


def hashed_first(data: bytes, algorithm: SignatureAlgorithm) -> tuple[bytes, hashes.HashAlgorithm | Prehashed]:
    """What a key's operation is given: small data and the hash, or the digest of large data.

    hashlib lets other threads run while it works; the key's operation does not.
    """
    chosen = hash_for(algorithm)
    return (data, chosen) if len(data) < LARGE else (hashlib.new(chosen.name, data).digest(), Prehashed(chosen))


def verify_signature(key: PublicKey, algorithm: SignatureAlgorithm, signature: bytes, *, data: bytes) -> None:
    """Return when ``signature`` over ``data`` verifies with ``key``; else raise SigningFailed."""
    try:
        if isinstance(key, rsa.RSAPublicKey):
            data, chosen = hashed_first(data, algorithm)
            key.verify(signature, data, padding.PKCS1v15(), chosen)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            data, chosen = hashed_first(data, algorithm)
            key.verify(signature, data, ec.ECDSA(chosen))
        else:
            key.verify(signature, data)
    except (InvalidSignature, UnsupportedAlgorithm) as error:
        raise SigningFailed(f"a {algorithm.name} signature does not verify") from error
