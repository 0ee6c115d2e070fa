# SPDX-License-Identifier: Apache-2.0
"""Any text or bytes given as a SID end in a canonical SID or in one typed error."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from privyseal.errors import InvalidSid
from privyseal.x509.sid import Sid

GOOD = Sid.parse("S-1-5-21-1004336348-1177238915-682003330-512").extension_value()


@given(st.text(max_size=30) | st.from_regex(r"S-1(-[0-9]{1,16}){0,18}"))
def test_any_text(text: str) -> None:
    with contextlib.suppress(InvalidSid):
        assert Sid.from_extension_value(Sid.parse(text).extension_value()).text == text


@given(st.binary(max_size=80) | st.integers(1, 15).flatmap(lambda n: st.binary(min_size=6 + 4 * n, max_size=6 + 4 * n)))
def test_any_binary_form(data: bytes) -> None:
    for packed in (data, bytes((1, max(len(data) - 6, 0) // 4)) + data):
        with contextlib.suppress(InvalidSid):
            sid = Sid.from_binary(packed)
            assert Sid.parse(sid.text) == sid


@given(st.binary(max_size=80), st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_any_extension_value(data: bytes, at: int, octet: int) -> None:
    for value in (data, GOOD[:at] + bytes((octet,)) + GOOD[at + 1 :]):
        with contextlib.suppress(InvalidSid):
            assert Sid.from_extension_value(value).extension_value() == value
