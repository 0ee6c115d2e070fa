# SPDX-License-Identifier: Apache-2.0
"""Acts about access: roles, tokens and the setting of four eyes itself. A secret never passes here, only its hash."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from privyseal.administration.act import SecondPerson
from privyseal.administration.parameters import Parameters
from privyseal.administration.ports import AccessStore, FourEyesStore, TokenStore
from privyseal.ca.ports import Clock
from privyseal.errors import GrantTooWide, InvalidValue, LastOwner, NameTaken
from privyseal.model.access import (
    Grant,
    Permission,
    Role,
    narrowed,
    parse_labels,
    parse_person,
    parse_role,
)
from privyseal.model.approval import FourEyes
from privyseal.model.durations import format_duration, parse_duration
from privyseal.model.preview import Preview
from privyseal.model.token import DEFAULT_LIFE, Token, check_life, parse_token_name


class GrantRole:
    """``role.grant``: person, role, labels."""

    name = "role.grant"
    permission = Permission.ACCESS_WRITE
    second_person = SecondPerson.FOUR_EYES

    def __init__(self, access: AccessStore) -> None:
        self._access = access

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        person, grant = _grant(parameters)
        held = [other for other in self._access.grants_of(person) if other.role is grant.role]
        before = f"instead of {_reach(held[0])}" if held and held[0] != grant else ""
        effects = [f"{person} gets every permission of {grant.role.value} {_reach(grant)} {before}".rstrip()]
        if grant.role is Role.OWNER:
            effects.append("an owner may do everything here, and give every role to anybody")
        return Preview(summary=f"grant {person} the role {grant.role.value} {_reach(grant)}", effects=tuple(effects))

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``."""
        person, grant = _grant(parameters)
        if grant.labels and grant.role is Role.OWNER and Grant(Role.OWNER) in self._access.grants_of(person):
            check_an_owner_stays(self._access, person)
        await self._access.grant(person, grant, actor=actor)
        return grant_item(person, grant)


class RevokeRole:
    """``role.revoke``: person, role. Tokens of the person lose it at the same moment."""

    name = "role.revoke"
    permission = Permission.ACCESS_WRITE
    second_person = SecondPerson.NEVER  # taking power away must never wait

    def __init__(self, access: AccessStore) -> None:
        self._access = access

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        person, role = _person_and_role(parameters)
        return Preview(
            summary=f"take the role {role.value} from {person}",
            effects=("tokens of this person lose it at the same moment",),
        )

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``."""
        person, role = _person_and_role(parameters)
        if role is Role.OWNER:
            check_an_owner_stays(self._access, person)
        await self._access.revoke_grant(person, role, actor=actor)
        return {"person": person, "role": role.value}


class CreateToken:
    """``token.create``: name, owner, roles, labels, life, digest (hexadecimal SHA-256 of the secret)."""

    name = "token.create"
    permission = Permission.ACCESS_WRITE
    # With a token in another's name one person could approve what they asked for themselves.
    second_person = SecondPerson.FOUR_EYES

    def __init__(self, access: AccessStore, tokens: TokenStore, clock: Clock) -> None:
        self._access = access
        self._tokens = tokens
        self._clock = clock

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        asked = Parameters(parameters, {"name", "owner", "roles", "labels", "life", "digest"})
        name, owner = parse_token_name(asked.text("name")), parse_person(asked.text("owner"))
        grants, life = self._grants(asked, owner), _life(asked)
        _digest(asked)
        if self._tokens.has_token(name):
            raise NameTaken(f"a token {name!r} was made before", why="the audit trail knows each by its name")
        roles = ", ".join(f"{grant.role.value} {_reach(grant)}" for grant in grants)
        return Preview(
            summary=f"make token {name} for {owner}: {roles}, for {format_duration(life)}",
            effects=("whoever holds its secret acts in this person's name, within the person's own roles",),
        )

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``."""
        await self.preview(parameters)
        asked = Parameters(parameters)
        owner = parse_person(asked.text("owner"))
        made = await self._tokens.add_token(
            asked.text("name"),
            owner,
            grants=self._grants(asked, owner),
            digest=_digest(asked),
            expires_at=self._until(asked),
            actor=actor,
        )
        return token_item(made)

    def _grants(self, asked: Parameters, owner: str) -> tuple[Grant, ...]:
        labels = parse_labels(asked.texts("labels"))
        roles = tuple(dict.fromkeys(map(parse_role, asked.texts("roles"))))
        if not roles:
            raise InvalidValue("a token without a role may do nothing; say at least one")
        wanted = tuple(Grant(role, labels) for role in roles)
        if (held := narrowed(wanted, self._access.grants_of(owner))) != wanted:
            lost = ", ".join(grant.role.value for grant in wanted if grant not in held)
            raise GrantTooWide(
                f"{owner} does not hold {lost} {_reach(wanted[0])}",
                mend=(f"privyseal role grant {owner} {wanted[0].role.value}", "ask for fewer roles or narrower labels"),
            )
        return wanted

    def _until(self, asked: Parameters) -> datetime:
        return (self._clock.now() + _life(asked)).replace(microsecond=0)


