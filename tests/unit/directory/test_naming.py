# SPDX-License-Identifier: Apache-2.0
"""Names as Windows writes them, and values that stay values in DNs and filters."""

from __future__ import annotations

import pytest

from privyseal.directory.naming import (
    child_dn,
    dn_key,
    dns_domain,
    escape_filter,
    parent_dn,
    sanitized_name,
    sid_from_binary,
    split_dn,
)
from privyseal.errors import InvalidName, InvalidSid


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        # The example of MS-WCCE 1.3.2.5.
        ("LongCAName(WithSpeci@#$%^Characters", "LongCAName!0028WithSpeci@!0023$!0025!005eCharacters"),
        ("Contoso Root CA", "Contoso Root CA"),
        ("z~-_.@$", "z~-_.@$"),
        ('!"#%&', "!0021!0022!0023!0025!0026"),
        ("'()*+,", "!0027!0028!0029!002a!002b!002c"),
        ("/:;<=>?", "!002f!003a!003b!003c!003d!003e!003f"),
        ("[\\]^`{|}", "!005b!005c!005d!005e!0060!007b!007c!007d"),
        ("Bücher", "B!00fccher"),
        ("\x00\n\x7f", "!0000!000a!007f"),
        ("\U0001f512", "!d83d!dd12"),
        ("\ud83d", "!d83d"),
        ("a" * 51, "a" * 51),
    ],
)
def test_a_name_is_sanitized_as_ms_wcce_says(name: str, wanted: str) -> None:
    assert sanitized_name(name) == wanted


def test_a_long_name_keeps_51_characters_and_a_hash_of_the_rest() -> None:
    # One character is left over: its own code is its hash.
    assert sanitized_name("a" * 52) == "a" * 51 + "-00097"
    # Two: rotate 97 left by one, add 98.
    assert sanitized_name("a" * 52 + "b") == "a" * 51 + "-00292"
    assert len(sanitized_name("a" * 4000)) == 57


@pytest.mark.parametrize(("before", "kept"), [(46, 51), (47, 47), (48, 48), (49, 49), (50, 50), (51, 51)])
def test_an_escape_is_never_cut(before: int, kept: int) -> None:
    sanitized = sanitized_name("a" * before + "(" + "b" * 20)
    assert sanitized.rindex("-") == kept
    assert sanitized[:kept] == ("a" * before + "!0028" + "b" * 20)[:kept]


@pytest.mark.parametrize("name", ["", "x" * 8193])
def test_a_name_that_is_none_or_endless_is_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        sanitized_name(name)


def test_a_child_dn_escapes_the_name_only() -> None:
    assert child_dn(" a,b+c", "CN=AIA,DC=x") == "CN=\\ a\\,b\\+c,CN=AIA,DC=x"
    assert split_dn("CN=\\ a\\,b\\+c,CN=AIA,DC=x") == ("CN=\\ a\\,b\\+c", "CN=AIA,DC=x")
    assert parent_dn("DC=x") == ""


def test_two_spellings_of_one_dn_have_one_key() -> None:
    assert dn_key("cn=a\\2Cb, DC=x") == dn_key("CN=A\\,B,dc=X")
    assert dn_key("CN=a\\0Ab,DC=x") != dn_key("CN=a\\nb,DC=x")
    assert dn_key("CN=a\\,DC=x") != dn_key("CN=a,DC=x")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("alice", "alice"),
        ("*)(objectClass=*", "\\2a\\29\\28objectClass=*".replace("=*", "=\\2a")),
        ("a\\b\x00", "a\\5cb\\00"),
        ("ü", "\\c3\\bc"),
        (b"\x01\x02A", "\\01\\02A"),
    ],
)
def test_a_filter_value_cannot_become_a_filter(value: str | bytes, wanted: str) -> None:
    assert escape_filter(value) == wanted


@pytest.mark.parametrize("value", ["\ud800", "x" * 8193, b"x" * 8193])
def test_a_filter_value_that_cannot_be_written_is_refused(value: str | bytes) -> None:
    with pytest.raises(InvalidName):
        escape_filter(value)


def test_the_domain_of_a_naming_context() -> None:
    assert dns_domain("DC=AD,DC=example, dc=test") == "ad.example.test"
    for text in ("CN=Configuration,DC=x", "DC=", "DC=a b,DC=c"):
        with pytest.raises(InvalidName):
            dns_domain(text)


def test_a_binary_sid_becomes_text() -> None:
    value = bytes.fromhex("01050000000000051500000001000000020000000300000051040000")
    assert sid_from_binary(value).text == "S-1-5-21-1-2-3-1105"
    with pytest.raises(InvalidSid):
        sid_from_binary(value[:-1])
