# SPDX-License-Identifier: Apache-2.0
"""Proof of possession (RFC 2986 section 3): the request is signed with its own key. MD5 is unknown here on purpose."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from privyseal.errors import MalformedDer, ProofOfPossessionFailed, SignatureAlgorithmNotAllowed
from privyseal.x509 import der, oids
from privyseal.x509.keys import PublicKey, describe_key
from privyseal.x509.span import Span, dotted, span, spans, within

_RSA_PKCS1: dict[str, hashes.HashAlgorithm] = {
    oids.SHA1_WITH_RSA: hashes.SHA1(),
    oids.SHA256_WITH_RSA: hashes.SHA256(),
    oids.SHA384_WITH_RSA: hashes.SHA384(),
    oids.SHA512_WITH_RSA: hashes.SHA512(),
}
_ECDSA: dict[str, hashes.HashAlgorithm] = {
    oids.ECDSA_WITH_SHA1: hashes.SHA1(),
    oids.ECDSA_WITH_SHA256: hashes.SHA256(),
    oids.ECDSA_WITH_SHA384: hashes.SHA384(),
    oids.ECDSA_WITH_SHA512: hashes.SHA512(),
}
_DIGESTS: dict[str, hashes.HashAlgorithm] = {
    oids.SHA1: hashes.SHA1(),
    oids.SHA256: hashes.SHA256(),
    oids.SHA384: hashes.SHA384(),
    oids.SHA512: hashes.SHA512(),
}
_MAX_SALT = 512
_ALLOWED = "SHA-256, SHA-384 or SHA-512 with RSA (PKCS#1 v1.5 or PSS) or ECDSA, and Ed25519"


def verify_possession(
    data: bytes,
    public_key: PublicKey,
    *,
    signed: bytes,
    algorithm: Span,
    signature: bytes,
    allow_sha1: bool,
) -> str:
    """Verify ``signature`` (BIT STRING contents) over ``signed``; the algorithm's OID is returned.

    Raises MalformedDer, SignatureAlgorithmNotAllowed, ProofOfPossessionFailed.
    """
    fields = spans(data, algorithm[2], algorithm[3])
    if not 0 < len(fields) <= 2:
        raise MalformedDer("the signature algorithm is not an identifier with at most one parameter")
    oid = dotted(data, fields[0])
    if signature[:1] != b"\x00":
        raise ProofOfPossessionFailed("the request's signature is not a whole number of octets")
    value = signature[1:]
    try:
        if isinstance(public_key, rsa.RSAPublicKey) and oid in _RSA_PKCS1:
            public_key.verify(value, signed, padding.PKCS1v15(), _allowed_digest(_RSA_PKCS1[oid], allow_sha1))
        elif isinstance(public_key, rsa.RSAPublicKey) and oid == oids.RSA_PSS:
            scheme, digest = _pss(data, fields, allow_sha1)
            public_key.verify(value, signed, scheme, digest)
        elif isinstance(public_key, ec.EllipticCurvePublicKey) and oid in _ECDSA:
            public_key.verify(value, signed, ec.ECDSA(_allowed_digest(_ECDSA[oid], allow_sha1)))
        elif isinstance(public_key, ed25519.Ed25519PublicKey) and oid == oids.ED25519:
            public_key.verify(value, signed)
        else:
            raise _refusal(oid, public_key)
    except (InvalidSignature, ValueError, UnsupportedAlgorithm) as fault:
        raise ProofOfPossessionFailed(
            f"the request's signature does not verify with its {describe_key(public_key)} key"
        ) from fault
    return oid


def _allowed_digest(digest: hashes.HashAlgorithm, allow_sha1: bool) -> hashes.HashAlgorithm:
    if isinstance(digest, hashes.SHA1) and not allow_sha1:
        raise SignatureAlgorithmNotAllowed(f"the request is signed with SHA-1; allowed are {_ALLOWED}")
    return digest


def _refusal(oid: str, public_key: PublicKey) -> SignatureAlgorithmNotAllowed | ProofOfPossessionFailed:
    if oid in _RSA_PKCS1 or oid in _ECDSA or oid in (oids.RSA_PSS, oids.ED25519):
        return ProofOfPossessionFailed(
            f"the signature algorithm {oid} does not fit the request's {describe_key(public_key)} key"
        )
    return SignatureAlgorithmNotAllowed(f"the request is signed with {oid}; allowed are {_ALLOWED}")


def _pss(data: bytes, fields: list[Span], allow_sha1: bool) -> tuple[padding.PSS, hashes.HashAlgorithm]:
    """Padding and digest from RSASSA-PSS-params (RFC 4055 3.1), whose defaults are SHA-1 and 20."""
    if len(fields) != 2:
        raise MalformedDer("RSASSA-PSS without parameters")
    digest: hashes.HashAlgorithm = hashes.SHA1()
    mask_digest: hashes.HashAlgorithm = hashes.SHA1()
    salt = 20
    for tag, _, body, end in within(data, fields[1][1], fields[1][3], tag=der.SEQUENCE, what="RSASSA-PSS-params"):
        inner = span(data, body, end)
        if inner[3] != end:
            raise MalformedDer("octets after a parameter of RSASSA-PSS")
        if tag == 0xA0:
            digest = _digest(data, inner)
        elif tag == 0xA1:
            mgf = within(data, inner[1], inner[3], tag=der.SEQUENCE, what="maskGenAlgorithm")
            if len(mgf) != 2 or dotted(data, mgf[0]) != oids.MGF1:
                raise SignatureAlgorithmNotAllowed("RSASSA-PSS with another mask than MGF1")
            mask_digest = _digest(data, mgf[1])
        elif tag == 0xA2:
            salt = der.read(data, body, end).as_int()
        elif tag != 0xA3 or der.read(data, body, end).as_int() != 1:
            raise MalformedDer(f"RSASSA-PSS with an unknown parameter, tag 0x{tag:02x}")
    if not 0 <= salt <= _MAX_SALT:
        raise ProofOfPossessionFailed(f"RSASSA-PSS with a salt of {salt} octets; at most {_MAX_SALT} are read")
    scheme = padding.PSS(mgf=padding.MGF1(_allowed_digest(mask_digest, allow_sha1)), salt_length=salt)
    return scheme, _allowed_digest(digest, allow_sha1)


def _digest(data: bytes, item: Span) -> hashes.HashAlgorithm:
    fields = within(data, item[1], item[3], tag=der.SEQUENCE, what="hashAlgorithm")
    oid = dotted(data, fields[0]) if fields else "none"
    digest = _DIGESTS.get(oid)
    if digest is None:
        raise SignatureAlgorithmNotAllowed(f"RSASSA-PSS with hash {oid}; allowed are {_ALLOWED}")
    return digest
