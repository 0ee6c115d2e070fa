# SPDX-License-Identifier: Apache-2.0
"""Wrong clocks on either side of an EAP-TLS log-in, and what the server's log alone tells of the client's refusal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from privyseal import errors
from privyseal.adapters.eap_login import refusal
from tests.doors.house import House, Paper
from tests.doors.wifi import SID, USER_PROFILE, Wifi, configure, server_paper
from tests.outside.clocks import clock_off

BEHIND, AHEAD = "-2h", "+3000d"


@pytest.fixture(name="server", scope="module")
def fixture_server(house: House) -> Paper:
    """The RADIUS server's certificate."""
    house.profile("user-wifi", *USER_PROFILE)
    return server_paper(house)


@pytest.fixture(name="alice", scope="module")
def fixture_alice(house: House, server: Paper) -> Paper:
    """Alice, enrolled by SCEP."""
    return house.enroll("user-wifi", "user", "alice", "--principal-name", "alice@ad.example.test", "--sid", SID)


@pytest.fixture(name="wifi", scope="module")
def fixture_wifi(house: House, server: Paper) -> Iterator[Wifi]:
    """A running server."""
    made = configure(house, server)
    with made.running():
        yield made


@pytest.mark.parametrize("tls", ["1.2", "1.3"])
@pytest.mark.parametrize(("clock", "words"), [(BEHIND, "not yet valid"), (AHEAD, "has expired")])
def test_a_client_whose_clock_is_wrong_does_not_believe_the_server(
    wifi: Wifi, alice: Paper, tls: str, clock: str, words: str
) -> None:
    with clock_off(clock), pytest.raises(errors.RadiusServerNotValidNow, match=words):
        wifi.enter(alice, tls=tls)


@pytest.mark.parametrize(
    ("revocation", "clock", "kind", "words"),
    [
        ("ocsp", BEHIND, errors.EapClockSkew, "certificate is not yet valid"),
        ("ocsp", AHEAD, errors.EapClockSkew, "certificate has expired; here alice.pem is valid"),
        ("crl", BEHIND, errors.EapClockSkew, "CRL is not yet valid"),
        ("crl", AHEAD, errors.EapCrlExpired, "CRL has expired"),
        ("ocsp", "+10d", errors.EapClockSkew, "ocsp: Certificate has been expired"),
    ],
)
def test_a_server_whose_clock_is_wrong_is_named(
    house: House,
    server: Paper,
    alice: Paper,
    *,
    revocation: str,
    clock: str,
    kind: type[errors.PrivysealError],
    words: str,
) -> None:
    made = configure(house, server, revocation=revocation)
    if revocation == "crl":
        made.fetch_crls()
    with made.running(clock=clock):
        with pytest.raises(kind, match=words):
            made.enter(alice)
        made.check_fails(house, alice, kind)


def test_the_servers_log_alone_tells_that_the_client_did_not_trust_it(wifi: Wifi, alice: Paper) -> None:
    log = wifi.target.log
    assert log is not None
    other = replace(wifi, target=replace(wifi.target, roots=alice.certificate))
    with pytest.raises(errors.RadiusServerNotTrusted):
        other.enter(alice)
    assert type(refusal(wifi.target, client_said="", server_said=log.read_text())) is errors.RadiusServerNotTrusted
    with clock_off(AHEAD), pytest.raises(errors.RadiusServerNotValidNow):
        wifi.enter(alice)
    found = refusal(wifi.target, client_said="", server_said=log.read_text())
    assert type(found) is errors.RadiusServerNotValidNow and "Alert read:fatal:certificate expired" in found.what
