# SPDX-License-Identifier: Apache-2.0
"""One-time enrollment challenges: bound to one end entity and one profile, stored as a hash only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from privyseal.model.lifespan import is_good


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """A challenge as stored. The secret itself exists only in the hand of whom it was shown to."""

    id: int
    profile: str
    entity_id: int
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None

    def is_good(self, now: datetime) -> bool:
        """Whether it is not over yet, used or not."""
        return is_good(self.created_at, self.expires_at, now=now)


def challenge_hash(secret: str) -> bytes:
    """SHA-256 of the secret. Enough, without salt or stretching: the secret holds 160 random bits."""
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()
