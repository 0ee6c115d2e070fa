# SPDX-License-Identifier: Apache-2.0
"""EAP-TLS at a real FreeRADIUS with our files: who gets in, who does not, and what we say about it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from privyseal import errors
from tests.doors.house import OTHER_CA, ROOT_CA, House, Paper
from tests.doors.wifi import SERVER_PROFILE, SID, USER_PROFILE, Wifi, configure, rsa_key, server_paper

REVOCATION = ("ocsp", "crl", "both")
TLS = ("1.2", "1.3")


@pytest.fixture(name="server", scope="module")
def fixture_server(house: House) -> Paper:
    """The RADIUS server's certificate; and the profile of those who want in."""
    house.profile("user-wifi", *USER_PROFILE)
    house.profile("user-other", *USER_PROFILE, issuer=OTHER_CA)
    return server_paper(house)


@pytest.fixture(name="alice", scope="module")
def fixture_alice(house: House, server: Paper) -> Paper:
    """Alice, enrolled by SCEP with an RSA key."""
    return house.enroll("user-wifi", "user", "alice", "--principal-name", "alice@ad.example.test", "--sid", SID)


@pytest.fixture(name="bad", scope="module")
def fixture_bad(house: House, alice: Paper) -> Paper:
    """Alice's second certificate, which is revoked."""
    paper = house.enroll("user-wifi", "user", "alice", paper="alice-revoked")
    house.revoke(paper)
    return paper


@pytest.fixture(name="foreign", scope="module")
def fixture_foreign(tmp_path_factory: pytest.TempPathFactory) -> Paper:
    """The same Alice, vouched for by somebody else's PKI, whose CAs have the same names."""
    house = House(tmp_path_factory.mktemp("foreign"), key="ec:p256")
    house.profile("user-wifi", *USER_PROFILE)
    named = ("--principal-name", "alice@ad.example.test", "--sid", SID)
    return house.issue("user-wifi", "user", "alice", *named, key=rsa_key())


@pytest.fixture(name="wifi", scope="module", params=REVOCATION)
def fixture_wifi(request: pytest.FixtureRequest, house: House, server: Paper, bad: Paper) -> Iterator[Wifi]:
    """A running server that checks revocation in one of the ways that it can."""
    made = configure(house, server, revocation=request.param)
    if request.param != "ocsp":
        made.fetch_crls()
    with made.running():
        yield made


@pytest.mark.parametrize("tls", TLS)
def test_a_certificate_from_scep_opens_the_door(wifi: Wifi, alice: Paper, tls: str) -> None:
    assert wifi.enter(alice, tls=tls) == tls


@pytest.mark.parametrize("tls", TLS)
def test_so_does_one_with_an_ec_key(wifi: Wifi, house: House, alice: Paper, tls: str) -> None:
    paper = house.issue("user-wifi", "user", "alice", key=ec.generate_private_key(ec.SECP256R1()), paper="alice-ec")
    assert wifi.enter(paper, tls=tls) == tls


@pytest.mark.parametrize("tls", TLS)
def test_a_revoked_certificate_does_not(wifi: Wifi, bad: Paper, tls: str) -> None:
    with pytest.raises(errors.EapCertificateRevoked):
        wifi.enter(bad, tls=tls)


@pytest.mark.parametrize("tls", TLS)
def test_nor_one_of_another_ca_below_the_same_root(wifi: Wifi, house: House, alice: Paper, tls: str) -> None:
    paper = house.issue("user-other", "user", "alice", key=rsa_key(), paper="alice-other")
    with pytest.raises(errors.EapClientCaUnknown):
        wifi.enter(paper, tls=tls)


def test_nor_one_of_a_foreign_pki(wifi: Wifi, foreign: Paper) -> None:
    with pytest.raises(errors.EapClientCaUnknown):
        wifi.enter(foreign)


def test_nor_one_that_is_for_servers(wifi: Wifi, server: Paper) -> None:
    with pytest.raises(errors.EapPurposeWrong):
        wifi.enter(server)


def test_a_server_name_or_root_that_is_not_the_clients_ends_the_log_in(wifi: Wifi, alice: Paper, house: House) -> None:
    other = replace(wifi, target=replace(wifi.target, name="other.example.test"))
    with pytest.raises(errors.RadiusServerNameWrong, match="omain mismatch"):
        other.enter(alice)
    other = replace(wifi, target=replace(wifi.target, roots=house.papers / "alice.pem"))
    with pytest.raises(errors.RadiusServerNotTrusted):
        other.enter(alice)


def test_a_wrong_secret_meets_silence(wifi: Wifi, alice: Paper) -> None:
    with pytest.raises(errors.RadiusSilent):
        replace(wifi, target=replace(wifi.target, secret="another")).enter(alice, seconds=2)


def test_without_the_log_only_the_refusal_is_known(wifi: Wifi, bad: Paper) -> None:
    with pytest.raises(errors.EapRefused, match="without a reason"):
        replace(wifi, target=replace(wifi.target, log=None)).enter(bad)


# --- the command -----------------------------------------------------------------------------------------------


def test_check_walks_every_stage(house: House, wifi: Wifi, alice: Paper) -> None:
    code, said = wifi.check(house, alice)
    assert code == 0, said
    assert re.findall(r"✔ (\S+)", said)[:6] == ["Program", "Certificate", "CRL", "OCSP", "TLS", "TLS"]
    code, said = wifi.check(house, alice, "--tls", "1.2", "-o", "json")
    assert json.JSONDecoder().raw_decode(said)[0]["passed"] is True


