# SPDX-License-Identifier: Apache-2.0
"""Shapes about access: errors, previews, approvals, roles and tokens. The rest is in ``shapes``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from privyseal.model.access import Role
from privyseal.model.api.fields import limited
from privyseal.model.approval import ApprovalState, FourEyes

PERSON: Final = r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$"
TOKEN_NAME: Final = r"^[a-z0-9][a-z0-9._-]{0,63}$"
DURATION: Final = r"^[0-9]{1,6}[mhdy]$"
_ROLES: Final = tuple(role.value for role in Role)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """One way to mend it."""

    text: str
    command: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with one field."""

    pointer: str = limited(doc="JSON pointer (RFC 6901) into the request.")
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error (RFC 9457), with the same code, cause and remedies as everywhere."""

    type: str = limited(doc="A page about it, on this server.")
    title: str
    status: int
    detail: str
    code: int = limited(doc="Stable for ever; `privyseal explain CODE`.")
    cause: str
    remedies: tuple[Remedy, ...]
    retryable: bool
    correlation_id: str = limited(doc="The incident in the server's log.")
    retry_after: int | None = None
    errors: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewShape:
    """What an act would do."""

    summary: str
    effects: tuple[str, ...]
    counts: Mapping[str, int]
    irreversible: tuple[str, ...]
    blockers: tuple[str, ...]
    tier0: bool
    over_limit: bool
    needs_approval: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalShape:
    """A request for a second person."""

    id: int
    act: str
    state: str = limited(choices=tuple(state.value for state in ApprovalState))
    requester: str
    requested_by: str
    created_at: datetime
    expires_at: datetime
    summary: str
    effects: tuple[str, ...]
    counts: Mapping[str, int]
    irreversible: tuple[str, ...]
    decider: str | None
    decided_at: datetime | None
    what: str | None
    result: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """Why an approval is denied."""

    reason: str = limited(pattern=r"\S", longest=500)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantShape:
    """A role of a person."""

    person: str
    role: str = limited(choices=_ROLES)
    labels: tuple[str, ...] = limited(doc="Empty: everything.")


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantWish:
    """Give a person a role."""

    person: str = limited(pattern=PERSON, longest=64)
    role: str = limited(choices=_ROLES)
    labels: tuple[str, ...] = limited(factory=tuple, longest=32)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedRole:
    """A role that a person does not hold any more."""

    person: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenShape:
    """A token; its secret is nowhere."""

    name: str
    owner: str
    roles: tuple[str, ...]
    labels: tuple[str, ...]
    created_by: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = limited(doc="To the hour.")  # noqa: RUF009 - it makes a field
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenWish:
    """Make a token."""

    name: str = limited(pattern=TOKEN_NAME, longest=64)
    owner: str | None = limited(pattern=PERSON, longest=64, default=None, doc="Default: who asks.")
    roles: tuple[str, ...] = limited(longest=8, choices=_ROLES)
    labels: tuple[str, ...] = limited(factory=tuple, longest=32)
    life: str | None = limited(
        pattern=DURATION, longest=8, default=None, doc="Such as 90d (the default); 366d at most."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMade:
    """A new token with its secret, which is shown this once."""

    secret: str = limited(secret=True)
    token: TokenShape | None = None
    approval: ApprovalShape | None = limited(default=None, doc="Once approved, the secret is good.")  # noqa: RUF009 - it makes a field


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstOwnerWish:
    """Become the first owner."""

    code: str = limited(longest=64, doc="Of `privyseal access first-owner`, on the machine.")
    person: str = limited(pattern=PERSON, longest=64)
    token: str = limited(pattern=TOKEN_NAME, longest=64, default="first-owner", doc="Its name.")


@dataclass(frozen=True, slots=True, kw_only=True)
class FourEyesWish:
    """Set four eyes."""

    mode: str = limited(choices=tuple(mode.value for mode in FourEyes))
    reason: str = limited(default="", longest=500)


@dataclass(frozen=True, slots=True, kw_only=True)
class FourEyesShape:
    """The setting of four eyes, and whether two people are needed now."""

    four_eyes: str = limited(choices=tuple(mode.value for mode in FourEyes))
    until: datetime | None = None
    in_force: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WhoAmI:
    """Who asks, as the server sees it."""

    name: str
    person: str
    grants: tuple[GrantShape, ...]
    permissions: tuple[str, ...]
    expires_at: datetime | None = None
    four_eyes: bool = False
