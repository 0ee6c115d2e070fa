# SPDX-License-Identifier: Apache-2.0
"""The openssl program as a second opinion, fed through pipes: nothing touches the disk."""

from __future__ import annotations

import os
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


def openssl(*arguments: str, given: bytes, **files: bytes) -> bytes:
    """What openssl makes of ``given``; an argument that names one of ``files`` is read from it."""
    pipes: dict[str, int] = {}
    for name, octets in files.items():
        reading, writing = os.pipe()
        os.write(writing, octets)
        os.close(writing)
        pipes[name] = reading
    command = ["openssl", *(f"/dev/fd/{pipes[word]}" if word in pipes else word for word in arguments)]
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, check=False, pass_fds=tuple(pipes.values()), timeout=20
        )
    finally:
        for descriptor in pipes.values():
            os.close(descriptor)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def key_pem(key: rsa.RSAPrivateKey) -> bytes:
    """PKCS#8 without encryption."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def certificate_pem(certificate: bytes) -> bytes:
    """PEM of a DER certificate."""
    return x509.load_der_x509_certificate(certificate).public_bytes(serialization.Encoding.PEM)


def verified(body: bytes) -> bytes:
    """Content of a SignedData, its signature verified with the certificate that came along."""
    return openssl("cms", "-verify", "-noverify", "-binary", "-inform", "DER", given=body)


def decrypted(envelope: bytes, key: rsa.RSAPrivateKey) -> bytes:
    """Content of an EnvelopedData."""
    arguments = ("cms", "-decrypt", "-binary", "-inform", "DER", "-inkey", "key")
    return openssl(*arguments, given=envelope, key=key_pem(key))
