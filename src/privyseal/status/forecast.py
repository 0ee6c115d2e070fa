# SPDX-License-Identifier: Apache-2.0
"""Until when relying parties may still accept what is revoked now: a pure function of what was published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from privyseal.model.crl import CrlFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCrl:
    """A CRL that somebody may hold, and until when it lets the certificate pass."""

    number: int
    delta: bool
    accepted_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What is out there when a certificate is revoked."""

    crls: tuple[HeldCrl, ...]
    """Newest first."""
    ocsp_until: datetime
    """An OCSP answer that was given a moment ago."""
    certificate_until: datetime

    @property
    def crl_until(self) -> datetime | None:
        """The last moment for those who go by the CRL alone; None when nobody holds one."""
        return max((held.accepted_until for held in self.crls if not held.delta), default=None)

    @property
    def delta_until(self) -> datetime | None:
        """The last moment for those who take delta CRLs into account; None without deltas."""
        return max((held.accepted_until for held in self.crls if held.delta), default=None)

    @property
    def everybody(self) -> datetime:
        """From then on nobody accepts it who checks at all."""
        return max(self.ocsp_until, self.crl_until or self.ocsp_until)


def forecast(
    still_good: Sequence[CrlFacts], *, now: datetime, ocsp_validity: timedelta, not_after: datetime
) -> Forecast:
    """``still_good``: CRLs of the certificate's scope that were published before the revocation and have not ended."""
    return Forecast(
        crls=tuple(
            HeldCrl(
                number=facts.number,
                delta=facts.base_number is not None,
                accepted_until=min(facts.next_update, not_after),
            )
            for facts in sorted(still_good, key=lambda facts: -facts.number)
            if facts.next_update > now
        ),
        ocsp_until=min(now + ocsp_validity, not_after),
        certificate_until=not_after,
    )