class RevokeToken:
    """``token.revoke``: name. At once, also for a token that is in use."""

    name = "token.revoke"
    permission = Permission.ACCESS_WRITE
    second_person = SecondPerson.NEVER

    def __init__(self, tokens: TokenStore) -> None:
        self._tokens = tokens

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        token = self._tokens.token(Parameters(parameters, {"name"}).text("name"))
        used = "never used" if token.last_used_at is None else f"last used about {token.last_used_at:%Y-%m-%dT%HZ}"
        return Preview(
            summary=f"revoke token {token.name} of {token.owner}",
            effects=(f"it is refused from now on; it was {used}",),
            irreversible=("a revoked token does not come back; make a new one instead",),
        )

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``."""
        token = self._tokens.token(Parameters(parameters, {"name"}).text("name"))
        await self._tokens.revoke_token(token.name, actor=actor)
        return token_item(self._tokens.token(token.name))


class SetFourEyes:
    """``four-eyes.set``: mode, reason. Whatever it changes, two people decide while four eyes are on."""

    name = "four-eyes.set"
    permission = Permission.ACCESS_WRITE
    second_person = SecondPerson.FOUR_EYES

    def __init__(self, setting: FourEyesStore) -> None:
        self._setting = setting

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        mode, _ = self._asked(parameters)
        present = self._setting.in_ntauth()
        effects = {
            FourEyes.AUTO: f"it is {'on' if present else 'off'} then, since {_ntauth(present)}",
            FourEyes.ON: "important acts wait for a second person from now on",
            FourEyes.OFF: f"one person can do everything alone; {_ntauth(present)}",
        }
        before = self._setting.four_eyes()[0].value
        return Preview(
            summary=f"set four eyes from {before} to {mode.value}", effects=(effects[mode],), tier0=bool(present)
        )

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``."""
        mode, reason = self._asked(parameters)
        await self._setting.set_four_eyes(mode, until=None, actor=actor, reason=reason)
        return {"four_eyes": mode.value}

    def _asked(self, parameters: Mapping[str, Any]) -> tuple[FourEyes, str]:
        asked = Parameters(parameters, {"mode", "reason"})
        text = asked.text("mode")
        if text not in {mode.value for mode in FourEyes}:
            raise InvalidValue(f"four eyes {text[:40]!r} is not one of {', '.join(mode.value for mode in FourEyes)}")
        return FourEyes(text), asked.text("reason", "")


def check_an_owner_stays(access: AccessStore, person: str) -> None:
    """Somebody else is owner of everything. Raises LastOwner."""
    others = [name for name, grant in access.holders() if grant == Grant(Role.OWNER) and name != person]
    if not others:
        raise LastOwner(f"{person} is the only owner")


def grant_item(person: str, grant: Grant) -> dict[str, Any]:
    """A grant with stable field names."""
    return {"person": person, "role": grant.role.value, "labels": sorted(grant.labels)}


def token_item(token: Token) -> dict[str, Any]:
    """A token with stable field names; times are text."""
    return {
        "name": token.name,
        "owner": token.owner,
        "roles": sorted({grant.role.value for grant in token.grants}),
        "labels": sorted({label for grant in token.grants for label in grant.labels}),
        "created_by": token.created_by,
        "created_at": _moment(token.created_at),
        "expires_at": _moment(token.expires_at),
        "last_used_at": _moment(token.last_used_at),
        "revoked_at": _moment(token.revoked_at),
    }


def _moment(value: datetime | None) -> str | None:
    return None if value is None else f"{value:%Y-%m-%dT%H:%M:%SZ}"


def _grant(parameters: Mapping[str, Any]) -> tuple[str, Grant]:
    asked = Parameters(parameters, {"person", "role", "labels"})
    grant = Grant(parse_role(asked.text("role")), parse_labels(asked.texts("labels")))
    return parse_person(asked.text("person")), grant


def _person_and_role(parameters: Mapping[str, Any]) -> tuple[str, Role]:
    asked = Parameters(parameters, {"person", "role"})
    return parse_person(asked.text("person")), parse_role(asked.text("role"))


def _life(asked: Parameters) -> timedelta:
    text = asked.text("life", "")
    life = parse_duration(text) if text else DEFAULT_LIFE
    check_life(life)
    return life


def _digest(asked: Parameters) -> bytes:
    text = asked.text("digest")
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise InvalidValue("the digest of a token is 64 hexadecimal digits")
    return bytes.fromhex(text)


def _reach(grant: Grant) -> str:
    return f"for {', '.join(sorted(grant.labels))}" if grant.labels else "for everything"


def _ntauth(present: frozenset[str]) -> str:
    names = ", ".join(sorted(present))
    return f"CA {names} stands in NTAuth" if present else "no CA of ours stands in NTAuth"
