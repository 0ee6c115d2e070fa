# SPDX-License-Identifier: Apache-2.0
"""The table of a CA's life: no path of events lets a version sign what its state may not; the page prints the table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privyseal.ca.issuer import Issuer
from privyseal.ca.lifecycle import (
    DELETABLE,
    MAY_SIGN,
    ROLLBACK_WITHIN,
    TRANSITIONS,
    CaEvent,
    Holdings,
    Purpose,
    check_rollback,
    deletion_blockers,
    may_sign,
    next_state,
    revocation_blockers,
    state_at,
)
from privyseal.errors import AuthorityStateUnfit, IssuerNotActive, IssuerPaused, RollbackTooLate
from privyseal.model.authority import IN_FORCE, CaKind, CaRecord, CaState, CrlRules
from tests.outside.tools import ROOT
from tests.unit.directory.certificates import certificate

NOW = datetime(2026, 3, 4, tzinfo=UTC)
CERTIFICATE = certificate("DEMO life")


def issuer_in(state: CaState) -> Issuer:
    record = CaRecord(
        id=1, name="life", version=1, kind=CaKind.ISSUING, state=state, parent_id=None, certificate=CERTIFICATE,
        key_ref="k", hash_name=None, crl=CrlRules(), created_at=NOW, changed_at=NOW,
    )  # fmt: skip
    return Issuer(record, "http://pki.example.com")


@given(st.sampled_from(CaState), st.lists(st.sampled_from(CaEvent), max_size=12), st.sampled_from(Purpose))
def test_no_path_issues_from_a_state_that_may_not(state: CaState, events: list[CaEvent], purpose: Purpose) -> None:
    for event in events:
        try:
            state = next_state(state, event, shown="CA life v1")
        except AuthorityStateUnfit:
            assert (state, event) not in TRANSITIONS
    issuer = issuer_in(state)
    moment = issuer.view.not_before + timedelta(days=1)
    if may_sign(state, purpose):
        issuer.require_active(moment, purpose)
    else:
        with pytest.raises(IssuerPaused if state is CaState.PAUSED else IssuerNotActive):
            issuer.require_active(moment, purpose)
    with pytest.raises(IssuerNotActive):
        issuer.require_active(issuer.view.not_after + timedelta(seconds=1), purpose)


def test_only_an_active_version_issues_to_devices_and_only_a_staged_one_for_tests() -> None:
    assert [state for state in CaState if may_sign(state, Purpose.END_ENTITY)] == [CaState.ACTIVE]
    assert [state for state in CaState if may_sign(state, Purpose.TEST)] == [CaState.STAGED]
    assert [state for state in CaState if may_sign(state, Purpose.CA)] == [CaState.ACTIVE]
    assert set(MAY_SIGN) == set(CaState)


def test_what_is_final_is_final() -> None:
    for end in (CaState.REVOKED, CaState.EXPIRED):
        assert {after for (before, _), after in TRANSITIONS.items() if before is end} <= {CaState.EXPIRED}
    assert not DELETABLE & IN_FORCE


def test_expiry_follows_the_clock_and_nothing_else() -> None:
    end = NOW + timedelta(days=1)
    for state in CaState:
        assert state_at(state, end, NOW) is state
        wanted = state if state is CaState.SIGNING_REQUIRED else CaState.EXPIRED
        assert state_at(state, end, end + timedelta(seconds=1)) is wanted


def test_going_back_has_its_time() -> None:
    check_rollback(NOW, NOW + ROLLBACK_WITHIN, shown="CA life v1")
    with pytest.raises(RollbackTooLate):
        check_rollback(NOW, NOW + ROLLBACK_WITHIN + timedelta(seconds=1), shown="CA life v1")


@given(st.integers(0, 3), st.integers(0, 3), st.sampled_from(CaState))
def test_what_is_in_use_is_neither_revoked_nor_deleted(leaves: int, children: int, state: CaState) -> None:
    held = Holdings(live_leaves=leaves, live_children=children, undeleted_children=children)
    assert bool(revocation_blockers(held, override=False, shown="it")) == bool(leaves or children)
    assert revocation_blockers(held, override=True, shown="it") == ()
    assert bool(deletion_blockers(state, held, shown="it")) == bool(leaves or children or state not in DELETABLE)


def test_the_page_prints_the_table() -> None:
    page = (ROOT / "docs" / "how-to" / "ca-life-cycle.md").read_text()
    for (before, event), after in TRANSITIONS.items():
        assert f"| {before.value} | {event.value} | {after.value} |" in page
    assert page.count("\n| ") == len(TRANSITIONS) + len(MAY_SIGN) + 2
    for state, purposes in MAY_SIGN.items():
        listed = ", ".join(purpose.value for purpose in Purpose if purpose in purposes) or "nothing"
        assert f"| {state.value} | {listed} |" in page
