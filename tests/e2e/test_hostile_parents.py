# SPDX-License-Identifier: Apache-2.0
"""Certificates of other people's CAs: what could not be read later, or stands in the way of ours, is not taken in."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from privyseal.errors import InstallRefused
from tests.device import Device
from tests.e2e.test_ca_life import act
from tests.installation import ROOT_CA, Installation

NOW = datetime.now(UTC).replace(microsecond=0)
OTHER = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Their Root")])
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey | dsa.DSAPrivateKey


def root(key: Key, *extensions: tuple[x509.ExtensionType, bool], name: x509.Name = OTHER) -> x509.Certificate:
    """A root of others."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=9))
        .not_valid_after(NOW + timedelta(days=99))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, None if isinstance(key, ed448.Ed448PrivateKey) else hashes.SHA256())


def bring(service: Installation, certificate: x509.Certificate) -> None:
    """Imports it."""
    act(service, "ca.import-root", certificates=[base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()])


UNKNOWN = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
CUT = x509.UnrecognizedExtension(ObjectIdentifier("2.5.29.14"), b"\x05\x00")


@pytest.mark.parametrize(
    ("certificate", "fault"),
    [
        (root(ed448.Ed448PrivateKey.generate()), "the key is Ed448"),
        (root(ec.generate_private_key(ec.BrainpoolP256R1())), "the key is brainpoolP256r1"),
        (root(dsa.generate_private_key(2048)), "the key is DSA-2048"),
        (root(rsa.generate_private_key(65537, 1024)), "the key is RSA-1024"),
        (root(ec.generate_private_key(ec.SECP256R1()), (UNKNOWN, True)), "critical extensions .* 1.2.3.4.5"),
        (root(ec.generate_private_key(ec.SECP256R1()), (CUT, False)), "subjectKeyIdentifier"),
    ],
)
def test_what_could_not_be_worked_with_is_refused_and_the_service_goes_on(
    installation: Installation, certificate: x509.Certificate, fault: str
) -> None:
    before = installation.count("authorities")
    with pytest.raises(InstallRefused, match=fault):
        bring(installation, certificate)
    assert installation.count("authorities") == before
    assert Device(installation).enroll()


def test_a_root_with_the_name_of_ours_is_refused(installation: Installation) -> None:
    ours = x509.load_der_x509_certificate(installation.app.catalog.issuer(ROOT_CA).view.encoded)
    with pytest.raises(InstallRefused, match="is the name of a CA whose key is here"):
        bring(installation, root(ec.generate_private_key(ec.SECP256R1()), name=ours.subject))
    bring(installation, ours)  # it is there already


def test_a_root_for_any_purpose_and_with_an_unknown_extension_that_may_be_passed_over_is_taken(
    installation: Installation,
) -> None:
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
    bring(installation, root(ec.generate_private_key(ec.SECP256R1()), (UNKNOWN, False), (purposes, False)))
    assert Device(installation).enroll()
