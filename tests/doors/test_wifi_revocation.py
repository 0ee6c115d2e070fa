# SPDX-License-Identifier: Apache-2.0
"""Revocation as FreeRADIUS sees it over time, and every way in which its sources can be missing, stale or broken."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from asn1crypto import ocsp
from cryptography import x509

from privyseal import errors
from privyseal.adapters.fetch import fetch
from privyseal.x509.algorithms import KeyType
from privyseal.x509.csr import parse_request
from tests.device import build_csr
from tests.doors.house import House, Paper, write_paper
from tests.doors.wifi import SID, USER_PROFILE, Wifi, configure, rsa_key, server_paper
from tests.installation import PROFILE, Installations, found_hierarchy
from tests.outside.tools import openssl


@pytest.fixture(name="server", scope="module")
def fixture_server(house: House) -> Paper:
    """The RADIUS server's certificate; and the profile of those who want in."""
    house.profile("user-wifi", *USER_PROFILE)
    return server_paper(house)


@pytest.fixture(name="alice", scope="module")
def fixture_alice(house: House, server: Paper) -> Paper:
    """Alice, enrolled by SCEP with an RSA key."""
    return house.enroll("user-wifi", "user", "alice", "--principal-name", "alice@ad.example.test", "--sid", SID)


def test_a_certificate_revoked_while_the_server_runs_is_refused_at_once_by_ocsp(
    house: House, server: Paper, alice: Paper
) -> None:
    made = configure(house, server)
    paper = house.enroll("user-wifi", "user", "alice", paper="alice-soon")
    with made.running():
        assert made.enter(paper) == "1.3"
        house.revoke(paper)
        with pytest.raises(errors.EapCertificateRevoked):
            made.enter(paper)


def test_and_by_crl_once_it_was_fetched(house: House, server: Paper, alice: Paper) -> None:
    made = configure(house, server, revocation="crl")
    paper = house.enroll("user-wifi", "user", "alice", paper="alice-later")
    made.fetch_crls()
    with made.running():
        made.enter(paper)
    house.revoke(paper)
    with made.running():
        made.enter(paper)  # the old CRL is still good: this is what `certificate revoke` says
    made.fetch_crls()
    with made.running(), pytest.raises(errors.EapCertificateRevoked):
        made.enter(paper)


def test_without_any_crl_nobody_gets_in(house: House, server: Paper, alice: Paper) -> None:
    made = configure(house, server, revocation="crl")
    with made.running():
        with pytest.raises(errors.EapCrlMissing):
            made.enter(alice)
        made.check_fails(house, alice, errors.EapCrlMissing)


def test_a_responder_that_is_down_lets_nobody_in(house: House, server: Paper, alice: Paper) -> None:
    made = configure(house, server)
    with made.running():
        house.stop()
        try:
            with pytest.raises(errors.EapOcspUnanswered):
                made.enter(alice)
            code, said = made.check(house, alice)
            assert code == 7 and "✗ CRL" in said, said  # it is down for us as well
        finally:
            house.start()
        assert made.enter(alice) == "1.3"


def test_a_server_that_wants_only_new_tls_refuses_an_old_client(house: House, server: Paper, alice: Paper) -> None:
    made = configure(house, server)
    eap = made.directory / "mods-enabled" / "eap"
    eap.write_text(eap.read_text().replace('tls_min_version = "1.2"', 'tls_min_version = "1.3"'))
    with made.running():
        with pytest.raises(errors.EapVersionMismatch):
            made.enter(alice, tls="1.2")
        made.check_fails(house, alice, errors.EapVersionMismatch, "--tls", "1.2")


@pytest.fixture(name="past")
def fixture_past(tmp_path: Path) -> Iterator[Installations]:
    """Installations of another time."""
    made = Installations(tmp_path)
    yield made
    made.close()


def test_an_expired_crl_lets_nobody_in(house: House, server: Paper, past: Installations, tmp_path: Path) -> None:
    old = past.empty()
    old.clock.moved = timedelta(days=-9)  # a CRL is good for seven days, the certificates for more
    found_hierarchy(old, KeyType.RSA_2048)
    key = rsa_key()
    request = parse_request(build_csr(key))
    granted = old.run(old.app.registration.issue_for(old.device(), PROFILE, request, requester="test"))
    certificates = [x509.load_der_x509_certificate(one) for one in (granted.certificate, old.issuer.view.encoded)]
    paper = write_paper(tmp_path, "late", chain=certificates, key=key)
    made = configure(house, server, revocation="crl")
    files = made.directory / "certs"
    issuer = write_paper(tmp_path, "issuer", chain=certificates[1:], key=key)
    (files / "issuers.pem").write_bytes(issuer.certificate.read_bytes())
    openssl("crl", "-inform", "DER", "-out", files / "crls" / "old.crl.pem", given=old.get("/crl/issuing/v1.crl").body)
    openssl("rehash", files / "crls").must_work()
    with made.running(), pytest.raises(errors.EapCrlExpired):
        made.enter(paper)


def test_a_certificate_that_ran_out_is_refused(
    house: House, server: Paper, past: Installations, tmp_path: Path
) -> None:
    old = past.empty()
    old.clock.moved = timedelta(days=-400)
    found_hierarchy(old, KeyType.RSA_2048)
    key = rsa_key()
    request = parse_request(build_csr(key))
    granted = old.run(old.app.registration.issue_for(old.device(), PROFILE, request, requester="test"))
    certificates = [x509.load_der_x509_certificate(one) for one in (granted.certificate, old.issuer.view.encoded)]
    paper = write_paper(tmp_path, "late", chain=certificates, key=key)
    made = configure(house, server)
    issuer = write_paper(tmp_path, "issuer", chain=certificates[1:], key=key)
    (made.directory / "certs" / "issuers.pem").write_bytes(issuer.certificate.read_bytes())
    with made.running(), pytest.raises(errors.EapCertificateExpired):
        made.enter(paper)


@contextmanager
def responder_without_its_certificate(house: House) -> Iterator[str]:
    """Hands on each question to our responder and takes the signer's certificate out of the answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = self.rfile.read(int(self.headers["Content-Length"]))
            url = f"{house.base}/ocsp/doors-issuing/v1"
            answer = ocsp.OCSPResponse.load(fetch(url, body=question, content_type="application/ocsp-request").body)
            basic = answer["response_bytes"]["response"].parsed
            del basic["certs"]
            answer["response_bytes"]["response"] = ocsp.BasicOCSPResponse(
                {name: basic[name] for name in ("tbs_response_data", "signature_algorithm", "signature")}
            )
            body = answer.dump(force=True)
            self.send_response(200)
            self.send_header("Content-Type", "application/ocsp-response")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def use_responder(made: Wifi, url: str) -> None:
    """What an operator does who wants another responder asked."""
    eap = made.directory / "mods-enabled" / "eap"
    eap.write_text(eap.read_text().replace("override_cert_url = no", f'override_cert_url = yes\n      url = "{url}"'))


def test_an_answer_without_its_signer_lets_nobody_in(house: House, server: Paper, alice: Paper) -> None:
    made = configure(house, server)
    with responder_without_its_certificate(house) as url:
        use_responder(made, url)
        with made.running():
            with pytest.raises(errors.EapOcspSignerUnknown):
                made.enter(alice)
            made.check_fails(house, alice, errors.EapOcspSignerUnknown)
