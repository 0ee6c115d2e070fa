# SPDX-License-Identifier: Apache-2.0
"""Observe, plan, apply, prove: receipts for what was done, lines that break inside a change, lagging controllers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from privyseal.directory.changes import ALREADY, DONE, AddEntry, Change, DeleteEntry, Entry, RemoveValue
from privyseal.directory.containers import PLACEHOLDER, Container, Target
from privyseal.directory.naming import dn_key
from privyseal.directory.receipts import INTENDED, NOT_DONE, UNKNOWN, Receipt, ownership
from privyseal.directory.status import Known, Owner, classify, drift, external_cas
from privyseal.errors import (
    AccountAmbiguous,
    AccountNotFound,
    ControllersDisagree,
    DirectoryTimeout,
    DirectoryUnreachable,
    InsufficientAccess,
    InvalidName,
    NotACaCertificate,
    NotReceipted,
    PlanStale,
)
from privyseal.repository.accounts import is_member, look_up_account
from privyseal.repository.proof import check_proofs, expected, look, prove
from privyseal.repository.service import Applied, Planned, PublicationService, Wanted
from tests.unit.directory.certificates import AIA, CDP, ISSUING, LEAF, NOW, NTAUTH, RENEWED, ROOT, crl
from tests.unit.directory.memory import Memory
from tests.unit.directory.test_accounts import computer, sid, user

ALL = (
    Wanted(target=Target.ROOT_CA, certificate=ROOT),
    Wanted(target=Target.SUB_CA, certificate=ISSUING),
    Wanted(target=Target.NTAUTH_CA, certificate=ISSUING),
)


class Receipts:
    """Keeps receipts in a list."""

    def __init__(self) -> None:
        self.all: list[Receipt] = []

    async def add(self, receipt: Receipt, *, actor: str) -> None:
        assert actor == "operator"
        self.all.append(receipt)

    def receipts(self, forest: str) -> tuple[Receipt, ...]:
        return tuple(receipt for receipt in self.all if receipt.forest == forest)

    @property
    def results(self) -> list[str]:
        return [receipt.result for receipt in self.outcomes]

    @property
    def outcomes(self) -> list[Receipt]:
        return [receipt for receipt in self.all if receipt.result != INTENDED]


class Site:
    """A directory, receipts, and the service between them."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.receipts = Receipts()
        self.service = PublicationService(self.receipts, lambda: NOW)

    def apply(self, planned: Planned) -> Applied:
        return asyncio.run(self.service.apply(self.memory, planned, actor="operator"))

    def publish(self, *wanted: Wanted) -> Applied:
        return self.apply(self.service.plan(self.memory, wanted or ALL))

    def plan_again(self) -> Sequence[Change]:
        return self.service.plan(self.memory, ALL).plan.changes


@pytest.fixture
def site() -> Site:
    return Site()


def test_each_change_is_read_back_and_receipted_with_its_usn(site: Site) -> None:
    said: list[Receipt] = []
    planned = site.service.plan(site.memory, ALL)
    applied = asyncio.run(site.service.apply(site.memory, planned, actor="operator", said=said.append))
    assert (applied.fault, applied.left) == (None, ())
    assert applied.done == planned.plan.changes
    assert [receipt.usn for receipt in site.receipts.outcomes] == [1001, 1002, 1003, 1004]
    assert said == site.receipts.outcomes
    assert [receipt.result for receipt in site.receipts.all] == [INTENDED, DONE] * 4
    assert site.plan_again() == ()
    assert site.publish().receipts == ()


def test_round_trips_are_few(site: Site) -> None:
    planned = site.service.plan(site.memory, ALL)
    # rootDSE, four objects, and the three places that must hold them.
    assert site.memory.trips == 8
    site.memory.trips = 0
    site.apply(planned)
    # Fresh? (7) Then change and read-back for each of four; the adapter reads once more before a change.
    assert site.memory.trips == 15
    site.memory.trips = 0
    site.plan_again()
    assert site.memory.trips == 5


def test_a_directory_that_changed_after_approval_is_not_written(site: Site) -> None:
    planned = site.service.plan(site.memory, ALL)
    del site.memory.entries[dn_key(AIA)]
    with pytest.raises(PlanStale):
        site.apply(planned)
    assert site.memory.writes == 0


def test_a_bad_certificate_is_found_before_anything_is_read(site: Site) -> None:
    with pytest.raises(NotACaCertificate):
        site.publish(*ALL, Wanted(target=Target.NTAUTH_CA, certificate=LEAF))
    assert (site.memory.trips, site.memory.writes) == (1, 0)


