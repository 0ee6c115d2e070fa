# SPDX-License-Identifier: Apache-2.0
"""Any bytes given as an OCSP request or GET path end in a value or in one typed error."""

from __future__ import annotations

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from privyseal.errors import PrivysealError
from privyseal.protocols.ocsp import decode_ocsp_get_path, parse_ocsp_request
from privyseal.x509 import der, oids

_CERT_ID = der.sequence(
    der.sequence(der.oid(oids.SHA1), der.null()),
    der.octet_string(bytes(20)),
    der.octet_string(bytes(20)),
    der.integer(1 << 100),
)
_NONCE = der.sequence(der.oid(oids.OCSP_NONCE), der.octet_string(der.octet_string(b"n" * 16)))
GOOD = der.sequence(
    der.sequence(der.sequence(der.sequence(_CERT_ID), der.sequence(_CERT_ID)), der.explicit(2, der.sequence(_NONCE)))
)


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    with contextlib.suppress(PrivysealError):
        parse_ocsp_request(data)


@settings(max_examples=500)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_changed_request(changes: list[tuple[int, int]]) -> None:
    data = bytearray(GOOD)
    for at, octet in changes:
        data[at] = octet
    with contextlib.suppress(PrivysealError):
        request = parse_ocsp_request(bytes(data))
        assert 0 < len(request.cert_ids) <= 8
        assert all(cert_id.der in data for cert_id in request.cert_ids)


@given(st.text(max_size=60) | st.binary(max_size=60) | st.text("AMI+/=-_%2Bb ", max_size=60))
def test_any_get_path(tail: str | bytes) -> None:
    with contextlib.suppress(PrivysealError):
        assert decode_ocsp_get_path(tail)
