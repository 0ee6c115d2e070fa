# SPDX-License-Identifier: Apache-2.0
"""An IKEv2 gateway that hands the log-in on to FreeRADIUS, which asks Active Directory: the whole way of a VPN."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.doors.domain import GROUP, SERVICE_PASSWORD, Domain, new_domain
from tests.doors.house import House
from tests.doors.vpn import ALICE, Vpn, new_house, new_network, running
from tests.doors.vpn import server_paper as gateway_paper
from tests.doors.wifi import SECRET, SERVER_NAME, USER_PROFILE, configure, server_paper
from tests.outside.ikev2 import Network
from tests.outside.kdc import BASE, DOMAIN
from tests.outside.radius import free_udp_port


@pytest.fixture(name="network", scope="module")
def fixture_network() -> Iterator[Network]:
    """A gateway's and a client's namespace."""
    with new_network() as made:
        yield made


@pytest.fixture(name="house", scope="module")
def fixture_house(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A service that the gateway reaches."""
    with new_house(network, tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture(name="domain", scope="module")
def fixture_domain(house: House) -> Iterator[Domain]:
    """A running domain controller."""
    made = new_domain(house)
    house.profile("no-sid", *USER_PROFILE, "--no-sid-extension")
    yield made
    made.kdc.stop()


@pytest.fixture(name="vpn", scope="module")
def fixture_vpn(
    network: Network, house: House, domain: Domain, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Vpn]:
    """A gateway that leaves users to a RADIUS server, and that server."""
    port, password = free_udp_port(network.here), house.place / "svc.password"
    password.write_text(SERVICE_PASSWORD + "\n")
    radius = configure(
        house,
        server_paper(house),
        *("--client", f"gateway={network.gateway}", "--address", network.here, "--port", str(port)),
        *("--directory-uri", f"ldaps://{domain.kdc.address}", "--directory-base", BASE, "--group", GROUP),
        *("--directory-user", f"svc@{DOMAIN}", "--directory-password-file", str(password)),
    )
    ask = {"server": network.here, "port": str(port), "secret": f'"{SECRET}"'}
    place = tmp_path_factory.mktemp("vpn")
    with radius.running(), running(network, house, place, plugins={"eap-radius": ask}) as vpn:
        vpn.serve(gateway_paper(house), by_radius=True)
        yield vpn


def test_a_member_of_the_domain_gets_in_and_the_account_decides(vpn: Vpn, domain: Domain) -> None:
    named = ("--principal-name", ALICE, "--sid", domain.sid("alice"))
    paper = domain.house.enroll("user-logon", "user", "alice-of-the-domain", *named)
    assert vpn.enters(ALICE, paper, by="eap-tls", radius=SERVER_NAME)
    domain.kdc.administer({"do": "enable", "name": "alice", "enabled": False})
    try:
        assert not vpn.enters(ALICE, paper, by="eap-tls", radius=SERVER_NAME)
    finally:
        domain.kdc.administer({"do": "enable", "name": "alice", "enabled": True})
    assert vpn.enters(ALICE, paper, by="eap-tls", radius=SERVER_NAME)
    domain.house.revoke(paper)
    assert not vpn.enters(ALICE, paper, by="eap-tls", radius=SERVER_NAME)


def test_without_sid_or_with_another_ones_there_is_no_tunnel(vpn: Vpn, domain: Domain) -> None:
    paper = domain.house.enroll("no-sid", "user", "alice-of-the-domain", paper="vpn-no-sid")
    assert not vpn.enters(ALICE, paper, by="eap-tls", radius=SERVER_NAME)
    named = ("--principal-name", ALICE, "--sid", domain.sid("bob"))
    paper = domain.house.enroll("user-logon", "user", "alice-with-bobs-sid", *named)
    assert not vpn.enters(ALICE, paper, by="eap-tls", radius=SERVER_NAME)
