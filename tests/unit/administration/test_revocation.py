# SPDX-License-Identifier: Apache-2.0
"""Revoking one and many: what was shown is what happens, an interruption loses nothing, and who is out stays out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from privyseal.administration.act import Act
from privyseal.administration.desk import Done, Pending
from privyseal.administration.revocation import ReleaseCertificate, RevokeCertificate, RevokeMany, UnblockEntity
from privyseal.bootstrap.administration import Administration
from privyseal.errors import (
    AlreadyRevoked,
    EnrollmentBlocked,
    InvalidValue,
    NotIssued,
    NotOnHold,
    SearchInvalid,
    SelectionChanged,
    StoreUnavailable,
    TooManySelected,
)
from privyseal.model.access import Actor, Grant, Role
from privyseal.model.approval import FourEyes
from privyseal.model.certificate import format_serial
from privyseal.model.entity import EndEntity
from privyseal.model.preview import Preview
from privyseal.model.search.grammar import parse_search
from privyseal.store.bulk import BulkBook
from privyseal.x509.csr import parse_request
from tests.device import Device
from tests.installation import PROFILE, Installation, fixture_installation, fixture_installations
from tests.stores import fixture_store_engine, on_both_engines

__all__ = ["fixture_installation", "fixture_installations", "fixture_store_engine"]
pytest_generate_tests = on_both_engines


def issued(installation: Installation, *names: str) -> list[EndEntity]:
    """Devices of these names, each with a certificate."""
    devices = [installation.device(name) for name in names]
    for device in devices:
        issue(installation, device)
    return devices


def issue(installation: Installation, entity: EndEntity, profile: str = PROFILE) -> None:
    entity = installation.app.entities.named(entity.kind, entity.name)
    request = parse_request(Device(installation).csr(challenge=None))
    installation.run(installation.app.registration.issue_for(entity, profile, request, requester="test"))


def many(installation: Installation) -> RevokeMany:
    app = installation.app
    return RevokeMany(app.inventory, app.bulk, app.clock)


def single(installation: Installation) -> RevokeCertificate:
    app = installation.app
    return RevokeCertificate(app.inventory, app.bulk, app.clock)


def preview(installation: Installation, act: Act, **parameters: Any) -> Preview:
    return installation.run(act.preview(parameters))


def perform(installation: Installation, act: Act, **parameters: Any) -> Mapping[str, Any]:
    return installation.run(act.perform(parameters, actor="test"))


def count(installation: Installation, text: str) -> int:
    search = parse_search(text, now=installation.clock.now())
    return installation.run(installation.app.inventory.count(search))


def serial_of(installation: Installation, name: str) -> str:
    search = parse_search(f"device:{name}", now=installation.clock.now())
    return format_serial(installation.app.inventory.page(search, limit=1).records[0].serial)


def test_a_preview_names_counts_and_pins(installation: Installation) -> None:
    issued(installation, "kiosk-1", "kiosk-2", "laptop-1")
    found = preview(installation, many(installation), where="kiosk", reason="key-compromise")
    assert found.counts == {"selected": 2, "issuing v1": 2}
    assert found.effects[0] == "kiosk-2, kiosk-1"
    assert any("2 device(s) or user(s) are kept from" in effect for effect in found.effects)
    assert set(found.pinned) == {"at", "upper_id", "digest"}
    assert (found.blockers, found.over_limit) == ((), False)
    assert count(installation, "status:revoked") == 0


def test_what_was_shown_is_revoked_and_nothing_that_came_after(installation: Installation) -> None:
    issued(installation, "kiosk-1", "kiosk-2")
    act, asked = many(installation), {"where": "kiosk", "reason": "superseded"}
    pinned = preview(installation, act, **asked).pinned
    issued(installation, "kiosk-3")
    result = perform(installation, act, **asked, **pinned)
    assert (result["revoked"], result["skipped"]) == (2, 0)
    assert count(installation, "kiosk status:active") == 1
    assert count(installation, "kiosk reason:superseded") == 2
    assert [event for event in installation.events() if event.startswith("revocation.")] == [
        "revocation.begun",
        "revocation.finished",
    ]


def test_a_selection_that_changed_is_refused(installation: Installation) -> None:
    issued(installation, "kiosk-1", "kiosk-2")
    act = many(installation)
    pinned = preview(installation, act, where="kiosk").pinned
    perform(installation, single(installation), serial=serial_of(installation, "kiosk-1"))
    with pytest.raises(SelectionChanged):
        perform(installation, act, where="kiosk", **pinned)
    assert count(installation, "status:revoked") == 1


def test_time_that_passes_between_preview_and_deed_changes_nothing(installation: Installation) -> None:
    issued(installation, "kiosk-1")
    act = many(installation)
    pinned = preview(installation, act, where="issued:<1h").pinned
    installation.clock.moved += timedelta(hours=20)
    assert perform(installation, act, where="issued:<1h", **pinned)["revoked"] == 1


def test_more_than_the_limit_is_blocked_and_refused(installation: Installation) -> None:
    issued(installation, "kiosk-1", "kiosk-2")
    act = many(installation)
    found = preview(installation, act, where="kiosk", most=1)
    assert "2 are more than 1" in found.blockers[0]
    with pytest.raises(TooManySelected, match="selects 2 certificates; at most 1"):
        perform(installation, act, where="kiosk", most=1, **found.pinned)


def test_nothing_the_authority_lives_by_is_ever_selected(installation: Installation) -> None:
    issued(installation, "kiosk-1")
    found = preview(installation, many(installation), where="kind:ca,ra,ocsp")
    assert found.blockers == ("nothing in force matches",)
    with pytest.raises(NotIssued):
        perform(installation, many(installation), where="kind:ca,ra,ocsp", **found.pinned)
    assert preview(installation, many(installation), where="-nobody").counts["selected"] == 1


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"where": ""}, InvalidValue),
        ({"where": "stauts:valid"}, SearchInvalid),
        ({"where": "kiosk", "reason": "boredom"}, InvalidValue),
        ({"where": "kiosk", "block": "perhaps"}, InvalidValue),
        ({"where": "kiosk", "most": True}, InvalidValue),
        ({"where": "kiosk", "limit": 5}, InvalidValue),
        ({"where": "kiosk", "invalid_since": "2999-01-01"}, InvalidValue),
        ({"where": "kiosk", "invalid_since": "yesterday"}, InvalidValue),
        ({}, InvalidValue),
    ],
)
def test_wrong_parameters_are_refused(
    installation: Installation, parameters: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        preview(installation, many(installation), **parameters)


def test_without_what_a_preview_pinned_nothing_is_done(installation: Installation) -> None:
    issued(installation, "kiosk-1")
    with pytest.raises(InvalidValue, match="digest is missing"):
        perform(installation, many(installation), where="kiosk")


def test_an_interrupted_revocation_goes_on_where_it_stopped(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("privyseal.store.bulk._AT_ONCE", 2)
    issued(installation, *(f"kiosk-{number}" for number in range(5)))
    act, asked = many(installation), {"where": "kiosk", "reason": "privilege-withdrawn"}
    pinned = preview(installation, act, **asked).pinned
    bulk = installation.run(act.begin({**asked, **pinned}, actor="test"))
    bulk = installation.run(installation.app.bulk.step(bulk))
    # The process dies after this batch was revoked and before that was noted.
    with monkeypatch.context() as dying:
        dying.setattr(BulkBook, "_advance", broken)
        with pytest.raises(StoreUnavailable):
            installation.run(installation.app.bulk.step(bulk))
    assert count(installation, "kiosk status:revoked") == 4
    installation.work()
    assert count(installation, "kiosk status:revoked") == 4, "somebody may still be at it"
    installation.clock.moved += timedelta(minutes=5)
    installation.work()
    assert count(installation, "kiosk status:revoked") == 5
    done = installation.app.bulk.get(bulk.id)
    assert (done.finished, done.revoked, done.skipped) == (True, 3, 2)


async def broken(*_: object) -> None:
    raise StoreUnavailable("the power is gone")


def test_the_same_request_again_goes_on_with_the_first(installation: Installation) -> None:
    issued(installation, "kiosk-1", "kiosk-2")
    act = many(installation)
    asked = {"where": "kiosk", **preview(installation, act, where="kiosk").pinned}
    first = installation.run(act.begin(asked, actor="test"))
    assert installation.run(act.begin(asked, actor="test")).id == first.id
    assert perform(installation, act, **asked)["revoked"] == 2
    assert installation.count("bulk_revocations") == 1


# --- who comes back -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "blocked"),
    [
        ({}, False),
        ({"reason": "superseded"}, False),
        ({"reason": "superseded", "block": "yes"}, True),
        ({"reason": "key-compromise"}, True),
        ({"reason": "privilege-withdrawn"}, True),
        ({"reason": "certificate-hold"}, True),
        ({"reason": "key-compromise", "block": "no"}, False),
    ],
)
def test_the_reason_decides_who_stays_out_unless_it_is_said(
    installation: Installation, parameters: dict[str, str], blocked: bool
) -> None:
    (device,) = issued(installation, "laptop-1")
    result = perform(installation, single(installation), serial=serial_of(installation, "laptop-1"), **parameters)
    assert result["blocked"] is blocked
    after = installation.app.entities.named(device.kind, device.name)
    assert after.blocked == (frozenset({PROFILE}) if blocked else frozenset())


def test_a_blocked_device_enrolls_and_renews_by_no_way_in(installation: Installation) -> None:
    device = Device(installation)
    old = device.enroll()
    name = device.entity.name
    installation.profile("vpn")
    perform(installation, single(installation), serial=serial_of(installation, name), reason="privilege-withdrawn")
    assert device.refused(device.request()) == 6312
    with pytest.raises(EnrollmentBlocked, match=PROFILE) as caught:
        issue(installation, device.entity)
    assert caught.value.mend == (f"if it may come back: privyseal device unblock {name} --profile {PROFILE}",)
    issue(installation, device.entity, "vpn")
    installation.run(installation.app.entities.change(device.entity, {"model": "X"}, enabled=None, actor="test"))
    with pytest.raises(EnrollmentBlocked):
        issue(installation, device.entity)
    unblock = UnblockEntity(installation.app.entities)
    assert preview(installation, unblock, kind="device", name=name).blockers == ()
    assert perform(installation, unblock, kind="device", name=name)["blocked_profiles"] == []
    assert device.enroll() != old
    assert preview(installation, unblock, kind="device", name=name).blockers == ("it is not blocked",)
    assert [event for event in installation.events() if event.endswith("blocked")] == [
        "device.blocked",
        "device.unblocked",
    ]


def test_a_hold_ends_for_certificate_and_device(installation: Installation) -> None:
    (device,) = issued(installation, "laptop-1")
    serial = serial_of(installation, "laptop-1")
    app = installation.app
    release = ReleaseCertificate(app.inventory, app.bulk, app.clock)
    assert preview(installation, release, serial=serial).blockers == ("it is not on hold",)
    with pytest.raises(NotOnHold):
        perform(installation, release, serial=serial)
    perform(installation, single(installation), serial=serial, reason="certificate-hold")
    assert count(installation, "status:held") == 1
    perform(installation, release, serial=serial, ca="issuing")
    assert count(installation, "status:held") == 0
    assert app.entities.named(device.kind, device.name).blocked == frozenset()


def test_a_hold_becomes_final_and_what_is_final_stays(installation: Installation) -> None:
    issued(installation, "laptop-1")
    serial, act = serial_of(installation, "laptop-1"), single(installation)
    perform(installation, act, serial=serial, reason="certificate-hold")
    assert preview(installation, act, serial=serial, reason="certificate-hold").blockers
    perform(installation, act, serial=serial, reason="key-compromise", invalid_since="2026-01-01T00:00:00")
    assert preview(installation, act, serial=serial).blockers
    with pytest.raises(AlreadyRevoked):
        perform(installation, act, serial=serial)
    with pytest.raises(NotIssued):
        perform(installation, act, serial="01")


# --- at the desk --------------------------------------------------------------------------------------

ADA = Actor("cli:ada", (Grant(Role.OPERATOR),), "ada")
BOB = Actor("token:bob", (Grant(Role.APPROVER),), "bob")


def test_more_than_one_person_may_do_alone_waits_for_a_second_who_approves_just_that(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("privyseal.administration.revocation.BLAST_RADIUS", 1)
    issued(installation, "kiosk-1", "kiosk-2")
    books = Administration(installation.app)
    installation.run(books.access.set_four_eyes(FourEyes.ON, until=None, actor="test", reason=""))
    asked = {"where": "kiosk", "reason": "superseded", "most": 10}
    pending = installation.run(books.desk.submit(ADA, "certificate.revoke-many", parameters=asked))
    assert isinstance(pending, Pending)
    assert set(pending.approval.parameters) == {*asked, "at", "upper_id", "digest"}
    issued(installation, "kiosk-3")
    assert count(installation, "status:revoked") == 0
    done = installation.run(books.desk.approve(BOB, pending.approval.id))
    assert done.result is not None
    assert done.result["revoked"] == 2
    assert count(installation, "kiosk status:active") == 1


def test_what_one_person_may_do_is_done_at_once(installation: Installation) -> None:
    issued(installation, "kiosk-1")
    books = Administration(installation.app)
    installation.run(books.access.set_four_eyes(FourEyes.ON, until=None, actor="test", reason=""))
    done = installation.run(books.desk.submit(ADA, "certificate.revoke-many", parameters={"where": "kiosk"}))
    assert isinstance(done, Done)
    assert done.result["revoked"] == 1
