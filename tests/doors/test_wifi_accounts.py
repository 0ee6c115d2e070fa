# SPDX-License-Identifier: Apache-2.0
"""FreeRADIUS that asks Active Directory: name, SID, enabled and group must fit one account, in one search."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from privyseal import errors
from tests.command_line import Answer
from tests.doors.domain import GROUP, SERVICE_PASSWORD, Domain, new_domain
from tests.doors.house import House, Paper
from tests.doors.wifi import USER_PROFILE, Wifi, configure, server_paper
from tests.outside.kdc import BASE, DOMAIN, PASSWORD
from tests.outside.tools import require_python_ldap


@pytest.fixture(name="domain", scope="module")
def fixture_domain(house: House) -> Iterator[Domain]:
    """A running domain controller."""
    made = new_domain(house)
    house.profile("no-sid", *USER_PROFILE, "--no-sid-extension")
    yield made
    made.kdc.stop()


@pytest.fixture(name="server", scope="module")
def fixture_server(domain: Domain) -> Paper:
    """The RADIUS server's certificate."""
    return server_paper(domain.house)


def service_password(domain: Domain) -> Path:
    """The password of the account that may read, in a file."""
    password = domain.house.place / "svc.password"
    password.touch(mode=0o600)
    password.write_text(SERVICE_PASSWORD + "\n")
    return password


def with_flags(domain: Domain, server: Paper, *options: str) -> Wifi:
    """A server that asks the controller over LDAPS; all about it is said on the command line."""
    return configure(
        domain.house,
        server,
        *("--directory-uri", f"ldaps://{domain.kdc.address}", "--directory-base", BASE),
        *("--directory-user", f"svc@{DOMAIN}", "--directory-password-file", str(service_password(domain)), *options),
    )


@pytest.fixture(name="known", scope="module")
def fixture_known(domain: Domain) -> str:
    """A directory that the service knows, reached as an account that may read."""
    require_python_ldap()
    domain.house.ask.works(
        *("directory", "add", "known", "--uri", f"ldaps://{domain.kdc.address}", "--bind", "password"),
        *("--user", f"svc@{DOMAIN}", "--password-file", str(service_password(domain))),
        *("--ca-file", str(domain.house.roots)),
    )
    return "known"


@pytest.fixture(name="wifi", scope="module")
def fixture_wifi(domain: Domain, server: Paper, known: str) -> Iterator[Wifi]:
    """A running server that wants members of a group whose name is full of signs, through another group.

    Address, base, account and CA come from the directory.
    """
    made = configure(domain.house, server, "--directory", known, "--group", GROUP)
    with made.running():
        yield made


def test_what_a_directory_knows_is_what_flags_would_say(wifi: Wifi, domain: Domain, server: Paper) -> None:
    said = with_flags(domain, server, "--group", GROUP)
    for name in ("mods-enabled/ldap", "sites-enabled/check-account", "certs/directory-ca.pem"):
        assert (wifi.directory / name).read_text() == (said.directory / name).read_text()


def command(domain: Domain, server: Paper, *options: str) -> Answer:
    """`radius config freeradius` that is to write nothing."""
    out = domain.house.place / "refused"
    answer = domain.house.ask(
        *("radius", "config", "freeradius", "--out", str(out), "--client", "a=10.0.0.1", *options),
        *("--server-certificate", str(server.certificate), "--server-key", str(server.key)),
    )
    assert not out.exists()
    return answer


def test_an_account_that_may_write_does_not_go_to_the_edge(domain: Domain, server: Paper, known: str) -> None:
    password = domain.house.place / "admin.password"
    password.touch(mode=0o600)
    password.write_text(PASSWORD + "\n")
    domain.house.ask.works(
        *("directory", "add", "mighty", "--uri", f"ldaps://{domain.kdc.address}", "--bind", "password"),
        *("--user", f"Administrator@{DOMAIN}", "--password-file", str(password), "--ca-file", str(domain.house.roots)),
    )
    answer = command(domain, server, "--directory", "mighty")
    assert answer.code == 5 and "7057" in answer.err and f"Administrator@{DOMAIN}" in answer.err, answer.err
    assert PASSWORD not in answer.err
    weak = ("--directory-user", f"svc@{DOMAIN}", "--directory-password-file", str(service_password(domain)))
    made = configure(domain.house, server, "--directory", "mighty", *weak)
    assert f"identity = 'svc@{DOMAIN}'" in (made.directory / "mods-enabled" / "ldap").read_text()


def test_what_does_not_go_together_is_said(domain: Domain, server: Paper, known: str) -> None:
    both = command(domain, server, "--directory", known, "--directory-uri", "ldaps://dc1.contoso.com")
    half = command(domain, server, "--directory", known, "--directory-user", "radius@contoso.com")
    alone = command(domain, server, "--group", GROUP)
    nobody = command(domain, server, "--directory", "unknown")
    domain.house.ask.works("directory", "add", "by-ticket", "--uri", f"ldap://dc1.{DOMAIN}")
    ticket = command(domain, server, "--directory", "by-ticket")
    assert [answer.code for answer in (both, half, alone, ticket, nobody)] == [2, 2, 2, 2, 3]
    assert "not both" in both.err and "--directory-password-file" in half.err and "--directory or" in alone.err
    assert "by Kerberos" in ticket.err and "--directory-user" in ticket.err


@pytest.fixture(name="alice", scope="module")
def fixture_alice(domain: Domain) -> Paper:
    """Alice's certificate."""
    named = ("--principal-name", f"alice@{DOMAIN}", "--sid", domain.sid("alice"))
    return domain.house.enroll("user-logon", "user", "alice", *named)


