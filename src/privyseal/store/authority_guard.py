# SPDX-License-Identifier: Apache-2.0
"""The last guard before a signature: a CA's state, read in the transaction that stores the intent.

What this process believes may be a moment old; another may have paused or revoked the CA meanwhile.
"""

from __future__ import annotations

from typing import Final

from privyseal.ca.lifecycle import MOST_TEST_CERTIFICATES, Purpose, may_sign
from privyseal.errors import IssuerNotActive, IssuerPaused, StagedLimitReached
from privyseal.model.authority import CaState
from privyseal.model.certificate import CertificateKind
from privyseal.model.enrollment import CROSS, Claim
from privyseal.store.unit import Transaction

_SELF_SIGNED: Final = 0
_PURPOSES: Final = {
    CertificateKind.END_ENTITY: Purpose.END_ENTITY,
    CertificateKind.CA: Purpose.CA,
    CertificateKind.RA: Purpose.RA,
    CertificateKind.OCSP: Purpose.STATUS,
}
_WORTHLESS_BELOW_A_REVOKED_ONE: Final = frozenset({Purpose.END_ENTITY, Purpose.CA})


def guard_issuer(transaction: Transaction, issuer_id: int, claim: Claim) -> None:
    """Raise IssuerNotActive, IssuerPaused or StagedLimitReached unless the CA may sign this now.

    Without a version in the claim, one of those that share the key must be allowed to.
    """
    if issuer_id == _SELF_SIGNED:
        return
    purpose = Purpose.CROSS if claim.protocol == CROSS else _PURPOSES[claim.kind]
    if issuer_id not in transaction.issuers:
        transaction.issuers[issuer_id] = transaction.one(
            "SELECT a.version, a.state, p.state FROM authorities a LEFT JOIN authorities p ON p.id = a.parent_id "
            "WHERE a.id = ? AND a.deleted_at IS NULL",
            (issuer_id,),
        )
    own = transaction.issuers[issuer_id]
    fitting = own is not None and claim.issuer_version in (0, own[0]) and own[2] != CaState.REVOKED.value
    if own is not None and fitting and may_sign(CaState(own[1]), purpose):
        return  # nearly always: every issuance comes by here
    rows = transaction.execute(
        "SELECT a.id, a.name, a.version, a.state, p.state FROM authorities a LEFT JOIN authorities p "
        "ON p.id = a.parent_id WHERE (a.id = ? OR a.ledger_id = ?) AND a.deleted_at IS NULL",
        (issuer_id, issuer_id),
    ).fetchall()
    if claim.issuer_version:
        rows = [row for row in rows if row[2] == claim.issuer_version]
    state = CaState.RETIRED
    for version_id, name, version, stored, above in rows:
        state = CaState(stored)
        if above == CaState.REVOKED.value and purpose in _WORTHLESS_BELOW_A_REVOKED_ONE:
            raise IssuerNotActive(
                f"the CA above CA {name} v{version} is revoked",
                why="whatever it signed now, nobody could trust",
                mend=("make a CA below one that is good, and name it in the profile",),
            )
        if may_sign(state, purpose):
            return
        if purpose is Purpose.END_ENTITY and may_sign(state, Purpose.TEST):
            _count_test(transaction, version_id, shown=f"CA {name} v{version}")
            return
    fault = IssuerPaused if state is CaState.PAUSED else IssuerNotActive
    shown = f"CA {rows[-1][1]} v{rows[-1][2]}" if rows else "the CA"
    raise fault(f"{shown} became {state.value} a moment ago; it signs no {purpose.value}")


def _count_test(transaction: Transaction, version_id: int, *, shown: str) -> None:
    counted = transaction.execute(
        "UPDATE authorities SET tests = tests + 1 WHERE id = ? AND tests < ?", (version_id, MOST_TEST_CERTIFICATES)
    )
    if counted.rowcount != 1:
        raise StagedLimitReached(f"{shown} has issued {MOST_TEST_CERTIFICATES} test certificates, which is all it may")
