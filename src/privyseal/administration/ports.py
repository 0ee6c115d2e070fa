# SPDX-License-Identifier: Apache-2.0
"""What the desk and the acts about access need from outside. Effects are on disk when a method returns."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from privyseal.model.access import Actor, Grant, Role
from privyseal.model.approval import Approval, ApprovalState, FourEyes
from privyseal.model.preview import Preview
from privyseal.model.token import Token


class ApprovalStore(Protocol):
    """Approvals, with their audit rows."""

    async def add(
        self, act: str, parameters: Mapping[str, Any], *, preview: Preview, actor: Actor, expires_at: datetime
    ) -> Approval:
        """Store one that waits."""

    def get(self, approval_id: int) -> Approval:
        """Raises NotFound."""

    async def decide(self, approval_id: int, state: ApprovalState, *, actor: Actor, what: str) -> None:
        """From waiting to approved, denied or cancelled. Raises ApprovalOver when it is not waiting, or ran out."""

    async def finish(
        self, approval_id: int, state: ApprovalState, *, what: str, result: Mapping[str, Any] | None
    ) -> None:
        """From approved to done or failed."""


class AccessStore(Protocol):
    """Who holds which role, and the tokens, with their audit rows."""

    def grants_of(self, person: str) -> tuple[Grant, ...]:
        """The roles of a person."""

    def holders(self) -> tuple[tuple[str, Grant], ...]:
        """Every person with every grant, in order."""

    async def grant(self, person: str, grant: Grant, *, actor: str) -> None:
        """Give a role, or give it other labels."""

    async def revoke_grant(self, person: str, role: Role, *, actor: str) -> None:
        """Take a role away. Raises NotFound."""


class TokenStore(Protocol):
    """API tokens."""

    def token(self, name: str) -> Token:
        """Raises NotFound."""

    def has_token(self, name: str) -> bool:
        """Also when it has ended: a name means one token for ever."""

    async def add_token(
        self, name: str, owner: str, *, grants: tuple[Grant, ...], digest: bytes, expires_at: datetime, actor: str
    ) -> Token:
        """Raises NameTaken."""

    async def revoke_token(self, name: str, *, actor: str) -> None:
        """Raises NotFound."""


class FourEyesStore(Protocol):
    """The setting, and what it follows when it is automatic."""

    def four_eyes(self) -> tuple[FourEyes, datetime | None]:
        """The setting, and until when it holds if it was set for a time."""

    def lasting_four_eyes(self) -> FourEyes:
        """The setting that holds again after one that was made for a time."""

    async def set_four_eyes(self, mode: FourEyes, *, until: datetime | None, actor: str, reason: str) -> None:
        """Store it."""

    def in_ntauth(self) -> frozenset[str]:
        """Names of our CAs that stand in NTAuth, by receipts or seen there once."""
