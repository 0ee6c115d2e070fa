# SPDX-License-Identifier: Apache-2.0
"""Addresses of controllers, keytabs octet by octet, and what is left to do of a change; nothing here is connected."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privyseal.adapters.ldap_changes import Modify, modification
from privyseal.adapters.ldap_kerberos import keytab_entries
from privyseal.adapters.ldap_line import Controller, parse_controller
from privyseal.directory.changes import AddEntry, AddValue, Change, DeleteEntry, Entry, RemoveValue, ReplaceValue
from privyseal.errors import ContainerMissing, InvalidValue, PlanStale

DN = "CN=x,DC=example,DC=com"
A, B, NOTHING = b"\x30\x01A", b"\x30\x01B", b"\0"


@pytest.mark.parametrize(
    ("text", "tls", "expected"),
    [
        ("dc1.example.com", False, Controller("dc1.example.com", 389, False)),
        ("dc1.example.com", True, Controller("dc1.example.com", 636, True)),
        ("dc1:3890", False, Controller("dc1", 3890, False)),
        ("ldap://DC1.example.com/", True, Controller("dc1.example.com", 389, False)),
        ("ldaps://[2001:db8::1]", False, Controller("2001:db8::1", 636, True)),
    ],
)
def test_a_controller_is_a_name_or_an_address(text: str, tls: bool, expected: Controller) -> None:
    assert parse_controller(text, tls=tls) == expected
    assert parse_controller(str(expected), tls=not tls) == expected


@pytest.mark.parametrize(
    "text", ["", "http://dc1", "ldap://", "ldap://dc1:x", "ldap://dc1:70000", "ldap://u@dc1", "[::1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        parse_controller(text, tls=False)


def entry(*components: str, realm: str = "EXAMPLE.COM") -> bytes:
    """A keytab entry as MIT writes it."""

    def counted(part: str) -> bytes:
        return len(part).to_bytes(2, "big") + part.encode()

    names = len(components).to_bytes(2, "big") + counted(realm) + b"".join(map(counted, components))
    body = names + bytes(4) + bytes(4) + b"\x02" + b"\x00\x12\x00\x02kk"
    return len(body).to_bytes(4, "big") + body


def test_the_principals_of_a_keytab_are_read_past_holes() -> None:
    hole = (-3).to_bytes(4, "big", signed=True) + b"\xff\xff\xff"
    content = b"\x05\x02" + entry("host", "pki.example.com") + hole + entry("PKI$")
    assert keytab_entries(content) == [
        ("host/pki.example.com@EXAMPLE.COM", entry("host", "pki.example.com")),
        ("PKI$@EXAMPLE.COM", entry("PKI$")),
    ]
    assert keytab_entries(content[:-1]) == keytab_entries(content)[:1], "what is cut short is not an entry"
    assert keytab_entries(b"\x05\x01" + entry("PKI$")) == []


@given(st.binary(max_size=200))
def test_any_octets_after_the_version_are_a_keytab_or_none(content: bytes) -> None:
    for name, octets in keytab_entries(b"\x05\x02" + content):
        assert "@" in name and octets in content


def steps(change: Change, held: dict[str, tuple[bytes, ...]] | None) -> tuple[Modify, ...] | None:
    """What is left to do of a change when the object holds ``held``."""

    def fetch(dn: str, attributes: Sequence[str]) -> Entry | None:
        assert dn == DN
        return None if held is None else Entry(dn, {name.lower(): held.get(name.lower(), ()) for name in attributes})

    return modification(change, fetch)


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ((), (Modify("add", "cA", A),)),
        ((NOTHING,), (Modify("add", "cA", A), Modify("delete", "cA", NOTHING))),
        ((B,), (Modify("add", "cA", A),)),
        ((A, B), None),
    ],
)
def test_adding_a_value(held: tuple[bytes, ...], expected: tuple[Modify, ...] | None) -> None:
    assert steps(AddValue(DN, "cA", A, NOTHING), {"ca": held}) == expected


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ((A,), (Modify("add", "cA", NOTHING), Modify("delete", "cA", A))),
        ((A, B), (Modify("delete", "cA", A),)),
        ((A, NOTHING), (Modify("delete", "cA", A),)),
        ((B,), None),
    ],
)
def test_removing_a_value(held: tuple[bytes, ...], expected: tuple[Modify, ...] | None) -> None:
    assert steps(RemoveValue(DN, "cA", A, NOTHING), {"ca": held}) == expected


def test_replacing_a_value_deletes_exactly_what_was_there() -> None:
    change = ReplaceValue(DN, "crl", B, A)
    assert steps(change, {"crl": (A,)}) == (Modify("delete", "crl", A), Modify("add", "crl", B))
    assert steps(change, {"crl": (NOTHING,)}) == (Modify("delete", "crl", NOTHING), Modify("add", "crl", B))
    assert steps(change, {"crl": (B,)}) is None
    with pytest.raises(PlanStale):
        steps(change, {"crl": (b"\x30\x01C",)})


def test_an_object_that_is_gone_needs_no_removal_and_takes_no_value() -> None:
    assert steps(RemoveValue(DN, "cA", A), None) is None
    assert steps(DeleteEntry(DN, ()), None) is None
    for change in (AddValue(DN, "cA", A), ReplaceValue(DN, "cA", A)):
        with pytest.raises(ContainerMissing):
            steps(change, None)


def test_a_whole_object_counts_as_there_when_it_holds_the_same() -> None:
    attributes = (("objectClass", (b"top",)), ("cA", (A,)), ("crl", (NOTHING,)), ("dNSHostName", (b"pki.example.com",)))
    add, delete = AddEntry(DN, attributes), DeleteEntry(DN, attributes)
    same = {"objectclass": (b"top", b"x"), "ca": (A,), "crl": (B,), "dnshostname": (b"PKI.example.com",)}
    assert steps(add, None) == ()
    assert steps(add, same) is None
    assert steps(delete, {**same, "crl": (NOTHING,)}) == ()
    for change, other in ((add, {**same, "ca": (B,)}), (delete, {**same, "ca": (A, B)}), (delete, same)):
        with pytest.raises(PlanStale):
            steps(change, other)
