# SPDX-License-Identifier: Apache-2.0
"""OCSP messages: bytes, cryptography and openssl as second readers, and requests nobody should send."""

from __future__ import annotations

import base64
import urllib.parse
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from privyseal.errors import MalformedMessage, MessageTooLarge, PrivysealError
from privyseal.protocols.ocsp import (
    GOOD,
    UNKNOWN,
    CertStatus,
    OcspError,
    SingleAnswer,
    build_error_response,
    build_response,
    build_response_data,
    decode_ocsp_get_path,
    parse_ocsp_request,
)
from privyseal.x509 import der, oids
from tests.outside.tools import openssl

KEY = ec.generate_private_key(ec.SECP256R1())
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
KEY_HASH = x509.SubjectKeyIdentifier.from_public_key(KEY.public_key()).digest
ECDSA_SHA256 = der.sequence(der.oid(oids.ECDSA_WITH_SHA256))


def _certificate() -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "responder")])
    builder = x509.CertificateBuilder(name, name, KEY.public_key(), 0x1234, NOW, NOW + timedelta(days=9))
    return builder.sign(KEY, hashes.SHA256())


CERTIFICATE = _certificate()


def _asked(digest: hashes.HashAlgorithm | None = None, nonce: bytes | None = None) -> bytes:
    builder = ocsp.OCSPRequestBuilder().add_certificate(CERTIFICATE, CERTIFICATE, digest or hashes.SHA256())
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def _cert_id(serial: int = 5, oid: str = oids.SHA1, size: int = 20) -> bytes:
    algorithm = der.sequence(der.oid(oid), der.null())
    return der.sequence(algorithm, der.octet_string(bytes(size)), der.octet_string(bytes(size)), der.integer(serial))


def _request(*cert_ids: bytes, extensions: bytes = b"", before: bytes = b"", after: bytes = b"") -> bytes:
    questions = der.sequence(*(der.sequence(cert_id) for cert_id in cert_ids))
    tail = der.explicit(2, der.sequence(extensions)) if extensions else b""
    return der.sequence(der.sequence(before, questions, tail), after)


def _extension(oid: str, value: bytes, *, flag: bytes = b"") -> bytes:
    return der.sequence(der.oid(oid), flag, der.octet_string(value))


def _response(*answers: SingleAnswer, nonce: bytes | None = None, with_certificate: bool = True) -> bytes:
    tbs = build_response_data(responder_key_hash=KEY_HASH, produced_at=NOW, answers=answers, nonce=nonce)
    certificates = [CERTIFICATE.public_bytes(Encoding.DER)] if with_certificate else []
    signature = KEY.sign(tbs, ec.ECDSA(hashes.SHA256()))
    return build_response(tbs, ECDSA_SHA256, signature=signature, certificates=certificates)


