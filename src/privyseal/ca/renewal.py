# SPDX-License-Identifier: Apache-2.0
"""The next version of a CA: as the one before, with a new key unless asked otherwise; roots certify each other.

A self-issued certificate of the old root for the new key, and the other way round, lets relying parties with either
root verify everything (RFC 4210 section 4.4).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from privyseal.ca.founding import Workshop, found_ca
from privyseal.ca.hierarchy import prepare_cross
from privyseal.ca.issuance import LintedTbs, issue
from privyseal.ca.issuer import Issuer
from privyseal.ca.lifecycle import Purpose, may_sign
from privyseal.ca.ports import CrossRegister
from privyseal.errors import KeyNotHere, ParameterNotFitting
from privyseal.model.authority import CaKind, CaRecord, CaRequest, CaState
from privyseal.model.authority_name import CrossCertificate
from privyseal.model.certificate import CertificateKind
from privyseal.model.enrollment import CROSS, Claim
from privyseal.x509.algorithms import key_type_of
from privyseal.x509.names import DistinguishedName
from privyseal.x509.tbs import assemble


def renewal_request(current: Issuer, parent: Issuer | None, now: datetime, *, outside: bool = False) -> CaRequest:
    """What the next version is asked to be: the same as this one, within what its parent has left."""
    view, record = current.view, current.record
    # Whole days: NotBefore was back-dated by minutes.
    validity = timedelta(days=max(1, (view.not_after - view.not_before).days))
    if parent is not None:
        validity = min(validity, parent.view.not_after - now.replace(microsecond=0))
    return CaRequest(
        name=record.name,
        kind=record.kind,
        parent=None if parent is None else parent.record.name,
        subject=DistinguishedName.from_der(view.subject),
        key_type=key_type_of(current.public_key),
        hash_name=record.hash_name,
        validity=validity,
        path_length=view.path_length,
        ext_key_usage=tuple(sorted(view.ext_key_usage or ())),
        crl=record.crl,
        outside=outside,
        successor=True,
    )


async def renew_ca(name: str, shop: Workshop, crosses: CrossRegister, *, same_key: bool, actor: str) -> CaRecord:
    """Make the next version of a CA, staged. Raises KeyNotHere, NameTaken and what founding raises.

    A CA whose parent's key is elsewhere is renewed by a request instead (``ca.outside``).
    """
    current = Issuer(shop.register.get(name), shop.base_url)
    if not current.record.has_key:
        raise KeyNotHere(f"the key of {current.shown} is not on this server; it is renewed where its key is")
    if same_key and current.record.crl.shards:
        raise ParameterNotFitting(
            f"{current.shown} has {current.record.crl.shards} CRL shards, which name the URLs of one version; "
            "its next version needs a key of its own"
        )
    parent = parent_in_force(current.record, shop)
    request = renewal_request(current, parent, shop.clock.now())
    made = await found_ca(request, shop, actor=actor, same_key=current.record if same_key else None)
    await make_crosses(made, shop, crosses, actor=actor)
    return made


def parent_in_force(record: CaRecord, shop: Workshop) -> Issuer | None:
    """The version of the parent that signs now; None for a root."""
    if record.parent_id is None:
        return None
    parent = next(other for other in shop.register.all() if other.id == record.parent_id)
    return Issuer(shop.register.get(parent.name), shop.base_url)


async def make_crosses(staged: CaRecord, shop: Workshop, crosses: CrossRegister, *, actor: str) -> int:
    """Cross certificates between a staged root and the one in force, those that are missing; how many were made."""
    current = shop.register.get(staged.name)
    fitting = staged.kind is CaKind.ROOT and staged.state is CaState.STAGED and staged.key_ref != current.key_ref
    if not fitting or current.id == staged.id or not may_sign(current.state, Purpose.CROSS):
        return 0
    old, new = Issuer(current, shop.base_url), Issuer(staged, shop.base_url)
    there = {(cross.subject_id, cross.issuer_id) for cross in crosses.crosses()}
    made = 0
    for subject, issuer in ((new, old), (old, new)):
        if (subject.record.id, issuer.record.id) in there:
            continue
        linted = prepare_cross(subject, issuer, now=shop.clock.now(), rng=shop.rng)
        signer = shop.keys.signer(issuer.record.key_ref, issuer.record.hash_name)
        claim = Claim(
            kind=CertificateKind.CA,
            protocol=CROSS,
            requester=actor,
            subject=DistinguishedName.from_der(subject.view.subject).to_text(),
            issuer_version=issuer.record.version,
        )
        ledger = _Crossing(shop, crosses, linted, subject=subject, issuer=issuer, actor=actor)
        await issue(linted, signer, issuer_key=issuer.public_key, ledger=ledger, claim=claim)
        made += 1
    return made


class _Crossing:
    """Issues a cross certificate; its signature and its place are recorded in one transaction."""

    def __init__(
        self,
        shop: Workshop,
        crosses: CrossRegister,
        linted: LintedTbs,
        *,
        subject: Issuer,
        issuer: Issuer,
        actor: str,
    ) -> None:
        self._shop = shop
        self._crosses = crosses
        self._linted = linted
        self._ids = subject.record.id, issuer.record.id
        self._actor = actor

    async def reserve(self, linted: LintedTbs, claim: Claim) -> int:
        """See ``IssuanceLedger.reserve``."""
        return await self._shop.ledger.reserve(linted, claim)

    async def record(self, certificate_id: int, signature: bytes) -> None:
        """See ``IssuanceLedger.record``."""
        certificate = assemble(self._linted.tbs, self._linted.algorithm.identifier, signature)
        cross = CrossCertificate(subject_id=self._ids[0], issuer_id=self._ids[1], certificate=certificate)
        await self._crosses.add_cross(cross, signed=(certificate_id, signature), actor=self._actor)
