# SPDX-License-Identifier: Apache-2.0
"""The life of a CA version: one table of states and events, what each state may sign, and the guards. Pure.

docs/how-to/ca-life-cycle.md prints the table; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from privyseal.errors import AuthorityInUse, AuthorityStateUnfit, RollbackTooLate
from privyseal.model.authority import CaState

ROLLBACK_WITHIN: Final = timedelta(days=30)
STAGED_FOR: Final = timedelta(days=90)
"""After that a version that was never activated is retired."""
MOST_TEST_CERTIFICATES: Final = 50


class CaEvent(Enum):
    """What can happen to a CA version."""

    INSTALL = "install"
    """Its certificate came back from outside, and it is the first version."""
    STAGE = "stage"
    """Its certificate came back from outside, and another version is there already."""
    ACTIVATE = "activate"
    REPLACE = "replace"
    """Another version of the name became active."""
    ROLL_BACK = "roll-back"
    PAUSE = "pause"
    RESUME = "resume"
    RETIRE = "retire"
    REVIVE = "revive"
    """Something that it signed is alive after all: a clock had run ahead."""
    REVOKE = "revoke"
    EXPIRE = "expire"


class Purpose(Enum):
    """What a CA version is asked to sign."""

    END_ENTITY = "end-entity certificates"
    TEST = "test certificates"
    CA = "CA certificates"
    CROSS = "cross certificates"
    RA = "RA certificates"
    STATUS = "CRLs and OCSP certificates"


TRANSITIONS: Final[Mapping[tuple[CaState, CaEvent], CaState]] = {
    (CaState.SIGNING_REQUIRED, CaEvent.INSTALL): CaState.ACTIVE,
    (CaState.SIGNING_REQUIRED, CaEvent.STAGE): CaState.STAGED,
    (CaState.STAGED, CaEvent.ACTIVATE): CaState.ACTIVE,
    (CaState.STAGED, CaEvent.RETIRE): CaState.RETIRED,
    (CaState.STAGED, CaEvent.REVOKE): CaState.REVOKED,
    (CaState.STAGED, CaEvent.EXPIRE): CaState.EXPIRED,
    (CaState.ACTIVE, CaEvent.PAUSE): CaState.PAUSED,
    (CaState.ACTIVE, CaEvent.REPLACE): CaState.SUPERSEDED,
    (CaState.ACTIVE, CaEvent.REVOKE): CaState.REVOKED,
    (CaState.ACTIVE, CaEvent.EXPIRE): CaState.EXPIRED,
    (CaState.PAUSED, CaEvent.RESUME): CaState.ACTIVE,
    (CaState.PAUSED, CaEvent.REPLACE): CaState.SUPERSEDED,
    (CaState.PAUSED, CaEvent.REVOKE): CaState.REVOKED,
    (CaState.PAUSED, CaEvent.EXPIRE): CaState.EXPIRED,
    (CaState.SUPERSEDED, CaEvent.ROLL_BACK): CaState.ACTIVE,
    (CaState.SUPERSEDED, CaEvent.RETIRE): CaState.RETIRED,
    (CaState.SUPERSEDED, CaEvent.REVOKE): CaState.REVOKED,
    (CaState.SUPERSEDED, CaEvent.EXPIRE): CaState.EXPIRED,
    (CaState.RETIRED, CaEvent.REVIVE): CaState.SUPERSEDED,
    (CaState.RETIRED, CaEvent.REVOKE): CaState.REVOKED,
    (CaState.RETIRED, CaEvent.EXPIRE): CaState.EXPIRED,
    (CaState.REVOKED, CaEvent.EXPIRE): CaState.EXPIRED,
}

_ALL: Final = frozenset({Purpose.END_ENTITY, Purpose.CA, Purpose.CROSS, Purpose.RA, Purpose.STATUS})
MAY_SIGN: Final[Mapping[CaState, frozenset[Purpose]]] = {
    CaState.SIGNING_REQUIRED: frozenset(),
    CaState.STAGED: frozenset({Purpose.TEST, Purpose.CROSS, Purpose.RA, Purpose.STATUS}),
    CaState.ACTIVE: _ALL,
    CaState.PAUSED: frozenset({Purpose.RA, Purpose.STATUS}),
    CaState.SUPERSEDED: frozenset({Purpose.STATUS}),
    CaState.RETIRED: frozenset(),
    CaState.REVOKED: frozenset({Purpose.STATUS}),
    CaState.EXPIRED: frozenset(),
}
DELETABLE: Final = frozenset({CaState.SIGNING_REQUIRED, CaState.RETIRED, CaState.REVOKED, CaState.EXPIRED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What hangs on a CA version at this moment."""

    live_leaves: int
    """End entities' certificates that are neither expired nor revoked."""
    live_children: int
    """CAs below it that are neither expired, retired nor revoked."""
    undeleted_children: int
    revoked_leaves: int = 0
    """End entities' certificates that are revoked or on hold and have not expired: CRLs have to tell them."""


