# SPDX-License-Identifier: Apache-2.0
"""What falls due by itself: RA and OCSP certificates, CRLs, also when the service slept through all of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from cryptography.x509 import ocsp

from privyseal.model.certificate import CertificateKind
from privyseal.protocols.scep import client
from privyseal.protocols.scep.messages import PkiStatus
from tests.device import Device, parsed
from tests.e2e.test_status import GOOD, ask, status
from tests.installation import Installation, Installations, new_home
from tests.outside.looking import look_at_ocsp_response


def services(installation: Installation, kind: CertificateKind) -> list[bytes]:
    """Certificates of one kind that are still good, newest first."""
    return [found.certificate for found in installation.app.catalog.services(installation.issuer.id, kind)]


def test_the_ra_rolls_at_two_thirds_and_the_old_one_still_decrypts(installation: Installation) -> None:
    old = installation.ra
    device = Device(installation)
    installation.clock.moved = timedelta(days=365 * 0.65)
    installation.work()
    assert installation.ra.certificate == old.certificate
    installation.clock.moved = timedelta(days=365 * 0.67)
    installation.work()
    new = installation.ra
    assert new.certificate != old.certificate
    assert new.rsa_key.public_key() != old.rsa_key.public_key()
    assert services(installation, CertificateKind.RA) == [new.certificate, old.certificate]
    answer = installation.get(f"{device.path}?operation=GetCACert")
    assert client.parse_ca_certificates(answer.content_type, answer.body)[0] == new.certificate
    late = Device(installation)
    assert late.enroll(late.request(to=[old]))  # fetched GetCACert before the rollover
    assert late.enroll(late.request(to=[new]))
    assert "ra.rolled" in installation.events()


def test_a_reply_to_a_request_for_the_old_ra_is_signed_so_that_its_client_believes_it(
    installation: Installation,
) -> None:
    """A client that knows the old RA only trusts its signature, not one of a certificate it has never seen."""
    old, device = installation.ra, Device(installation)
    installation.clock.moved = timedelta(days=365 * 0.67)
    installation.work()
    sent = device.request(to=[old])
    wrong = device.message(device.csr(challenge="unknown"), to=[old])
    for message, wanted in ((sent, PkiStatus.SUCCESS), (wrong, PkiStatus.FAILURE)):
        answer = device.post(message.message)
        reply = client.parse_reply(
            answer.body, transaction_id=message.transaction_id, sender_nonce=message.nonce,
            trusted_ra=[old.certificate], private_key=message.key,
        )  # fmt: skip
        assert reply.status is wanted


def test_the_ra_is_not_renewed_twice(installation: Installation) -> None:
    installation.clock.moved = timedelta(days=250)
    installation.work()
    count = installation.count("services")
    installation.work()
    assert installation.count("services") == count


def test_the_ocsp_responder_rolls_and_the_new_one_answers(installation: Installation) -> None:
    leaf = Device(installation).enroll()
    (old,) = services(installation, CertificateKind.OCSP)
    assert status(installation, leaf) is GOOD
    installation.clock.moved = timedelta(days=21)
    installation.work()
    newest, *_ = services(installation, CertificateKind.OCSP)
    assert newest != old
    body = ask(installation, leaf)
    (responder,) = ocsp.load_der_ocsp_response(body).certificates
    assert responder == parsed(newest)
    seen = look_at_ocsp_response(body, chain=installation.chain, certificate=leaf, at=installation.clock.now())
    assert "good" in seen


def test_it_starts_with_every_certificate_of_its_own_services_expired(
    installations: Installations, tmp_path: Path
) -> None:
    home = new_home(tmp_path)
    first = installations.open(home)
    leaf = Device(first).enroll()
    installations.end(first)
    again = installations.open(home)
    again.clock.moved = timedelta(days=500)
    assert services(again, CertificateKind.RA) == []
    assert services(again, CertificateKind.OCSP) == []
    assert again.get("/scep/wifi-device?operation=GetCACert").status >= 400
    assert again.crl().next_update_utc < again.clock.now()  # type: ignore[operator] # it has one
    again.work()
    assert len(services(again, CertificateKind.RA)) == 1
    assert again.crl().next_update_utc > again.clock.now()  # type: ignore[operator] # it has one
    assert again.crl("root").next_update_utc > again.clock.now()  # type: ignore[operator] # it has one
    assert status(again, leaf) is GOOD
    Device(again).enroll()


def test_service_certificates_follow_their_ca_to_its_end(installation: Installation) -> None:
    installation.clock.moved = timedelta(days=1700)  # the issuing CA ends at 1800
    installation.work()
    end = parsed(installation.chain[0]).not_valid_after_utc
    assert parsed(installation.ra.certificate).not_valid_after_utc == end
    count = installation.count("services")
    installation.clock.moved = timedelta(days=1790)
    installation.work()
    assert installation.count("services") <= count + 2  # the OCSP responders of the two CAs
    installation.clock.moved = timedelta(days=1801)
    before = installation.count("certificates")
    installation.work()  # an expired CA signs nothing, and keeps nobody else from working
    assert installation.rows("SELECT count(*) FROM certificates WHERE issuer_id = 2 AND id > ?", before) == [(0,)]


def test_a_ca_that_fails_does_not_keep_the_others_waiting(
    installations: Installations, installation: Installation
) -> None:
    installation.found("second")
    installation.clock.moved = timedelta(days=4)
    root_key = installation.app.catalog.issuer("root").record.key_ref
    (installation.home / "keys" / f"{root_key}.pem").unlink()
    installations.end(installation)
    again = installations.open(installation.home)
    again.clock.moved = timedelta(days=4)
    before = {name: again.crl(name) for name in ("root", "issuing", "second")}
    again.work()
    assert again.crl("root") == before["root"]
    assert again.crl("issuing") != before["issuing"]
    assert again.crl("second") != before["second"]
