# SPDX-License-Identifier: Apache-2.0
"""Revoking, holding and releasing, and the CRLs that follow at once. Keeping CRLs fresh when nobody revokes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from privyseal.ca.crl import publish_crl
from privyseal.ca.issuer import Issuer
from privyseal.ca.ports import Apart, Clock, CrlLedger, Signer
from privyseal.errors import NotFound
from privyseal.model.crl import CrlFacts, CrlScope
from privyseal.model.revocation import CrlReason, Revocation


class RevocationLedger(Protocol):
    """Stores revocations, each with its CRL entry in one transaction."""

    async def revoke(self, issuer_id: int, serial: int, *, revocation: Revocation, actor: str) -> None:
        """Store status and CRL entry together. Raises NotIssued, AlreadyRevoked, HoldNotPossible."""

    async def release(self, issuer_id: int, serial: int, *, actor: str) -> None:
        """End a hold. Raises NotIssued, NotOnHold."""


class CrlShelf(CrlLedger, Protocol):
    """A CRL ledger that also tells what is in force."""

    def in_force(self, issuer_id: int, scope: CrlScope) -> CrlFacts | None:
        """The CRL of this scope that relying parties get."""

    def last_change(self, issuer_id: int, shard: int) -> int:
        """The newest CRL number when something was last revoked or released in this shard; -1 before that."""


class StatusService:
    """Revocation and CRL publication. ``changed`` is called when a CRL is wanted that nobody waits for."""

    def __init__(
        self,
        ledger: RevocationLedger,
        crls: CrlShelf,
        *,
        clock: Clock,
        apart: Apart,
        changed: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._crls = crls
        self._clock = clock
        self._apart = apart
        self._changed = changed

    async def enter(
        self, issuer: Issuer, serial: int, *, reason: CrlReason, invalid_since: datetime | None, actor: str
    ) -> None:
        """Revoke, whatever the number of those revoked before. OCSP says so from then on; the CRL follows by itself."""
        revocation = Revocation(self._clock.now().replace(microsecond=0), reason, invalid_since)
        await self._ledger.revoke(issuer.id, serial, revocation=revocation, actor=actor)
        self._changed()

    async def revoke(
        self,
        issuer: Issuer,
        serial: int,
        *,
        signer: Signer,
        reason: CrlReason,
        invalid_since: datetime | None,
        actor: str,
    ) -> CrlFacts:
        """Revoke, and wait for the CRL that says so."""
        await self.enter(issuer, serial, reason=reason, invalid_since=invalid_since, actor=actor)
        return await self.told(issuer, signer, serial)

    async def release(self, issuer: Issuer, serial: int, *, signer: Signer, actor: str) -> CrlFacts:
        """End a hold, and wait for the CRL that says so. OCSP says good from the same moment."""
        await self._ledger.release(issuer.id, serial, actor=actor)
        return await self.told(issuer, signer, serial)

    async def told(self, issuer: Issuer, signer: Signer, serial: int) -> CrlFacts:
        """The CRL that says what is stored of this serial, published now if it is not yet. Raises NotFound."""
        rules = issuer.record.crl
        shard = rules.shard_of(serial)
        await self.publish_due(issuer, signer, shards=(shard,))
        facts = self._crls.in_force(issuer.id, CrlScope(shard=shard, delta=rules.delta is not None))
        if facts is None:
            raise NotFound(f"CA {issuer.record.name} has no CRL")
        return facts

    def due(self, issuer: Issuer, *, shards: Iterable[int] | None = None) -> tuple[CrlScope, ...]:
        """The CRLs that are missing, lack a change, or are older than their interval; bases before deltas.

        One that is not valid yet was made under a clock that ran ahead: nobody accepts it now, so it is due as well.
        """
        return tuple(
            scope
            for shard in (issuer.record.crl.all_shards if shards is None else shards)
            for scope in self._due_of(issuer, shard)
        )

    def _due_of(self, issuer: Issuer, shard: int) -> Iterable[CrlScope]:
        rules, now = issuer.record.crl, self._clock.now()
        base = self._crls.in_force(issuer.id, CrlScope(shard=shard))
        delta = None if rules.delta is None else self._crls.in_force(issuer.id, CrlScope(delta=True))
        changed = self._crls.last_change(issuer.id, shard)
        base_due = (
            base is None
            or not base.this_update <= now < base.this_update + rules.publish_every
            # Where there are deltas a change is told by the next of them; the first comes with a base that names it.
            or (delta is None if rules.delta is not None else changed >= base.number)
        )
        if base_due:
            yield CrlScope(shard=shard)
        if rules.delta is None:
            return
        if (
            base_due
            or delta is None
            or base is None
            or max(changed, base.number) >= delta.number
            or not delta.this_update <= now < delta.this_update + rules.delta.publish_every
        ):
            yield CrlScope(delta=True)

    async def publish(self, issuer: Issuer, signer: Signer, scope: CrlScope) -> CrlFacts:
        """Publish a new CRL of this scope now."""
        return await publish_crl(
            issuer, signer, ledger=self._crls, apart=self._apart, now=self._clock.now(), scope=scope
        )

    async def publish_due(
        self, issuer: Issuer, signer: Signer, *, shards: Iterable[int] | None = None
    ) -> tuple[CrlFacts, ...]:
        """Publish what is due, one after the other."""
        return tuple([await self.publish(issuer, signer, scope) for scope in self.due(issuer, shards=shards)])
