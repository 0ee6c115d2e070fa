# SPDX-License-Identifier: Apache-2.0
"""From a request to the desk, and from the desk's answer to a reply. An act has no other way in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from privyseal.administration.desk import Desk, Pending, Previewed
from privyseal.endpoints.api.operation import Call, Reply
from privyseal.errors import ChangedMeanwhile
from privyseal.model.api.access_shapes import ApprovalShape, PreviewShape
from privyseal.model.approval import Approval
from privyseal.model.preview import Preview


async def submit(desk: Desk, call: Call, act: str, *, parameters: Mapping[str, Any], status: int = 200) -> Reply:
    """The result with ``status``, or 202 with the approval that is needed, or with ``dry_run`` the preview."""
    answer = await desk.submit(call.actor, act, parameters=parameters, dry_run=call.dry_run)
    if isinstance(answer, Previewed):
        return Reply(preview_shape(answer.preview, needs_approval=answer.second_person))
    if isinstance(answer, Pending):
        return pending(answer.approval)
    return Reply(answer.result, status)


def would(summary: str, *effects: str) -> Reply:
    """The preview of what is no act: all that could refuse it has been asked."""
    return Reply(preview_shape(Preview(summary=summary, effects=effects), needs_approval=False))


def pending(approval: Approval) -> Reply:
    """Somebody else has to approve."""
    return Reply(approval_shape(approval), 202, (("location", f"/api/v1/approvals/{approval.id}"),))


def preview_shape(preview: Preview, *, needs_approval: bool) -> PreviewShape:
    """A preview for the wire."""
    return PreviewShape(
        summary=preview.summary,
        effects=preview.effects,
        counts=preview.counts,
        irreversible=preview.irreversible,
        blockers=preview.blockers,
        tier0=preview.tier0,
        over_limit=preview.over_limit,
        needs_approval=needs_approval,
    )


def approval_shape(approval: Approval) -> ApprovalShape:
    """An approval for the wire; its parameters are told by the preview's words."""
    return ApprovalShape(
        id=approval.id,
        act=approval.act,
        state=approval.state.value,
        requester=approval.requester,
        requested_by=approval.requested_by,
        created_at=approval.created_at,
        expires_at=approval.expires_at,
        summary=approval.preview.summary,
        effects=approval.preview.effects,
        counts=approval.preview.counts,
        irreversible=approval.preview.irreversible,
        decider=approval.decider or None,
        decided_at=approval.decided_at,
        what=approval.what or None,
        result=approval.result,
    )


def check_tag(call: Call, tag: str, *, what: str) -> None:
    """If-Match names the present state, or is ``*``. Raises ChangedMeanwhile."""
    given = [part.strip() for part in call.if_match.split(",")]
    if "*" not in given and tag not in given:
        raise ChangedMeanwhile(f"{what} has ETag {tag} now, not {call.if_match[:80]}")
