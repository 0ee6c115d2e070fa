# SPDX-License-Identifier: Apache-2.0
"""Keys made for a subscriber who asked us to make them. They are handed over at once and never stored."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from privyseal.x509.keys import KeyRules

SubscriberKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_CURVES: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


def make_key(rules: KeyRules) -> SubscriberKey:
    """The smallest key that ``rules`` accept, RSA where they do: every relying party can verify it."""
    if rules.rsa_maximum:
        return rsa.generate_private_key(public_exponent=65537, key_size=max(2048, rules.rsa_minimum))
    if rules.curves:
        return ec.generate_private_key(_CURVES[min(rules.curves)])
    return ed25519.Ed25519PrivateKey.generate()


def certification_request(key: SubscriberKey) -> bytes:
    """A request (PKCS#10 DER) that proves possession and names nobody: the profile builds the names."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256()
    return builder.sign(key, digest).public_bytes(Encoding.DER)


def key_pem(key: SubscriberKey) -> bytes:
    """The key as unencrypted PKCS#8 PEM, for the file that its owner gets."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
