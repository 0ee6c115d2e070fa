# SPDX-License-Identifier: Apache-2.0
"""What an act would do, said before it is done: the same words for who asks, who approves and the audit trail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """``summary`` is one sentence that names the object. Only an act without ``blockers`` can be done."""

    summary: str
    effects: tuple[str, ...] = ()
    """What happens, a sentence each, with names and counts."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Numbers for programs, for example ``{"active_leaves": 212}``."""
    pinned: Mapping[str, str | int] = field(default_factory=dict)
    """Parameters that bind the act to just what was previewed; whoever stores or performs it adds them."""
    irreversible: tuple[str, ...] = ()
    """What cannot be undone."""
    blockers: tuple[str, ...] = ()
    """Why it cannot be done now."""
    tier0: bool = False
    """It reaches a CA in NTAuth, so it wants a second person once four eyes are on."""
    over_limit: bool = False
    """It is larger than one person may do alone, for example a bulk revocation."""
    labels: frozenset[str] = frozenset()
    """Of the objects that it touches; a grant that names labels reaches it only by one of these."""
