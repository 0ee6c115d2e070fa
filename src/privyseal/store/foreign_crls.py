# SPDX-License-Identifier: Apache-2.0
"""CRLs that were made where the key is: stored under the number that they carry, which never falls."""

from __future__ import annotations

from collections.abc import Sequence

from privyseal.ca.external import ForeignCrl
from privyseal.ca.issuer import Issuer
from privyseal.errors import CrlRefused
from privyseal.model.audit import AuditEvent
from privyseal.model.authority import CaRecord
from privyseal.store.authority_life import revoke_listed
from privyseal.store.committer import GroupCommitter
from privyseal.store.crls import CrlBook, newest_number
from privyseal.store.moments import to_seconds
from privyseal.store.unit import Transaction


class ForeignCrls:
    """Implements ``administration.authorities_outside.CrlStore``."""

    def __init__(self, committer: GroupCommitter, crls: CrlBook) -> None:
        self._committer = committer
        self._crls = crls

    async def import_crl(self, issuer: Issuer, crl: ForeignCrl, *, hit: Sequence[CaRecord], actor: str) -> None:
        """Revoke the CAs that it hits and publish it. Raises CrlRefused when one of this or a higher number is there.

        The CAs first, with the number: whoever dies before the octets are stored brings the same CRL once more.
        """

        def work(transaction: Transaction) -> None:
            newest = newest_number(transaction, issuer.id)
            if crl.number == newest and _was_interrupted(transaction, issuer.id, newest):
                transaction.execute("DELETE FROM crl_parts WHERE issuer_id = ? AND number = ?", (issuer.id, newest))
                transaction.execute("DELETE FROM crls WHERE issuer_id = ? AND number = ?", (issuer.id, newest))
            elif crl.number <= newest:
                raise CrlRefused(
                    f"CRL {crl.number} of {issuer.shown} is not newer than CRL {newest}, which is here already"
                )
            transaction.execute(
                "INSERT INTO crls (issuer_id, number, shard, base_number, this_update, next_update, state, octets) "
                "VALUES (?,?,0,NULL,?,?,'reserved',0)",
                (issuer.id, crl.number, to_seconds(crl.this_update), to_seconds(crl.next_update)),
            )
            for record in hit:
                revoke_listed(transaction, record.id, actor=actor)
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


def _was_interrupted(transaction: Transaction, issuer_id: int, number: int) -> bool:
    row = transaction.one("SELECT state FROM crls WHERE issuer_id = ? AND number = ?", (issuer_id, number))
    return row is not None and row[0] == "reserved"