def test_check_names_the_stage_that_fails(house: House, wifi: Wifi, alice: Paper, bad: Paper, server: Paper) -> None:
    code, said = wifi.check(house, bad)
    assert code == 5 and "✗ CRL" in said and "7044" in said
    code, said = wifi.check(house, alice, "--ca-file", str(alice.certificate))
    assert code == 5 and "✗ TLS 1.2" in said and "7041" in said
    code, said = wifi.check(house, server)
    assert code == 2 and "✗ Certificate" in said
    other = house.papers / "alice-other.pem"
    wifi.check_fails(house, Paper(other, other.with_suffix(".key")), errors.EapClientCaUnknown)
    elsewhere = replace(wifi, target=replace(wifi.target, name="other.example.test"))
    elsewhere.check_fails(house, alice, errors.RadiusServerNameWrong)


def test_check_says_what_to_install(house: House, wifi: Wifi, alice: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    code, said = wifi.check(house, alice)
    assert code == 1 and "7055" in said and "eapoltest" in said


# --- the files -------------------------------------------------------------------------------------------------


def test_nobody_else_can_read_the_files(wifi: Wifi) -> None:
    for path in (wifi.directory, *wifi.directory.rglob("*")):
        if path.parent.name not in ("log", "run", "crls"):  # what the programs themselves write there
            assert path.stat().st_mode & 0o077 == 0, path


def test_nothing_is_overwritten_and_a_wrong_key_is_refused(house: House, server: Paper, alice: Paper) -> None:
    made = configure(house, server)
    command = ("radius", "config", "freeradius", "--client", "ap=10.0.0.1")
    server_files = ("--server-certificate", str(server.certificate), "--server-key", str(server.key))
    answer = house.ask(*command, "--out", str(made.directory), *server_files)
    assert answer.code == 6 and "is not empty" in answer.err
    new = ("--out", str(house.place / "new"))
    answer = house.ask(*command, *new, "--server-certificate", str(server.certificate), "--server-key", str(alice.key))
    assert answer.code == 2 and "is not the key of" in answer.err
    answer = house.ask(*command, *new, "--server-certificate", str(alice.certificate), "--server-key", str(alice.key))
    assert answer.code == 2 and "is not for purpose" in answer.err
    answer = house.ask(*command, *new, *server_files, "--client", "ap2=}\nclient x {")
    assert answer.code == 2 and "no address" in answer.err
    assert not Path(new[1]).exists()


def test_each_client_gets_a_secret_of_its_own(house: House, server: Paper) -> None:
    house.ask.works(
        *("radius", "config", "freeradius", "--out", str(house.place / "two")),
        *("--server-certificate", str(server.certificate), "--server-key", str(server.key)),
        *("--client", "a=10.0.0.1", "--client", "b=10.1.0.0/16"),
    )
    secrets = re.findall(r"secret = '(\w{32})'", (house.place / "two" / "clients.conf").read_text())
    assert len(set(secrets)) == 2


def test_a_server_certificate_of_our_own_is_sent_with_its_ca(house: House, server: Paper) -> None:
    house.profile("radius-plain", *SERVER_PROFILE)
    paper = house.issue("radius-plain", "device", "radius1", key=rsa_key(), paper="leaf-only")
    paper.certificate.write_bytes(paper.certificate.read_bytes().partition(b"-----END CERTIFICATE-----\n")[0]
                                  + b"-----END CERTIFICATE-----\n")  # fmt: skip
    made = configure(house, paper)
    assert (made.directory / "certs" / "server.pem").read_text().count("BEGIN CERTIFICATE") == 2


def test_the_next_version_of_a_ca_is_let_in_before_it_is_in_force_and_a_revoked_one_no_more(
    house: House, server: Paper
) -> None:
    house.ask.works("ca", "create", "living", "--parent", ROOT_CA, "--key", "ec:p256")
    house.ask.works("ca", "renew", "living")
    versions = [house.ask.works("ca", "export", "living", "--version", str(number)).raw for number in (1, 2)]
    words = ("radius", "config", "freeradius", "--ca", "living", "--revocation", "crl", "--client", "a=10.0.0.1")
    words += ("--server-certificate", str(server.certificate), "--server-key", str(server.key), "--out")

    def written(name: str) -> tuple[bytes, str]:
        house.ask.works(*words, str(house.place / name))
        refresh = (house.place / name / "refresh-crls").read_text()
        return (house.place / name / "certs" / "issuers.pem").read_bytes(), refresh

    issuers, refresh = written("staged")
    assert issuers == b"".join(versions)
    assert "fetch living-v1 " in refresh and "fetch living-v2 " in refresh
    house.ask.works("ca", "revoke", "living", "--version", "1", "--with-live-certificates", "--reason", "ca-compromise")
    issuers, refresh = written("revoked")
    assert issuers == versions[1], "whoever has the key of a revoked CA could let in anybody"
    assert "fetch living-v1 " not in refresh
    house.ask.works("ca", "revoke", "living", "--version", "2", "--with-live-certificates")
    answer = house.ask(*words, str(house.place / "none"))
    assert answer.code != 0 and "there is no issuing CA 'living'" in answer.err
