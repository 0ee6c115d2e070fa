# SPDX-License-Identifier: Apache-2.0
"""The lookers see: good objects pass all of them, and each kind of fault is caught. Made with `cryptography`."""

from __future__ import annotations

import functools
import importlib
import inspect
import re
import sys
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from tests.outside.looking import (
    CERTIFICATE,
    CRL,
    OCSP,
    lint_findings,
    look_at_certificate,
    look_at_crl,
    look_at_ocsp_response,
    look_at_structure,
)
from tests.outside.signed import ROADS, SIGNED, SignedObjects
from tests.outside.tools import ROOT

NOW = datetime.now(UTC).replace(microsecond=0)
CA_NAME = x509.Name.from_rfc4514_string("CN=Looking CA,O=Privyseal")


@functools.cache
def _key(who: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _builder(subject: x509.Name, who: str) -> x509.CertificateBuilder:
    ca = _key("ca").public_key()
    return (
        x509.CertificateBuilder(issuer_name=CA_NAME, subject_name=subject, public_key=_key(who).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=30))
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(_key(who).public_key()), critical=False)
    )


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False)


@functools.cache
def _ca() -> x509.Certificate:
    return (
        _builder(CA_NAME, "ca")
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(ca=True), critical=True)
        .sign(_key("ca"), hashes.SHA256())
    )


@functools.cache
def _leaf() -> x509.Certificate:
    sid = "tag:microsoft.com,2022-09-14:sid:S-1-5-21-1-2-3-1104"
    alternatives = [x509.DNSName("device.example.com"), x509.UniformResourceIdentifier(sid)]
    return (
        _builder(x509.Name.from_rfc4514_string("CN=device.example.com"), "leaf")
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(_key("ca"), hashes.SHA256())
    )


def _crl(*, number: bool = True) -> bytes:
    builder = x509.CertificateRevocationListBuilder(CA_NAME, NOW, NOW + timedelta(days=7))
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(_key("ca").public_key())
    builder = builder.add_extension(identifier, critical=False)
    if number:
        builder = builder.add_extension(x509.CRLNumber(7), critical=False)
    return builder.sign(_key("ca"), hashes.SHA256()).public_bytes(Encoding.DER)


def _ocsp_answer() -> bytes:
    builder = ocsp.OCSPResponseBuilder().add_response(
        _leaf(), _ca(), hashes.SHA256(), ocsp.OCSPCertStatus.GOOD, NOW, NOW + timedelta(days=1), None, None
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, _ca())
    return builder.sign(_key("ca"), hashes.SHA256()).public_bytes(Encoding.DER)


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def test_good_objects_pass_every_looker() -> None:
    look_at_certificate(_der(_leaf()), [_der(_ca())])
    look_at_certificate(_der(_leaf()), [_der(_ca())], crls=[_crl()])
    look_at_crl(_crl(), _der(_ca()))
    look_at_crl(_crl())
    text = look_at_ocsp_response(_ocsp_answer(), chain=[_der(_ca())], certificate=_der(_leaf()), digest="sha256")
    assert "leaf.pem: good" in text


def test_a_certificate_without_key_identifier_is_found() -> None:
    bad = x509.CertificateBuilder(CA_NAME, CA_NAME, _key("leaf").public_key(), 5, NOW, NOW + timedelta(days=1))
    findings = lint_findings(CERTIFICATE, _der(bad.sign(_key("ca"), hashes.SHA256())))
    assert any("authority_key_identifier" in finding for finding in findings), findings


def test_a_crl_without_number_is_found() -> None:
    assert any("crl_number" in finding for finding in lint_findings(CRL, _crl(number=False)))


def test_an_ocsp_answer_is_linted_at_all() -> None:
    assert lint_findings(OCSP, _ocsp_answer()) == []


def test_a_structure_that_is_cut_short_is_found() -> None:
    with pytest.raises(AssertionError):
        look_at_structure([_crl(), _crl()[:-1]])


def test_a_certificate_of_another_key_does_not_verify() -> None:
    stranger = _builder(_leaf().subject, "leaf").sign(_key("stranger"), hashes.SHA256())
    with pytest.raises(pytest.fail.Exception, match="certificate signature failure"):
        look_at_certificate(_der(stranger), [_der(_ca())])


def test_what_was_signed_is_linted_and_verified_with_the_certificates_seen_before() -> None:
    signed = SignedObjects()
    signed.fresh += [(CERTIFICATE, _der(_ca())), (CERTIFICATE, _der(_leaf())), (CRL, _crl()), (OCSP, _ocsp_answer())]
    signed.look()
    assert signed.fresh == []
    signed.fresh.append((CERTIFICATE, _der(_builder(_leaf().subject, "leaf").sign(_key("stranger"), hashes.SHA256()))))
    with pytest.raises(pytest.fail.Exception, match="openssl verify does not accept"):
        signed.look()


def test_an_object_of_a_kind_that_nobody_looks_at_is_refused() -> None:
    signed = SignedObjects()
    signed.fresh.append(("timestamp", b"\x30\x00"))
    with pytest.raises(AssertionError, match="nobody looks at"):
        signed.look()


@pytest.mark.parametrize(("module_name", "function_name", "kind"), ROADS)
def test_each_road_is_watched_wherever_it_is_imported(module_name: str, function_name: str, kind: str | None) -> None:
    inner = inspect.unwrap(getattr(importlib.import_module(module_name), function_name))
    for path in (ROOT / "src" / "privyseal").rglob("*.py"):
        if re.search(rf"import\b.*\b{function_name}\b", path.read_text()):
            importlib.import_module(".".join(path.relative_to(ROOT / "src").with_suffix("").parts))
    unwatched = [name for name, module in sys.modules.items() if vars(module).get(function_name) is inner]
    assert not unwatched, f"{kind}: signs unseen in {unwatched}"


@pytest.mark.broken_on_purpose("the object is not one")
def test_what_the_road_finishes_is_collected() -> None:
    before = len(SIGNED.fresh)
    finish = importlib.import_module("privyseal.ca.issuance").finish
    der = finish("certificate", b"\x30\x00", b"\x30\x00", b"")
    assert SIGNED.fresh[before:] == [("certificate", der)]
