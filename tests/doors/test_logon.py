# SPDX-License-Identifier: Apache-2.0
"""Kerberos log-on with certificates from SCEP at a KDC that demands the SID, and whose own certificate is ours too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from privyseal import errors
from tests.doors.domain import Domain, new_domain
from tests.doors.house import House, Paper
from tests.doors.wifi import USER_PROFILE, rsa_key, server_paper
from tests.outside.clocks import program_off
from tests.outside.kdc import DOMAIN, HOST, REALM


@pytest.fixture(name="domain", scope="module")
def fixture_domain(house: House) -> Iterator[Domain]:
    """A running domain controller."""
    made = new_domain(house)
    house.profile("no-sid", *USER_PROFILE, "--no-sid-extension", "--eku", "smartcard-logon")
    house.profile(
        *("computer-upn", "--subject", "CN={{device.dns_name}}", "--san", "dns:{{device.dns_name}}"),
        *("--san", "upn:{{device.principal_name}}", "--eku", "client-auth", "--sid-extension"),
    )
    yield made
    made.kdc.stop()


@pytest.fixture(name="alice", scope="module")
def fixture_alice(domain: Domain) -> Paper:
    """Alice's certificate."""
    named = ("--principal-name", f"alice@{DOMAIN}", "--sid", domain.sid("alice"))
    return domain.house.enroll("user-logon", "user", "alice", *named)


def test_a_user_gets_a_ticket(domain: Domain, alice: Paper) -> None:
    domain.log_on("alice", alice)
    domain.log_on(f"alice@{DOMAIN}", alice)


def test_a_computer_gets_a_ticket(domain: Domain) -> None:
    named = ("--dns-name", f"pc1.{DOMAIN}", "--principal-name", f"pc1$@{DOMAIN}", "--sid", domain.sid("pc1$"))
    domain.log_on("pc1$", domain.house.enroll("computer-upn", "device", "PC1", *named))


def test_without_sid_there_is_none(domain: Domain, alice: Paper) -> None:
    paper = domain.house.enroll("no-sid", "user", "alice", paper="alice-no-sid")
    with pytest.raises(errors.KdcCertificateMismatch):
        domain.log_on("alice", paper)


def test_nor_with_the_sid_of_another_account(domain: Domain) -> None:
    named = ("--principal-name", f"alice@{DOMAIN}", "--sid", domain.sid("bob"))
    paper = domain.house.enroll("user-logon", "user", "alice-with-bobs-sid", *named)
    with pytest.raises(errors.KdcCertificateMismatch):
        domain.log_on("alice", paper)


def test_nor_with_the_sid_as_a_uri_alone(domain: Domain, alice: Paper) -> None:
    domain.house.profile("sid-uri", *USER_PROFILE, "--no-sid-extension", "--sid-uri", "--eku", "smartcard-logon")
    paper = domain.house.enroll("sid-uri", "user", "alice", paper="alice-sid-uri")
    with pytest.raises(errors.KdcCertificateMismatch):  # Windows 2019 and newer read it, Samba does not
        domain.log_on("alice", paper)


def test_the_purpose_is_not_looked_at(domain: Domain, alice: Paper) -> None:
    """No Samba does; Windows demands it, so the preset has it."""
    profile = tuple("server-auth" if word == "client-auth" else word for word in USER_PROFILE)
    domain.house.profile("purposeless", *profile)
    domain.log_on("alice", domain.house.enroll("purposeless", "user", "alice", paper="alice-purposeless"))


def test_nor_for_another_account(domain: Domain, alice: Paper) -> None:
    with pytest.raises(errors.KdcCertificateMismatch):
        domain.log_on("bob", alice)
    with pytest.raises(errors.AccountNotFound):
        domain.log_on("nobody", alice)


def test_a_certificate_without_upn_names_nobody(domain: Domain) -> None:
    named = ("--dns-name", f"pc1.{DOMAIN}", "--sid", domain.sid("pc1$"))
    paper = domain.house.enroll("computer", "device", "PC1-DNS-ONLY", *named)
    with pytest.raises(errors.KdcNameMismatch):  # Windows maps the DNS name, Samba does not
        domain.log_on("pc1$", paper)
    code, said = check(domain, "pc1$", paper)
    assert code == 5 and "✗ Ticket" in said and "7062" in said, said


def test_a_foreign_pki_opens_nothing(domain: Domain, tmp_path_factory: pytest.TempPathFactory) -> None:
    foreign = House(tmp_path_factory.mktemp("foreign"))
    foreign.profile("user-logon", *USER_PROFILE, "--eku", "smartcard-logon")
    named = ("--principal-name", f"alice@{DOMAIN}", "--sid", domain.sid("alice"))
    paper = foreign.issue("user-logon", "user", "alice", *named, key=rsa_key())
    both = foreign.papers / "both.pem"
    both.write_bytes(domain.house.roots.read_bytes() + foreign.roots.read_bytes())
    with pytest.raises(errors.KdcClientNotTrusted):
        domain.log_on("alice", paper, roots=both)
    foreign.start()
    try:
        code, said = check(domain, "alice", paper, "--ca-file", str(both))
    finally:
        foreign.stop()
    assert code == 5 and "✔ OCSP" in said and "✗ Ticket" in said and "7061" in said, said


def test_a_disabled_account_gets_no_ticket(domain: Domain) -> None:
    named = ("--principal-name", f"carol@{DOMAIN}", "--sid", domain.sid("carol"))
    with pytest.raises(errors.KdcAccountLocked):
        domain.log_on("carol", domain.house.enroll("user-logon", "user", "carol", *named))


