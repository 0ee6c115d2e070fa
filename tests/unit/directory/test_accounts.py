# SPDX-License-Identifier: Apache-2.0
"""Accounts from LDAP entries: the right values, and a refusal for everything that could become a wrong name."""

from __future__ import annotations

import pytest

from privyseal.directory.accounts import (
    AccountKind,
    check_only_one,
    nested_group_filter,
    netbios_domain_of,
    principal_filter,
    read_account,
    same_name_filter,
    the_account,
)
from privyseal.directory.changes import Entry
from privyseal.errors import (
    AccountAmbiguous,
    AccountDisabled,
    AccountLacksAttribute,
    AccountNotFound,
    InvalidValue,
)

DOMAIN = "ad.example.test"
ALICE_DN = "CN=alice,CN=Users,DC=ad,DC=example,DC=test"


def sid(rid: int) -> bytes:
    return bytes.fromhex("010500000000000515000000010000000200000003000000") + rid.to_bytes(4, "little")


def user(dn: str = ALICE_DN, **changed: list[bytes]) -> Entry:
    attributes = {
        "objectclass": [b"top", b"person", b"organizationalPerson", b"user"],
        "objectsid": [sid(1105)],
        "userprincipalname": [b"alice@ad.example.test"],
        "samaccountname": [b"alice"],
        "mail": [b"Alice@example.com"],
        "distinguishedname": [dn.encode()],
        "useraccountcontrol": [b"512"],
        "memberof": [b"CN=wifi,DC=x"],
    } | changed
    return Entry(dn, {name: tuple(values) for name, values in attributes.items() if values})


def computer(**changed: list[bytes]) -> Entry:
    return user(
        "CN=PC1,CN=Computers,DC=ad,DC=example,DC=test",
        **{
            "objectclass": [b"top", b"person", b"user", b"computer"],
            "userprincipalname": [],
            "mail": [],
            "samaccountname": [b"PC1$"],
            "dnshostname": [b"PC1.ad.example.test"],
            "useraccountcontrol": [b"4096"],
            "serviceprincipalname": [b"HOST/PC1"],
        }
        | changed,
    )


def test_a_user_is_read_as_it_stands() -> None:
    account = the_account([user()], "alice", dns_domain=DOMAIN)
    assert (account.kind, account.enabled, account.sam_account_name) == (AccountKind.USER, True, "alice")
    assert account.sid.text == "S-1-5-21-1-2-3-1105"
    assert (account.principal_name, account.mail) == ("alice@ad.example.test", "Alice@example.com")
    assert (account.distinguished_name, account.groups, account.dns_name) == (ALICE_DN, ("CN=wifi,DC=x",), "")


def test_a_computer_has_its_dns_name_and_the_implicit_principal_name() -> None:
    account = the_account([computer()], "PC1", dns_domain=DOMAIN)
    assert (account.kind, account.dns_name) == (AccountKind.COMPUTER, "pc1.ad.example.test")
    assert account.principal_name == "PC1$@ad.example.test"
    assert account.service_principal_names == ("HOST/PC1",)


@pytest.mark.parametrize(
    ("entries", "fault", "words"),
    [
        ([], AccountNotFound, "answers to 'alice'"),
        ([user(isdeleted=[b"TRUE"])], AccountNotFound, "answers"),
        ([user("CN=alice\\0ADEL:0000,CN=Deleted Objects,DC=x")], AccountNotFound, "answers"),
        ([user(objectclass=[b"top", b"group"])], AccountNotFound, "neither a user nor a computer"),
        ([user(), user("CN=other,DC=x")], AccountAmbiguous, "2 accounts.*CN=alice.*CN=other"),
        (
            [user(useraccountcontrol=[b"514"])],
            AccountDisabled,
            "alice@ad.example.test .S-1-5-21-1-2-3-1105. is disabled",
        ),
        ([computer(dnshostname=[])], AccountLacksAttribute, "no dNSHostName"),
        ([user(useraccountcontrol=[])], AccountLacksAttribute, "cannot be said that the account is enabled"),
        ([user(useraccountcontrol=["٥١٢".encode()])], AccountLacksAttribute, "not a number"),
        ([user(objectsid=[])], AccountLacksAttribute, "0 values of objectSid"),
        ([user(objectsid=[sid(1), sid(2)])], AccountLacksAttribute, "2 values of objectSid"),
        ([user(objectsid=[b"S-1-5-21-1-2-3-1105"])], AccountLacksAttribute, "objectSid .* cannot be read"),
        ([user(samaccountname=[])], AccountLacksAttribute, "no sAMAccountName"),
        ([user(userprincipalname=[b"a@x", b"b@x"])], AccountLacksAttribute, "2 values; one"),
        ([user(userprincipalname=[b"alice"])], AccountLacksAttribute, "user principal name"),
        ([user(userprincipalname=[b"alice@ad@x"])], AccountLacksAttribute, "user principal name"),
    ],
)
def test_what_cannot_get_a_certificate_is_refused_with_its_reason(
    entries: list[Entry], fault: type[Exception], words: str
) -> None:
    with pytest.raises(fault, match=words):
        the_account(entries, "alice", dns_domain=DOMAIN)


