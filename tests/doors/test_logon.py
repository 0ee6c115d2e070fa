# SPDX-License-Identifier: Apache-2.0
"""Kerberos log-on with certificates from SCEP at a KDC that demands the SID, and whose own certificate is ours too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from privyseal import errors
from tests.doors.domain import Domain, new_domain
from tests.doors.house import House, Paper
from tests.doors.wifi import USER_PROFILE, rsa_key, server_paper
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


def test_a_foreign_pki_opens_nothing(domain: Domain, tmp_path_factory: pytest.TempPathFactory) -> None:
    foreign = House(tmp_path_factory.mktemp("foreign"))
    foreign.profile("user-logon", *USER_PROFILE, "--eku", "smartcard-logon")
    named = ("--principal-name", f"alice@{DOMAIN}", "--sid", domain.sid("alice"))
    paper = foreign.issue("user-logon", "user", "alice", *named, key=rsa_key())
    both = foreign.papers / "both.pem"
    both.write_bytes(domain.house.roots.read_bytes() + foreign.roots.read_bytes())
    with pytest.raises(errors.KdcClientNotTrusted):
        domain.log_on("alice", paper, roots=both)


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
    finally:
        domain.kdc.start()
    domain.log_on("alice", alice)


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
