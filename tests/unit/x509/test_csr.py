# SPDX-License-Identifier: Apache-2.0
"""Certification requests: built the way real clients build them, honest ones and others."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from privyseal.errors import (
    CaInRequest,
    KeyNotAcceptable,
    MalformedRequest,
    PrivysealError,
    ProofOfPossessionFailed,
    SidInRequest,
    SignatureAlgorithmNotAllowed,
)
from privyseal.x509 import der, oids
from privyseal.x509.csr import parse_request, refuse_authority_claims
from privyseal.x509.general_names import GeneralName, NameKind, encode_general_names
from privyseal.x509.names import DistinguishedName
from privyseal.x509.sid import Sid
from tests.outside.tools import openssl

RSA = rsa.generate_private_key(65537, 2048)
P256 = ec.generate_private_key(ec.SECP256R1())
SID = Sid.parse("S-1-5-21-1-2-3-1105")
MS = oids.MS_CERT_EXTENSIONS


def _sign_rsa(info: bytes) -> bytes:
    return RSA.sign(info, padding.PKCS1v15(), hashes.SHA256())


def _attribute(oid: str, *values: bytes) -> bytes:
    return der.sequence(der.oid(oid), der.tlv(der.SET, *values))


def _extension(oid: str, value: bytes, *, flag: bytes = b"") -> bytes:
    return der.sequence(der.oid(oid), flag, der.octet_string(value))


def _extension_request(*extensions: bytes, oid: str = oids.EXTENSION_REQUEST) -> bytes:
    return _attribute(oid, der.sequence(*extensions))


def _challenge(text: str = "secret", tag: int = der.PRINTABLE_STRING, encoding: str = "ascii") -> bytes:
    return _attribute(oids.CHALLENGE_PASSWORD, der.tlv(tag, text.encode(encoding)))


def _pair(name: str, value: str) -> bytes:
    texts = [der.tlv(der.BMP_STRING, text.encode("utf-16-be")) for text in (name, value)]
    return _attribute(oids.MS_ENROLLMENT_NAME_VALUE_PAIR, der.sequence(*texts))


def _request(
    *attributes: bytes,
    key: PublicKeyTypes | None = None,
    algorithm: bytes = der.sequence(der.oid(oids.SHA256_WITH_RSA), der.null()),
    sign: Callable[[bytes], bytes] = _sign_rsa,
    version: int = 0,
) -> bytes:
    spki = (key or RSA.public_key()).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    name = DistinguishedName.parse("CN=device-1,O=Contoso").to_der()
    info = der.sequence(der.integer(version), name, spki, der.tlv(0xA0, *attributes))
    return der.sequence(info, algorithm, der.bit_string(sign(info)))


def _san(*names: GeneralName) -> bytes:
    return _extension(oids.SUBJECT_ALT_NAME, encode_general_names(names))


def test_a_request_that_cryptography_made_is_read() -> None:
    made = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name.from_rfc4514_string("CN=a,O=b"))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("a.example")]), False)
        .add_extension(x509.BasicConstraints(False, None), True)
        .add_attribute(x509.oid.AttributeOID.CHALLENGE_PASSWORD, b"secret")
        .sign(RSA, hashes.SHA256())
    )
    for data in (made.public_bytes(Encoding.DER), made.public_bytes(Encoding.PEM)):
        request = parse_request(data)
        assert request.der == made.public_bytes(Encoding.DER)
        assert request.subject.to_text() == "CN=a,O=b"
        assert request.subject_der == made.subject.public_bytes()
        assert request.public_key == RSA.public_key()
        assert request.spki == RSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        assert request.signature_algorithm == oids.SHA256_WITH_RSA
        assert request.challenge_password == "secret"
        assert request.san == (GeneralName(NameKind.DNS, "a.example"),)
        assert [(e.oid, e.critical) for e in request.extensions] == [("2.5.29.17", False), ("2.5.29.19", True)]
        assert (request.template_name, request.requested_validity) == (None, None)
        refuse_authority_claims(request)


def test_a_request_that_openssl_made_is_read() -> None:
    config = """
        [req]
        prompt = no
        string_mask = default
        distinguished_name = name
        attributes = attributes
        req_extensions = extensions
        [name]
        C = DE
        0.OU = One
        1.OU = Two, Ünited
        CN = device-1
        unstructuredName = router.example
        [attributes]
        challengePassword = secret word
        unstructuredName = another
        [extensions]
        subjectAltName = DNS:a.example, IP:10.0.0.1, otherName:1.3.6.1.4.1.311.20.2.3;UTF8:u@a.example
        basicConstraints = critical, CA:FALSE
    """
    made = openssl(
        *"req -new -utf8 -newkey rsa:2048 -nodes -keyout /dev/null -config /dev/stdin -outform DER".split(),
        given=config.encode(),
    ).must_work()
    request = parse_request(made.out)
    assert request.subject.to_text().endswith(r"CN=device-1,OU=Two\, Ünited,OU=One,C=DE")
    assert request.challenge_password == "secret word"
    assert [(name.kind.value, name.value) for name in request.san] == [
        ("dns", "a.example"),
        ("ip", "10.0.0.1"),
        ("upn", "u@a.example"),
    ]
    refuse_authority_claims(request)


def test_pem_with_another_label_text_around_and_windows_line_ends_is_read() -> None:
    body = base64.encodebytes(_request()).replace(b"\n", b"\r\n")
    for label in (b"CERTIFICATE REQUEST", b"NEW CERTIFICATE REQUEST"):
        pem = b"Subject: x\r\n-----BEGIN " + label + b"-----\r\n" + body + b"-----END " + label + b"-----\r\n"
        assert parse_request(pem).der == _request()


def test_trap_strongswan_writes_its_attributes_unsorted() -> None:
    attributes = [_extension_request(_san(GeneralName(NameKind.DNS, "a.example"))), _challenge()]
    attributes.sort(reverse=True)
    data = _request(*attributes)
    with pytest.raises(ValueError, match="InvalidSetOrdering"):
        _ = x509.load_der_x509_csr(data).attributes
    request = parse_request(data)
    assert request.challenge_password == "secret"
    assert request.san[0].value == "a.example"


def test_trap_7_ndes_sends_ca_false_with_a_path_length() -> None:
    for value in ("3003020100", "3006010100020100"):
        request = parse_request(_request(_extension_request(_extension("2.5.29.19", bytes.fromhex(value)))))
        refuse_authority_claims(request)


@pytest.mark.parametrize("pairs", [("Years", "2"), ("2", "Years")])
def test_trap_17_the_validity_asked_for_is_read_even_when_swapped(pairs: tuple[str, str]) -> None:
    request = parse_request(_request(_pair("ValidityPeriod", pairs[0]), _pair("ValidityPeriodUnits", pairs[1])))
    assert request.requested_validity == timedelta(days=730)


def test_a_validity_in_hours_is_exact() -> None:
    request = parse_request(_request(_pair("validityperiod", "HOURS"), _pair("ValidityPeriodUnits", "7")))
    assert request.requested_validity == timedelta(hours=7)


@pytest.mark.parametrize(
    ("unit", "count"),
    [("Years", ""), ("Years", "-1"), ("Aeons", "1"), ("Years", "999999"), ("Days", "0"), ("٢", "Days")],
)
def test_a_malformed_validity_is_no_wish(unit: str, count: str) -> None:
    request = parse_request(_request(_pair("ValidityPeriod", unit), _pair("ValidityPeriodUnits", count)))
    assert request.requested_validity is None


def test_trap_20_a_sid_in_the_request_is_refused() -> None:
    uri = GeneralName(NameKind.URI, SID.uri)
    loud = GeneralName(NameKind.URI, SID.uri.upper())
    other = GeneralName(NameKind.OTHER, der.read(SID.extension_value()).contents.hex())
    for extension in (
        _extension(oids.NTDS_CA_SECURITY_EXT, SID.extension_value()),
        _extension(oids.NTDS_CA_SECURITY_EXT, b""),
        _san(GeneralName(NameKind.DNS, "a.example"), uri),
        _san(loud),
        _san(other),
        _extension(oids.SUBJECT_ALT_NAME, der.sequence(der.tlv(0x86, SID.uri.encode() + b"\xff"))),
    ):
        for oid in (oids.EXTENSION_REQUEST, oids.MS_CERT_EXTENSIONS):
            request = parse_request(_request(_extension_request(extension, oid=oid)))
            with pytest.raises(SidInRequest):
                refuse_authority_claims(request)


@pytest.mark.parametrize(
    ("oid", "value"),
    [
        ("2.5.29.19", "30030101ff"),
        ("2.5.29.19", "3003010101"),
        ("2.5.29.19", "30060101ff020100"),
        ("2.5.29.15", "03020204"),
        ("2.5.29.15", "03020102"),
        ("2.5.29.15", "03020106"),
    ],
)
def test_a_request_to_become_a_ca_is_refused(oid: str, value: str) -> None:
    request = parse_request(_request(_extension_request(_extension(oid, bytes.fromhex(value)))))
    with pytest.raises(CaInRequest):
        refuse_authority_claims(request)


def test_ordinary_key_usage_is_no_claim() -> None:
    request = parse_request(_request(_extension_request(_extension("2.5.29.15", bytes.fromhex("030205a0")))))
    refuse_authority_claims(request)


@pytest.mark.parametrize(("oid", "value"), [("2.5.29.19", ""), ("2.5.29.19", "0500"), ("2.5.29.15", "0300")])
def test_constraints_that_cannot_be_read_are_malformed(oid: str, value: str) -> None:
    request = parse_request(_request(_extension_request(_extension(oid, bytes.fromhex(value)))))
    with pytest.raises(MalformedRequest):
        refuse_authority_claims(request)


@pytest.mark.parametrize(
    ("tag", "encoding"),
    [(0x13, "ascii"), (0x0C, "utf-8"), (0x1E, "utf-16-be"), (0x16, "ascii"), (0x14, "latin-1")],
)
def test_the_challenge_is_read_from_every_string_type(tag: int, encoding: str) -> None:
    text = "pässword" if encoding != "ascii" else "password"
    assert parse_request(_request(_challenge(text, tag, encoding))).challenge_password == text


def test_the_template_name_is_read_from_extension_or_pair() -> None:
    value = der.tlv(der.BMP_STRING, "Machine".encode("utf-16-be"))
    extension = _extension(oids.MS_ENROLL_CERTTYPE, value)
    assert parse_request(_request(_extension_request(extension))).template_name == "Machine"
    assert parse_request(_request(_pair("CertificateTemplate", "User"))).template_name == "User"
    broken = _extension(oids.MS_ENROLL_CERTTYPE, b"\x1e\x01\x00")
    assert parse_request(_request(_extension_request(broken))).template_name is None


def test_attributes_may_be_missing() -> None:
    spki = RSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    info = der.sequence(der.integer(0), b"\x30\x00", spki)
    algorithm = der.sequence(der.oid(oids.SHA256_WITH_RSA))
    request = parse_request(der.sequence(info, algorithm, der.bit_string(_sign_rsa(info))))
    assert request.extensions == request.san == ()


@pytest.mark.parametrize(
    ("curve", "digest", "oid"),
    [
        (ec.SECP256R1(), hashes.SHA256(), oids.ECDSA_WITH_SHA256),
        (ec.SECP384R1(), hashes.SHA384(), oids.ECDSA_WITH_SHA384),
        (ec.SECP521R1(), hashes.SHA512(), oids.ECDSA_WITH_SHA512),
    ],
)
def test_ecdsa_requests_verify(curve: ec.EllipticCurve, digest: hashes.HashAlgorithm, oid: str) -> None:
    key = ec.generate_private_key(curve)
    data = _request(
        key=key.public_key(),
        algorithm=der.sequence(der.oid(oid)),
        sign=lambda info: key.sign(info, ec.ECDSA(digest)),
    )
    assert parse_request(data).signature_algorithm == oid


def test_ed25519_requests_verify() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    data = _request(key=key.public_key(), algorithm=der.sequence(der.oid(oids.ED25519)), sign=key.sign)
    assert parse_request(data).public_key == key.public_key()


@pytest.mark.parametrize("digest", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_rsa_pss_requests_verify(digest: hashes.HashAlgorithm) -> None:
    made = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .sign(RSA, digest, rsa_padding=padding.PSS(padding.MGF1(digest), digest.digest_size))
    )
    assert parse_request(made.public_bytes(Encoding.DER)).signature_algorithm == oids.RSA_PSS


def test_sha1_is_accepted_with_the_switch_only() -> None:
    pss = padding.PSS(padding.MGF1(hashes.SHA1()), 20)
    for data in (
        _request(
            algorithm=der.sequence(der.oid(oids.SHA1_WITH_RSA), der.null()),
            sign=lambda info: RSA.sign(info, padding.PKCS1v15(), hashes.SHA1()),
        ),
        _request(
            key=P256.public_key(),
            algorithm=der.sequence(der.oid(oids.ECDSA_WITH_SHA1)),
            sign=lambda info: P256.sign(info, ec.ECDSA(hashes.SHA1())),
        ),
        _request(
            algorithm=der.sequence(der.oid(oids.RSA_PSS), b"\x30\x00"),
            sign=lambda info: RSA.sign(info, pss, hashes.SHA1()),
        ),
    ):
        with pytest.raises(SignatureAlgorithmNotAllowed, match="SHA-1"):
            parse_request(data)
        parse_request(data, allow_sha1=True)


@pytest.mark.parametrize("oid", [oids.MD5_WITH_RSA, "1.2.840.113549.1.1.2", "1.2.840.113549.1.1.14", "1.2.3"])
def test_md5_and_unknown_algorithms_are_never_accepted(oid: str) -> None:
    with pytest.raises(SignatureAlgorithmNotAllowed, match=oid):
        parse_request(_request(algorithm=der.sequence(der.oid(oid), der.null())), allow_sha1=True)


def test_a_signature_of_another_key_or_over_other_bytes_is_refused() -> None:
    stranger = rsa.generate_private_key(65537, 2048)
    good = _request(_challenge())
    for data in (
        _request(key=stranger.public_key()),
        _request(key=P256.public_key()),
        good.replace(b"device-1", b"device-2"),
        good.replace(b"secret", b"sekret"),
        _request(sign=lambda _: b""),
        _request(sign=lambda _: bytes(256)),
        _request(algorithm=der.sequence(der.oid(oids.SHA384_WITH_RSA), der.null())),
        good[:-257] + b"\x01" + good[-256:],
    ):
        with pytest.raises(ProofOfPossessionFailed):
            parse_request(data)


def test_keys_of_other_types_are_refused() -> None:
    old = dsa.generate_private_key(2048)
    for key in (old.public_key(), ec.generate_private_key(ec.SECP256K1()).public_key()):
        with pytest.raises(KeyNotAcceptable):
            parse_request(_request(key=key))


@pytest.mark.parametrize(
    "attributes",
    [
        [_challenge(), _challenge()],
        [_attribute(oids.CHALLENGE_PASSWORD)],
        [_attribute(oids.CHALLENGE_PASSWORD, b"\x13\x01a", b"\x13\x01b")],
        [_attribute(oids.CHALLENGE_PASSWORD, b"\x02\x01\x01")],
        [_attribute(oids.CHALLENGE_PASSWORD, b"\x1e\x01a")],
        [_extension_request(), _extension_request()],
        [_extension_request(_extension("1.2.3", b""), _extension("1.2.3", b""))],
        [_extension_request(_extension("1.2.3", b"")), _extension_request(_extension("1.2.3", b""), oid=MS)],
        [_extension_request(b"\x05\x00")],
        [_extension_request(der.sequence(der.oid("1.2.3")))],
        [_extension_request(der.sequence(der.oid("1.2.3"), der.null(), der.octet_string(b"")))],
        [_extension_request(_extension(oids.SUBJECT_ALT_NAME, b"\x30\x05"))],
        [_extension_request(*[_extension(f"1.2.{n}", b"") for n in range(65)])],
        [_attribute(f"1.2.{n}") for n in range(65)],
        [_attribute(oids.MS_ENROLLMENT_NAME_VALUE_PAIR, der.sequence(der.null()))],
        [b"\x05\x00"],
        [der.sequence()],
        [b"\x30\x80\x00\x00"],
    ],
)
def test_attributes_of_another_shape_are_refused(attributes: list[bytes]) -> None:
    with pytest.raises(MalformedRequest):
        parse_request(_request(*attributes))


def test_bytes_that_are_no_request_are_refused() -> None:
    good = _request()
    pem = b"-----BEGIN CERTIFICATE REQUEST-----\n" + base64.b64encode(good) + b"\n-----END CERTIFICATE REQUEST-----\n"
    for data in (
        b"",
        b"0",
        b"\x30\x00",
        good[:-1],
        good + b"\0",
        bytes(70000),
        _request(version=1),
        pem + pem,
        pem.replace(b"MII", b"M*I"),
        pem.replace(b"END", b"EXD"),
        pem.replace(b"CERTIFICATE REQUEST", b"CERTIFICATE"),
        "\N{LATIN SMALL LETTER U WITH DIAERESIS}".encode(),
        b"\x30\x80" * 1000,
    ):
        with pytest.raises(MalformedRequest):
            parse_request(data)


def test_every_cut_of_a_request_is_one_typed_error() -> None:
    good = _request(_challenge(), _extension_request(_san(GeneralName(NameKind.DNS, "a.example"))))
    for length in range(len(good)):
        with pytest.raises(PrivysealError):
            parse_request(good[:length])
