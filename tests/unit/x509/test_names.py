# SPDX-License-Identifier: Apache-2.0
"""Distinguished names against bytes, against cryptography and openssl, and against whoever would break out."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import example, given
from hypothesis import strategies as st

from privyseal.errors import InvalidName, VariableWithoutValue
from privyseal.x509 import der, oids
from privyseal.x509.names import DistinguishedName, NameTemplate, ValueTemplate, escape_value
from tests.outside.tools import openssl

TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from(' "#+,;<=>\\{}'), min_size=1, max_size=64
)
OIDS = st.sampled_from([oids.COMMON_NAME, oids.ORGANIZATION, oids.ORGANIZATIONAL_UNIT, oids.SURNAME, "1.2.3.4.5"])
RDNS = st.lists(st.dictionaries(OIDS, TEXT, min_size=1, max_size=3), max_size=5)


def test_a_name_is_encoded_as_rfc_5280_wants() -> None:
    name = DistinguishedName.parse("CN=a,O=b,C=DE")
    assert name.to_der().hex() == ("3025310b3009060355040613024445310a3008060355040a0c0162310a300806035504030c0161")


def test_the_first_rdn_of_the_text_is_the_last_of_the_der() -> None:
    assert DistinguishedName.parse("CN=x,O=y").rdns == (((oids.ORGANIZATION, "y"),), ((oids.COMMON_NAME, "x"),))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"CN=a\,b", "a,b"),
        (r"CN=a\2Cb", "a,b"),
        (r"CN=a\2cb", "a,b"),
        (r"CN=\C4\8D", "č"),
        (r"CN=Lu\C4\8Di\C4\87", "Lučić"),
        (r"CN=\ a\ ", " a "),
        ("CN=  a  ", "a"),
        (r"CN=\#a", "#a"),
        ("CN=a#b", "a#b"),
        ("CN=a=b", "a=b"),
        (r"CN=\"\+\;\<\>\=\\", '"+;<>=\\'),
        ("CN=#0c0161", "a"),
        ("cn = #130161 ", "a"),
        ("2.5.4.3=a", "a"),
        ("CN={a}", "{a}"),
        ("CN={{a", "{{a"),
    ],
)
def test_every_escape_of_rfc_4514_is_read(text: str, value: str) -> None:
    assert DistinguishedName.parse(text).common_name == value


@pytest.mark.parametrize(
    "text",
    [
        "CN",
        "CN=",
        "CN=a,",
        "CN=a,,O=b",
        ",CN=a",
        "CN=a+",
        "CN=a+CN=b",
        "XX=a",
        "=a",
        "CN=a;O=b",
        'CN="a"',
        "CN=<a>",
        "CN=a\\",
        "CN=a\\z",
        "CN=a\\4",
        r"CN=\FF",
        r"CN=\00",
        "CN=#",
        "CN=#0",
        "CN=#0c02",
        "CN=#0c016162",
        "CN=#0c00",
        "CN=#0c0161x",
        "CN=#020101",
        "C=D",
        "C=DEU",
        "C=1D",
        "C=Ä1",
        "serialNumber=a@b",
        "DC=ü",
        "CN=" + "a" * 65,
        "CN=\ud800",
        "1.2.3.4.=a",
        "1.2.03=a",
        "3.1=a",
        "1.40=a",
        "1.2." + "9" * 40 + "=a",
        ",".join(["CN=a"] * 65),
        "CN=" + "a" * 9000,
    ],
)
def test_text_that_is_not_a_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidName):
        DistinguishedName.parse(text)


def test_the_empty_text_is_the_empty_name() -> None:
    assert DistinguishedName.parse("").to_der() == b"\x30\x00"
    assert DistinguishedName.from_der(b"\x30\x00").to_text() == ""


def test_each_string_type_is_read() -> None:
    for tag, contents in [(0x13, b"a"), (0x0C, b"a"), (0x14, b"a"), (0x1E, b"\0a"), (0x16, b"a"), (0x1C, b"\0\0\0a")]:
        pair = der.sequence(der.oid(oids.COMMON_NAME), der.tlv(tag, contents))
        assert DistinguishedName.from_der(der.sequence(der.tlv(der.SET, pair))).common_name == "a"


def test_values_over_their_bound_are_read_but_not_written() -> None:
    pair = der.sequence(der.oid(oids.COMMON_NAME), der.tlv(der.UTF8_STRING, b"a" * 65))
    name = DistinguishedName.from_der(der.sequence(der.tlv(der.SET, pair)))
    assert name.common_name == "a" * 65
    with pytest.raises(InvalidName, match="65 characters"):
        name.to_der()


def test_the_string_types_are_those_of_rfc_5280() -> None:
    name = DistinguishedName.parse("E=a@b.example,DC=example,serialNumber=1,C=de,CN=x")
    tags = [der.read(rdn.contents).contents for rdn in der.read(name.to_der()).children()]
    assert [list(der.read(der.sequence(pair)).children())[1].tag for pair in tags] == [0x0C, 0x13, 0x13, 0x16, 0x16]


@given(RDNS)
def test_names_survive_text_and_der(pairs: list[dict[str, str]]) -> None:
    text = ",".join("+".join(f"{oid}={escape_value(value)}" for oid, value in rdn.items()) for rdn in pairs)
    name = DistinguishedName.parse(text)
    assert DistinguishedName.from_der(name.to_der()) == name
    assert DistinguishedName.parse(name.to_text()) == name
    assert [dict(rdn) for rdn in reversed(name.rdns)] == pairs


@given(st.lists(TEXT, min_size=1, max_size=4))
@example([" a ", "#", " ", "a\\", '"+,;<>=', "ü"])
def test_cryptography_writes_and_reads_the_same_text(values: list[str]) -> None:
    theirs = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, value) for value in values])
    ours = DistinguishedName.from_der(theirs.public_bytes())
    assert ours.to_der() == theirs.public_bytes()
    assert ours.to_text() == theirs.rfc4514_string()
    assert x509.Name.from_rfc4514_string(ours.to_text()).public_bytes() == ours.to_der()


def test_openssl_prints_the_same_text() -> None:
    text = r"CN=a\, b\+c\\\;\<\>,OU=\#x\ ,O=Contoso\, Ünited,C=DE"
    key = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    info = der.sequence(der.integer(0), DistinguishedName.parse(text).to_der(), key, b"\xa0\x00")
    request = der.sequence(info, der.sequence(der.oid(oids.ED25519)), der.bit_string(bytes(64)))
    seen = openssl("req", "-inform", "DER", "-noout", "-subject", "-nameopt", "RFC2253,-esc_msb,utf8", given=request)
    assert seen.must_work().out.decode().strip() == f"subject={text}"


@given(TEXT)
def test_a_value_put_into_a_template_never_becomes_structure(value: str) -> None:
    name = NameTemplate.parse(r"CN={{device.dns_name}},OU=Laptops,O=Contoso\, Inc.").fill(lambda _: value)
    assert name == DistinguishedName.from_der(name.to_der()) == DistinguishedName.parse(name.to_text())
    assert name.rdns == (
        ((oids.ORGANIZATION, "Contoso, Inc."),),
        ((oids.ORGANIZATIONAL_UNIT, "Laptops"),),
        ((oids.COMMON_NAME, value),),
    )


def test_a_template_names_its_variables() -> None:
    template = NameTemplate.parse("CN=pc-{{ device.name }}-{{user.name}}x,OU={single}+UID={{device.name}}")
    assert template.variables == {"device.name", "user.name"}
    filled = template.fill({"device.name": "a,b", "user.name": "{{device.name}}"}.__getitem__)
    assert filled.common_name == "pc-a,b-{{device.name}}x"


def test_an_escaped_brace_is_no_variable() -> None:
    template = NameTemplate.parse(r"CN=\7B{x}}")
    assert template.variables == frozenset()
    assert template.fill(str).common_name == "{{x}}"


@pytest.mark.parametrize(
    "text", ["CN={{", "CN={{device.name", "CN={{device.name}", "CN={{}}", "CN={{A B}}", "CN={{a,b}}"]
)
def test_a_variable_that_is_not_closed_is_refused(text: str) -> None:
    with pytest.raises(InvalidName):
        NameTemplate.parse(text)
    with pytest.raises(InvalidName):
        ValueTemplate.parse(text)


def test_a_value_too_long_or_empty_is_refused_when_filled() -> None:
    template = NameTemplate.parse("CN={{a}}")
    for value in ("", "x" * 65, "a\nb", "\0"):
        with pytest.raises(InvalidName):
            template.fill(lambda _, value=value: value)


def test_what_the_lookup_raises_comes_through() -> None:
    def lookup(name: str) -> str:
        raise VariableWithoutValue(name)

    with pytest.raises(VariableWithoutValue):
        NameTemplate.parse("CN={{a}}").fill(lookup)


def test_value_templates_are_filled_verbatim() -> None:
    template = ValueTemplate.parse("{{device.name}}.{x}.example.com")
    assert template.variables == {"device.name"}
    assert template.fill(lambda _: "a,b") == "a,b.{x}.example.com"
    with pytest.raises(InvalidName):
        ValueTemplate.parse("{{a}}").fill(lambda _: "")
    with pytest.raises(InvalidName):
        ValueTemplate.parse("")


@pytest.mark.parametrize(
    "encoded", ["", "30", "3001", "310030", "30023100", "300431023000", "3080", "30023000", "0500"]
)
def test_der_that_is_not_a_name_is_refused(encoded: str) -> None:
    with pytest.raises(InvalidName):
        DistinguishedName.from_der(bytes.fromhex(encoded))
