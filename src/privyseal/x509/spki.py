# SPDX-License-Identifier: Apache-2.0
"""SubjectPublicKeyInfo of a public key (RFC 5280 section 4.1.2.7)."""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from privyseal.x509.algorithms import PublicKey


def encode_public_key(key: PublicKey) -> bytes:
    """The key as SubjectPublicKeyInfo DER."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
