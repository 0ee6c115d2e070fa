# SPDX-License-Identifier: Apache-2.0
"""CRLs by the one road: number reserved first, then built from stored entries, linted, signed, recorded."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from privyseal.ca.issuance import finish, prepare_crl, sign
from privyseal.ca.issuer import Issuer
from privyseal.ca.ports import CrlLedger, Signer
from privyseal.model.profile import BACKDATE
from privyseal.x509 import extensions
from privyseal.x509.tbs import crl_tbs


@dataclass(frozen=True, slots=True)
class PublishedCrl:
    """A signed CRL and what the log says of it."""

    number: int
    next_update: datetime
    encoded: bytes = field(repr=False)


async def publish_crl(issuer: Issuer, signer: Signer, *, ledger: CrlLedger, now: datetime) -> PublishedCrl:
    """Make and store the CA's next full CRL (RFC 5280 section 5). Raises LintFailed, SigningFailed.

    thisUpdate is back-dated like NotBefore: a relying party whose clock is late must not refuse a new CRL.
    """
    moment = now.replace(microsecond=0)
    this_update, next_update = moment - BACKDATE, moment + issuer.record.crl.validity
    number = await ledger.reserve_number(issuer.id, this_update=this_update, next_update=next_update)
    tbs = crl_tbs(
        algorithm=issuer.algorithm.identifier,
        issuer=issuer.view.subject,
        this_update=this_update,
        next_update=next_update,
        entries=(await ledger.entries(issuer.id),),
        crl_extensions=(
            extensions.authority_key_identifier(issuer.key_identifier),
            extensions.crl_number(number),
        ),
    )
    linted = prepare_crl(
        tbs,
        algorithm=issuer.algorithm,
        issuer_id=issuer.id,
        issuer_name=issuer.view.subject,
        issuer_key_identifier=issuer.key_identifier,
        number=number,
    )
    signature = await sign(linted, signer, issuer_key=issuer.public_key)
    encoded = finish("crl", linted.tbs, linted.algorithm.identifier, signature)
    del tbs, linted  # tens of megabytes when a million are revoked
    await ledger.record_crl(issuer.id, number, encoded)
    return PublishedCrl(number, next_update, encoded)
