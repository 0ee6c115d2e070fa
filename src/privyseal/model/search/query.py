# SPDX-License-Identifier: Apache-2.0
"""What a search means, as frozen values. Clauses are joined by "and"; the values inside one by "or"."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

LARGEST_PAGE = 1000
EXPIRING_FROM = 80
"""Percent of its life after which a certificate counts as expiring."""


class Field(Enum):
    """What can be searched by; the value is the word that people write before the colon."""

    STATUS = "status"
    PROFILE = "profile"
    REVISION = "revision"
    ISSUER = "issuer"
    VERSION = "version"
    KIND = "kind"
    PROTOCOL = "protocol"
    REQUESTER = "requester"
    REASON = "reason"
    ENTITY = "entity"
    DEVICE = "device"
    USER = "user"
    SID = "sid"
    SERIAL = "serial"
    SUBJECT = "subject"
    SAN = "san"
    TEXT = "text"
    ENDS = "ends"
    ISSUED = "issued"
    REVOKED = "revoked"


class Status(Enum):
    """The status that people see: the stored one, or what the clock makes of it."""

    ACTIVE = "active"
    """In force: valid or expiring."""
    VALID = "valid"
    """In force, and not yet in the last fifth of its life."""
    EXPIRING = "expiring"
    EXPIRED = "expired"
    REVOKED = "revoked"
    """Held ones among them."""
    HELD = "held"
    RESERVED = "reserved"
    """Meant, but not (yet) signed."""


@dataclass(frozen=True, slots=True)
class Among:
    """The field has one of these values, each in its one spelling."""

    field: Field
    values: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Holds:
    """The field (subject, san, or any name: text) has one of these in it, whatever the case."""

    field: Field
    needles: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Within:
    """The moment lies from ``since`` on and before ``until``, both in seconds since 1970; None is open."""

    field: Field
    since: int | None
    until: int | None
    negated: bool = False


Clause = Among | Holds | Within


@dataclass(frozen=True, slots=True)
class Search:
    """A search as it was understood at the moment ``now`` (seconds since 1970). No clause: everything."""

    clauses: tuple[Clause, ...]
    now: int
    text: str = ""
    """As it was written."""


def fold(text: str) -> str:
    """Text for comparison whatever the case: character by character, so that positions and lengths stay."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)