@pytest.mark.parametrize("after_write", [False, True])
@pytest.mark.parametrize("breaks_at", [1, 2, 4])
def test_a_line_that_breaks_leaves_receipts_and_says_what_is_left(
    site: Site, breaks_at: int, after_write: bool
) -> None:
    planned = site.service.plan(site.memory, ALL)
    site.memory.breaks_at, site.memory.breaks_after_write = breaks_at, after_write
    applied = site.apply(planned)
    assert isinstance(applied.fault, DirectoryUnreachable)
    assert site.receipts.results == [DONE] * (breaks_at - 1) + [UNKNOWN]
    assert applied.left == planned.plan.changes[breaks_at - 1 :]
    # The line is back: what became of the unknown one is found out, and the rest is done.
    site.memory.breaks_at = None
    assert site.publish().fault is None
    assert site.receipts.results[breaks_at] == (DONE if after_write else NOT_DONE)
    assert site.plan_again() == ()
    ours = ownership(site.receipts.all)
    assert ours.owns_value(NTAUTH, "cACertificate", value=ISSUING)
    assert len(ours.entries) == 4


def test_a_line_that_breaks_in_the_read_back_leaves_a_receipt_of_the_change(site: Site) -> None:
    planned = site.service.plan(site.memory, ALL)
    read = site.memory.read
    site.memory.read = lambda dn, attributes: read(dn, attributes) if site.memory.writes < 2 else _hang()  # type: ignore[method-assign] # a fault
    applied = site.apply(planned)
    assert isinstance(applied.fault, DirectoryTimeout)
    assert site.receipts.results == [DONE, DONE]
    assert applied.left == planned.plan.changes[2:]


def _hang() -> Entry | None:
    raise DirectoryTimeout("dc1 did not answer within 15 s")


def test_a_refusal_is_receipted_as_not_done(site: Site) -> None:
    planned = site.service.plan(site.memory, ALL)
    apply = site.memory.apply

    def refuse(change: Change) -> str:
        if change.dn == NTAUTH:
            raise InsufficientAccess(f"svc-pki may not write {NTAUTH}")
        return apply(change)

    site.memory.apply = refuse  # type: ignore[method-assign] # a fault
    applied = site.apply(planned)
    assert isinstance(applied.fault, InsufficientAccess)
    assert [change.dn for change in applied.left] == [NTAUTH]
    assert site.receipts.results == [DONE] * 3 + [NOT_DONE]


def test_a_process_that_dies_on_the_way_leaves_an_intent_that_is_settled(site: Site) -> None:
    planned = site.service.plan(site.memory, ALL)
    apply = site.memory.apply

    def die(change: Change) -> str:
        apply(change)
        raise KeyboardInterrupt

    site.memory.apply = die  # type: ignore[method-assign] # a fault
    with pytest.raises(KeyboardInterrupt):
        site.apply(planned)
    assert [receipt.result for receipt in site.receipts.all] == [INTENDED]
    site.memory.apply = apply  # type: ignore[method-assign] # it is back
    assert site.publish().fault is None
    assert len(ownership(site.receipts.all).entries) == 4


def test_a_change_that_is_not_visible_afterwards_is_a_fault(site: Site) -> None:
    planned = site.service.plan(site.memory, ALL)
    site.memory.apply = lambda change: DONE  # type: ignore[method-assign] # a controller that lies
    applied = site.apply(planned)
    assert isinstance(applied.fault, ControllersDisagree)
    assert applied.left == planned.plan.changes
    assert applied.done == ()


def test_what_was_there_already_is_not_ours(site: Site) -> None:
    planned = site.service.plan(site.memory, ALL[1:2])
    other = Memory()
    other.apply(planned.plan.changes[0])
    apply = site.memory.apply

    def somebody_was_faster(change: Change) -> str:
        apply(change)
        return ALREADY

    site.memory.apply = somebody_was_faster  # type: ignore[method-assign] # a race
    assert site.apply(planned).done == ()
    with pytest.raises(NotReceipted):
        site.service.plan_removal(site.memory, ISSUING, targets=[Target.SUB_CA])


def test_removal_takes_back_what_we_added_and_the_objects_we_made(site: Site) -> None:
    site.publish()
    before = Memory().entries.keys()
    for encoded, targets in ((ISSUING, [Target.SUB_CA, Target.NTAUTH_CA]), (ROOT, [Target.ROOT_CA])):
        planned = site.service.plan_removal(site.memory, encoded, targets=targets)
        assert all(isinstance(change, DeleteEntry) for change in planned.plan.changes)
        assert site.apply(planned).fault is None
    assert site.memory.entries.keys() == before
    assert site.service.plan_removal(site.memory, ROOT, targets=[Target.ROOT_CA]).plan.changes == ()
    assert ownership(site.receipts.all).values == frozenset()


def test_a_delegated_account_leaves_an_empty_object(site: Site) -> None:
    site.publish()
    planned = site.service.plan_removal(site.memory, ISSUING, targets=[Target.NTAUTH_CA], keep_empty=True)
    assert planned.plan.changes == (RemoveValue(NTAUTH, "cACertificate", ISSUING, PLACEHOLDER),)
    site.apply(planned)
    assert site.memory.values(NTAUTH) == (PLACEHOLDER,)
    assert len(site.plan_again()) == 1


