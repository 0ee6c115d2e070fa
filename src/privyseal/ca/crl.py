# SPDX-License-Identifier: Apache-2.0
"""CRLs by the one road: number reserved first, then built from stored entries, linted, signed, recorded.

Base CRLs, delta CRLs and shards are one structure; what tells them apart is their scope. What is large is worked on
apart, so that nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeVar

from privyseal.ca.issuance import LintedTbs, finish, prepare_crl, sign
from privyseal.ca.issuer import Issuer
from privyseal.ca.ports import Apart, CrlLedger, Signer
from privyseal.model.crl import CrlFacts, CrlScope
from privyseal.model.profile import BACKDATE
from privyseal.x509 import extensions
from privyseal.x509.algorithms import LARGE
from privyseal.x509.lint_crl import CrlRules
from privyseal.x509.tbs import crl_tbs

WHOLE: Final = CrlScope()
"""The base CRL of a CA without shards."""
T = TypeVar("T")


async def publish_crl(
    issuer: Issuer, signer: Signer, *, ledger: CrlLedger, apart: Apart, now: datetime, scope: CrlScope = WHOLE
) -> CrlFacts:
    """Make and store the next CRL of this scope (RFC 5280 section 5). Raises NotFound, LintFailed, SigningFailed.

    thisUpdate is back-dated like NotBefore: a relying party whose clock is late must not refuse a new CRL.
    """
    moment = now.replace(microsecond=0)
    this_update, next_update = moment - BACKDATE, moment + issuer.record.crl.validity_of(delta=scope.delta)
    number, base_number = await ledger.reserve_crl(issuer.id, scope, this_update=this_update, next_update=next_update)
    entries = await ledger.entries(issuer.id, scope.shard, since=base_number)
    large = len(entries) >= LARGE

    async def worked(work: Callable[[], T]) -> T:
        return await apart(work) if large else work()

    def prepared() -> LintedTbs:
        nonlocal entries
        tbs = crl_tbs(
            algorithm=issuer.algorithm.identifier,
            issuer=issuer.view.subject,
            this_update=this_update,
            next_update=next_update,
            entries=(entries,),
            crl_extensions=crl_extensions(issuer, scope, number=number, base_number=base_number),
        )
        entries = b""  # tens of megabytes when a million are revoked
        lints = crl_rules(issuer, scope, number=number, base_number=base_number)
        return prepare_crl(tbs, lints, algorithm=issuer.algorithm, issuer_id=issuer.id)

    linted = await worked(prepared)
    signature = await sign(linted, signer, issuer_key=issuer.public_key, apart=apart if large else None)
    encoded = await worked(lambda: finish("crl", linted.tbs, linted.algorithm.identifier, signature))
    linted.forget()
    return await ledger.record_crl(issuer.id, number, encoded)


def crl_extensions(issuer: Issuer, scope: CrlScope, *, number: int, base_number: int | None) -> tuple[bytes, ...]:
    """The extensions of one CRL. A delta has the scope of its base, and does not say where a fresher one is."""
    found = [extensions.authority_key_identifier(issuer.key_identifier), extensions.crl_number(number)]
    if base_number is not None:
        found.append(extensions.delta_crl_indicator(base_number))
    elif issuer.record.crl.delta is not None:
        found.append(extensions.freshest_crl((issuer.urls.delta,)))
    if issuer.record.crl.shards:
        found.append(extensions.issuing_distribution_point(issuer.crl_url(scope)))
    return tuple(found)


def crl_rules(issuer: Issuer, scope: CrlScope, *, number: int, base_number: int | None) -> CrlRules:
    """What lints demand of one CRL, from the CA's rules alone."""
    rules = issuer.record.crl
    return CrlRules(
        algorithm=issuer.algorithm.identifier,
        issuer_name=issuer.view.subject,
        issuer_key_identifier=issuer.key_identifier,
        number=number,
        base_number=base_number,
        shard_url=issuer.crl_url(scope) if rules.shards else None,
        delta_url=issuer.urls.delta if rules.delta is not None and not scope.delta else None,
    )
