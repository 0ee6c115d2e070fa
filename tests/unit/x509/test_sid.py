# SPDX-License-Identifier: Apache-2.0
"""SIDs: the extension's exact bytes, and everything that only looks like a SID."""

from __future__ import annotations

import pytest

from privyseal.errors import InvalidSid
from privyseal.x509.sid import Sid

SID_43 = "S-1-5-21-1004336348-1177238915-68200330-512"


def test_the_extension_value_is_byte_for_byte_what_ad_cs_writes() -> None:
    assert len(SID_43) == 43
    expected = bytes.fromhex("303da03b060a2b060104018237190201a02d042b") + SID_43.encode()
    assert Sid.parse(SID_43).extension_value() == expected
    assert Sid.from_extension_value(expected) == Sid.parse(SID_43)


def test_the_uri_has_the_literal_prefix() -> None:
    assert Sid.parse("S-1-5-21-1-2-3-4").uri == "tag:microsoft.com,2022-09-14:sid:S-1-5-21-1-2-3-4"


@pytest.mark.parametrize("text", ["S-1-0-0", "S-1-5-18", "S-1-281474976710655-4294967295", "S-1-5" + "-1" * 15, SID_43])
def test_sids_are_read_and_written_alike(text: str) -> None:
    sid = Sid.parse(text)
    assert sid.text == text
    assert Sid.from_extension_value(sid.extension_value()) == sid


@pytest.mark.parametrize(
    "text",
    [
        "",
        "S-1",
        "S-1-5",
        "S-1-5-",
        "s-1-5-18",
        "S-2-5-18",
        "S-1-05-18",
        "S-1-5-018",
        "S-1-5-4294967296",
        "S-1-281474976710656-1",
        "S-1-5" + "-1" * 16,
        "S-1-5-18 ",
        " S-1-5-18",
        "S-1-5-18\n",
        "S-1-5-+1",
        "S-1-5--1",
        "S-1-5-١",
        "S-1-0x5-1",
        "S-1-5-18\0",
    ],
)
def test_text_that_is_not_canonical_is_refused(text: str) -> None:
    with pytest.raises(InvalidSid):
        Sid.parse(text)


def test_the_binary_form_of_ldap_is_read() -> None:
    packed = bytes.fromhex("010500000000000515000000dcf4dc3b833d2b46828ba62800020000")
    assert Sid.from_binary(packed).text == "S-1-5-21-1004336348-1177238915-682003330-512"
    assert Sid.from_binary(bytes.fromhex("0101ffffffffffff00000000")).text == "S-1-281474976710655-0"


@pytest.mark.parametrize(
    "packed", ["", "01", "0100000000000005", "020100000000000512000000", "010200000000000512000000"]
)
def test_a_broken_binary_form_is_refused(packed: str) -> None:
    with pytest.raises(InvalidSid):
        Sid.from_binary(bytes.fromhex(packed))


@pytest.mark.parametrize(
    "value",
    [
        "",
        "3000",
        "3002a000",
        "301aa018060a2b060104018237190201a00a0408532d312d352d313830",
        "3018a016060a2b060104018237190202a008 0406532d312d352d",
        "3018a016060a2b060104018237190201a008 0c06532d312d352d",
        "3018a016060a2b060104018237190201a008 0406532d312d352d",
    ],
)
def test_an_extension_of_another_shape_is_refused(value: str) -> None:
    with pytest.raises(InvalidSid):
        Sid.from_extension_value(bytes.fromhex(value))


def test_an_extension_with_two_names_is_refused() -> None:
    one = Sid.parse("S-1-5-18").extension_value()[2:]
    with pytest.raises(InvalidSid, match="holds 2 names"):
        Sid.from_extension_value(bytes((0x30, 2 * len(one))) + one + one)
