# SPDX-License-Identifier: Apache-2.0
"""The shape of an act. Command line and API only build the parameters; the act is done in one place."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Protocol

from privyseal.model.access import Permission
from privyseal.model.preview import Preview


class SecondPerson(Enum):
    """When an act waits for the approval of somebody else."""

    NEVER = "never"
    TIER0 = "tier0"
    """While four eyes are on and the preview says that a CA in NTAuth is touched."""
    FOUR_EYES = "four-eyes"
    """Whenever four eyes are on."""
    OVER_LIMIT = "over-limit"
    """While four eyes are on and the preview says that it is larger than one person may do alone."""


class Act(Protocol):
    """One thing that can be done, made once for the process; parameters come as JSON-ready data.

    ``preview`` and ``perform`` both check the parameters and raise InvalidValue or what the act's rules raise.
    ``perform`` previews again for itself: the world may have moved since somebody approved.
    """

    name: str
    """Stable, ``noun.verb``; approvals and the audit trail keep it."""
    permission: Permission
    second_person: SecondPerson

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """What would happen."""

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """Do it; the result is JSON-ready and holds no secret. The audit row commits with the effect."""
