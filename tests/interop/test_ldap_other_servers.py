# SPDX-License-Identifier: Apache-2.0
"""Refusals that the usual controller does not give: a read-only one, Samba 4.24, and a server that is none at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from privyseal.adapters.ldap import connect, ldap_library
from privyseal.adapters.ldap_binds import SimpleBind
from privyseal.adapters.ldap_errors import Conversation, explained
from privyseal.directory.changes import AddValue
from privyseal.errors import (
    ChannelBindingMissing,
    ContainerMissing,
    DirectoryBusy,
    NotADomainController,
    ReferralReturned,
)
from tests.outside.hosts import names
from tests.outside.kdc import HOST as KDC_HOST
from tests.outside.kdc import PASSWORD as KDC_PASSWORD
from tests.outside.kdc import REALM, Kdc
from tests.outside.krb5 import write_krb5_conf
from tests.outside.samba import ADMIN, BASE, CONFIGURATION, PKS, DomainController
from tests.outside.slapd import PEOPLE, Slapd, slapd
from tests.outside.tools import require_python_ldap, require_tool, run

SETTINGS = f"CN=NTDS Settings,CN=DC1,CN=Servers,CN=Default-First-Site-Name,CN=Sites,{CONFIGURATION}"
MANY = 100_000
GROWTH_KIB = 12 * 1024


@pytest.fixture(scope="module")
def crowd() -> Iterator[Slapd]:
    """A server that holds a hundred thousand people."""
    require_python_ldap()
    with slapd(MANY) as running:
        yield running


def resident_kib() -> int:
    """The memory of this process that is in use now."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0])


def test_a_read_only_controller_names_another_one_and_is_not_followed(controller: DomainController) -> None:
    controller.stop()
    category = f"CN=NTDS-DSA-RO,CN=Schema,{CONFIGURATION}"
    controller.change(
        f"dn: {SETTINGS}\nchangetype: modify\nreplace: objectCategory\nobjectCategory: {category}\n", relaxed=True
    )
    controller.configure("  server services = ldap, cldap", ports=(389, 636))
    controller.start()
    guest = f"CN=Guest,CN=Users,{BASE}"
    with connect(controller.ldaps, SimpleBind(ADMIN, controller.password_file, controller.ca_file)) as directory:
        with pytest.raises(ReferralReturned, match="ldap://dc1") as caught:
            directory.apply(AddValue(guest, "description", b"new"))
        assert "read-only" in caught.value.why
        entry = directory.read(guest, ["description"])
        assert entry and b"new" not in entry.attributes["description"], "nothing was written anywhere"


def test_a_base_that_the_controller_does_not_hold_is_said_with_its_name(shared_controller: DomainController) -> None:
    bind = SimpleBind(ADMIN, shared_controller.password_file, shared_controller.ca_file)
    with connect(shared_controller.ldaps, bind) as directory:
        for base in ("DC=other,DC=test", f"DC=DomainDnsZones,{BASE}", f"CN=x,DC=child,{BASE}"):
            with pytest.raises(ContainerMissing, match=base):
                list(directory.search(base, "(objectClass=*)", attributes=("cn",)))
            assert directory.read(base, ["cn"]) is None


def test_a_server_that_points_elsewhere_is_not_followed(crowd: Slapd) -> None:
    with connect(crowd.uri, crowd.bind()) as directory:
        with pytest.raises(ReferralReturned, match=r"elsewhere\.example\.org"):
            directory.read(PKS, ["cn"])
        with pytest.raises(ReferralReturned):
            list(directory.search(BASE, "(cn=x)", attributes=("cn",)))


def test_a_server_of_ldap_that_is_no_controller_is_recognised(crowd: Slapd) -> None:
    with connect(crowd.uri, crowd.bind()) as directory, pytest.raises(NotADomainController):
        directory.root_dse()


def test_a_server_that_has_had_enough_is_busy(crowd: Slapd) -> None:
    with connect(crowd.uri, crowd.bind(limited=True)) as directory, pytest.raises(DirectoryBusy):
        list(directory.search(PEOPLE, "(objectClass=inetOrgPerson)", attributes=("uid",)))


def test_a_hundred_thousand_people_come_in_pages_of_bounded_memory(crowd: Slapd) -> None:
    with connect(crowd.uri, crowd.bind()) as directory:
        found = directory.search(PEOPLE, "(objectClass=inetOrgPerson)", attributes=("uid", "mail", "cn"), most=2 * MANY)
        numbers = bytearray(MANY)
        early = 0
        for position, entry in enumerate(found):
            numbers[int(entry.attributes["uid"][0][6:])] += 1
            if position == MANY // 20:
                early = resident_kib()
        grown = resident_kib() - early
    assert bytes(numbers) == b"\x01" * MANY, "each exactly once"
    assert grown < GROWTH_KIB, f"{grown} KiB more after {MANY:,} people than after {MANY // 20:,}"


def test_kerberos_inside_tls_without_channel_binding_is_what_7004_is_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_python_ldap()
    kdc = Kdc()
    try:
        kdc.administer({"do": "set", "name": "DC1$", "set": {"servicePrincipalName": f"ldap/{KDC_HOST}"}})
        kdc.start()
        conf = write_krb5_conf(tmp_path / "krb5.conf", realm=REALM, kdc=kdc.address)
        cache = f"FILE:{tmp_path / 'cache'}"
        monkeypatch.setenv("KRB5_CONFIG", str(conf))
        monkeypatch.setenv("KRB5CCNAME", cache)
        run([require_tool("kinit"), "Administrator"], given=KDC_PASSWORD.encode() + b"\n").must_work()
        ldap = ldap_library()
        with names({KDC_HOST: kdc.address}):
            connection = ldap.initialize(f"ldaps://{KDC_HOST}")
            connection.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_NEVER)
            connection.set_option(ldap.OPT_X_SASL_NOCANON, 1)
            connection.set_option(ldap.OPT_X_SASL_SSF_MAX, 0)
            connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
            with pytest.raises(ldap.LDAPError) as caught:
                connection.sasl_non_interactive_bind_s("GSSAPI")
            connection.unbind_s()
    finally:
        kdc.stop()
    error = explained(caught.value, Conversation(f"ldaps://{KDC_HOST}", "Kerberos", ""), "logging in")
    assert type(error) is ChannelBindingMissing
    assert "35b" in error.what
