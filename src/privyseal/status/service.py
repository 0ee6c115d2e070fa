# SPDX-License-Identifier: Apache-2.0
"""Revoking, and the CRL that follows at once. Keeping CRLs fresh when nobody revokes."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from privyseal.ca.crl import PublishedCrl, publish_crl
from privyseal.ca.issuer import Issuer
from privyseal.ca.ports import Clock, CrlLedger, Signer
from privyseal.model.revocation import CrlReason, Revocation


class RevocationLedger(CrlLedger, Protocol):
    """A CRL ledger that also stores revocations."""

    async def revoke(self, issuer_id: int, serial: int, *, revocation: Revocation, actor: str) -> None:
        """Store status and CRL entry together. Raises NotIssued, AlreadyRevoked."""

    def latest_crl(self, issuer_id: int) -> tuple[int, datetime, datetime, bytes] | None:
        """Number, thisUpdate, nextUpdate and DER of the CRL in force."""

    def crl_is_outdated(self, issuer_id: int) -> bool:
        """True when something was revoked since the CRL in force was begun."""


class StatusService:
    """Revocation and CRL publication."""

    def __init__(self, ledger: RevocationLedger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def revoke(
        self,
        issuer: Issuer,
        serial: int,
        *,
        signer: Signer,
        reason: CrlReason,
        invalid_since: datetime | None,
        actor: str,
    ) -> PublishedCrl:
        """Revoke, and publish the CRL that says so. OCSP answers from the same row from then on."""
        now = self._clock.now()
        revocation = Revocation(now.replace(microsecond=0), reason, invalid_since)
        await self._ledger.revoke(issuer.id, serial, revocation=revocation, actor=actor)
        return await publish_crl(issuer, signer, ledger=self._ledger, now=self._clock.now())

    def crl_is_due(self, issuer: Issuer) -> bool:
        """True when the CA has no CRL, or it lacks a revocation, or it is older than the publication interval."""
        latest = self._ledger.latest_crl(issuer.id)
        if latest is None or self._ledger.crl_is_outdated(issuer.id):
            return True
        _, this_update, _, _ = latest
        return self._clock.now() >= this_update + issuer.record.crl.publish_every

    async def publish(self, issuer: Issuer, signer: Signer) -> PublishedCrl:
        """Publish a new CRL now."""
        return await publish_crl(issuer, signer, ledger=self._ledger, now=self._clock.now())