def test_a_controller_that_is_not_what_it_says_is_not_believed(domain: Domain, alice: Paper) -> None:
    paper = server_paper(domain.house)  # of our CA, but not for controllers
    domain.kdc.halt()
    domain.trust(paper)
    domain.kdc.start()
    try:
        with pytest.raises(errors.KdcNotTrusted):
            domain.log_on("alice", alice)
        code, said = check(domain, "alice", alice)
        assert code == 5 and "✗ Ticket" in said and "7063" in said, said
    finally:
        domain.kdc.halt()
        domain.trust()
        domain.kdc.start()
    domain.log_on("alice", alice)


def test_a_revoked_certificate_gets_no_ticket_once_the_controller_has_the_crl(domain: Domain) -> None:
    paper = domain.house.enroll("user-logon", "user", "alice", paper="alice-revoked")
    domain.log_on("alice", paper)
    domain.house.revoke(paper)
    domain.kdc.halt()
    domain.trust()
    domain.kdc.start()
    with pytest.raises(errors.KdcClientNotTrusted):
        domain.log_on("alice", paper)


def test_a_controller_that_is_down_is_told_apart(domain: Domain, alice: Paper) -> None:
    domain.kdc.halt()
    try:
        with pytest.raises(errors.KdcUnreachable):
            domain.log_on("alice", alice)
        code, said = check(domain, "alice", alice)
        assert code == 7 and "✗ Clock" in said and "7029" in said, said
    finally:
        domain.kdc.start()
    domain.log_on("alice", alice)


# --- clocks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("clock", "words"), [("+20m", "ahead of"), ("-20m", "behind")])
def test_a_controller_whose_clock_is_wrong_is_named(domain: Domain, alice: Paper, clock: str, words: str) -> None:
    domain.kdc.halt()
    domain.kdc.start(clock=clock)
    try:
        code, said = check(domain, "alice", alice)
        assert code == 1 and "✗ Clock" in said and "7006" in said and words in said, said
    finally:
        domain.kdc.halt()
        domain.kdc.start()
    code, said = check(domain, "alice", alice)
    assert code == 0 and "✔ Clock" in said, said


def test_a_client_whose_clock_is_behind_finds_its_own_certificate_too_young(
    domain: Domain, alice: Paper, tmp_path: Path
) -> None:
    with program_off("kinit", tmp_path, by="-2h"), pytest.raises(errors.PkinitCertificateNotValid, match="not yet"):
        domain.log_on("alice", alice)
    with program_off("kinit", tmp_path, by="+9000d"), pytest.raises(errors.PkinitCertificateNotValid, match="expired"):
        domain.log_on("alice", alice)


def test_a_ticket_that_is_used_with_a_wrong_clock_opens_nothing(domain: Domain, alice: Paper, tmp_path: Path) -> None:
    domain.log_on("alice", alice, service=f"HOST/{HOST}")
    with program_off("kvno", tmp_path, by="+20m"), pytest.raises(errors.ClockSkew, match="Clock skew too great"):
        domain.log_on("alice", alice, service=f"HOST/{HOST}")


# --- the command -----------------------------------------------------------------------------------------------


def check(domain: Domain, principal: str, paper: Paper, *options: str) -> tuple[int, str]:
    """`privyseal kerberos check`; its exit code and all that it said."""
    answer = domain.house.ask(
        *("kerberos", "check", principal, "--realm", REALM, "--kdc", domain.kdc.address, "--kdc-name", HOST),
        *("--certificate", str(paper.certificate), "--key", str(paper.key), *options),
    )
    return answer.code, answer.out + answer.err


def test_check_walks_to_the_ticket_and_names_the_stage_that_fails(domain: Domain, alice: Paper) -> None:
    code, said = check(domain, "alice", alice)
    assert code == 0 and "✔ Ticket" in said, said
    code, said = check(domain, "bob", alice)
    assert code == 5 and "✗ Ticket" in said and "7060" in said, said
    code, said = check(domain, "alice", alice, "-o", "json")
    assert code == 0 and '"passed": true' in said


def test_check_names_a_service_that_kerberos_does_not_know(domain: Domain, alice: Paper) -> None:
    code, said = check(domain, "alice", alice, "--service", f"HOST/{HOST}")
    assert code == 0 and "✔ Service" in said, said
    code, said = check(domain, "alice", alice, "--service", f"ldap/alias.{DOMAIN}")
    assert code == 1 and "✔ Ticket" in said and "✗ Service" in said and "7005" in said, said


REFUSED = {"no-sid": "7060", "revoked": "7044", "disabled": "7064"}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_check_tells_why_there_is_no_ticket(domain: Domain, alice: Paper, case: str) -> None:
    principal, profile = ("carol", "user-logon") if case == "disabled" else ("alice", "user-logon")
    named = ("--principal-name", f"{principal}@{DOMAIN}", "--sid", domain.sid(principal))
    profile = "no-sid" if case == "no-sid" else profile
    paper = domain.house.enroll(profile, "user", principal, *named, paper=f"checked-{case}")
    if case == "revoked":
        domain.house.revoke(paper)
    code, said = check(domain, principal, paper)
    assert code == 5 and REFUSED[case] in said, said
    assert ("✗ CRL" if case == "revoked" else "✗ Ticket") in said


def test_a_controller_without_a_certificate_offers_no_pkinit(domain: Domain, alice: Paper) -> None:
    domain.kdc.halt()
    kerberos = domain.kdc.place / "etc" / "krb5.conf"
    kerberos.write_text(kerberos.read_text().replace("enable-pkinit = yes", "enable-pkinit = no"))
    domain.kdc.start()
    try:
        code, said = check(domain, "alice", alice)
        assert code == 5 and "7066" in said, said
    finally:
        domain.kdc.halt()
        domain.trust()
        domain.kdc.start()
