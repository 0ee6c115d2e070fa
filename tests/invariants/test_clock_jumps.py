# SPDX-License-Identifier: Apache-2.0
"""A clock that jumps while the service runs, back a day or ahead thirteen months: what must hold, and what heals."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from privyseal.administration.desk import Pending
from privyseal.errors import ApprovalOver, TokenExpired
from privyseal.model.access import Actor, Grant, Role
from privyseal.model.authority import CrlRules, DeltaRules
from privyseal.model.certificate import CertificateKind
from privyseal.model.crl import CrlScope
from privyseal.serve.turns import LEASE, LIFETIME
from privyseal.store.ahead import PUT_OFF
from privyseal.store.leases import LeaseBook
from privyseal.store.schema import metadata
from tests.api import ROOT, ApiHouse
from tests.device import Device
from tests.installation import ISSUING_CA, Installation

AGE = timedelta(days=4)
AHEAD, BACK, RIGHT = timedelta(days=396), timedelta(days=-1), timedelta(0)
ANNA = Actor("token:anna", (Grant(Role.OWNER),), "anna")


@pytest.fixture(name="aged")
def fixture_aged(installation: Installation) -> Installation:
    """An installation that has run for four days, so that yesterday its CAs were valid already."""
    jump(installation, RIGHT)
    return installation


def jump(installation: Installation, by: timedelta) -> None:
    """The clock is off by so much from now on, and the worker has had its turn."""
    installation.clock.moved = AGE + by
    installation.work()


def number_of(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def ocsp_of(installation: Installation, leaf: bytes) -> ocsp.OCSPResponse:
    issuer = x509.load_der_x509_certificate(installation.issuer.view.encoded)
    question = (
        ocsp.OCSPRequestBuilder().add_certificate(x509.load_der_x509_certificate(leaf), issuer, hashes.SHA256()).build()
    )
    answer = installation.post("/ocsp/issuing/v1", question.public_bytes(Encoding.DER))
    return ocsp.load_der_ocsp_response(answer.body)


def test_no_serial_and_no_crl_number_repeats_whatever_the_clock_does(aged: Installation) -> None:
    serials: list[int] = []
    numbers = [number_of(aged.crl())]
    for by in (RIGHT, BACK, AHEAD, RIGHT, AHEAD, BACK, RIGHT):
        jump(aged, by)
        device = Device(aged)
        leaf = device.enroll()
        serials.append(x509.load_der_x509_certificate(leaf).serial_number)
        aged.revoke(leaf)
        numbers.append(number_of(aged.crl()))
    assert len(set(serials)) == len(serials)
    assert numbers == sorted(set(numbers))
    reserved = aged.rows("SELECT issuer_id, number FROM crls ORDER BY issuer_id, number")
    assert len(set(reserved)) == len(reserved)
    aged.app.audit.verify()


@pytest.mark.parametrize("wrong", [AHEAD, BACK], ids=["ahead", "back"])
def test_when_the_clock_is_right_again_everything_that_is_given_out_is_valid_now(
    aged: Installation, wrong: timedelta
) -> None:
    leaf = Device(aged).enroll()
    jump(aged, wrong)
    ocsp_of(aged, leaf)
    jump(aged, RIGHT)
    now = aged.clock.now()
    for name in ("root", ISSUING_CA):
        crl = aged.crl(name)
        assert crl.last_update_utc <= now < (crl.next_update_utc or now), name
    answer = ocsp_of(aged, leaf)
    assert answer.certificate_status is ocsp.OCSPCertStatus.GOOD
    assert answer.this_update_utc <= now < (answer.next_update_utc or now)
    responder = answer.certificates[0]
    assert responder.not_valid_before_utc <= now < responder.not_valid_after_utc
    for kind in (CertificateKind.RA, CertificateKind.OCSP):
        assert aged.app.catalog.services(aged.issuer.id, kind)[0].not_before <= now
    fresh = x509.load_der_x509_certificate(Device(aged).enroll())
    assert fresh.not_valid_before_utc <= now < fresh.not_valid_after_utc


def test_an_ocsp_answer_from_a_time_that_is_yet_to_come_is_not_given_out(aged: Installation) -> None:
    leaf = Device(aged).enroll()
    aged.clock.moved += timedelta(days=2)  # nothing else happens in between
    assert ocsp_of(aged, leaf).this_update_utc > aged.clock.now() - timedelta(minutes=30)
    aged.clock.moved = AGE
    assert ocsp_of(aged, leaf).this_update_utc <= aged.clock.now()


def test_a_crl_with_an_earlier_date_than_the_one_before_says_so_in_the_audit_trail(aged: Installation) -> None:
    before = aged.crl()
    jump(aged, BACK)
    assert aged.crl().last_update_utc < before.last_update_utc
    assert number_of(aged.crl()) > number_of(before)
    told = aged.rows("SELECT detail FROM audit WHERE event = 'crl.published' ORDER BY seq DESC LIMIT 2")
    assert all(before.last_update_utc.isoformat()[:10] in detail and "earlier_than" in detail for (detail,) in told)
    aged.clock.moved = AGE
    aged.revoke(Device(aged).enroll())
    (last,) = aged.rows("SELECT detail FROM audit WHERE event = 'crl.published' ORDER BY seq DESC LIMIT 1")
    assert "earlier_than" not in last[0]


def test_a_delta_crl_from_a_time_that_is_yet_to_come_is_replaced(aged: Installation) -> None:
    scope = CrlScope(delta=True)
    aged.found("deltas", crl=CrlRules(delta=DeltaRules(validity=timedelta(hours=12), publish_every=timedelta(hours=6))))
    ca = aged.app.catalog.issuer("deltas")
    jump(aged, AHEAD)
    jump(aged, RIGHT)
    facts = aged.app.crls.in_force(ca.id, scope)
    assert facts is not None and facts.this_update <= aged.clock.now() < facts.next_update


def test_a_challenge_made_under_a_clock_that_ran_ahead_is_worth_nothing_when_it_is_right(aged: Installation) -> None:
    device = Device(aged)
    jump(aged, AHEAD)
    early = device.challenge()
    jump(aged, RIGHT)
    assert device.refused(device.message(device.csr(challenge=early))) == 8005
    assert "ran ahead" in device.refusal()[1]
    good = device.challenge()
    aged.clock.moved = AGE + AHEAD
    assert device.refused(device.message(device.csr(challenge=good))) == 8005
    aged.clock.moved = AGE
    device.enroll(device.message(device.csr(challenge=good)))


def test_a_day_back_costs_no_challenge_no_token_and_no_approval(aged: Installation) -> None:
    api, device = ApiHouse(aged), Device(aged)
    challenge, token, approval = device.challenge(), api.token("vera", Role.VIEWER), waiting(api)
    jump(aged, BACK)
    device.enroll(device.message(device.csr(challenge=challenge)))
    assert api.call("GET", "/whoami", token=token).status == 200
    assert aged.run(api.books.desk.approve(ANNA, approval)).state.value == "done"


def test_tokens_end_by_the_clock_and_none_outlives_a_clock_that_ran_ahead(aged: Installation) -> None:
    api = ApiHouse(aged)
    old = api.token("vera", Role.VIEWER)
    jump(aged, AHEAD)
    assert api.call("GET", "/whoami", token=old).code == TokenExpired.code
    early = api.token("vera", Role.VIEWER)
    assert api.call("GET", "/whoami", token=early).status == 200
    jump(aged, RIGHT)
    assert api.call("GET", "/whoami", token=early).code == TokenExpired.code
    assert api.call("GET", "/whoami", token=old).status == 200


def test_approvals_end_by_the_clock_and_none_outlives_a_clock_that_ran_ahead(aged: Installation) -> None:
    api = ApiHouse(aged)
    jump(aged, AHEAD)
    early = waiting(api)
    aged.clock.moved = AGE  # before the worker has its turn
    with pytest.raises(ApprovalOver):
        aged.run(api.books.desk.approve(ANNA, early))
    jump(aged, RIGHT)
    assert aged.rows("SELECT state FROM approvals WHERE id = ?", early) == [("expired",)]


def test_nothing_that_was_put_off_under_a_clock_that_ran_ahead_waits_for_months(aged: Installation) -> None:
    Device(aged).enroll()
    (certificate,) = aged.rows("SELECT max(id) FROM certificates")[0]
    jump(aged, AHEAD)
    late = int(aged.clock.now().timestamp()) + 3600
    aged.change(
        "INSERT INTO deliveries (certificate_id, directory, object_sid, state, ends_at, due_at, attempts, ours, "
        "controller, dn, code, what) VALUES (?, 'ad', 'S-1-5-21-1-2-3-1000', 'to-add', ?, ?, 1, 0, '', '', 7001, 'x')",
        certificate,
        late,
        late,
    )
    aged.change(
        "INSERT INTO webhook_deliveries (webhook_id, seq, state, due_at, attempts, status, what, changed_at) "
        "VALUES (1, 1, 'waiting', ?, 1, 0, '', ?)",
        late,
        late,
    )
    aged.work()
    assert aged.rows("SELECT due_at FROM deliveries") == [(late,)], "under its own clock it is in order"
    jump(aged, RIGHT)
    now = int(aged.clock.now().timestamp())
    for table in ("deliveries", "webhook_deliveries"):
        ((due_at,),) = aged.rows(f"SELECT due_at FROM {table}")
        assert due_at <= now, table


def test_whatever_can_be_put_off_is_known_to_what_mends_it() -> None:
    waiting = {name for name, table in metadata.tables.items() if "due_at" in table.columns}
    assert waiting <= {table for table, *_ in PUT_OFF}


def test_a_notice_given_under_a_clock_that_ran_ahead_is_given_again(aged: Installation) -> None:
    jump(aged, AHEAD)
    late = int(aged.clock.now().timestamp())
    aged.change("INSERT INTO notices VALUES ('ca:issuing:1', 99, ?, ?)", late, late)
    jump(aged, RIGHT)
    assert aged.rows("SELECT 1 FROM notices WHERE at > ?", late - 3600) == []


def test_a_lease_taken_under_a_clock_that_ran_ahead_does_not_outlive_it(aged: Installation) -> None:
    others = LeaseBook(aged.app.database, aged.app.committer, "another-process")

    def take(book: LeaseBook) -> int | None:
        return aged.run(book.take(LEASE, lifetime=LIFETIME, holder_gone=lambda _: False))

    jump(aged, AHEAD)
    assert take(others) is not None
    assert take(aged.app.leases) is None
    jump(aged, RIGHT)
    first = take(aged.app.leases)
    assert first is not None
    jump(aged, BACK)
    second = take(others)
    assert second is not None and second > first


def waiting(api: ApiHouse) -> int:
    """An approval that waits; its number."""
    api.act("four-eyes.set", mode="on", reason="test")
    asked = api.installation.run(
        api.books.desk.submit(ROOT, "role.grant", parameters={"person": "emil", "role": "viewer", "labels": []})
    )
    assert isinstance(asked, Pending), asked
    return asked.approval.id
