# SPDX-License-Identifier: Apache-2.0
"""A public URL with a path works with and without a proxy that takes the path away."""

from __future__ import annotations

import base64
from dataclasses import replace
from urllib.parse import quote

import pytest
from cryptography.x509 import ocsp

from privyseal.bootstrap.http import build_http
from tests.device import Device
from tests.e2e.test_status import question
from tests.installation import Installation


@pytest.fixture(name="below", scope="module")
def fixture_below(shared: Installation) -> Installation:
    """An installation whose public URL is http://pki.example.com/a/pki."""
    settings = replace(shared.app.settings, public_url="http://pki.example.com/a/pki")
    shared.http = build_http(replace(shared.app, settings=settings))
    return shared


@pytest.mark.parametrize("place", ["", "/a/pki", "//a//pki"])
def test_every_route_is_there(below: Installation, place: str) -> None:
    for path in ("/livez", "/crl/issuing/v1.crl", "/aia/issuing/v1.cer", "/scep/wifi-device?operation=GetCACaps"):
        assert below.get(f"{place}{path}").status == 200


@pytest.mark.parametrize("place", ["/a", "/pki", "/a/pki/a/pki", "/b/pki"])
def test_other_places_are_not_found(below: Installation, place: str) -> None:
    assert below.get(f"{place}/livez").status == 404


def test_an_ocsp_get_with_slashes_in_its_base64_is_read_below_the_path(below: Installation) -> None:
    leaf, issuer = Device(below).enroll(), below.chain[0]
    for number in range(200):
        text = base64.b64encode(question(leaf, issuer, nonce=number.to_bytes(16, "big"))).decode()
        if "/" in text:
            break
    for tail in (text, quote(text, safe="")):
        body = below.get(f"/a/pki/ocsp/issuing/v1/{tail}").body
        assert ocsp.load_der_ocsp_response(body).certificate_status is ocsp.OCSPCertStatus.GOOD
