# SPDX-License-Identifier: Apache-2.0
"""The desk on a real store: permission, labels, previews, the second person, and what the audit trail keeps of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from privyseal.administration.act import SecondPerson
from privyseal.administration.desk import Answer, Desk, Done, Pending, Previewed
from privyseal.bootstrap.administration import Administration
from privyseal.errors import (
    ActBlocked,
    ApprovalOver,
    ApprovalStale,
    InvalidValue,
    NotFound,
    NotPermitted,
    OwnApproval,
)
from privyseal.model.access import Actor, Grant, Permission, Role
from privyseal.model.approval import ApprovalState, FourEyes
from privyseal.model.preview import Preview
from tests.installation import Installation, fixture_installation, fixture_installations

__all__ = ["fixture_installation", "fixture_installations"]

ADA = Actor("token:ada-1", (Grant(Role.OWNER),), "ada")
ADA_TOO = Actor("token:ada-2", (Grant(Role.OWNER),), "ada")
BOB = Actor("token:bob", (Grant(Role.APPROVER),), "bob")
EVE = Actor("token:eve", (Grant(Role.VIEWER),), "eve")


class Rename:
    """An act that notes what it did."""

    name = "ca.rename"
    permission = Permission.CA_WRITE
    second_person = SecondPerson.TIER0

    def __init__(self) -> None:
        self.done: list[tuple[Mapping[str, Any], str]] = []
        self.world = Preview(summary="rename issuing", tier0=True, labels=frozenset({"prod"}))

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        return self.world

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        if parameters.get("to") == "broken":
            raise InvalidValue("that name cannot be")
        self.done.append((parameters, actor))
        return {"name": parameters["to"]}


class House:
    """An installation with a desk for one act."""

    def __init__(self, installation: Installation, *, four_eyes: FourEyes = FourEyes.ON) -> None:
        self.installation = installation
        self.books = Administration(installation.app)
        self.act = Rename()
        self.asker = ADA
        self.desk = Desk(
            [self.act],
            approvals=self.books.approvals,
            four_eyes=self.books.access,
            clock=installation.clock,
            about=lambda *_: (),
            standing=lambda name, person: self.asker,
        )
        installation.run(self.books.access.set_four_eyes(four_eyes, until=None, actor="test", reason=""))

    def submit(self, actor: Actor = ADA, to: str = "new", *, dry_run: bool = False) -> Answer:
        return self.installation.run(self.desk.submit(actor, "ca.rename", parameters={"to": to}, dry_run=dry_run))

    def waiting(self, to: str = "new") -> int:
        answer = self.submit(to=to)
        assert isinstance(answer, Pending)
        return answer.approval.id


@pytest.fixture(name="house")
def fixture_house(installation: Installation) -> House:
    return House(installation)


def test_without_four_eyes_it_is_done_at_once(installation: Installation) -> None:
    house = House(installation, four_eyes=FourEyes.OFF)
    assert house.submit() == Done({"name": "new"})
    assert house.act.done == [({"to": "new"}, "token:ada-1")]


def test_automatic_means_off_until_a_ca_of_ours_stands_in_ntauth(installation: Installation) -> None:
    house = House(installation, four_eyes=FourEyes.AUTO)
    assert not house.desk.needs_two()
    assert isinstance(house.submit(), Done)


def test_a_dry_run_does_nothing_and_says_that_two_people_are_needed(house: House) -> None:
    assert house.submit(dry_run=True) == Previewed(house.act.world, True)
    assert house.act.done == [] and house.books.approvals.page(before=0, limit=10) == ()


def test_with_four_eyes_somebody_else_approves_and_both_names_are_kept(house: House) -> None:
    waiting = house.waiting()
    assert house.act.done == []
    approval = house.installation.run(house.desk.approve(BOB, waiting))
    assert (approval.state, approval.result, approval.decider) == (ApprovalState.DONE, {"name": "new"}, "token:bob")
    assert house.act.done == [({"to": "new"}, "token:ada-1 approved-by token:bob")]
    assert house.installation.events()[-3:] == ["approval.requested", "approval.approved", "approval.done"]
    row = house.installation.app.audit.page(before=0, limit=2)[1]
    assert (row.actor, json.loads(row.detail)["requester"]) == ("token:bob", "token:ada-1")


def test_nobody_approves_their_own_request_not_even_by_another_token(house: House) -> None:
    waiting = house.waiting()
    for actor in (ADA, ADA_TOO):
        with pytest.raises(OwnApproval):
            house.installation.run(house.desk.approve(actor, waiting))
        with pytest.raises(OwnApproval):
            house.installation.run(house.desk.deny(actor, waiting, reason="no"))
    assert house.act.done == []


def test_two_users_of_the_machine_are_not_two_people(house: House) -> None:
    root, other = (Actor(f"cli:{name}", (Grant(Role.OWNER),), name) for name in ("root", "privyseal"))
    answer = house.submit(root)
    assert isinstance(answer, Pending)
    with pytest.raises(OwnApproval, match="on this machine as well"):
        house.installation.run(house.desk.approve(other, answer.approval.id))
    assert house.act.done == []
    house.installation.run(house.desk.deny(other, answer.approval.id, reason="not that way"))


def test_who_may_not_decide_may_not_approve(house: House) -> None:
    with pytest.raises(NotPermitted):
        house.installation.run(house.desk.approve(EVE, house.waiting()))


def test_denied_cancelled_and_decided_requests_stay_so(house: House) -> None:
    denied, cancelled = house.waiting(), house.waiting()
    run, desk = house.installation.run, house.desk
    assert run(desk.deny(BOB, denied, reason="not today")).what == "not today"
    with pytest.raises(NotFound):
        run(desk.cancel(BOB, cancelled))
    assert run(desk.cancel(ADA_TOO, cancelled)).state is ApprovalState.CANCELLED
    for waiting in (denied, cancelled):
        with pytest.raises(ApprovalOver):
            run(desk.approve(BOB, waiting))
    assert house.act.done == []


def test_two_approvals_at_once_do_it_once(house: House) -> None:
    waiting = house.waiting()
    carol = Actor("token:carol", (Grant(Role.APPROVER),), "carol")

    async def both() -> list[Any]:
        work = (house.desk.approve(BOB, waiting), house.desk.approve(carol, waiting))
        return await asyncio.gather(*work, return_exceptions=True)

    outcomes = house.installation.run(both())
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Approval", "ApprovalOver"]
    assert len(house.act.done) == 1


def test_a_request_runs_out_after_a_day(house: House) -> None:
    waiting = house.waiting()
    house.installation.clock.moved = timedelta(hours=25)
    with pytest.raises(ApprovalOver):
        house.installation.run(house.desk.approve(BOB, waiting))
    assert house.installation.run(house.books.approvals.settle()) == 1
    assert house.books.approvals.get(waiting).state is ApprovalState.EXPIRED
    assert house.installation.run(house.books.approvals.settle()) == 0


def test_what_was_cut_off_on_its_way_is_told_as_failed(house: House) -> None:
    waiting = house.waiting()
    decide = house.books.approvals.decide(waiting, ApprovalState.APPROVED, actor=BOB, what="")
    house.installation.run(decide)
    assert house.installation.run(house.books.approvals.settle()) == 0
    house.installation.clock.moved = timedelta(hours=2)
    house.installation.run(house.books.approvals.settle())
    assert house.books.approvals.get(waiting).state is ApprovalState.FAILED


def test_what_is_not_what_was_asked_for_any_more_is_not_approved(house: House) -> None:
    waiting = house.waiting()
    house.act.world = Preview(summary="rename issuing, which has 900 certificates", tier0=True)
    with pytest.raises(ApprovalStale):
        house.installation.run(house.desk.approve(BOB, waiting))
    house.act.world = Preview(summary="rename issuing", tier0=True, blockers=("it was revoked",))
    with pytest.raises(ActBlocked):
        house.installation.run(house.desk.approve(BOB, waiting))
    assert house.act.done == []


def test_what_somebody_asked_for_who_may_not_ask_any_more_is_not_done(house: House) -> None:
    waiting = house.waiting()
    for left in ((), (Grant(Role.VIEWER),), (Grant(Role.OWNER, frozenset({"test"})),)):
        house.asker = Actor("token:ada-1", left, "ada")
        with pytest.raises(ApprovalStale, match=r"token:ada-1, of ada, may not ask for ca\.rename any more"):
            house.installation.run(house.desk.approve(BOB, waiting))
    assert house.act.done == [] and house.books.approvals.get(waiting).state is ApprovalState.WAITING


def test_a_refusal_while_performing_is_kept_with_the_approval(house: House) -> None:
    waiting = house.waiting("broken")
    with pytest.raises(InvalidValue):
        house.installation.run(house.desk.approve(BOB, waiting))
    approval = house.books.approvals.get(waiting)
    assert (approval.state, approval.what) == (ApprovalState.FAILED, "[9009] that name cannot be")


def test_a_blocked_act_is_refused_but_its_preview_is_shown(house: House) -> None:
    house.act.world = Preview(summary="rename issuing", blockers=("it was revoked",))
    with pytest.raises(ActBlocked, match="it was revoked"):
        house.submit()
    assert isinstance(house.submit(dry_run=True), Previewed)


def test_the_permission_is_checked_before_anything_is_shown(house: House) -> None:
    with pytest.raises(NotPermitted, match=r"token:eve lacks ca.write; the roles ca-admin, owner give it"):
        house.submit(EVE, dry_run=True)


@pytest.mark.parametrize(("labels", "reaches"), [({"prod"}, True), ({"test"}, False), (set(), True)])
def test_labels_hide_what_a_grant_does_not_reach(house: House, labels: set[str], reaches: bool) -> None:
    actor = Actor("token:kim", (Grant(Role.CA_ADMIN, frozenset(labels)),), "kim")
    if reaches:
        assert isinstance(house.submit(actor, dry_run=True), Previewed)
    else:
        with pytest.raises(NotFound):
            house.submit(actor, dry_run=True)


def test_an_approver_for_labels_decides_only_about_these(house: House) -> None:
    stranger = Actor("token:kim", (Grant(Role.APPROVER, frozenset({"test"})),), "kim")
    with pytest.raises(NotPermitted):
        house.installation.run(house.desk.approve(stranger, house.waiting()))
