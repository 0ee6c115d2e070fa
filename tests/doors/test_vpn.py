# SPDX-License-Identifier: Apache-2.0
"""IKEv2 with certificates of ours on both sides: the preset ``vpn-server`` at a real gateway, devices and users from
SCEP, and revocation by our URLs.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.doors.house import OTHER_CA, House, Paper
from tests.doors.vpn import (
    ALICE,
    DEVICE_PROFILE,
    GATEWAY,
    PC1,
    Vpn,
    new_house,
    new_network,
    running,
    server_paper,
)
from tests.doors.wifi import SID, rsa_key
from tests.outside.ikev2 import Network
from tests.outside.kdc import DOMAIN
from tests.outside.tools import openssl

WAYS = {"crl": {"enable_ocsp": "no"}, "ocsp": {"enable_crl": "no"}}
ASKED = {"crl": "fetching crl from '{}/crl/", "ocsp": "requesting ocsp status from '{}/ocsp/"}


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


@pytest.fixture(name="server", scope="module")
def fixture_server(house: House) -> Paper:
    """The gateway's certificate; and profiles that the gateway or the client must refuse."""
    house.profile("vpn-other", *DEVICE_PROFILE, issuer=OTHER_CA)
    common_name_only = ("--subject", "CN={{device.dns_name}}", "--san", "dns:other.example.test")
    house.profile("unnamed", *common_name_only, "--eku", "server-auth")
    return server_paper(house)


@pytest.fixture(name="pc1", scope="module")
def fixture_pc1(house: House) -> Paper:
    """A computer's certificate, from SCEP."""
    return house.enroll("vpn-device", "device", "PC1", "--dns-name", PC1)


@pytest.fixture(name="alice", scope="module")
def fixture_alice(house: House) -> Paper:
    """A user's certificate, from SCEP."""
    return house.enroll("vpn-user", "user", "alice", "--principal-name", ALICE, "--sid", SID)


@pytest.fixture(name="vpn", scope="module", params=sorted(WAYS))
def fixture_vpn(
    request: pytest.FixtureRequest,
    network: Network,
    house: House,
    server: Paper,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Vpn]:
    """A gateway that checks revocation in one of the two ways, strictly."""
    with running(network, house, tmp_path_factory.mktemp("vpn"), plugins={"revocation": WAYS[request.param]}) as vpn:
        vpn.serve(server)
        yield vpn


def test_devices_and_users_get_in_with_what_scep_gave_them(vpn: Vpn, pc1: Paper, alice: Paper) -> None:
    assert vpn.enters(PC1, pc1)
    assert vpn.enters(ALICE, alice)
    assert vpn.enters(ALICE, alice, by="eap-tls")


@pytest.mark.parametrize("vpn", sorted(WAYS), indirect=True)
def test_the_gateway_asks_at_our_addresses(vpn: Vpn, pc1: Paper, request: pytest.FixtureRequest) -> None:
    vpn.gateway.forget_answers()
    assert vpn.enters(PC1, pc1)
    assert ASKED[request.node.callspec.params["vpn"]].format(vpn.house.base) in vpn.gateway.log


def test_so_does_one_with_an_ec_key(vpn: Vpn, house: House, alice: Paper) -> None:
    paper = house.issue("vpn-user", "user", "alice", key=ec.generate_private_key(ec.SECP384R1()), paper="alice-ec")
    assert vpn.enters(ALICE, paper)


@pytest.mark.parametrize("by", ["pubkey", "eap-tls"])
def test_a_revoked_certificate_is_refused_once_the_gateway_asks_again(
    vpn: Vpn, house: House, alice: Paper, by: str
) -> None:
    paper = house.enroll("vpn-user", "user", "alice", paper=f"alice-soon-{by}")
    assert vpn.enters(ALICE, paper, by=by)
    house.revoke(paper)
    assert vpn.enters(ALICE, paper, by=by)  # charon keeps an answer until it ends, whatever happens meanwhile
    vpn.gateway.forget_answers()
    assert not vpn.enters(ALICE, paper, by=by)
    assert "certificate was revoked on" in vpn.gateway.log
    assert vpn.enters(ALICE, alice, by=by)


def test_a_gateway_that_cannot_ask_lets_nobody_in(vpn: Vpn, house: House, pc1: Paper) -> None:
    vpn.gateway.forget_answers()
    house.stop()
    try:
        assert not vpn.enters(PC1, pc1)
    finally:
        house.start()
    assert vpn.enters(PC1, pc1)


def test_a_certificate_of_another_ca_below_our_root_is_refused(vpn: Vpn, house: House, pc1: Paper) -> None:
    paper = house.issue("vpn-other", "device", "PC1", key=rsa_key(), paper="pc1-other")
    assert not vpn.enters(PC1, paper)


def test_the_name_of_somebody_else_is_refused(vpn: Vpn, pc1: Paper) -> None:
    assert not vpn.enters(f"pc2.{DOMAIN}", pc1)
    assert not vpn.enters(ALICE, pc1)


def test_a_gateway_whose_certificate_lacks_the_name_is_not_believed(
    vpn: Vpn, house: House, server: Paper, pc1: Paper
) -> None:
    vpn.serve(house.issue("unnamed", "device", "vpn1", key=rsa_key(), paper="unnamed"))
    try:
        assert not vpn.enters(PC1, pc1)
        assert f"no trusted RSA public key found for '{GATEWAY}'" in vpn.client.log
    finally:
        vpn.serve(server)
    assert vpn.enters(PC1, pc1)


def test_the_purposes_of_the_preset_are_those_of_a_server(house: House, server: Paper, pc1: Paper) -> None:
    """charon looks at names only; Windows, Apple and OpenSSL at the purpose too."""
    trusted = ("-CAfile", house.roots, "-untrusted", house.issuing, "-purpose", "sslserver")
    openssl("verify", *trusted, "-verify_hostname", GATEWAY, server.certificate).must_work()
    assert "unsuitable certificate purpose" in openssl("verify", *trusted, pc1.certificate).text
    shown = openssl("x509", "-in", server.certificate, "-noout", "-ext", "extendedKeyUsage").must_work().text
    assert "TLS Web Server Authentication, 1.3.6.1.5.5.8.2.2" in shown
