# SPDX-License-Identifier: Apache-2.0
"""The life of a CA over the acts: pause, resume, renew, activate, roll back, revoke, delete; devices all along."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509 import ocsp

from privyseal.administration.desk import Done, Previewed
from privyseal.administration.sign_in import local_actor
from privyseal.bootstrap.administration import Administration
from privyseal.errors import (
    ActBlocked,
    AuthorityInUse,
    AuthorityStateUnfit,
    IssuerPaused,
    NameTaken,
    NotFound,
    PrivysealError,
    RollbackTooLate,
    RootNotRevocable,
    StagedLimitReached,
)
from privyseal.model.authority import CaState
from privyseal.model.certificate import CertificateKind
from privyseal.model.enrollment import Claim
from privyseal.model.preview import Preview
from privyseal.model.revocation import CrlReason
from privyseal.protocols.scep import client
from privyseal.protocols.scep.messages import PkiStatus, Reply
from privyseal.store.authority_guard import guard_issuer
from privyseal.store.unit import Transaction
from privyseal.x509.bundle import read_bundle
from privyseal.x509.certificate import read_certificate
from tests.device import GET_CRL, Device, Sent
from tests.e2e.test_status import GOOD, question
from tests.installation import ISSUING_CA, ROOT_CA, Installation, Installations
from tests.outside.looking import verify_with_openssl
from tests.scep_messages import Holder

ALL_GATES = ["chain", "cross", "crl", "ocsp", "aia", "directory", "test"]


def act(service: Installation, name: str, /, **parameters: Any) -> Mapping[str, Any]:
    """Does an act as the local owner."""
    desk = Administration(service.app).desk
    answer = service.run(desk.submit(local_actor("cli:tester"), name, parameters=parameters))
    assert isinstance(answer, Done)
    return answer.result


def preview(service: Installation, name: str, /, **parameters: Any) -> Preview:
    """What an act would do."""
    desk = Administration(service.app).desk
    answer = service.run(desk.submit(local_actor("cli:tester"), name, parameters=parameters, dry_run=True))
    assert isinstance(answer, Previewed)
    return answer.preview


def state(service: Installation, name: str = ISSUING_CA, version: int = 1) -> CaState:
    """As stored."""
    return service.app.authorities.get(name, version).state


def told(service: Installation, leaf: bytes, version: int = 1) -> ocsp.OCSPCertStatus:
    """What OCSP says of a leaf of this version of the issuing CA."""
    issuer = service.app.authorities.get(ISSUING_CA, version).certificate
    answer = service.post(f"/ocsp/{ISSUING_CA}/v{version}", question(leaf, issuer))
    return ocsp.load_der_ocsp_response(answer.body).certificate_status


def sent_to(device: Device, path: str, sent: Sent, ra: Holder) -> Reply:
    """The reply, signed by this RA, to a message that is posted to a path."""
    answer = device.service.post(f"{path}?operation=PKIOperation", sent.message)
    return client.parse_reply(
        answer.body,
        transaction_id=sent.transaction_id,
        sender_nonce=sent.nonce,
        trusted_ra=[ra.certificate],
        private_key=sent.key,
    )


def renewed(service: Installation, name: str = ISSUING_CA, **parameters: Any) -> None:
    """Version 2, staged and activated; what nobody can look at from outside here is accepted."""
    act(service, "ca.renew", name=name, **parameters)
    act(service, "ca.activate", name=name, accept=ALL_GATES)


def test_a_paused_ca_issues_nothing_and_keeps_crl_and_ocsp_alive(installation: Installation) -> None:
    device = Device(installation)
    leaf, sent = device.enroll(), device.request()
    assert preview(installation, "ca.pause", name=ISSUING_CA).effects[0].startswith("1 profile(s) issue nothing")
    assert act(installation, "ca.pause", name=ISSUING_CA)["state"] == "paused"
    before = installation.count("certificates")
    reply = device.send(sent)
    assert reply.status is PkiStatus.FAILURE
    assert installation.rows("SELECT code FROM enrollments ORDER BY id DESC LIMIT 1") == [(IssuerPaused.code,)]
    assert installation.count("certificates") == before
    assert told(installation, leaf) is GOOD
    old = installation.crl()
    installation.clock.moved = timedelta(days=4)
    installation.work()
    assert installation.crl() != old
    assert installation.get(f"{device.path}?operation=GetCACert").status == 200
    act(installation, "ca.resume", name=ISSUING_CA)
    assert device.enroll(device.request())
    assert [event for event in installation.events() if event in ("ca.paused", "ca.resumed")] == [
        "ca.paused", "ca.resumed",
    ]  # fmt: skip


def test_the_challenge_of_a_refused_request_is_good_after_the_pause(installation: Installation) -> None:
    device = Device(installation)
    sent = device.request()
    act(installation, "ca.pause", name=ISSUING_CA)
    assert device.send(sent).status is PkiStatus.FAILURE
    act(installation, "ca.resume", name=ISSUING_CA)
    assert device.send(sent).status is PkiStatus.SUCCESS


def test_events_that_do_not_fit_the_state_are_refused(installation: Installation) -> None:
    with pytest.raises(AuthorityStateUnfit, match="it must be paused"):
        act(installation, "ca.resume", name=ISSUING_CA)
    with pytest.raises(AuthorityStateUnfit, match="it must be staged"):
        act(installation, "ca.activate", name=ISSUING_CA, version="1")
    with pytest.raises(NotFound):
        act(installation, "ca.rollback", name=ISSUING_CA)
    act(installation, "ca.pause", name=ISSUING_CA)
    with pytest.raises(AuthorityStateUnfit):
        act(installation, "ca.pause", name=ISSUING_CA)


def test_a_device_lives_through_a_rollover_and_back(installation: Installation) -> None:
    """The URL stays; an old RA still opens requests; a certificate of version 1 renews under version 2."""
    device, old_ra = Device(installation), installation.ra
    first = device.enroll()
    act(installation, "ca.renew", name=ISSUING_CA)
    assert state(installation, version=2) is CaState.STAGED
    answer = installation.get(f"{device.path}?operation=GetNextCACert")
    assert answer.status == 200
    with pytest.raises(ActBlocked, match="gate crl"):
        act(installation, "ca.activate", name=ISSUING_CA)
    act(installation, "ca.activate", name=ISSUING_CA, accept=ALL_GATES)
    assert (state(installation), state(installation, version=2)) == (CaState.SUPERSEDED, CaState.ACTIVE)
    v2 = installation.app.authorities.get(ISSUING_CA).certificate
    answer = installation.get(f"{device.path}?operation=GetCACert")
    assert v2 in client.parse_ca_certificates(answer.content_type, answer.body)
    late = Device(installation)
    assert sent_to(late, late.path, late.request(to=[old_ra]), old_ra).status is PkiStatus.SUCCESS
    second = device.enroll(device.renewal())
    aki = read_certificate(second).authority_key_identifier
    assert aki == read_certificate(v2).subject_key_identifier
    root = installation.app.authorities.get(ROOT_CA).certificate
    verify_with_openssl([second], [v2, root])
    for leaf, version in ((first, 1), (second, 2)):  # GetCRL names the CA by its subject, which both versions have
        serial = read_certificate(leaf).serial
        reply = device.send(device.get_cert(serial, issuer=read_certificate(v2).subject, kind=GET_CRL))
        assert reply.crls == (installation.get(f"/crl/{ISSUING_CA}/v{version}.crl").body,)
    assert told(installation, first) is GOOD
    act(installation, "ca.rollback", name=ISSUING_CA)
    assert (state(installation), state(installation, version=2)) == (CaState.ACTIVE, CaState.SUPERSEDED)
    assert Device(installation).enroll()
    installation.clock.moved = timedelta(days=4)
    installation.work()
    for version in (1, 2):
        crl = x509.load_der_x509_crl(installation.get(f"/crl/{ISSUING_CA}/v{version}.crl").body)
        assert crl.next_update_utc is not None
        assert crl.next_update_utc > installation.clock.now()


def test_a_staged_version_issues_a_few_test_certificates_at_its_own_url(installation: Installation) -> None:
    act(installation, "ca.renew", name=ISSUING_CA)
    v2 = installation.app.catalog.issuer(ISSUING_CA, 2)
    url = "/scep/wifi-device/v2"
    answer = installation.get(f"{url}?operation=GetCACert")
    assert v2.view.encoded in client.parse_ca_certificates(answer.content_type, answer.body)
    tester = Device(installation)
    (ra,) = installation.ras_of(v2)
    reply = sent_to(tester, url, tester.request(to=[ra]), ra)
    assert reply.status is PkiStatus.SUCCESS
    leaf = read_certificate(reply.certificates[0])
    assert leaf.authority_key_identifier == v2.key_identifier
    assert leaf.not_after <= installation.clock.now() + timedelta(days=90)
    assert installation.app.authority_life.tests_issued(v2.record) == 1
    installation.run(installation.app.committer.run(lambda unit: unit.execute("UPDATE authorities SET tests = 50")))
    assert sent_to(tester, url, tester.request(to=[ra]), ra).status is PkiStatus.FAILURE
    assert tester.refusal()[0] == StagedLimitReached.code
    # The profile's own URL is as before, and a version that is not staged has none for tests.
    assert read_certificate(tester.enroll()).authority_key_identifier == installation.issuer.key_identifier
    assert installation.get("/scep/wifi-device/v1?operation=GetCACert").status == 404
    act(installation, "ca.activate", name=ISSUING_CA, accept=ALL_GATES)
    assert installation.get(f"{url}?operation=GetCACert").status == 404
    assert told(installation, leaf.encoded, 2) is GOOD


def test_a_staged_version_is_retired_after_ninety_days(installation: Installation) -> None:
    act(installation, "ca.renew", name=ISSUING_CA)
    with pytest.raises(NameTaken):
        act(installation, "ca.renew", name=ISSUING_CA)
    installation.clock.moved = timedelta(days=89)
    installation.work()
    assert state(installation, version=2) is CaState.STAGED
    installation.clock.moved = timedelta(days=91)
    installation.work()
    assert state(installation, version=2) is CaState.RETIRED
    installation.app.catalog.refresh()
    act(installation, "ca.renew", name=ISSUING_CA)
    assert state(installation, version=3) is CaState.STAGED


def test_a_superseded_version_keeps_its_crl_until_its_last_certificate_ends(installation: Installation) -> None:
    installation.profile("wifi-device", validity="60d")
    leaf = Device(installation).enroll()
    renewed(installation)
    installation.clock.moved = timedelta(days=40)
    installation.work()
    assert state(installation) is CaState.SUPERSEDED
    assert told(installation, leaf) is GOOD
    crl = installation.crl()
    assert crl.next_update_utc is not None
    assert crl.next_update_utc > installation.clock.now()
    with pytest.raises(ActBlocked, match="30 days"):
        act(installation, "ca.rollback", name=ISSUING_CA)
    installation.clock.moved = timedelta(days=61)
    installation.work()
    assert state(installation) is CaState.RETIRED
    newest = installation.crl()
    installation.clock.moved = timedelta(days=70)
    installation.work()
    assert installation.crl() == newest
    # The clock had run ahead: what is alive after all gets its CRL again.
    installation.clock.moved = timedelta(days=41)
    installation.work()
    assert state(installation) is CaState.SUPERSEDED


def test_the_store_refuses_a_late_rollback_by_itself(installation: Installation) -> None:
    renewed(installation)
    installation.clock.moved = timedelta(days=31)
    old = installation.app.authorities.get(ISSUING_CA, 1)
    with pytest.raises(RollbackTooLate):
        installation.run(installation.app.authority_life.roll_back(old, actor="test"))
    assert state(installation, version=2) is CaState.ACTIVE


def test_roots_of_two_versions_certify_each_other(installation: Installation) -> None:
    leaf = Device(installation).enroll()
    v1_issuing = installation.issuer.view.encoded
    renewed(installation, ROOT_CA)
    old, new = (installation.app.authorities.get(ROOT_CA, version).certificate for version in (1, 2))
    renewed(installation)  # the issuing CA, under the new root
    v2_issuing = installation.issuer.view.encoded
    second = Device(installation).enroll()
    crosses = {read_certificate(one.certificate).authority_key_identifier: one.certificate
               for one in installation.app.authority_names.crosses()}  # fmt: skip
    old_certifies_new = crosses[read_certificate(old).subject_key_identifier]
    new_certifies_old = crosses[read_certificate(new).subject_key_identifier]
    verify_with_openssl([leaf], [v1_issuing, old])
    verify_with_openssl([second], [v2_issuing, new])
    verify_with_openssl([second], [v2_issuing, old_certifies_new, old])  # who has the old root only
    verify_with_openssl([leaf], [v1_issuing, new_certifies_old, new])  # who has the new root only
    answer = installation.get("/scep/wifi-device?operation=GetCACert")
    handed_out = client.parse_ca_certificates(answer.content_type, answer.body)
    assert old_certifies_new in handed_out
    bundle = installation.get(f"/aia/{ROOT_CA}/v2.p7c")
    assert (bundle.status, bundle.content_type) == (200, "application/pkcs7-mime")
    assert {new, old_certifies_new} <= {view.encoded for view in read_bundle(bundle.body)}
    assert f"/aia/{ROOT_CA}/v2.p7c".encode() in v2_issuing


def test_a_renewal_with_the_same_key_shares_serials_and_crls(installation: Installation) -> None:
    first = Device(installation).enroll()
    renewed(installation, same_key=True)
    v2 = installation.app.authorities.get(ISSUING_CA, 2)
    second = Device(installation).enroll()
    root = installation.app.authorities.get(ROOT_CA).certificate
    for issuer in (v2.certificate, installation.app.authorities.get(ISSUING_CA, 1).certificate):
        verify_with_openssl([first, second], [issuer, root])
    installation.revoke(first)
    for version in (1, 2):
        crl = x509.load_der_x509_crl(installation.get(f"/crl/{ISSUING_CA}/v{version}.crl").body)
        assert crl.get_revoked_certificate_by_serial_number(read_certificate(first).serial) is not None
    assert told(installation, second, 2) is GOOD


def test_a_ca_is_revoked_only_when_nothing_alive_depends_on_it_or_that_is_accepted(
    installation: Installation,
) -> None:
    Device(installation).enroll()
    seen = preview(installation, "ca.revoke", name=ISSUING_CA)
    assert (seen.counts["live_leaves"], len(seen.blockers)) == (1, 1)
    with pytest.raises(ActBlocked, match="1 live certificate"):
        act(installation, "ca.revoke", name=ISSUING_CA)
    with pytest.raises(RootNotRevocable):
        act(installation, "ca.revoke", name=ROOT_CA)
    serial = installation.issuer.view.serial
    assert act(installation, "ca.revoke", name=ISSUING_CA, override=True)["state"] == "revoked"
    assert installation.crl(ROOT_CA).get_revoked_certificate_by_serial_number(serial) is not None
    installation.clock.moved = timedelta(days=4)
    installation.work()
    crl = installation.crl()
    assert crl.next_update_utc is not None
    assert crl.next_update_utc > installation.clock.now()


def test_deletion_keeps_its_order_and_the_records_and_destroys_the_key(installation: Installation) -> None:
    leaf = Device(installation).enroll()
    with pytest.raises(ActBlocked, match="it can be deleted when it is one of"):
        act(installation, "ca.delete", name=ISSUING_CA)
    act(installation, "ca.revoke", name=ISSUING_CA, override=True)
    with pytest.raises(ActBlocked, match="have not ended"):
        act(installation, "ca.delete", name=ISSUING_CA)
    record = installation.app.authorities.get(ISSUING_CA)
    with pytest.raises(AuthorityInUse):
        installation.run(installation.app.authority_life.delete(record, now=installation.clock.now(), actor="test"))
    revoked = installation.app.catalog.issuer(ISSUING_CA, 1)
    installation.run(
        installation.app.status.revoke(
            revoked, read_certificate(leaf).serial, signer=installation.app.catalog.signer(revoked.id),
            reason=CrlReason.SUPERSEDED, invalid_since=None, actor="test",
        )
    )  # fmt: skip
    key = installation.home / "keys" / f"{record.key_ref}.pem"
    assert key.exists()
    with pytest.raises(ActBlocked, match="the root goes last"):
        act(installation, "ca.delete", name=ROOT_CA)
    certificates, crls = installation.count("certificates"), installation.count("crls")
    assert preview(installation, "ca.delete", name=ISSUING_CA).irreversible == ("its key is destroyed",)
    act(installation, "ca.delete", name=ISSUING_CA)
    assert not key.exists()
    assert (installation.count("certificates"), installation.count("crls")) == (certificates, crls)
    with pytest.raises(NotFound):
        installation.app.authorities.get(ISSUING_CA)
    assert installation.get(f"/crl/{ISSUING_CA}/v1.crl").status == 404
    # A name may be used again; its URLs are not.
    assert act(installation, "ca.create", name=ISSUING_CA, parent=ROOT_CA, key="ec:p256")["version"] == 2
    events = installation.events()
    assert events.count("key.destroyed") == 3  # its own, that of its RA and that of its OCSP responder
    assert "ca.deleted" in events


def test_a_crash_between_deletion_and_the_end_of_the_key_leaves_no_key(
    installation: Installation, installations: Installations
) -> None:
    act(installation, "ca.revoke", name=ISSUING_CA)
    record = installation.app.authorities.get(ISSUING_CA)
    installation.run(installation.app.authority_life.delete(record, now=installation.clock.now(), actor="test"))
    installations.end(installation)
    again = installations.open(installation.home)
    assert (again.home / "keys" / f"{record.key_ref}.pem").exists()
    again.work()
    assert not (again.home / "keys" / f"{record.key_ref}.pem").exists()


def test_a_ca_renews_and_activates_itself_when_its_policy_says_so(installation: Installation) -> None:
    act(installation, "ca.set", name=ISSUING_CA, renew="auto", at="66%", labels=["berlin"], description="Wi-Fi")
    said = installation.app.authority_names.get(ISSUING_CA)
    assert (said.labels, said.description, said.renewal.at_percent) == ({"berlin"}, "Wi-Fi", 66)
    installation.clock.moved = timedelta(days=1100)
    installation.work()
    assert [record.version for record in installation.app.authorities.all() if record.name == ISSUING_CA] == [1]
    installation.clock.moved = timedelta(days=1200)
    installation.work()
    assert state(installation, version=2) is CaState.STAGED
    installation.work()  # the gates ask over HTTP, and nothing answers at this URL
    assert (state(installation), state(installation, version=2)) == (CaState.ACTIVE, CaState.STAGED)


def test_a_policy_that_does_not_fit_is_refused(installation: Installation) -> None:
    for wrong in ({"at": "10%"}, {"renew": "never"}, {"labels": ["UPPER"]}, {"at": "soon"}):
        with pytest.raises(PrivysealError):
            act(installation, "ca.set", name=ISSUING_CA, **wrong)
    with pytest.raises(NotFound):
        act(installation, "ca.set", name="nobody", renew="auto")


def test_a_ca_that_another_process_paused_a_moment_ago_reserves_nothing(installation: Installation) -> None:
    """This process still believes that it is active; the transaction that would store the intent does not."""
    form = installation.app.catalog.form("wifi-device")
    act(installation, "ca.pause", name=ISSUING_CA)
    before = installation.count("certificates")
    for kind, allowed in ((CertificateKind.END_ENTITY, False), (CertificateKind.CA, False), (CertificateKind.RA, True)):
        claim = Claim(kind=kind, protocol="scep", requester="test", issuer_version=1)

        def reserve(transaction: Transaction, claim: Claim = claim) -> None:
            guard_issuer(transaction, form.issuer.id, claim)

        if allowed:
            installation.run(installation.app.committer.run(reserve))
        else:
            with pytest.raises(IssuerPaused, match="a moment ago"):
                installation.run(installation.app.committer.run(reserve))
    assert installation.count("certificates") == before
