# SPDX-License-Identifier: Apache-2.0
"""A domain controller whose certificate our service issued, with accounts, and their certificates from SCEP."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from privyseal.adapters.fetch import fetch
from privyseal.adapters.kinit import Kdc as Controller
from privyseal.adapters.kinit import get_ticket
from tests.doors.house import ISSUING_CA, OTHER_CA, ROOT_CA, House, Paper
from tests.doors.wifi import USER_PROFILE, rsa_key
from tests.outside.kdc import DOMAIN, HOST, NETBIOS, REALM, Kdc
from tests.outside.tools import require_tool

GROUP: Final = f"CN=wifi (users) & co 100%,CN=Users,{','.join(f'DC={part}' for part in DOMAIN.split('.'))}"
SERVICE_PASSWORD: Final = 'Svc-Passw0rd \\ %{x} "!#'
COMPUTER_PROFILE: Final = (
    *("--subject", "CN={{device.dns_name}}", "--san", "dns:{{device.dns_name}}", "--eku", "client-auth"),
    "--sid-extension",
)


@dataclass(slots=True)
class Domain:
    """One controller, and what its accounts hold."""

    house: House
    kdc: Kdc
    sids: dict[str, str]

    def sid(self, account: str) -> str:
        """The account's SID, from the directory."""
        return self.sids[account]

    def trust(self, own: Paper | None = None) -> None:
        """Gives the controller its certificate, our CAs and the CRLs in force; it reads them when it starts."""
        house = self.house
        crls = [fetch(f"{house.base}/crl/{name}/v1.crl").body for name in (ROOT_CA, ISSUING_CA, OTHER_CA)]
        paper = own or self._certificate()
        self.kdc.configure(
            certificate=paper.certificate.read_bytes(),
            key=paper.key.read_bytes(),
            root=house.roots.read_bytes(),
            issuers=house.issuing.read_bytes(),
            crls=[x509.load_der_x509_crl(one).public_bytes(Encoding.PEM) for one in crls],
        )

    def _certificate(self) -> Paper:
        found = Paper(self.house.papers / "dc1.pem", self.house.papers / "dc1.key")
        if not found.certificate.exists():
            options = ["--preset", "domain-controller", "--domain", DOMAIN, "--netbios", NETBIOS]
            names = [f"dns:{name}" for name in ("{{device.dns_name}}", DOMAIN, NETBIOS)]
            # FreeRADIUS reaches it by address: a site has DNS, this machine may have none.
            for name in (*names, f"kpn:krbtgt/{REALM}@{REALM}", f"ip:{self.kdc.address}"):
                options += ["--san", name]
            self.house.profile("kdc", *options)
            self.house.issue("kdc", "device", "dc1", "--dns-name", HOST, key=rsa_key())
        return found

    def log_on(self, principal: str, paper: Paper, *, roots: Path | None = None, service: str = "") -> None:
        """kinit with a certificate; raises what `privyseal kerberos check` would say."""
        require_tool("kinit")
        controller = Controller(
            realm=REALM,
            address=self.kdc.address,
            host=HOST,
            roots=roots or self.house.roots,
            pool=paper.certificate,
        )
        get_ticket(controller, principal, certificate=paper.certificate, key=paper.key, service=service)


def new_domain(house: House) -> Domain:
    """A running controller with alice, bob, carol (disabled), pc1, a service account and a nested group."""
    kdc = Kdc()
    try:
        return _fill(house, kdc)
    except BaseException:
        kdc.stop()
        raise


def _fill(house: House, kdc: Kdc) -> Domain:
    users = [
        {"do": "user", "name": name, "set": {"userPrincipalName": f"{name}@{DOMAIN}"}}
        for name in ("alice", "bob", "carol", "dave")
    ]
    group = GROUP.removeprefix("CN=").partition(",")[0]
    sids = kdc.administer(
        *users,
        {"do": "enable", "name": "carol", "enabled": False},
        {"do": "computer", "name": "pc1", "set": {"dNSHostName": f"pc1.{DOMAIN}"}},
        {"do": "user", "name": "svc", "password": SERVICE_PASSWORD, "set": {"userPrincipalName": f"svc@{DOMAIN}"}},
        {"do": "group", "name": group},
        {"do": "group", "name": "staff"},
        {"do": "member", "name": "staff", "group": group},
        *({"do": "member", "name": name, "group": "staff"} for name in ("alice", "carol", "pc1$")),
    )
    domain = Domain(house, kdc, sids)
    domain.trust()
    kdc.start()
    house.profile("user-logon", *USER_PROFILE, "--eku", "smartcard-logon")
    house.profile("computer", *COMPUTER_PROFILE)
    return domain
