# SPDX-License-Identifier: Apache-2.0
"""From a token's secret to who asks: the token's roles, within those that its owner holds at this moment."""

from __future__ import annotations

from typing import Protocol

from privyseal.ca.ports import Clock
from privyseal.errors import TokenExpired, TokenRefused
from privyseal.model.access import Actor, Grant, Role, narrowed, parse_person
from privyseal.model.lifespan import is_good, why_over
from privyseal.model.token import Token, token_digest


class Tokens(Protocol):
    """Tokens by the hash of their secret."""

    def by_digest(self, digest: bytes) -> Token | None:
        """The token, ended or not, or None."""

    def token(self, name: str) -> Token:
        """The token of this name, ended or not. Raises NotFound."""


class Roles(Protocol):
    """The roles of people."""

    def grants_of(self, person: str) -> tuple[Grant, ...]:
        """All of them."""


class SignIn:
    """Tells who asks."""

    def __init__(self, tokens: Tokens, roles: Roles, clock: Clock) -> None:
        self._tokens = tokens
        self._roles = roles
        self._clock = clock

    def authenticate(self, secret: str) -> tuple[Actor, Token]:
        """The actor behind a secret. Raises TokenRefused, TokenExpired."""
        token = self._tokens.by_digest(token_digest(secret))
        if token is None:
            raise TokenRefused("no token has this secret")
        if token.revoked_at is not None:
            raise TokenRefused(f"token {token.name} was revoked at {token.revoked_at:%Y-%m-%dT%H:%M:%SZ}")
        if not is_good(token.created_at, token.expires_at, now=(now := self._clock.now())):
            raise TokenExpired(f"token {token.name} {why_over(token.expires_at, now=now)}")
        grants = narrowed(token.grants, self._roles.grants_of(token.owner))
        return Actor(f"token:{token.name}", grants, token.owner), token

    def standing(self, name: str, person: str) -> Actor:
        """What somebody who asked for something earlier may do now; a token that ended meanwhile is no fault."""
        kind, _, rest = name.partition(":")
        if kind != "token":
            return local_actor(name)
        token = self._tokens.token(rest)
        held = () if token.revoked_at is not None else self._roles.grants_of(token.owner)
        return Actor(name, narrowed(token.grants, held), person)


def local_actor(name: str) -> Actor:
    """Whoever runs the command line as the user that owns keys and store could do anything without us: an owner."""
    _, _, user = name.partition(":")
    return Actor(name, (Grant(Role.OWNER),), parse_person(user))