def test_removing_what_is_no_certificate_is_refused(site: Site) -> None:
    with pytest.raises(NotACaCertificate):
        site.service.plan_removal(site.memory, b"hello", targets=[Target.NTAUTH_CA])


def test_undo_is_a_plan_like_any_other(site: Site) -> None:
    before = set(site.memory.entries)
    applied = site.publish()
    back = site.service.plan_undo(site.memory, applied.done)
    assert site.apply(back).fault is None
    assert set(site.memory.entries) == before


def test_crls_are_published_and_renewed(site: Site) -> None:
    for number in (1, 2):
        planned = site.service.plan_crls(site.memory, [crl(number)], name="Contoso Issuing", host="pki")
        assert site.apply(planned).fault is None
    assert site.memory.values(f"CN=Contoso Issuing,CN=pki,{CDP}", "certificateRevocationList") == (crl(2),)
    assert site.receipts.results == [DONE] * 3


def test_every_controller_is_asked_and_the_one_that_lags_is_named(site: Site) -> None:
    planned = site.service.plan(site.memory, ALL)
    site.apply(planned)
    wanted = expected(planned.desired)
    lagging = Memory("dc2.ad.example.test")
    lagging.apply(AddEntry(planned.desired[0].dn, planned.desired[0].fresh))

    def connect(name: str) -> Memory:
        if name == "dc3":
            raise DirectoryUnreachable("dc3:389 refused the connection")
        return {"dc1": site.memory, "dc2": lagging}[name]

    proofs = prove(["dc1", "dc2", "dc3"], wanted, connect=connect, now=lambda: NOW)
    assert [(len(proof.missing), proof.highest_usn) for proof in proofs] == [(0, 1004), (3, 1001), (4, None)]
    assert lagging.closed
    with pytest.raises(ControllersDisagree, match=r"1 of 3.*dc2 at USN 1001.*and 2 more; dc3 could not.*7001"):
        check_proofs(proofs)
    check_proofs(proofs[:1])


def test_a_look_finds_everything_and_drift_is_seen(site: Site) -> None:
    site.publish()
    site.memory.trips = 0
    view = look(site.memory, now=lambda: NOW)
    assert site.memory.trips == 6
    ours = ownership(site.receipts.all)
    found = classify(view, Known({}, {}), ours=ours)
    assert [item.container for item in found] == [
        Container.NTAUTH,
        Container.CERTIFICATION_AUTHORITIES,
        Container.AIA,
        Container.AIA,
    ]
    assert all(item.receipted and item.owner is Owner.FOREIGN for item in found)
    assert {item.name for item in external_cas(found)} == {"Contoso Root", "Contoso Issuing"}
    assert drift(view, ours) == ()
    site.memory.put(NTAUTH, objectclass=[b"certificationAuthority"], cacertificate=[RENEWED])
    (gone,) = drift(look(site.memory, now=lambda: NOW), ours)
    assert (gone.dn, gone.value) == (dn_key(NTAUTH), ISSUING)


def test_an_account_is_looked_up_in_three_round_trips() -> None:
    memory = Memory()
    memory.answers = [user()]
    assert look_up_account(memory, "alice@ad.example.test").sid.text == "S-1-5-21-1-2-3-1105"
    assert memory.trips == 3
    assert "(sAMAccountName=alice)" in memory.filters[0]
    memory.answers = [computer()]
    assert look_up_account(memory, "pc1.ad.example.test").dns_name == "pc1.ad.example.test"


def test_a_name_that_two_accounts_answer_to_is_refused() -> None:
    memory = Memory()
    memory.answers = [user(), user("CN=eve,DC=x", objectsid=[sid(666)])]
    with pytest.raises(AccountAmbiguous):
        look_up_account(memory, "alice")


def test_the_domain_before_a_backslash_must_be_that_of_the_controller() -> None:
    memory = Memory()
    memory.answers = [Entry("CN=ADTEST,CN=Partitions", {"netbiosname": (b"ADTEST",)})]
    with pytest.raises(AccountNotFound, match="serves the domain ADTEST, not 'OTHER'"):
        look_up_account(memory, "OTHER\\alice")
    memory.answers = [user(netbiosname=[b"ADTEST"])]
    assert look_up_account(memory, "adtest\\alice").sam_account_name == "alice"
    assert memory.trips < 8


def test_membership_is_asked_of_the_directory() -> None:
    memory = Memory()
    memory.answers = [user()]
    account = look_up_account(memory, "alice")
    assert is_member(memory, account, group_dn="CN=wifi,DC=x")
    assert memory.filters[-1].startswith("(&(objectSid=S-1-5-21-1-2-3-1105)(memberOf:1.2.840.113556.1.4.1941:=")
    memory.answers = []
    assert not is_member(memory, account, group_dn="CN=vpn,DC=x")
    with pytest.raises(InvalidName):
        is_member(memory, account, group_dn="CN=" + "x" * 9000)
