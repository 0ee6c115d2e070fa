# SPDX-License-Identifier: Apache-2.0
"""Log-on at the Samba of Debian 12, which knows nothing of strong mapping: it works, and what it lets through is known.

`demo --ad` tells its user the same; docs and demo must change when one of these tests fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from privyseal import errors
from privyseal.adapters.fetch import fetch
from privyseal.adapters.kinit import Kdc as Controller
from privyseal.adapters.kinit import get_ticket
from tests.doors.house import ISSUING_CA, ROOT_CA, House, Paper
from tests.doors.wifi import USER_PROFILE, rsa_key
from tests.outside.kdc import NETBIOS, kerberos_text
from tests.outside.samba import BASE, DNS_DOMAIN, HOST, REALM, DomainController, domain_controller
from tests.outside.tools import require_tool, run

LOGON = (*USER_PROFILE, "--eku", "smartcard-logon")


@dataclass(frozen=True, slots=True)
class Older:
    """A controller with our certificate, our CRLs, alice and bob."""

    house: House
    controller: DomainController
    sids: dict[str, str]

    def paper(self, profile: str, name: str, *, sid_of: str = "alice") -> Paper:
        """Alice's, with somebody's SID."""
        named = ("--principal-name", f"alice@{DNS_DOMAIN}", "--sid", self.sids[sid_of])
        return self.house.enroll(profile, "user", name, *named)

    def trust(self) -> None:
        """Certificate, CAs and the CRLs in force, read at its start."""
        tls = self.controller.directory / "tls"
        own = self.house.papers / "dc1"
        files = {
            "cert": own.with_suffix(".pem").read_bytes(),
            "key": own.with_suffix(".key").read_bytes(),
            "ca": self.house.roots.read_bytes(),
            "pool": self.house.issuing.read_bytes(),
        }
        crls = [fetch(f"{self.house.base}/crl/{name}/v1.crl").body for name in (ROOT_CA, ISSUING_CA)]
        files |= {f"crl{n}": x509.load_der_x509_crl(one).public_bytes(Encoding.PEM) for n, one in enumerate(crls)}
        for name, content in files.items():
            (tls / f"{name}.pem").touch(mode=0o600)
            (tls / f"{name}.pem").write_bytes(content)
        text = kerberos_text(str(self.controller.directory), crls=[f"{tls}/crl{n}.pem" for n in range(len(crls))])
        (self.controller.directory / "etc" / "krb5.conf").write_text(text)

    def log_on(self, principal: str, paper: Paper) -> None:
        """kinit with a certificate."""
        controller = Controller(
            realm=REALM, address=self.controller.address, host=HOST, roots=self.house.roots, pool=paper.certificate
        )
        get_ticket(controller, principal, certificate=paper.certificate, key=paper.key)


@pytest.fixture(name="older", scope="module")
def fixture_older(house: House) -> Iterator[Older]:
    """A running one."""
    version = run([require_tool("samba"), "--version"]).text.split()[1]
    if [int(part) for part in version.split("-")[0].split(".")[:2]] >= [4, 19]:
        pytest.skip(f"the Samba of this machine is {version}, which honours CRLs; these tests are about 4.17")
    require_tool("kinit")
    with domain_controller() as controller:
        controller.stop()
        sids = {name: controller.sid(controller.add_user(name)) for name in ("alice", "bob")}
        options = ["--preset", "domain-controller", "--domain", DNS_DOMAIN, "--netbios", NETBIOS]
        house.profile("kdc", *options)
        house.issue("kdc", "device", "dc1", "--dns-name", HOST, key=rsa_key())
        house.profile("logon", *LOGON)
        house.profile("no-sid", *LOGON, "--no-sid-extension")
        made = Older(house, controller, sids)
        made.trust()
        controller.start()
        yield made


def test_a_user_gets_a_ticket_and_only_for_the_own_account(older: Older) -> None:
    paper = older.paper("logon", "alice")
    older.log_on("alice", paper)
    with pytest.raises(errors.KdcNameMismatch):
        older.log_on("bob", paper)


def test_neither_a_missing_sid_nor_another_ones_is_noticed(older: Older) -> None:
    older.log_on("alice", older.paper("no-sid", "alice-without-sid"))
    older.log_on("alice", older.paper("logon", "alice-with-bobs-sid", sid_of="bob"))


def test_nor_is_the_crl_that_it_was_given(older: Older) -> None:
    paper = older.paper("logon", "alice-revoked")
    older.house.revoke(paper)
    older.controller.stop()
    older.trust()
    older.controller.start()
    older.log_on("alice", paper)


def test_a_disabled_account_gets_no_ticket_all_the_same(older: Older) -> None:
    paper = older.paper("logon", "alice-disabled")
    older.controller.samba_tool("user", "disable", "alice")
    try:
        with pytest.raises(errors.KdcAccountLocked):
            older.log_on("alice", paper)
    finally:
        older.controller.samba_tool("user", "enable", "alice")


def test_the_log_on_needs_nothing_in_ntauth(older: Older) -> None:
    """No Samba looks at it; what publishing to it does is Windows's alone."""
    where = f"CN=NTAuthCertificates,CN=Public Key Services,CN=Services,CN=Configuration,{BASE}"
    assert "cACertificate" not in older.controller.look(where, "cACertificate")
    older.log_on("alice", older.paper("logon", "alice-again"))
