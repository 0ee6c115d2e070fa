# SPDX-License-Identifier: Apache-2.0
"""BER to DER, by bytes."""

from __future__ import annotations

import pytest

from privyseal.errors import MalformedMessage, MessageTooLarge
from privyseal.protocols import ber
from privyseal.x509 import der
from tests import scep_messages as odd


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("30 80 02 01 05 00 00", "30 03 02 01 05"),
        ("30 81 03 02 01 05", "30 03 02 01 05"),
        ("30 84 00 00 00 03 02 01 05", "30 03 02 01 05"),
        ("24 80 04 02 61 62 04 01 63 00 00", "04 03 61 62 63"),
        ("24 0a 24 80 04 02 61 62 00 00 04 00", "04 02 61 62"),
        ("24 80 00 00", "04 00"),
        # EncryptedContentInfo: the constructed [0] is an octet string in pieces ...
        ("30 80 06 01 2a 30 00 a0 80 04 01 61 04 01 62 00 00 00 00", "30 09 06 01 2a 30 00 80 02 61 62"),
        ("30 80 06 01 2a 30 00 a0 80 00 00 00 00", "30 07 06 01 2a 30 00 80 00"),
        # ... while that of EncapsulatedContentInfo and ContentInfo is explicit and stays.
        ("30 80 06 01 2a a0 80 24 80 04 01 61 00 00 00 00 00 00", "30 08 06 01 2a a0 03 04 01 61"),
        ("30 80 06 01 2a a0 80 30 80 00 00 00 00 00 00", "30 07 06 01 2a a0 02 30 00"),
        ("31 80 04 01 62 04 01 61 00 00", "31 06 04 01 62 04 01 61"),
        ("30 03 02 01 05 00 00 0d 0a", "30 03 02 01 05"),
    ],
)
def test_the_same_values_come_out_in_der_shape(given: str, expected: str) -> None:
    assert ber.to_der(bytes.fromhex(given)) == bytes.fromhex(expected)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "30",
        "30 80",
        "30 80 02 01 05",
        "30 80 02 01 05 00",
        "30 05 02 01 05",
        "04 80 00 00",
        "24 80 02 01 05 00 00",
        "30 03 02 01 05 41",
        "30 02 00 00",
        "00 00",
        "3f 81 01 00",
        "30 89 01 01 01 01 01 01 01 01 01",
        "30 ff",
        "30 05 30 80 02 01 05 00 00",
    ],
)
def test_what_is_no_ber_or_not_all_of_it_is_refused(given: str) -> None:
    with pytest.raises(MalformedMessage):
        ber.to_der(bytes.fromhex(given))


def test_nesting_is_bounded() -> None:
    deepest = b"\x30\x80" * ber.MAX_DEPTH + b"\x00\x00" * ber.MAX_DEPTH
    assert ber.to_der(deepest).startswith(b"\x30\x3e")
    with pytest.raises(MalformedMessage, match="nests deeper"):
        ber.to_der(b"\x30\x80" + deepest + b"\x00\x00")
    with pytest.raises(MalformedMessage, match="nests deeper"):
        ber.to_der(b"\x30\x80" * 50_000)


def test_elements_and_size_are_bounded() -> None:
    with pytest.raises(MalformedMessage, match="more than 8192 elements"):
        ber.to_der(der.sequence(b"\x05\x00" * 9000))
    with pytest.raises(MessageTooLarge):
        ber.to_der(bytes(ber.MAX_SIZE + 1))


def test_der_comes_out_as_it_went_in() -> None:
    message = odd.request()
    assert ber.to_der(message) == message
    assert ber.to_der(odd.to_ber(message, piece=17)) == message
