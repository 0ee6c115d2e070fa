# SPDX-License-Identifier: Apache-2.0
"""Approvals: an act that one person asked for and another one decides, with exactly what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final

from privyseal.model.preview import Preview

APPROVAL_LIFE: Final = timedelta(hours=24)
RECOVERY_LIFE: Final = timedelta(hours=1)
"""For so long one person alone may switch four eyes off."""
UNDONE_AFTER: Final = timedelta(hours=1)
"""An approved act that has told no end by then was cut off on its way."""


class ApprovalState(Enum):
    """Waiting; approved and on its way; then at one of its ends."""

    WAITING = "waiting"
    APPROVED = "approved"
    DONE = "done"
    FAILED = "failed"
    """Approved, but the act was refused or broke; ``what`` says why."""
    DENIED = "denied"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One request for a second person."""

    id: int
    act: str
    parameters: Mapping[str, Any]
    preview: Preview
    state: ApprovalState
    requester: str
    """The actor, as the audit trail names it."""
    requested_by: str
    """The person behind it."""
    created_at: datetime
    expires_at: datetime
    decider: str = ""
    decided_at: datetime | None = None
    what: str = ""
    """Why it was denied, or how it failed."""
    result: Mapping[str, Any] | None = None


class FourEyes(Enum):
    """Whether important acts take two people."""

    AUTO = "auto"
    """From the moment that one of our CAs stands in NTAuth."""
    ON = "on"
    OFF = "off"


def preview_to_data(preview: Preview) -> dict[str, Any]:
    """JSON-ready."""
    return {
        "summary": preview.summary,
        "effects": list(preview.effects),
        "counts": dict(preview.counts),
        "irreversible": list(preview.irreversible),
        "blockers": list(preview.blockers),
        "tier0": preview.tier0,
        "over_limit": preview.over_limit,
        "labels": sorted(preview.labels),
    }


def preview_from_data(data: Mapping[str, Any]) -> Preview:
    """What ``preview_to_data`` wrote."""
    return Preview(
        summary=data["summary"],
        effects=tuple(data["effects"]),
        counts=data["counts"],
        irreversible=tuple(data["irreversible"]),
        blockers=tuple(data["blockers"]),
        tier0=data["tier0"],
        over_limit=data["over_limit"],
        labels=frozenset(data["labels"]),
    )