@pytest.fixture(name="pc1", scope="module")
def fixture_pc1(domain: Domain) -> Paper:
    """The computer's certificate: DNS name and SID, no UPN."""
    named = ("--dns-name", f"pc1.{DOMAIN}", "--sid", domain.sid("pc1$"))
    return domain.house.enroll("computer", "device", "PC1", *named)


@pytest.mark.parametrize("tls", ["1.2", "1.3"])
def test_a_member_that_is_enabled_gets_in(wifi: Wifi, alice: Paper, pc1: Paper, tls: str) -> None:
    assert wifi.enter(alice, tls=tls) == tls
    assert wifi.enter(pc1, tls=tls) == tls


def test_without_sid_nobody_does(wifi: Wifi, domain: Domain, alice: Paper) -> None:
    paper = domain.house.enroll("no-sid", "user", "alice", paper="alice-no-sid")
    with pytest.raises(errors.EapSidMissing):
        wifi.enter(paper)
    wifi.check_fails(domain.house, paper, errors.EapSidMissing)


def test_name_and_sid_must_be_of_one_account(wifi: Wifi, domain: Domain, pc1: Paper) -> None:
    named = ("--principal-name", f"alice@{DOMAIN}", "--sid", domain.sid("dave"))
    paper = domain.house.enroll("user-logon", "user", "alice-with-daves-sid", *named)
    with pytest.raises(errors.EapAccountRefused):
        wifi.enter(paper)
    named = ("--dns-name", f"pc1.{DOMAIN}", "--sid", domain.sid("alice"))
    paper = domain.house.enroll("computer", "device", "PC1-with-alices-sid", *named)
    with pytest.raises(errors.EapAccountRefused):
        wifi.enter(paper)


HOSTILE = ("alice)(objectClass=*", "*", "alice?one", "%{1}", "a\\2a", "alice}", 'a" "b')


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_no_filter(wifi: Wifi, domain: Domain, name: str) -> None:
    entity, named = f"hostile-{HOSTILE.index(name)}", ("--sid", domain.sid("alice"))
    domain.house.ask.works("user", "create", entity, "--principal-name", f"{name}@{DOMAIN}", *named)
    try:
        paper = domain.house.enroll("user-logon", "user", entity)
    except errors.ServerAnsweredWrongly:
        return  # our own service wrote no such name
    with pytest.raises(errors.EapAccountRefused):
        wifi.enter(paper)


def test_who_is_not_in_the_group_stays_out(wifi: Wifi, domain: Domain, server: Paper) -> None:
    named = ("--principal-name", f"dave@{DOMAIN}", "--sid", domain.sid("dave"))
    dave = domain.house.enroll("user-logon", "user", "dave", *named)
    with pytest.raises(errors.EapAccountRefused, match="in the group"):
        wifi.enter(dave)
    wifi.check_fails(domain.house, dave, errors.EapAccountRefused)
    open_to_all = with_flags(domain, server)
    with open_to_all.running():
        assert open_to_all.enter(dave) == "1.3"


def test_a_disabled_account_stays_out_from_one_log_in_to_the_next(wifi: Wifi, domain: Domain, alice: Paper) -> None:
    named = ("--principal-name", f"carol@{DOMAIN}", "--sid", domain.sid("carol"))
    with pytest.raises(errors.EapAccountRefused):
        wifi.enter(domain.house.enroll("user-logon", "user", "carol", *named))
    wifi.enter(alice)
    domain.kdc.administer({"do": "enable", "name": "alice", "enabled": False})
    try:
        with pytest.raises(errors.EapAccountRefused):
            wifi.enter(alice)
    finally:
        domain.kdc.administer({"do": "enable", "name": "alice", "enabled": True})
    wifi.enter(alice)


def test_a_revoked_certificate_stays_out_though_the_account_is_fine(wifi: Wifi, domain: Domain, alice: Paper) -> None:
    paper = domain.house.enroll("user-logon", "user", "alice", paper="alice-revoked")
    wifi.enter(paper)
    domain.house.revoke(paper)
    with pytest.raises(errors.EapCertificateRevoked):
        wifi.enter(paper)


def enter_soon(wifi: Wifi, paper: Paper) -> str:
    """A log-in that may fail for some seconds: FreeRADIUS pauses between attempts to reach a controller."""
    until = time.monotonic() + 10
    while True:
        try:
            return wifi.enter(paper)
        except errors.EapAccountRefused:
            if time.monotonic() > until:
                raise
            time.sleep(0.3)


def test_without_a_controller_nobody_gets_in_and_the_server_recovers(
    domain: Domain, server: Paper, alice: Paper
) -> None:
    made = with_flags(domain, server)
    domain.kdc.halt()
    try:
        with made.running():  # it starts all the same
            with pytest.raises(errors.EapAccountRefused):
                made.enter(alice)
            domain.kdc.start()
            assert enter_soon(made, alice) == "1.3"
    finally:
        domain.kdc.halt()
        domain.kdc.start()


def test_a_password_in_clear_is_refused(domain: Domain, server: Paper) -> None:
    answer = command(
        *(domain, server, "--directory-uri", "ldap://dc1.contoso.com", "--directory-base", BASE),
        *("--directory-user", "svc", "--directory-password-file", str(domain.house.ask.passphrase)),
    )
    assert answer.code == 2 and "may not travel in clear" in answer.err
