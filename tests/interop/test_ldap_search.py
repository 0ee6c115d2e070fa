# SPDX-License-Identifier: Apache-2.0
"""Searches at a real domain controller: three thousand accounts in pages, referrals, limits; controllers by site."""

from __future__ import annotations

import base64
import tracemalloc
from collections.abc import Iterator

import pytest

from privyseal.adapters.ldap import LdapDirectory, connect, find_controllers
from privyseal.adapters.ldap_binds import SimpleBind
from privyseal.errors import DirectoryRefused
from tests.outside.samba import ADMIN, BASE, CONFIGURATION, HOST, SECOND_HOST, DomainController, account_ldif

ACCOUNTS = 3000
UNIT = f"OU=Many,{BASE}"
SERVERS = f"CN=Servers,CN=Default-First-Site-Name,CN=Sites,{CONFIGURATION}"


@pytest.fixture(scope="module")
def crowded(shared_controller: DomainController) -> DomainController:
    """The controller with many accounts in one organizational unit."""
    accounts = [f"dn: {UNIT}\nobjectClass: organizationalUnit"]
    for number in range(ACCOUNTS):
        name = f"many{number:04d}"
        accounts.append("\n".join(account_ldif(f"CN={name},{UNIT}", name, password="", control=514)))
    shared_controller.add("\n\n".join(accounts) + "\n")
    return shared_controller


@pytest.fixture
def directory(shared_controller: DomainController) -> Iterator[LdapDirectory]:
    """Bound as the domain's administrator."""
    bind = SimpleBind(ADMIN, shared_controller.password_file, shared_controller.ca_file)
    with connect(shared_controller.ldaps, bind) as bound:
        yield bound


def test_thousands_of_accounts_come_in_pages_with_flat_memory(
    crowded: DomainController, directory: LdapDirectory
) -> None:
    def peak(most: int) -> int:
        tracemalloc.start()
        seen = sum(
            1
            for entry in directory.search(UNIT, "(objectClass=user)", attributes=("sAMAccountName",), most=most)
            if entry.attributes["samaccountname"]
        )
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert seen == min(most, ACCOUNTS)
        return size

    one_page = peak(1000)
    assert peak(100_000) < 2.5 * one_page  # a page is read while the one before is still held


def test_a_search_ends_at_its_limit_and_can_be_left_early(crowded: DomainController, directory: LdapDirectory) -> None:
    found = directory.search(UNIT, "(objectClass=user)", attributes=("cn",), most=7)
    assert len(list(found)) == 7
    for _ in directory.search(UNIT, "(objectClass=user)", attributes=("cn",)):
        break
    assert directory.read(UNIT, ["ou"]), "the connection is good for the next question"
    assert list(directory.search(UNIT, "(cn=nobody)", attributes=("cn",))) == []


def test_one_level_is_one_level(directory: LdapDirectory) -> None:
    below = {entry.dn for entry in directory.search(CONFIGURATION, "(objectClass=*)", attributes=(), one_level=True)}
    assert f"CN=Services,{CONFIGURATION}" in below
    assert all(dn.count(",") == CONFIGURATION.count(",") + 1 for dn in below)


def test_referrals_to_other_partitions_are_skipped(directory: LdapDirectory) -> None:
    connection = directory._connection
    raw = connection.search_s(BASE, directory._ldap.SCOPE_SUBTREE, "(cn=Users)", ["cn"])
    assert any(dn is None for dn, _ in raw), "the controller sends referrals here"
    assert [entry.dn for entry in directory.search(BASE, "(cn=Users)", attributes=("cn",))] == [
        dn for dn, _ in raw if dn
    ]


def test_attributes_come_as_octets_under_lower_case_names(directory: LdapDirectory) -> None:
    entry = directory.read(f"CN=Administrator,CN=Users,{BASE}", ["objectSid", "SAMACCOUNTNAME"])
    assert entry
    assert set(entry.attributes) == {"objectsid", "samaccountname"}
    assert entry.attributes["objectsid"][0][:2] == b"\x01\x05"
    nothing = directory.read(BASE, [])
    assert nothing and nothing.attributes == {}


def test_only_servers_that_are_still_controllers_are_found(
    shared_controller: DomainController, directory: LdapDirectory
) -> None:
    assert find_controllers(directory) == (HOST,)
    name = f"CN=DC2,{SERVERS}"
    shared_controller.add(f"dn: {name}\nobjectClass: server\ndNSHostName: {SECOND_HOST}\n")
    assert find_controllers(directory) == (HOST,), "without NTDS Settings it is a controller no longer"
    shared_controller.add(f"dn: CN=NTDS Settings,{name}\nobjectClass: nTDSDSA\n", relaxed=True)
    assert find_controllers(directory) == (HOST, SECOND_HOST)


def test_values_that_come_in_ranges_are_read_to_the_last(
    shared_controller: DomainController, directory: LdapDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    dn = shared_controller.add_user("full")
    values = [b"\x30\x03\x02\x01" + bytes([number]) for number in range(7)]
    lines = [f"userCertificate:: {base64.b64encode(value).decode()}" for value in values]
    shared_controller.change("\n".join([f"dn: {dn}", "changetype: modify", "add: userCertificate", *lines, ""]))
    # Asked for the first two, the controller answers as Active Directory does by itself from 1500 values on.
    entry = directory.read(dn, ["userCertificate;range=0-1", "cn"])
    assert entry
    assert sorted(entry.attributes) == ["cn", "usercertificate"]
    assert sorted(entry.attributes["usercertificate"]) == values
    (found,) = directory.search(dn, "(objectClass=user)", attributes=("userCertificate;range=0-3",))
    assert sorted(found.attributes["usercertificate"]) == values
    monkeypatch.setattr("privyseal.adapters.ldap._MOST_VALUES", 1)
    with pytest.raises(DirectoryRefused, match="more than 1 values"):
        directory.read(dn, ["userCertificate;range=0-1"])
