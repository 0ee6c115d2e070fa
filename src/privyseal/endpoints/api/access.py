# SPDX-License-Identifier: Apache-2.0
"""Operations about access: who asks, roles, tokens, four eyes and approvals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from privyseal.administration.access import grant_item, token_item
from privyseal.administration.desk import Desk
from privyseal.ca.ports import Clock, Rng
from privyseal.endpoints.api import examples
from privyseal.endpoints.api.acts import approval_shape, preview_shape, submit
from privyseal.endpoints.api.cursor import make_cursor, number_of
from privyseal.endpoints.api.operation import Call, Kind, Operation, Page, QueryField, Reply
from privyseal.errors import NotFound
from privyseal.model.access import PERMISSIONS, Grant, Permission, check_permission
from privyseal.model.api.access_shapes import (
    PERSON,
    TOKEN_NAME,
    ApprovalShape,
    Denial,
    FourEyesShape,
    FourEyesWish,
    GrantShape,
    GrantWish,
    RevokedRole,
    TokenMade,
    TokenShape,
    TokenWish,
    WhoAmI,
)
from privyseal.model.api.codec import decode
from privyseal.model.approval import Approval, ApprovalState
from privyseal.model.token import Token, new_secret, token_digest

_STATE: Final = QueryField(
    name="state", doc="Only in this state.", choices=tuple(state.value for state in ApprovalState)
)


class Holders(Protocol):
    """Who holds which role."""

    def holders(self) -> tuple[tuple[str, Grant], ...]:
        """Every person with every grant."""


class Tokens(Protocol):
    """Stored tokens."""

    def token(self, name: str) -> Token:
        """Raises NotFound."""

    def page(self, *, before: int, limit: int) -> tuple[Token, ...]:
        """Newest first."""


class Approvals(Protocol):
    """Stored approvals."""

    def get(self, approval_id: int) -> Approval:
        """Raises NotFound."""

    def page(self, *, before: int, limit: int, state: str = "") -> tuple[Approval, ...]:
        """Newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessOperations:
    """The handlers, with what they read."""

    desk: Desk
    holders: Holders
    tokens: Tokens
    approvals: Approvals
    clock: Clock
    rng: Rng

    def table(self) -> Iterator[Operation]:
        """Every operation about access."""
        yield Operation(
            id="whoami", method="GET", path="/whoami", permission=None, summary="Who asks, as the server sees it.",
            handler=self.whoami, answer=WhoAmI, example=examples.WHO,
        )  # fmt: skip
        yield from self._roles()
        yield from self._tokens()
        yield from self._approvals()

    def _roles(self) -> Iterator[Operation]:
        read, write = Permission.ACCESS_READ, Permission.ACCESS_WRITE
        yield Operation(
            id="list_roles", method="GET", path="/roles", permission=read, kind=Kind.PAGE,
            summary="Who holds which role.", handler=self.list_roles, answer=GrantShape, example=examples.GRANT,
        )  # fmt: skip
        yield Operation(
            id="grant_role", method="POST", path="/roles", permission=write, kind=Kind.ACT, status=201,
            summary="Give a person a role.", handler=self.grant_role, body=GrantWish, body_example=examples.GRANT,
            answer=GrantShape, example=examples.GRANT,
        )  # fmt: skip
        yield Operation(
            id="revoke_role", method="DELETE", path="/roles/{person}/{role}", permission=write, kind=Kind.ACT,
            summary="Take a role away.", handler=self.revoke_role, answer=RevokedRole,
            example={"person": "ada", "role": "operator"}, path_patterns={"person": PERSON},
        )  # fmt: skip
        yield Operation(
            id="get_four_eyes", method="GET", path="/four-eyes", permission=read, summary="The setting of four eyes.",
            handler=self.get_four_eyes, answer=FourEyesShape, example=examples.FOUR_EYES,
        )  # fmt: skip
        yield Operation(
            id="set_four_eyes", method="POST", path="/four-eyes", permission=write, kind=Kind.ACT,
            summary="Set four eyes.", handler=self.set_four_eyes, body=FourEyesWish,
            body_example={"mode": "on", "reason": "before the audit"}, answer=FourEyesShape,
            example={"four_eyes": "on", "until": None, "in_force": True},
        )  # fmt: skip

    def _tokens(self) -> Iterator[Operation]:
        read, write = Permission.ACCESS_READ, Permission.ACCESS_WRITE
        yield Operation(
            id="list_tokens", method="GET", path="/tokens", permission=read, kind=Kind.PAGE,
            summary="Tokens, newest first; never their secrets.", handler=self.list_tokens, answer=TokenShape,
            example=examples.TOKEN,
        )  # fmt: skip
        yield Operation(
            id="create_token", method="POST", path="/tokens", permission=write, kind=Kind.ACT, status=201,
            summary="Make a token; its secret is shown this once.", handler=self.create_token, body=TokenWish,
            body_example=examples.TOKEN_WISH, answer=TokenMade, example=examples.TOKEN_MADE, keeps_secret=True,
        )  # fmt: skip
        yield Operation(
            id="get_token", method="GET", path="/tokens/{name}", permission=read, summary="One token.",
            handler=self.get_token, answer=TokenShape, example=examples.TOKEN, path_patterns={"name": TOKEN_NAME},
        )  # fmt: skip
        yield Operation(
            id="revoke_token", method="DELETE", path="/tokens/{name}", permission=write, kind=Kind.ACT,
            summary="Revoke a token at once.", handler=self.revoke_token, answer=TokenShape,
            example={**examples.TOKEN, "revoked_at": "2026-12-01T10:00:00Z"}, path_patterns={"name": TOKEN_NAME},
        )  # fmt: skip

    def _approvals(self) -> Iterator[Operation]:
        ids = {"id": "^[0-9]{1,18}$"}
        done = {**examples.APPROVAL, "state": "done", "decider": "token:bob-1", "decided_at": "2026-11-22T09:00:00Z"}
        yield Operation(
            id="list_approvals", method="GET", path="/approvals", permission=None, kind=Kind.PAGE, query=(_STATE,),
            summary="Requests for a second person, newest first: one's own, and those one may decide.",
            handler=self.list_approvals, answer=ApprovalShape, example=examples.APPROVAL,
        )  # fmt: skip
        yield Operation(
            id="get_approval", method="GET", path="/approvals/{id}", permission=None, summary="One request.",
            handler=self.get_approval, answer=ApprovalShape, example=examples.APPROVAL, path_patterns=ids,
        )  # fmt: skip
        yield Operation(
            id="approve", method="POST", path="/approvals/{id}:approve", permission=Permission.APPROVAL_DECIDE,
            summary="Approve what somebody else asked for; it is done now.", handler=self.approve,
            answer=ApprovalShape, example=done, path_patterns=ids, previews=True,
        )  # fmt: skip
        yield Operation(
            id="deny", method="POST", path="/approvals/{id}:deny", permission=Permission.APPROVAL_DECIDE,
            summary="Refuse it.", handler=self.deny, body=Denial, body_example={"reason": "not before the weekend"},
            answer=ApprovalShape, example={**done, "state": "denied"}, path_patterns=ids,
        )  # fmt: skip
        yield Operation(
            id="cancel", method="POST", path="/approvals/{id}:cancel", permission=None,
            summary="Take a request of one's own back.", handler=self.cancel, answer=ApprovalShape,
            example={**done, "state": "cancelled"}, path_patterns=ids,
        )  # fmt: skip

    async def whoami(self, call: Call) -> Reply:
        """Who asks."""
        actor = call.actor
        kind, _, name = actor.name.partition(":")
        until = self.tokens.token(name).expires_at if kind == "token" else None
        held = frozenset().union(*(PERMISSIONS[grant.role] for grant in actor.grants)) if actor.grants else frozenset()
        return Reply(
            WhoAmI(
                name=actor.name,
                person=actor.person,
                grants=tuple(_grant(actor.person, grant) for grant in actor.grants),
                permissions=tuple(sorted(permission.value for permission in held)),
                expires_at=until,
                four_eyes=self.desk.needs_two(),
            )
        )

    async def list_roles(self, call: Call) -> Reply:
        """All grants; there are few, so one page holds them."""
        check_permission(call.actor, Permission.ACCESS_READ, frozenset())
        after = number_of(call.query.get("cursor"))
        found = self.holders.holders()
        items = tuple(_grant(person, grant) for person, grant in found[after : after + call.limit])
        more = make_cursor(after + call.limit) if len(found) > after + call.limit else None
        return Reply(Page(items, more))

    async def grant_role(self, call: Call) -> Reply:
        """``role.grant``."""
        wish: GrantWish = call.body
        given = {"person": wish.person, "role": wish.role, "labels": list(wish.labels)}
        return await submit(self.desk, call, "role.grant", parameters=given, status=201)

    async def revoke_role(self, call: Call) -> Reply:
        """``role.revoke``."""
        return await submit(self.desk, call, "role.revoke", parameters=dict(call.path))

    async def get_four_eyes(self, call: Call) -> Reply:
        """The setting."""
        mode, until = self.desk.four_eyes()
        return Reply(FourEyesShape(four_eyes=mode.value, until=until, in_force=self.desk.needs_two()))

    async def set_four_eyes(self, call: Call) -> Reply:
        """``four-eyes.set``."""
        given = {"mode": call.body.mode, "reason": call.body.reason}
        reply = await submit(self.desk, call, "four-eyes.set", parameters=given)
        return await self.get_four_eyes(call) if reply.status == 200 and not call.dry_run else reply

    async def list_tokens(self, call: Call) -> Reply:
        """A page of tokens."""
        check_permission(call.actor, Permission.ACCESS_READ, frozenset())
        found = self.tokens.page(before=number_of(call.query.get("cursor")), limit=call.limit)
        more = make_cursor(found[-1].id) if len(found) == call.limit else None
        return Reply(Page(tuple(token_shape(token) for token in found), more))

    async def get_token(self, call: Call) -> Reply:
        """One token."""
        check_permission(call.actor, Permission.ACCESS_READ, frozenset())
        return Reply(token_shape(self.tokens.token(call.path["name"])))

    async def create_token(self, call: Call) -> Reply:
        """``token.create``. The secret is made here and shown here; the act gets its hash."""
        wish: TokenWish = call.body
        secret = new_secret(self.rng.bytes(32))
        given = {
            "name": wish.name,
            "owner": wish.owner or call.actor.person,
            "roles": list(wish.roles),
            "labels": list(wish.labels),
            "digest": token_digest(secret).hex(),
            **({"life": wish.life} if wish.life else {}),
        }
        reply = await submit(self.desk, call, "token.create", parameters=given, status=201)
        if call.dry_run:
            return reply
        if reply.status == 202:
            return Reply(TokenMade(secret=secret, approval=reply.content), 202, reply.headers)
        return Reply(TokenMade(secret=secret, token=decode(TokenShape, reply.content)), 201)

    async def revoke_token(self, call: Call) -> Reply:
        """``token.revoke``."""
        return await submit(self.desk, call, "token.revoke", parameters={"name": call.path["name"]})

    async def list_approvals(self, call: Call) -> Reply:
        """One's own, and those one may decide. Rows of others are passed over, so a page may be short."""
        found = self.approvals.page(
            before=number_of(call.query.get("cursor")), limit=call.limit, state=call.query.get("state", "")
        )
        more = make_cursor(found[-1].id) if len(found) == call.limit else None
        return Reply(Page(tuple(approval_shape(item) for item in found if _sees(call, item)), more))

    async def get_approval(self, call: Call) -> Reply:
        """One request."""
        return Reply(approval_shape(self._found(call)))

    async def approve(self, call: Call) -> Reply:
        """Approve and do it; with ``dry_run`` what would happen now, if it may be approved."""
        if call.dry_run:
            fresh = await self.desk.look_again(call.actor, self._found(call).id)
            return Reply(preview_shape(fresh, needs_approval=False))
        return Reply(approval_shape(await self.desk.approve(call.actor, self._found(call).id)))

    async def deny(self, call: Call) -> Reply:
        """Refuse it."""
        found = self._found(call)
        return Reply(approval_shape(await self.desk.deny(call.actor, found.id, reason=call.body.reason)))

    async def cancel(self, call: Call) -> Reply:
        """Take it back."""
        return Reply(approval_shape(await self.desk.cancel(call.actor, self._found(call).id)))

    def _found(self, call: Call) -> Approval:
        text = call.path["id"]
        if not text.isascii() or not text.isdecimal() or len(text) > 18:
            raise NotFound(f"there is no approval {text[:40]!r}", mend=("privyseal approval list",))
        found = self.approvals.get(int(text))
        if not _sees(call, found):
            raise NotFound(f"there is no approval {text!r}", mend=("privyseal approval list",))
        return found


def _sees(call: Call, approval: Approval) -> bool:
    actor = call.actor
    may = actor.may(Permission.APPROVAL_DECIDE, approval.preview.labels) or actor.may(Permission.ACCESS_READ)
    return may or approval.requested_by == actor.person


def _grant(person: str, grant: Grant) -> GrantShape:
    return decode(GrantShape, grant_item(person, grant))


def token_shape(token: Token) -> TokenShape:
    """A token for the wire."""
    return decode(TokenShape, token_item(token))
