# SPDX-License-Identifier: Apache-2.0
"""The last look at device or user and key before a signature, in the transaction that stores the intent.

Between the first look and this one lies a question to a directory: long enough for somebody to be kept out.
"""

from __future__ import annotations

from typing import Final

from privyseal.errors import WeakKey
from privyseal.model.enrollment import Claim
from privyseal.store.entities import entity_of
from privyseal.store.unit import Transaction

_LOOK: Final = (
    "SELECT enabled, blocked, EXISTS (SELECT 1 FROM blocked_keys WHERE key_hash = ?) FROM entities WHERE id = ?"
)


def guard_entity(transaction: Transaction, claim: Claim) -> None:
    """Raise EntityDisabled, EnrollmentBlocked or WeakKey when that became true meanwhile."""
    if claim.entity_id is None:
        return
    row = transaction.one(_LOOK, (claim.key_hash, claim.entity_id))
    if row is None or (row[0] and row[1] is None and not row[2]):
        return  # nearly always: every issuance comes by here
    entity = entity_of(transaction, claim.entity_id)
    if entity is not None:
        entity.require_enabled()
        entity.require_admitted(claim.profile)
    if row[2]:
        raise WeakKey("a certificate of this key was revoked a moment ago because the key was compromised")
