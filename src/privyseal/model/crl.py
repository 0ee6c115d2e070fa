# SPDX-License-Identifier: Apache-2.0
"""CRLs as values: which one is meant, and what is known of one that was published."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlScope:
    """One of a CA's CRLs: which shard, and whether it is the base or the delta."""

    shard: int = 0
    delta: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlFacts:
    """What is known of a CRL without reading its octets."""

    number: int
    shard: int
    base_number: int | None
    """BaseCRLNumber of a delta CRL; None for a base."""
    this_update: datetime
    next_update: datetime
    octets: int
    digest: bytes
    """SHA-256 of its DER."""

    @property
    def scope(self) -> CrlScope:
        """Which of the CA's CRLs it is."""
        return CrlScope(shard=self.shard, delta=self.base_number is not None)