HOSTILE = [
    b"alice\x00@ad.example.test",
    b"alice@ad.example.test\n",
    b" alice@ad.example.test",
    b"alice@ad.example.test ",
    "alice\u202e@ad.example.test".encode(),
    "alice\u200b@ad.example.test".encode(),
    "alice\u00a0@ad.example.test".encode(),
    b"\xff\xfe@ad.example.test",
    b"\xed\xa0\x80@ad.example.test",
    b"a" * 65536,
    b"a" * 300 + b"@ad.example.test",
    b"",
]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(
    "attribute", ["userprincipalname", "samaccountname", "mail", "dnshostname", "distinguishedname", "memberof"]
)
def test_a_hostile_value_in_any_field_is_refused_and_never_mended(attribute: str, value: bytes) -> None:
    long_enough = attribute in {"distinguishedname", "memberof"} and len(value) == 316
    if long_enough:
        assert read_account(user(**{attribute: [value]}), dns_domain=DOMAIN)
        return
    with pytest.raises(AccountLacksAttribute):
        read_account(user(**{attribute: [value]}), dns_domain=DOMAIN)


def test_special_characters_of_names_stay_what_they_are() -> None:
    strange = 'a+,;="\\<>#b'
    account = read_account(user(mail=[strange.encode()]), dns_domain=DOMAIN)
    assert account.mail == strange


@pytest.mark.parametrize("value", [b"*.ad.example.test", b"pc1 ad", b"10.0.0.1", "b\u00fccher.example".encode()])
def test_a_dns_name_that_is_not_one_host_is_refused(value: bytes) -> None:
    with pytest.raises(AccountLacksAttribute):
        read_account(computer(dnshostname=[value]), dns_domain=DOMAIN)


USER = "(&(objectClass=user)"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("alice", USER + "(sAMAccountName=alice))"),
        ("ADTEST\\alice", USER + "(sAMAccountName=alice))"),
        ("alice@example.com", USER + "(userPrincipalName=alice@example.com))"),
        ("alice@AD.example.test", USER + "(|(userPrincipalName=alice@AD.example.test)(sAMAccountName=alice)))"),
        ("pc1.ad.example.test", USER + "(|(dNSHostName=pc1.ad.example.test)(sAMAccountName=pc1.ad.example.test)))"),
        ("s-1-5-21-1-2-3-1105", USER + "(objectSid=S-1-5-21-1-2-3-1105))"),
        ("CN=a\\,b,DC=x", USER + "(distinguishedName=CN=a\\5c,b,DC=x))"),
        ("*)(cn=*", USER + "(sAMAccountName=\\2a\\29\\28cn=\\2a))"),
    ],
)
def test_every_way_to_write_a_principal_becomes_one_filter(text: str, wanted: str) -> None:
    assert principal_filter(text, dns_domain=DOMAIN) == wanted


def test_the_kind_narrows_the_filter() -> None:
    computers = principal_filter("pc1", kind=AccountKind.COMPUTER)
    assert computers == "(&(objectClass=computer)(sAMAccountName=pc1$))"
    assert principal_filter("pc1$", kind=AccountKind.COMPUTER) == computers
    users = principal_filter("pc1", kind=AccountKind.USER)
    assert users == "(&(objectClass=user)(!(objectClass=computer))(sAMAccountName=pc1))"


@pytest.mark.parametrize("text", ["", " alice", "a\x00b", "a\u202eb", "x" * 5000, "\\alice", "A\\", "A\\b\\c", "S-1-x"])
def test_what_names_nobody_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        principal_filter(text)


def test_the_domain_is_read_from_the_old_form_only() -> None:
    assert netbios_domain_of("ADTEST\\alice") == "ADTEST"
    assert netbios_domain_of("CN=a\\,b,DC=x") is None
    assert netbios_domain_of("alice") is None


def test_another_account_that_answers_to_the_name_makes_it_ambiguous() -> None:
    account = read_account(user(), dns_domain=DOMAIN)
    check_only_one(account, [user()])
    check_only_one(account, [user(), user("CN=old,DC=x", objectsid=[sid(7)], isdeleted=[b"TRUE"])])
    with pytest.raises(AccountAmbiguous, match="also answered to by 'CN=eve,DC=x'"):
        check_only_one(account, [user(), user("CN=eve,DC=x", objectsid=[sid(666)])])
    with pytest.raises(AccountLacksAttribute):
        check_only_one(account, [user(objectsid=[b"x"])])


def test_filters_about_an_account() -> None:
    account = read_account(computer(), dns_domain=DOMAIN)
    assert same_name_filter(account, dns_domain=DOMAIN) == (
        "(&(objectClass=user)(|(|(userPrincipalName=PC1$@ad.example.test)(sAMAccountName=PC1$))"
        "(dNSHostName=pc1.ad.example.test)))"
    )
    assert nested_group_filter(account, "CN=a(b),DC=x") == (
        "(&(objectSid=S-1-5-21-1-2-3-1105)(memberOf:1.2.840.113556.1.4.1941:=CN=a\\28b\\29,DC=x))"
    )