def state_at(state: CaState, not_after: datetime, now: datetime) -> CaState:
    """The state that counts: the stored one, or expired when the clock says so."""
    return TRANSITIONS.get((state, CaEvent.EXPIRE), state) if now > not_after else state


def next_state(state: CaState, event: CaEvent, *, shown: str) -> CaState:
    """What follows. Raises AuthorityStateUnfit, which lists what is possible instead."""
    found = TRANSITIONS.get((state, event))
    if found is None:
        fitting = [before.value for (before, happened) in TRANSITIONS if happened is event]
        raise AuthorityStateUnfit(f"{shown} is {state.value}; to {event.value} it must be {' or '.join(fitting)}")
    return found


def may_sign(state: CaState, purpose: Purpose) -> bool:
    """Whether a CA version in this state signs such a thing."""
    return purpose in MAY_SIGN[state]


def check_rollback(since: datetime, now: datetime, *, shown: str) -> None:
    """Raise RollbackTooLate unless the version was superseded a short time ago."""
    if now > since + ROLLBACK_WITHIN:
        raise RollbackTooLate(
            f"{shown} was superseded {since:%Y-%m-%d}; it can be made active again within "
            f"{ROLLBACK_WITHIN.days} days, until {since + ROLLBACK_WITHIN:%Y-%m-%d}"
        )


def revocation_blockers(holdings: Holdings, *, override: bool, shown: str) -> tuple[str, ...]:
    """Why a CA cannot be revoked now. ``override`` accepts that what it signed becomes worthless."""
    if override:
        return ()
    found = []
    if holdings.live_leaves:
        found.append(f"{holdings.live_leaves} live certificate(s) of {shown} would become worthless")
    if holdings.live_children:
        found.append(f"{holdings.live_children} CA(s) below {shown} are alive")
    return tuple(found)


def deletion_blockers(state: CaState, holdings: Holdings, *, shown: str) -> tuple[str, ...]:
    """Why a CA version cannot be deleted now: its state, live certificates, CAs below it."""
    found = []
    if state not in DELETABLE:
        fitting = ", ".join(sorted(item.value for item in DELETABLE))
        found.append(f"{shown} is {state.value}; it can be deleted when it is one of {fitting}")
    # What a revoked CA signed is worthless already, but its records must lead somewhere until they end.
    if holdings.live_leaves:
        found.append(f"{holdings.live_leaves} certificate(s) of {shown} have not ended")
    if holdings.revoked_leaves and state is not CaState.REVOKED:
        found.append(f"{holdings.revoked_leaves} revoked certificate(s) of {shown} have not ended: its CRL tells them")
    if holdings.undeleted_children:
        found.append(f"{holdings.undeleted_children} CA(s) below {shown} are not deleted: the root goes last")
    return tuple(found)


def check_no_blockers(blockers: tuple[str, ...]) -> None:
    """Raise AuthorityInUse when there are any."""
    if blockers:
        raise AuthorityInUse("; ".join(blockers))


def over(state: CaState, since: datetime, now: datetime) -> bool:
    """Whether a version's time is over: for tests when staged, for going back to it when superseded."""
    return now >= since + (STAGED_FOR if state is CaState.STAGED else ROLLBACK_WITHIN)