@pytest.mark.parametrize("digest", [hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_a_request_that_cryptography_made_is_read(digest: hashes.HashAlgorithm) -> None:
    data = _asked(digest, nonce=b"n" * 32)
    theirs = ocsp.load_der_ocsp_request(data)
    request = parse_ocsp_request(data)
    (cert_id,) = request.cert_ids
    assert cert_id.hash_algorithm == digest.name
    assert cert_id.issuer_name_hash == theirs.issuer_name_hash
    assert cert_id.issuer_key_hash == theirs.issuer_key_hash
    assert cert_id.serial == theirs.serial_number == 0x1234
    assert cert_id.der in data
    assert request.nonce == b"n" * 32


def test_several_questions_and_a_signature_are_read() -> None:
    signature = der.explicit(0, der.sequence(ECDSA_SHA256, der.bit_string(b"x")))
    name = der.explicit(1, der.tlv(0xA4, b"\x30\x00"))
    data = _request(*[_cert_id(n) for n in range(8)], before=der.explicit(0, der.integer(0)) + name, after=signature)
    request = parse_ocsp_request(data)
    assert [cert_id.serial for cert_id in request.cert_ids] == list(range(8))
    assert request.nonce is None
    assert [cert_id.der for cert_id in request.cert_ids] == [_cert_id(n) for n in range(8)]


def test_a_cert_id_is_echoed_byte_for_byte_even_without_the_null() -> None:
    algorithm = der.sequence(der.oid(oids.SHA1))
    cert_id = der.sequence(algorithm, der.octet_string(bytes(20)), der.octet_string(bytes(20)), der.integer(-1))
    (read,) = parse_ocsp_request(_request(cert_id)).cert_ids
    assert (read.der, read.serial, read.hash_algorithm) == (cert_id, -1, "sha1")


def test_an_unknown_hash_is_named_by_its_oid() -> None:
    assert parse_ocsp_request(_request(_cert_id(oid="1.2.3"))).cert_ids[0].hash_algorithm == "1.2.3"


@pytest.mark.parametrize("size", [1, 16, 32, 128])
def test_nonces_of_rfc_9654_are_read(size: int) -> None:
    assert parse_ocsp_request(_asked(nonce=b"n" * size)).nonce == b"n" * size


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30\x00",
        b"\x30\x02\x30\x00",
        b"\x04\x00",
        _request(),
        _request(*[_cert_id()] * 9),
        _request(_cert_id()) + b"\0",
        _request(b""),
        _request(b"\x05\x00"),
        _request(_cert_id(size=19)),
        _request(_cert_id(size=20, oid=oids.SHA256)),
        _request(_cert_id(serial=1 << 300)),
        _request(der.sequence(der.oid(oids.SHA1))),
        _request(_cert_id(), before=b"\xa3\x00"),
        _request(_cert_id(), after=b"\xa1\x00"),
        _request(_cert_id(), extensions=_extension(oids.OCSP_NONCE, der.octet_string(b""))),
        _request(_cert_id(), extensions=_extension(oids.OCSP_NONCE, der.octet_string(b"n" * 129))),
        _request(_cert_id(), extensions=_extension(oids.OCSP_NONCE, b"raw nonce")),
        _request(_cert_id(), extensions=_extension(oids.OCSP_NONCE, b"")),
        _request(_cert_id(), extensions=_extension(oids.OCSP_NONCE, der.octet_string(b"n")) * 2),
        _request(_cert_id(), extensions=_extension("1.2.3", b"", flag=b"\x01\x01\xff")),
        _request(_cert_id(), extensions=b"\x05\x00"),
        _request(_cert_id() + b"\x05\x00"),
    ],
)
def test_a_request_of_another_shape_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        parse_ocsp_request(data)


def test_an_unknown_extension_that_is_not_critical_is_passed_over() -> None:
    extensions = _extension("1.2.3", b"") + _extension(oids.OCSP_NONCE, der.octet_string(b"n"))
    single = der.explicit(0, der.sequence(_extension("1.3.6.1.5.5.7.48.1.7", b"")))
    assert parse_ocsp_request(_request(_cert_id() + single, extensions=extensions)).nonce == b"n"


def test_a_request_of_more_than_16_kib_is_too_large() -> None:
    with pytest.raises(MessageTooLarge):
        parse_ocsp_request(bytes(16385))
    with pytest.raises(MessageTooLarge):
        decode_ocsp_get_path("A" * 50000)


def test_every_cut_of_a_request_is_one_typed_error() -> None:
    data = _asked(nonce=b"n" * 16)
    for length in range(len(data)):
        with pytest.raises(PrivysealError):
            parse_ocsp_request(data[:length])


def test_every_way_to_write_a_get_path_gives_the_request() -> None:
    data = b"0\xfb\xff\xbf\xff\xfe>?" + b"\xff" * 3
    for request in (data, data + b"a", data + b"ab", _asked()):
        text = base64.b64encode(request).decode()
        for tail in (
            text,
            text.rstrip("="),
            urllib.parse.quote(text, safe=""),
            urllib.parse.quote(text, safe="").lower() if text.islower() else urllib.parse.quote(text),
            "/" + text,
            text.replace("+", " "),
            base64.urlsafe_b64encode(request).decode(),
            urllib.parse.quote(base64.encodebytes(request).decode()),
        ):
            assert decode_ocsp_get_path(tail) == request
            assert decode_ocsp_get_path(tail.encode()) == request


@pytest.mark.parametrize("tail", ["", "/", "A", "%", "%4", "%zz", "MDA*", "MD=A", "MÖ", "\ud800", "favicon.ico"])
def test_a_get_path_that_is_not_base64_is_malformed(tail: str) -> None:
    with pytest.raises(MalformedMessage):
        decode_ocsp_get_path(tail)


