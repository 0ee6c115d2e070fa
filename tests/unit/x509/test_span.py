# SPDX-License-Identifier: Apache-2.0
"""Spans must accept and refuse exactly what der.read does."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from privyseal.errors import MalformedDer
from privyseal.x509 import der
from privyseal.x509.span import dotted, span, spans, within


@given(st.binary(max_size=12), st.integers(0, 3), st.integers(0, 14))
@example(b"\x1f\x01\x00", 0, 3)
@example(b"\x30\x80\x00\x00", 0, 4)
@example(b"\x30\x81\x01\x00", 0, 4)
@example(b"\x05\x00", 0, 2)
def test_a_span_is_what_der_read_finds(data: bytes, position: int, limit: int) -> None:
    limit = min(limit, len(data))
    try:
        element = der.read(data, position, limit)
    except MalformedDer as fault:
        with pytest.raises(MalformedDer, match=f"^{fault.what}$"):
            span(data, position, limit)
    else:
        assert span(data, position, limit) == (element.tag, element.start, element.body, element.end)


def test_long_elements_are_found() -> None:
    data = der.sequence(der.octet_string(bytes(300)), der.null(), der.oid("1.2.3"))
    octets, nothing, oid = within(data, 0, len(data), tag=der.SEQUENCE, what="data")
    assert data[octets[2] : octets[3]] == bytes(300)
    assert data[nothing[1] : nothing[3]] == b"\x05\x00"
    assert dotted(data, oid) == "1.2.3"


def test_wrong_tags_and_octets_after_the_end_are_refused() -> None:
    with pytest.raises(MalformedDer, match="thing: expected tag 0x31"):
        within(b"\x30\x00", 0, 2, tag=der.SET, what="thing")
    with pytest.raises(MalformedDer, match="thing: 1 octets after"):
        within(b"\x30\x00\x00", 0, 3, tag=der.SEQUENCE, what="thing")
    with pytest.raises(MalformedDer):
        spans(b"\x05\x00\x05", 0, 3)
    with pytest.raises(MalformedDer):
        dotted(b"\x05\x00", (5, 0, 2, 2))
