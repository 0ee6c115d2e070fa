# SPDX-License-Identifier: Apache-2.0
"""The routes of a built installation against the list that a person agreed to."""

from __future__ import annotations

import pytest

from privyseal.endpoints.app import Access
from tests.installation import Installation

AGREED = {
    "scep": {"GET", "POST"},
    "ocsp": {"GET", "POST"},
    "crl": {"GET", "HEAD"},
    "aia": {"GET", "HEAD"},
    "livez": {"GET", "HEAD"},
    "readyz": {"GET", "HEAD"},
}


def test_there_are_exactly_the_agreed_routes_and_each_says_why_it_is_open(shared: Installation) -> None:
    """A new route needs a new line here, and a reason that somebody read."""
    assert {name: set(route.methods) for name, route in shared.http.routes.items()} == AGREED
    for route in shared.http.routes.values():
        assert route.access is Access.PUBLIC
        assert len(route.reason) > 10
        assert 0 <= route.body_limit <= 64 * 1024


@pytest.mark.parametrize(
    "path",
    ["/", "/admin", "/scep", "/crl", "/crl/issuing", "/crl/issuing/v1", "/crl/issuing/v1.cer", "/crl/issuing/v2.crl",
     "/crl/issuing/v0.crl", "/crl/issuing/v01x.crl", "/crl/issuing/v\u0661.crl".encode().decode("latin-1"),
     "/crl/nobody/v1.crl", "/crl/issuing/v1.crl/x", "/aia/issuing/v1.crl", "/aia/../keys", "/aia/%2e%2e/v1.cer"],
)  # fmt: skip
def test_other_paths_are_not_found(shared: Installation, path: str) -> None:
    assert shared.get(path).status == 404


def test_probes_tell_that_it_lives_and_nothing_else(shared: Installation) -> None:
    assert shared.get("/livez").body == b"ok\n"
    assert shared.get("/readyz").body == b"ready\n"


def test_publications_have_the_types_of_rfc_2585(shared: Installation) -> None:
    crl, certificate = shared.get("/crl/issuing/v1.crl"), shared.get("/aia/issuing/v1.cer")
    assert crl.headers["content-type"] == "application/pkix-crl"
    assert "must-revalidate" in crl.headers["cache-control"]
    assert certificate.headers["content-type"] == "application/pkix-cert"
    assert certificate.body == shared.chain[0]
