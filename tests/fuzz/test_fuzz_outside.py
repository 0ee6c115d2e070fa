# SPDX-License-Identifier: Apache-2.0
"""Files that people hand over, certificates, bundles and CRLs: any bytes are read or refused with one error of ours."""

from __future__ import annotations

import base64
import contextlib

from hypothesis import given
from hypothesis import strategies as st

from privyseal.ca.external import read_foreign_crl
from privyseal.errors import CrlRefused, MalformedDer
from privyseal.x509.bundle import read_bundle
from privyseal.x509.extensions import http_urls
from tests.unit.directory.certificates import certificate

WHOLE = certificate("Contoso Root")


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A certificate with a few octets changed, cut or added."""
    data = bytearray(WHOLE)
    for _ in range(draw(st.integers(1, 4))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(1, len(data)))]) + draw(st.binary(max_size=8))


@st.composite
def pem(draw: st.DrawFn) -> bytes:
    """PEM blocks with any label and content."""
    label = draw(st.sampled_from([b"CERTIFICATE", b"PKCS7", b"CMS", b"X509 CRL", b"NONSENSE"]))
    body = draw(st.one_of(st.binary(max_size=80).map(base64.b64encode), damaged().map(base64.b64encode), st.binary()))
    return b"-----BEGIN " + label + b"-----\n" + body + b"\n-----END " + label + b"-----\n"


@given(st.one_of(st.binary(max_size=200), damaged(), pem()))
def test_any_file_is_a_bundle_or_one_error(content: bytes) -> None:
    with contextlib.suppress(MalformedDer):
        assert read_bundle(content)


@given(st.one_of(st.binary(max_size=200), damaged()))
def test_any_bytes_are_a_crl_or_one_error(content: bytes) -> None:
    with contextlib.suppress(CrlRefused):
        read_foreign_crl(content)


@given(st.binary(max_size=200))
def test_any_extension_value_has_urls_or_one_error(content: bytes) -> None:
    with contextlib.suppress(MalformedDer):
        assert all(url.lower().startswith("http://") for url in http_urls(content))


def test_a_whole_certificate_is_read_in_every_form() -> None:
    text = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(WHOLE) + b"-----END CERTIFICATE-----\n"
    for content in (WHOLE, text, b"a word before\n" + text + text):
        (view,) = read_bundle(content)
        assert view.encoded == WHOLE
