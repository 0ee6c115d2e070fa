# SPDX-License-Identifier: Apache-2.0
"""The operation that makes the first owner, for whoever read the code on the machine. Nobody can sign in before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from privyseal.ca.ports import Clock, Rng
from privyseal.endpoints.api import examples
from privyseal.endpoints.api.access import token_shape
from privyseal.endpoints.api.acts import would
from privyseal.endpoints.api.operation import Call, Operation, Reply
from privyseal.model.access import parse_person
from privyseal.model.api.access_shapes import FirstOwnerWish, TokenMade
from privyseal.model.first_owner import code_digest
from privyseal.model.token import DEFAULT_LIFE, Token, new_secret, parse_token_name, token_digest


class Codes(Protocol):
    """The code that waits to be used."""

    def check(self, digest: bytes, *, now: datetime) -> None:
        """Raise FirstOwnerRefused unless the code is good now."""

    async def take(self, digest: bytes, *, person: str, token: str, token_digest: bytes, expires_at: datetime) -> None:
        """Make the person owner, with a token, and end the code. Raises FirstOwnerRefused, NameTaken."""


class Tokens(Protocol):
    """Stored tokens."""

    def token(self, name: str) -> Token:
        """Raises NotFound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstOwnerOperations:
    """The handler, with what it needs."""

    codes: Codes
    tokens: Tokens
    clock: Clock
    rng: Rng

    def table(self) -> Iterator[Operation]:
        """One operation."""
        yield Operation(
            id="first_owner", method="POST", path="/first-owner", permission=None, status=201, previews=True,
            summary="Become the first owner, by the code of `privyseal access first-owner`; the token is shown once.",
            handler=self.take, body=FirstOwnerWish, body_example=examples.FIRST_OWNER, answer=TokenMade,
            example=examples.TOKEN_MADE, keeps_secret=True, body_limit=4096,
            open_because="nobody has a token before it; the code is good once, for 30 minutes, while there is no owner",
        )  # fmt: skip

    async def take(self, call: Call) -> Reply:
        """The code is looked at before anything is written."""
        wish: FirstOwnerWish = call.body
        person, token = parse_person(wish.person), parse_token_name(wish.token)
        code, now = code_digest(wish.code), self.clock.now().replace(microsecond=0)
        self.codes.check(code, now=now)
        if call.dry_run:
            return would(f"make {person} the first owner, with token {token}")
        secret = new_secret(self.rng.bytes(32))
        await self.codes.take(
            code, person=person, token=token, token_digest=token_digest(secret), expires_at=now + DEFAULT_LIFE
        )
        return Reply(TokenMade(secret=secret, token=token_shape(self.tokens.token(token))), 201)
