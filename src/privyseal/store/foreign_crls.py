# SPDX-License-Identifier: Apache-2.0
"""CRLs that were made where the key is: stored under the number that they carry, which never falls."""

from __future__ import annotations

from privyseal.ca.external import ForeignCrl
from privyseal.ca.issuer import Issuer
from privyseal.errors import CrlRefused
from privyseal.model.audit import AuditEvent
from privyseal.store.committer import GroupCommitter
from privyseal.store.crls import CrlBook, newest_number
from privyseal.store.moments import to_seconds
from privyseal.store.unit import Transaction


class ForeignCrls:
    """Implements ``administration.authorities_outside.CrlStore``."""

    def __init__(self, committer: GroupCommitter, crls: CrlBook) -> None:
        self._committer = committer
        self._crls = crls

    async def import_crl(self, issuer: Issuer, crl: ForeignCrl, *, actor: str) -> None:
        """Publish a CRL. Raises CrlRefused when one with this number or a higher one is there."""

        def work(transaction: Transaction) -> None:
            newest = newest_number(transaction, issuer.id)
            if crl.number <= newest:
                raise CrlRefused(
                    f"CRL {crl.number} of {issuer.shown} is not newer than CRL {newest}, which is here already"
                )
            transaction.execute(
                "INSERT INTO crls (issuer_id, number, shard, base_number, this_update, next_update, state, octets) "
                "VALUES (?,?,0,NULL,?,?,'reserved',0)",
                (issuer.id, crl.number, to_seconds(crl.this_update), to_seconds(crl.next_update)),
            )
            transaction.audit(
                AuditEvent(
                    event="crl.imported",
                    actor=actor,
                    target=f"ca:{issuer.record.name}",
                    detail={"version": issuer.record.version, "number": crl.number, "entries": len(crl.serials)},
                )
            )

        await self._committer.run(work)
        await self._crls.record_crl(issuer.id, crl.number, crl.encoded)
