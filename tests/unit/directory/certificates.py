# SPDX-License-Identifier: Apache-2.0
"""CA certificates, leaves and CRLs for the tests of the directory, made by `cryptography` and not by us."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CONFIGURATION = "CN=Configuration,DC=ad,DC=example,DC=test"
PKS = f"CN=Public Key Services,CN=Services,{CONFIGURATION}"
AIA = f"CN=AIA,{PKS}"
ROOTS = f"CN=Certification Authorities,{PKS}"
NTAUTH = f"CN=NTAuthCertificates,{PKS}"
SERVICES = f"CN=Enrollment Services,{PKS}"
CDP = f"CN=CDP,{PKS}"


@cache
def key(number: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(number, ec.SECP256R1())


@cache
def certificate(
    name: str = "Contoso Root",
    *,
    issuer: str = "",
    number: int = 1,
    ca: bool | None = True,
    usages: Sequence[str] | None = ("key_cert_sign", "crl_sign"),
    days: int = 3650,
    bulk: int = 0,
    signed_by: int = 0,
) -> bytes:
    """DER of a certificate; self-signed when no issuer is named. ``bulk`` makes it larger by so many octets."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name, _validate=False)] if name else [])
    above = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]) if issuer else subject
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(above)
        .public_key(key(number).public_key())
        .serial_number(1000 + number)
        .not_valid_before(min(NOW, NOW + timedelta(days=days)) - timedelta(days=10))
        .not_valid_after(NOW + timedelta(days=days))
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
    if usages is not None:
        names = (
            "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign "
            "crl_sign encipher_only decipher_only"
        ).split()
        builder = builder.add_extension(x509.KeyUsage(*(name in usages for name in names)), critical=True)
    if bulk:
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x04" * bulk)
        builder = builder.add_extension(unknown, critical=False)
    signer = key(signed_by or (99 if issuer else number))
    return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.DER)


@cache
def crl(number: int = 1, *, delta: bool = False, issuer: str = "Contoso Issuing") -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .last_update(NOW)
        .next_update(NOW + timedelta(days=7))
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    if delta:
        builder = builder.add_extension(x509.DeltaCRLIndicator(1), critical=True)
    return builder.sign(key(1), hashes.SHA256()).public_bytes(Encoding.DER)


ROOT = certificate()
ISSUING = certificate("Contoso Issuing", issuer="Contoso Root", number=2)
RENEWED = certificate("Contoso Issuing", issuer="Contoso Root", number=3)
LEAF = certificate("laptop-042", issuer="Contoso Issuing", number=4, ca=False, usages=("digital_signature",))
