# SPDX-License-Identifier: Apache-2.0
"""Alternative names: bytes, what may be written, and cryptography as second reader."""

from __future__ import annotations

import ipaddress

import pytest
from cryptography import x509

from privyseal.errors import InvalidName
from privyseal.x509.general_names import GeneralName, NameKind, decode_general_names, encode_general_names


def _name(kind: str, value: str) -> GeneralName:
    return GeneralName(NameKind(kind), value)


def test_a_upn_is_an_other_name_with_an_explicit_utf8_string() -> None:
    assert _name("upn", "a@b").to_der().hex() == "a013060a2b060104018237140203a0050c03614062"


def test_a_kpn_is_an_other_name_with_realm_and_components_as_general_strings() -> None:
    name = _name("kpn", "krbtgt/A.B@A.B")
    realm, components = "a0051b03412e42", "1b066b72627467741b03412e42"
    principal = f"3021{realm}a1183016a003020102a10f300d{components}"
    assert name.to_der().hex() == f"a02d06062b0601050202a023{principal}"
    assert decode_general_names(encode_general_names([name])) == (name,)


def test_a_kpn_of_another_name_type_stays_an_other_name() -> None:
    encoded = encode_general_names([_name("kpn", "krbtgt/A.B@A.B")]).replace(b"\x02\x01\x02", b"\x02\x01\x03")
    assert [name.kind for name in decode_general_names(encoded)] == [NameKind.OTHER]


@pytest.mark.parametrize(
    "value",
    ["krbtgt", "a@", "@b", "a//b@c", "a@b@c", "a b@c", "a\\/b@c", "\u00e9@c", "a/b/c/d/e/f/g/h/i@r", "a@" + "b" * 600],
)
def test_what_is_no_kerberos_principal_is_refused(value: str) -> None:
    with pytest.raises(InvalidName):
        _name("kpn", value).to_der()


@pytest.mark.parametrize(
    ("kind", "value", "encoded"),
    [
        ("dns", "a.b", "8203612e62"),
        ("email", "a@b", "8103614062"),
        ("uri", "u:a", "8603753a61"),
        ("ip", "10.0.0.1", "87040a000001"),
        ("ip", "::1", "871000000000000000000000000000000001"),
        ("directory", "CN=a", "a40e300c310a300806035504030c0161"),
        ("other", "88022a03", "88022a03"),
    ],
)
def test_each_kind_has_its_bytes_and_comes_back(kind: str, value: str, encoded: str) -> None:
    name = _name(kind, value)
    assert name.to_der().hex() == encoded
    assert decode_general_names(encode_general_names([name])) == (name,)


def test_cryptography_reads_the_same() -> None:
    names = [
        _name("dns", "*.bücher.example"),
        _name("email", "a.b+c@example.com"),
        _name("uri", "tag:microsoft.com,2022-09-14:sid:S-1-5-21-1"),
        _name("ip", "2001:db8::1"),
        _name("directory", r"CN=a\,b,O=c"),
    ]
    theirs = x509.SubjectAlternativeName(
        [
            x509.DNSName("*.xn--bcher-kva.example"),
            x509.RFC822Name("a.b+c@example.com"),
            x509.UniformResourceIdentifier("tag:microsoft.com,2022-09-14:sid:S-1-5-21-1"),
            x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
            x509.DirectoryName(x509.Name.from_rfc4514_string(r"CN=a\,b,O=c")),
        ]
    )
    assert encode_general_names(names) == theirs.public_bytes()


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("dns", ""),
        ("dns", "."),
        ("dns", "a."),
        ("dns", ".a"),
        ("dns", "a..b"),
        ("dns", "-a.b"),
        ("dns", "a-.b"),
        ("dns", "a_b.c"),
        ("dns", "a b"),
        ("dns", "*"),
        ("dns", "a.*.b"),
        ("dns", "*a.b"),
        ("dns", "10.0.0.1"),
        ("dns", "a" * 64),
        ("dns", ".".join(["a" * 60] * 5)),
        ("dns", "straße.example"),
        ("dns", "ａ.example"),
        ("dns", "a\n"),
        ("dns", "ü" * 300),
        ("dns", "\ud800"),
        ("email", "a"),
        ("email", "@b"),
        ("email", "a@"),
        ("email", "a@*.b"),
        ("email", "a..b@c"),
        ("email", "ü@b"),
        ("email", "a b@c"),
        ("uri", "a"),
        ("uri", "/a"),
        ("uri", "http://"),
        ("uri", "http:///a"),
        ("uri", "http://a b"),
        ("uri", "http://ü"),
        ("uri", "http://a/%zz"),
        ("uri", "u:a\n"),
        ("ip", "1.2.3"),
        ("ip", "1.2.3.4/8"),
        ("ip", "fe80::1%eth0"),
        ("upn", "a"),
        ("upn", "a@"),
        ("upn", "@b"),
        ("upn", "a@b@c"),
        ("upn", "a@b c"),
        ("upn", "a\0@b"),
        ("upn", "\ud800@b"),
        ("directory", "CN"),
        ("other", "zz"),
        ("other", ""),
        ("other", "0500"),
        ("other", "88022a0300"),
    ],
)
def test_values_that_do_not_fit_their_kind_are_not_written(kind: str, value: str) -> None:
    with pytest.raises(InvalidName):
        _name(kind, value).to_der()


def test_what_cannot_be_read_as_its_kind_is_kept_as_it_came() -> None:
    for element in ("8201ff", "8601ff", "8103c3bc62", "8705 0102030405", "a4023100", "a0050603 2a0304", "a3023000"):
        encoded = bytes.fromhex(element)
        (name,) = decode_general_names(bytes((0x30, len(encoded))) + encoded)
        assert name == GeneralName(NameKind.OTHER, encoded.hex())
        assert name.to_der() == encoded


@pytest.mark.parametrize("encoded", ["", "31", "3001", "30020500", "30028901", "300282", "3082ffff"])
def test_der_that_is_not_general_names_is_refused(encoded: str) -> None:
    with pytest.raises(InvalidName):
        decode_general_names(bytes.fromhex(encoded))


def test_an_empty_or_endless_list_is_refused() -> None:
    with pytest.raises(InvalidName):
        encode_general_names([])
    with pytest.raises(InvalidName):
        encode_general_names([_name("dns", "a")] * 129)
    with pytest.raises(InvalidName):
        decode_general_names(bytes.fromhex("30820183") + bytes.fromhex("820161") * 129)
    assert decode_general_names(b"\x30\x00") == ()
