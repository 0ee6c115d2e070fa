# SPDX-License-Identifier: Apache-2.0
"""Any text or bytes given as a name or template end in a value or in one typed error."""

from __future__ import annotations

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from privyseal.errors import PrivysealError
from privyseal.x509.general_names import (
    GeneralName,
    NameKind,
    decode_general_names,
    encode_general_names,
)
from privyseal.x509.names import DistinguishedName, NameTemplate, ValueTemplate, escape_value

GOOD = DistinguishedName.parse("CN=a+SN=b,O=c,C=DE,1.2.3.4=x").to_der()
NAMES = encode_general_names(
    [
        GeneralName(NameKind.DNS, "a.b"),
        GeneralName(NameKind.UPN, "a@b"),
        GeneralName(NameKind.KPN, "krbtgt/A@A"),
        GeneralName(NameKind.IP, "::1"),
        GeneralName(NameKind.DIRECTORY, "CN=a"),
    ]
)
PIECES = st.lists(
    st.sampled_from(["CN=", "O=", "C=DE", "1.2.3=", ",", "+", "#0c0161", "\\", "\\2C", "{{", "}}", "{{a.b}}", '"', " "])
    | st.text(max_size=4),
    max_size=12,
).map("".join)


@settings(max_examples=400)
@given(PIECES, st.text(max_size=8))
def test_any_text(text: str, value: str) -> None:
    with contextlib.suppress(PrivysealError):
        name = DistinguishedName.parse(text)
        assert DistinguishedName.from_der(name.to_der()) == DistinguishedName.parse(name.to_text()) == name
    with contextlib.suppress(PrivysealError):
        NameTemplate.parse(text).fill(lambda _: value).to_der()
    with contextlib.suppress(PrivysealError):
        ValueTemplate.parse(text).fill(lambda _: value)


@given(st.binary(max_size=100), st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_any_der_as_a_name(data: bytes, at: int, octet: int) -> None:
    for given_der in (data, GOOD[:at] + bytes((octet,)) + GOOD[at + 1 :]):
        with contextlib.suppress(PrivysealError):
            name = DistinguishedName.from_der(given_der)
            name.to_text()
            name.to_der()


@given(st.binary(max_size=100), st.integers(0, len(NAMES) - 1), st.integers(0, 255))
def test_any_der_as_general_names(data: bytes, at: int, octet: int) -> None:
    for given_der in (data, NAMES[:at] + bytes((octet,)) + NAMES[at + 1 :]):
        with contextlib.suppress(PrivysealError):
            encode_general_names(decode_general_names(given_der))


@settings(max_examples=300)
@given(st.sampled_from(NameKind), st.text(max_size=30))
def test_any_text_as_a_general_name(kind: NameKind, value: str) -> None:
    with contextlib.suppress(PrivysealError):
        GeneralName(kind, value).to_der()


@given(st.text(max_size=40))
def test_escaping_takes_any_text(value: str) -> None:
    escape_value(value)
