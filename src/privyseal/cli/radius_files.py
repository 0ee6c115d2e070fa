# SPDX-License-Identifier: Apache-2.0
"""Certificates, keys and secrets that stand in files, checked before they are used. A key is never shown."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from privyseal.cli.values import read_given
from privyseal.errors import InvalidValue

FileKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def read_secret(path: str) -> str:
    """The one line of a file. Raises InvalidValue; the line is never shown."""
    try:
        text = read_given(path, limit=4096).decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InvalidValue(f"{path} is not UTF-8 text") from error
    if not text or not text.isprintable():
        raise InvalidValue(f"{path} does not hold one line of printable text")
    return text


def read_certificates(path: str) -> list[x509.Certificate]:
    """Every PEM certificate of a file, at least one. Raises InvalidValue."""
    try:
        return x509.load_pem_x509_certificates(read_given(path))
    except ValueError as error:
        raise InvalidValue(f"{path} holds no PEM certificate") from error


def certificates_pem(path: str) -> str:
    """The certificates of a file and nothing else of it."""
    return "".join(one.public_bytes(Encoding.PEM).decode("ascii") for one in read_certificates(path))


def load_pair(certificate: str, key: str, *, purpose: x509.ObjectIdentifier) -> tuple[list[x509.Certificate], FileKey]:
    """A certificate with its chain, and its key; it must be made for ``purpose``. Raises InvalidValue."""
    chain = read_certificates(certificate)
    try:
        private = load_pem_private_key(read_given(key), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidValue(f"{key} holds no unencrypted PEM private key") from error
    if not isinstance(private, FileKey) or private.public_key() != chain[0].public_key():
        raise InvalidValue(
            f"{key} is not the key of {certificate}",
            why="the public key of the first certificate in the file belongs to another private key",
            mend=("name the two files that were made together", "put the certificate before its CA in the file"),
        )
    try:
        purposes = list(chain[0].extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except (x509.ExtensionNotFound, ValueError):
        purposes = []
    if purpose not in purposes:
        shown = ", ".join(one.dotted_string for one in purposes) or "none"
        raise InvalidValue(
            f"{certificate} is not for purpose {purpose.dotted_string}; its extended key usage is {shown}",
            mend=("privyseal profile create radius --preset radius-server", "choose another certificate"),
        )
    return chain, private
