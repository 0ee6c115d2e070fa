# SPDX-License-Identifier: Apache-2.0
"""Revoking many: what was selected, frozen, and how far it has come. And which revocations keep the entity out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

from privyseal.model.revocation import CrlReason

BLAST_RADIUS: Final = 50
"""How many certificates one person may revoke at once."""
MOST_SELECTED: Final = 200_000
# Whoever replaces a key, or says nothing, wants the device back; every other reason says that it shall stay out.
_MAY_RETURN: Final = frozenset({CrlReason.UNSPECIFIED, CrlReason.SUPERSEDED})


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkRevocation:
    """One revocation of many, as stored."""

    id: int
    digest: str
    where: str
    selected: int
    reason: CrlReason
    invalid_since: datetime | None
    block: bool
    actor: str
    position: int
    """Ids up to here are done."""
    revoked: int
    skipped: int
    """Revoked by somebody else meanwhile, or before an interruption."""
    finished: bool
    touched_at: datetime | None = None
    """When it came further for the last time; None while nobody has begun."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Certificates, counted: by CA version (``issuing v1``), and how many entities hold them."""

    by_issuer: Mapping[str, int]
    entities: int


def blocks_by_default(reason: CrlReason) -> bool:
    """Whether an entity whose certificate is revoked for this reason gets no other by the same profile unless asked."""
    return reason not in _MAY_RETURN


def operation_name(bulk_id: int) -> str:
    """What the API calls it."""
    return f"op_{bulk_id}"


def selection_digest(ids: Iterable[int]) -> str:
    """Names a set of certificates: two selections with the same digest are the same."""
    return sha256(",".join(map(str, sorted(ids))).encode()).hexdigest()[:32]
