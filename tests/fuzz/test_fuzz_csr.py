# SPDX-License-Identifier: Apache-2.0
"""Any bytes given as a certification request end in a value or in one typed error."""

from __future__ import annotations

import contextlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from privyseal.errors import PrivysealError
from privyseal.x509 import csr
from privyseal.x509.csr import parse_request, refuse_authority_claims
from privyseal.x509.keys import KeyRules, check_public_key, load_public_key
from privyseal.x509.span import Span, within

GOOD = (
    x509.CertificateSigningRequestBuilder()
    .subject_name(x509.Name.from_rfc4514_string("CN=a,O=b"))
    .add_extension(x509.SubjectAlternativeName([x509.DNSName("a.example"), x509.RFC822Name("a@b")]), False)
    .add_extension(x509.BasicConstraints(False, None), True)
    .add_attribute(x509.oid.AttributeOID.CHALLENGE_PASSWORD, b"secret")
    .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    .public_bytes(Encoding.DER)
)
CHANGES = st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4)


def _changed(changes: list[tuple[int, int]]) -> bytes:
    data = bytearray(GOOD)
    for at, octet in changes:
        data[at] = octet
    return bytes(data)


def _read(data: bytes) -> None:
    with contextlib.suppress(PrivysealError):
        request = parse_request(data, allow_sha1=True)
        check_public_key(request.public_key, KeyRules())
        refuse_authority_claims(request)


@given(st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    _read(data)
    _read(b"\x30\x82" + len(data).to_bytes(2, "big") + data)


@given(st.binary(max_size=200))
def test_any_pem(data: bytes) -> None:
    _read(b"-----BEGIN CERTIFICATE REQUEST-----" + data + b"-----END CERTIFICATE REQUEST-----")


@settings(max_examples=400)
@given(CHANGES)
def test_a_changed_request(changes: list[tuple[int, int]]) -> None:
    _read(_changed(changes))


@settings(max_examples=400)
@given(CHANGES)
def test_changed_attributes_under_a_signature_that_would_hold(changes: list[tuple[int, int]]) -> None:
    """The attributes are read before the signature is; here each change reaches their reader."""
    data = _changed(changes)
    with contextlib.suppress(PrivysealError):
        info = within(data, 0, len(data), tag=0x30, what="request")[0]
        attributes: Span = within(data, info[1], info[3], tag=0x30, what="info")[3]
        csr._read_attributes(data, attributes)


@given(st.binary(max_size=300))
def test_any_bytes_as_a_key(data: bytes) -> None:
    with contextlib.suppress(PrivysealError):
        load_public_key(data)
