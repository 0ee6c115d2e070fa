# SPDX-License-Identifier: Apache-2.0
"""Certificates as people hand them over: PEM with any number, DER, PKCS#7 in either form. Bounded, any order."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import load_der_pkcs7_certificates

from privyseal.errors import MalformedDer
from privyseal.x509.certificate import CertificateView, read_certificate

MOST_CERTIFICATES: Final = 40
_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----([A-Za-z0-9+/=\s]{1,400000})-----END \1-----")
_CERTIFICATE_LABELS: Final = frozenset({b"CERTIFICATE", b"X509 CERTIFICATE"})
_PKCS7_LABELS: Final = frozenset({b"PKCS7", b"CMS"})


def read_bundle(content: bytes) -> tuple[CertificateView, ...]:
    """Every certificate of one file, each once, in the order of the file. Raises MalformedDer."""
    found: dict[bytes, CertificateView] = {}
    for encoded in _certificates(content):
        found.setdefault(encoded, read_certificate(encoded))
        if len(found) > MOST_CERTIFICATES:
            raise MalformedDer(f"the file holds more than {MOST_CERTIFICATES} certificates")
    if not found:
        raise MalformedDer("the file holds no certificate")
    return tuple(found.values())


def pem_blocks(content: bytes, labels: frozenset[bytes]) -> tuple[bytes, ...]:
    """The octets of the PEM blocks with one of these labels. Raises MalformedDer."""
    try:
        return tuple(base64.b64decode(body) for label, body in _BLOCK.findall(content) if label in labels)
    except binascii.Error as error:
        raise MalformedDer(f"a PEM block is not base64: {error}") from error


def _certificates(content: bytes) -> list[bytes]:
    if content[:1] == b"\x30":
        return _from_der(content)
    found = list(pem_blocks(content, _CERTIFICATE_LABELS))
    for message in pem_blocks(content, _PKCS7_LABELS):
        found += _from_pkcs7(message)
    return found


def _from_der(content: bytes) -> list[bytes]:
    try:
        read_certificate(content)
    except MalformedDer as fault:
        try:
            return _from_pkcs7(content)
        except MalformedDer:
            raise fault from None
    return [content]


def _from_pkcs7(content: bytes) -> list[bytes]:
    try:
        return [found.public_bytes(Encoding.DER) for found in load_der_pkcs7_certificates(content)]
    except (ValueError, UnsupportedAlgorithm) as error:
        raise MalformedDer(f"the PKCS#7 message cannot be read: {error}") from error
