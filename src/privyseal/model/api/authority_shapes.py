# SPDX-License-Identifier: Apache-2.0
"""Shapes of the acts about CAs. What they hold is text, as on the command line; the acts judge it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from privyseal.model.api.fields import limited
from privyseal.model.revocation import CrlReason

NAME: Final = r"^[A-Za-z0-9-]{1,64}$"
_VERSION: Final = r"^[1-9][0-9]{0,3}$"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityWish:
    """A CA to make: a root, one below a parent of ours, or one whose request is signed outside."""

    name: str = limited(pattern=NAME, longest=64)
    kind: str = limited(choices=("root", "issuing"), default="issuing")
    parent: str | None = limited(default=None, pattern=NAME, longest=64)
    external_root: bool = False
    subject: str | None = limited(default=None, longest=1024)
    key: str | None = limited(default=None, longest=16, doc="Such as rsa:3072 or ec:p256.")
    hash: str | None = limited(default=None, longest=16)
    validity: str | None = limited(default=None, longest=16)
    path_length: str | None = limited(default=None, longest=2)
    eku: tuple[str, ...] = limited(factory=tuple, longest=32)
    crl_validity: str | None = limited(default=None, longest=16)
    crl_interval: str | None = limited(default=None, longest=16)
    delta_crl: str | None = limited(default=None, longest=16)
    delta_interval: str | None = limited(default=None, longest=16)
    crl_shards: str | None = limited(default=None, longest=8)
    description: str | None = limited(default=None, longest=500)
    labels: tuple[str, ...] = limited(factory=tuple, longest=16)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityChange:
    """Labels, description and renewal of a CA's name."""

    description: str | None = limited(default=None, longest=500)
    labels: tuple[str, ...] | None = None
    renew: str | None = limited(default=None, choices=("remind", "auto"))
    at: str | None = limited(default=None, longest=4, doc="Percent of its life, such as 66.")


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionWish:
    """Which version; without one the act chooses."""

    version: str | None = limited(default=None, pattern=_VERSION, longest=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewWish:
    """Stage the next version."""

    same_key: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivateWish:
    """Put a staged version in force."""

    version: str | None = limited(default=None, pattern=_VERSION, longest=4)
    accept: tuple[str, ...] = limited(factory=tuple, longest=8, doc="Gates that may stay shut; kept in the trail.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeAuthorityWish:
    """Revoke a CA for good."""

    version: str | None = limited(default=None, pattern=_VERSION, longest=4)
    reason: str | None = limited(default=None, choices=tuple(reason.label for reason in CrlReason))
    override: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """An act that takes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityDone:
    """The version that an act was about."""

    name: str
    version: int | None = None
    state: str | None = None
