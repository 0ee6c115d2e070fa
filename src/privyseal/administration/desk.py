# SPDX-License-Identifier: Apache-2.0
"""The desk: every act comes over it. It checks who asks, shows what would happen, and asks for a second person.

An act that waits is stored with its parameters and preview; whoever approves makes exactly that happen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from privyseal.administration.act import Act, SecondPerson
from privyseal.administration.ports import ApprovalStore, FourEyesStore
from privyseal.ca.ports import Clock
from privyseal.errors import (
    ActBlocked,
    ApprovalOver,
    ApprovalStale,
    InvalidValue,
    NotFound,
    OwnApproval,
    PrivysealError,
)
from privyseal.model.access import Actor, Permission, check_permission
from privyseal.model.approval import APPROVAL_LIFE, RECOVERY_LIFE, Approval, ApprovalState, FourEyes
from privyseal.model.lifespan import is_good
from privyseal.model.preview import Preview


@dataclass(frozen=True, slots=True)
class Done:
    """It was done."""

    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pending:
    """Somebody else has to approve."""

    approval: Approval


@dataclass(frozen=True, slots=True)
class Previewed:
    """Nothing was done; what would happen."""

    preview: Preview
    second_person: bool


Answer = Done | Pending | Previewed


class Desk:
    """Takes acts by name. Holds no state of its own."""

    def __init__(
        self,
        acts: Iterable[Act],
        *,
        approvals: ApprovalStore,
        four_eyes: FourEyesStore,
        clock: Clock,
        about: Callable[[str, Mapping[str, Any]], Iterable[frozenset[str]]],
        standing: Callable[[str, str], Actor],
    ) -> None:
        """``about`` tells the labels of every object that stands there already and that an act would touch or use;
        ``standing`` what an actor, named with the person behind it, may do at this moment.
        """
        self._acts = {act.name: act for act in acts}
        self._about = about
        self._standing = standing
        self._approvals = approvals
        self._four_eyes = four_eyes
        self._clock = clock

    def act(self, name: str) -> Act:
        """Raises NotFound."""
        if name not in self._acts:
            raise NotFound(f"there is no act {name!r}; there are {', '.join(sorted(self._acts))}")
        return self._acts[name]

    def four_eyes(self) -> tuple[FourEyes, datetime | None]:
        """The setting, and until when it holds if it was set for a time that is not over."""
        mode, until = self._four_eyes.four_eyes()
        if until is not None and not is_good(until - RECOVERY_LIFE, until, now=self._clock.now()):
            return self._four_eyes.lasting_four_eyes(), None
        return mode, until

    def needs_two(self) -> bool:
        """Whether four eyes are on at this moment."""
        mode, _ = self.four_eyes()
        if mode is FourEyes.AUTO:
            return bool(self._four_eyes.in_ntauth())
        return mode is FourEyes.ON

    async def submit(self, actor: Actor, name: str, *, parameters: Mapping[str, Any], dry_run: bool = False) -> Answer:
        """Do it, store it for approval, or with ``dry_run`` only say what would happen.

        Raises NotPermitted, ActBlocked, NotFound for what the actor may not reach, and what the act raises.
        """
        act = self.act(name)
        check_permission(actor, act.permission)
        for labels in self._about(name, parameters):
            # Before the preview: what it refuses with would tell of objects that the actor does not see.
            _check_reach(actor, act, labels)
        preview = await act.preview(parameters)
        parameters = {**parameters, **preview.pinned}
        _check_reach(actor, act, preview.labels)
        two = self._takes_two(act, preview)
        if dry_run:
            return Previewed(preview, two)
        _check_blockers(preview)
        if two:
            until = self._clock.now() + APPROVAL_LIFE
            return Pending(await self._approvals.add(name, parameters, preview=preview, actor=actor, expires_at=until))
        return Done(await act.perform(parameters, actor=actor.name))

    async def approve(self, actor: Actor, approval_id: int) -> Approval:
        """Approve and do it. Raises OwnApproval, ApprovalOver, ApprovalStale, ActBlocked, and what the act raises."""
        await self.look_again(actor, approval_id)
        approval = self._approvals.get(approval_id)
        act = self.act(approval.act)
        await self._approvals.decide(approval_id, ApprovalState.APPROVED, actor=actor, what="")
        try:
            result = await act.perform(approval.parameters, actor=f"{approval.requester} approved-by {actor.name}")
        except PrivysealError as error:
            what = f"[{error.code}] {error.what}"
            await self._approvals.finish(approval_id, ApprovalState.FAILED, what=what, result=None)
            raise
        await self._approvals.finish(approval_id, ApprovalState.DONE, what="", result=result)
        return self._approvals.get(approval_id)

    async def look_again(self, actor: Actor, approval_id: int) -> Preview:
        """What approving would do now. Raises what ``approve`` raises before it does anything."""
        approval = self._for_decision(actor, approval_id)
        if _is_local(actor.name) and _is_local(approval.requester):
            raise OwnApproval(
                f"approval {approval_id} was asked for by {approval.requester}, on this machine as well",
                why="whoever may read the keys here may be any of its users, so two of them are not two people",
                mend=(
                    "let somebody with the role approver and a token of their own decide: privyseal role list",
                    "the one person who is left: privyseal access recover --reason TEXT",
                ),
            )
        fresh = await self.act(approval.act).preview(approval.parameters)
        _check_blockers(fresh)
        if (fresh.summary, fresh.irreversible, fresh.tier0) != (
            approval.preview.summary,
            approval.preview.irreversible,
            approval.preview.tier0,
        ):
            raise ApprovalStale(f"asked for was: {approval.preview.summary}; it would be now: {fresh.summary}")
        self._check_requester(approval, fresh)
        return fresh

    def _check_requester(self, approval: Approval, fresh: Preview) -> None:
        """Whoever asked may still ask: a role that was taken away, or a token, takes its requests with it."""
        act = self.act(approval.act)
        asker = self._standing(approval.requester, approval.requested_by)
        reached = (fresh.labels, *self._about(act.name, approval.parameters))
        if not all(asker.may(act.permission, labels) for labels in reached):
            raise ApprovalStale(
                f"{approval.requester}, of {approval.requested_by}, may not ask for {act.name} any more",
                why="the role or the token with which it was asked for was taken away since",
            )

    async def deny(self, actor: Actor, approval_id: int, *, reason: str) -> Approval:
        """Refuse it, with a reason. Raises OwnApproval, ApprovalOver, InvalidValue."""
        if not 1 <= len(reason) <= 500:
            raise InvalidValue(f"a reason has 1 to 500 characters, not {len(reason)}")
        self._for_decision(actor, approval_id)
        await self._approvals.decide(approval_id, ApprovalState.DENIED, actor=actor, what=reason)
        return self._approvals.get(approval_id)

    async def cancel(self, actor: Actor, approval_id: int) -> Approval:
        """Take a request of one's own back. Raises NotFound for one of others, ApprovalOver."""
        approval = self._approvals.get(approval_id)
        if approval.requested_by != actor.person:
            raise NotFound(f"there is no approval {approval_id} that you asked for")
        await self._approvals.decide(approval_id, ApprovalState.CANCELLED, actor=actor, what="")
        return self._approvals.get(approval_id)

    def _for_decision(self, actor: Actor, approval_id: int) -> Approval:
        check_permission(actor, Permission.APPROVAL_DECIDE)
        approval = self._approvals.get(approval_id)
        check_permission(actor, Permission.APPROVAL_DECIDE, approval.preview.labels)
        if approval.requested_by == actor.person or approval.requester == actor.name:
            raise OwnApproval(f"approval {approval_id} was asked for by {approval.requester}, of {actor.person}")
        good = is_good(approval.created_at, approval.expires_at, now=self._clock.now())
        if approval.state is not ApprovalState.WAITING or not good:
            raise ApprovalOver(f"approval {approval_id} is {approval.state.value}, asked for at {approval.created_at}")
        return approval

    def _takes_two(self, act: Act, preview: Preview) -> bool:
        asked = {
            SecondPerson.NEVER: False,
            SecondPerson.TIER0: preview.tier0,
            SecondPerson.FOUR_EYES: True,
            SecondPerson.OVER_LIMIT: preview.over_limit,
        }
        return asked[act.second_person] and self.needs_two()


def _is_local(name: str) -> bool:
    return name.startswith("cli:")


def _check_reach(actor: Actor, act: Act, labels: frozenset[str]) -> None:
    if not actor.may(act.permission, labels):
        # As if it were not there: who may not reach an object learns nothing of it.
        raise NotFound(f"there is no such object for {act.name}, or it is not among what {actor.name} may reach")


def _check_blockers(preview: Preview) -> None:
    if preview.blockers:
        raise ActBlocked(f"{preview.summary}: {'; '.join(preview.blockers)}")