def test_the_response_data_is_as_rfc_6960_writes_it() -> None:
    data = build_response_data(
        responder_key_hash=b"k", produced_at=NOW, answers=[SingleAnswer(b"\x30\x00", GOOD, NOW, None)], nonce=b"n"
    )
    time = "180f" + b"20260304050607Z".hex()
    single = "3015" + "3000" + "8000" + time
    nonce = "a1143012301006092b060105050730010204030401" + "6e"
    body = "a20304016b" + time + "3017" + single + nonce
    assert data.hex() == f"30{len(body) // 2:02x}{body}"


def test_cryptography_reads_each_status() -> None:
    (cert_id,) = parse_ocsp_request(_asked()).cert_ids
    revoked_at = NOW - timedelta(days=3)
    for status, expected, reason in (
        (GOOD, ocsp.OCSPCertStatus.GOOD, None),
        (UNKNOWN, ocsp.OCSPCertStatus.UNKNOWN, None),
        (CertStatus.revoked(revoked_at, 1), ocsp.OCSPCertStatus.REVOKED, x509.ReasonFlags.key_compromise),
        (CertStatus.revoked(revoked_at, 0), ocsp.OCSPCertStatus.REVOKED, None),
        (CertStatus.revoked(revoked_at), ocsp.OCSPCertStatus.REVOKED, None),
    ):
        data = _response(SingleAnswer(cert_id.der, status, NOW, NOW + timedelta(hours=1)), nonce=b"n" * 16)
        theirs = ocsp.load_der_ocsp_response(data)
        assert theirs.certificate_status == expected
        assert theirs.serial_number == 0x1234
        assert theirs.produced_at_utc == theirs.this_update_utc == NOW
        assert theirs.next_update_utc == NOW + timedelta(hours=1)
        assert theirs.responder_key_hash == KEY_HASH
        assert theirs.certificates == [CERTIFICATE]
        assert theirs.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"n" * 16
        KEY.public_key().verify(theirs.signature, theirs.tbs_response_bytes, ec.ECDSA(hashes.SHA256()))
        if expected is ocsp.OCSPCertStatus.REVOKED:
            assert theirs.revocation_time_utc == revoked_at
            assert theirs.revocation_reason == reason


def test_openssl_reads_several_answers_in_one_response() -> None:
    answers = [
        SingleAnswer(_cert_id(1), GOOD, NOW, None),
        SingleAnswer(_cert_id(2), CertStatus.revoked(NOW, 4), NOW, NOW + timedelta(hours=1)),
        SingleAnswer(_cert_id(3), UNKNOWN, NOW, None),
    ]
    data = _response(*answers, nonce=b"nonce", with_certificate=False)
    seen = openssl("ocsp", "-respin", "/dev/stdin", "-resp_text", "-noverify", given=data).must_work().text
    assert "OCSP Response Status: successful (0x0)" in seen
    for line in ("Cert Status: good", "Cert Status: revoked", "Cert Status: unknown", "Reason: superseded (0x4)"):
        assert line in seen
    assert "OCSP Nonce" in seen
    assert "Serial Number: 02" in seen


def test_a_revoked_status_without_a_time_is_refused() -> None:
    status = CertStatus(CertStatus.revoked(NOW).kind)
    with pytest.raises(MalformedMessage):
        _response(SingleAnswer(_cert_id(), status, NOW, None))


@pytest.mark.parametrize(
    ("error", "theirs"),
    [
        (OcspError.MALFORMED_REQUEST, ocsp.OCSPResponseStatus.MALFORMED_REQUEST),
        (OcspError.INTERNAL_ERROR, ocsp.OCSPResponseStatus.INTERNAL_ERROR),
        (OcspError.TRY_LATER, ocsp.OCSPResponseStatus.TRY_LATER),
        (OcspError.UNAUTHORIZED, ocsp.OCSPResponseStatus.UNAUTHORIZED),
    ],
)
def test_errors_are_five_octets(error: OcspError, theirs: ocsp.OCSPResponseStatus) -> None:
    data = build_error_response(error)
    assert data == bytes((0x30, 3, 0x0A, 1, error.value))
    assert ocsp.load_der_ocsp_response(data).response_status == theirs
