# SPDX-License-Identifier: Apache-2.0
"""Bringing a restored store in step: what the world has seen of each CA, and how far numbers must go beyond it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from privyseal.bootstrap import Application
from privyseal.ca.issuer import Issuer
from privyseal.errors import AlreadyRevoked, InvalidValue, PrivysealError, ResyncUncertain
from privyseal.model.crl import CrlScope
from privyseal.model.revocation import CrlReason, Revocation
from privyseal.store.restoring import LostRevocation, bring_in_step, enter_lost, restored
from privyseal.x509.keys import load_public_key

Fetch = Callable[[str], bytes]
MARGIN: Final = 1_000_000
PER_SECOND: Final = 1000
"""CRL numbers that no installation uses in a second; numbers are up to 20 octets long, so there are enough."""
_AT_ONCE: Final = 256
_REASONS: Final = {
    x509.ReasonFlags.key_compromise: CrlReason.KEY_COMPROMISE,
    x509.ReasonFlags.ca_compromise: CrlReason.CA_COMPROMISE,
    x509.ReasonFlags.affiliation_changed: CrlReason.AFFILIATION_CHANGED,
    x509.ReasonFlags.superseded: CrlReason.SUPERSEDED,
    x509.ReasonFlags.cessation_of_operation: CrlReason.CESSATION_OF_OPERATION,
    x509.ReasonFlags.certificate_hold: CrlReason.CERTIFICATE_HOLD,
    x509.ReasonFlags.privilege_withdrawn: CrlReason.PRIVILEGE_WITHDRAWN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CaStep:
    """One CA version: what the store knows, what the world was seen to hold, and where numbers go on."""

    name: str
    stored: int
    seen: int | None
    """Highest number of a CRL that was found; None where none was."""
    floor: int
    revocations: int
    """How many were taken over from CRLs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resync:
    """What was done."""

    gap: tuple[datetime, datetime]
    """What was issued in it is not known."""
    steps: tuple[CaStep, ...]


async def resync(
    application: Application, given: Sequence[bytes], *, fetch: Fetch, accept: bool, actor: str
) -> Resync | None:
    """Bring the store in step; None when it is. Raises ResyncUncertain, InvalidValue for a CRL that is none of ours."""
    mark = restored(application.database)
    if mark is None:
        return None
    now = application.clock.now().replace(microsecond=0)
    if now < mark.taken_at:
        raise InvalidValue(f"the clock says {now:%Y-%m-%d %H:%M:%S}, before the backup was made: set it right first")
    issuers = [issuer for issuer in application.catalog.issuers() if issuer.record.key_ref]
    found = _seen(application, issuers, given, fetch=fetch)
    unseen = [_name(issuer) for issuer in issuers if issuer.id not in found]
    if unseen and not accept:
        raise ResyncUncertain(f"no CRL of {', '.join(unseen)} was found, neither by its URL nor among those given")
    lost = (now - mark.taken_at) // timedelta(seconds=1)
    steps = [await _step(application, issuer, found.get(issuer.id, []), lost=lost, actor=actor) for issuer in issuers]
    floors = {issuer.id: step.floor for issuer, step in zip(issuers, steps, strict=True)}
    await bring_in_step(application.committer, floors, told=sorted(found), actor=actor)
    return Resync(gap=(mark.taken_at, now), steps=tuple(steps))


def _seen(
    application: Application, issuers: Sequence[Issuer], given: Sequence[bytes], *, fetch: Fetch
) -> Mapping[int, list[x509.CertificateRevocationList]]:
    """CRLs by CA, each with a good signature. One from before the backup tells nothing, and is left out."""
    found: dict[int, list[x509.CertificateRevocationList]] = {}
    for encoded in given:
        crl = _read(encoded)
        owner = next((issuer for issuer in issuers if _is_by(crl, issuer)), None)
        if owner is None:
            raise InvalidValue(f"a CRL that was given, of {crl.issuer.rfc4514_string()}, is by no CA of this store")
        found.setdefault(owner.id, []).append(crl)
    for issuer in issuers:
        for encoded in _fetched(issuer, fetch):
            crl = _read(encoded)
            if _is_by(crl, issuer):
                found.setdefault(issuer.id, []).append(crl)
    stored = {issuer.id: application.crls.highest_number(issuer.id) for issuer in issuers}
    return {key: crls for key, crls in found.items() if max(_number(crl) for crl in crls) >= stored[key]}


def _number(crl: x509.CertificateRevocationList) -> int:
    try:
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except (x509.ExtensionNotFound, ValueError) as error:
        raise InvalidValue("a CRL has no number") from error


def _fetched(issuer: Issuer, fetch: Fetch) -> Iterator[bytes]:
    """Every CRL of a CA that its URLs give; what does not answer is as if it were not there."""
    for scope in issuer.crl_scopes:
        try:
            yield fetch(issuer.crl_url(CrlScope(shard=scope.shard, delta=scope.delta)))
        except PrivysealError:
            return


def _read(encoded: bytes) -> x509.CertificateRevocationList:
    try:
        return x509.load_pem_x509_crl(encoded) if encoded[:5] == b"-----" else x509.load_der_x509_crl(encoded)
    except ValueError as error:
        raise InvalidValue("a CRL that was given is not one") from error


def _is_by(crl: x509.CertificateRevocationList, issuer: Issuer) -> bool:
    if crl.issuer.public_bytes() != issuer.view.subject:
        return False
    try:
        return crl.is_signature_valid(load_public_key(issuer.view.spki))
    except (InvalidSignature, TypeError, ValueError):
        return False


async def _step(
    application: Application,
    issuer: Issuer,
    crls: Sequence[x509.CertificateRevocationList],
    *,
    lost: int,
    actor: str,
) -> CaStep:
    stored = application.crls.highest_number(issuer.id)
    numbers = [_number(crl) for crl in crls]
    taken = 0
    for crl in crls:
        taken += await _take_over(application, issuer, crl, actor=actor)
    return CaStep(
        name=_name(issuer),
        stored=stored,
        seen=max(numbers, default=None),
        floor=max([stored, *numbers]) + MARGIN + PER_SECOND * lost,
        revocations=taken,
    )


async def _take_over(
    application: Application, issuer: Issuer, crl: x509.CertificateRevocationList, *, actor: str
) -> int:
    """Enter what the CRL revokes and the store does not; how many."""
    taken, waiting = 0, list[LostRevocation]()
    for entry in crl:
        lost = _lost(application, issuer, entry)
        if lost is not None:
            waiting.append(lost)
        if len(waiting) >= _AT_ONCE:
            taken += await _enter(application, waiting, actor=actor)
            waiting.clear()
    return taken + await _enter(application, waiting, actor=actor)


async def _enter(application: Application, waiting: Sequence[LostRevocation], *, actor: str) -> int:
    async def one(lost: LostRevocation) -> int:
        if not lost.known:
            await enter_lost(application.committer, lost, actor=actor)
            return 1
        try:
            await application.status_book.revoke(lost.issuer_id, lost.serial, revocation=lost.revocation, actor=actor)
        except AlreadyRevoked:
            return 0  # another of the CRLs said so a moment ago
        return 1

    return sum(await asyncio.gather(*(one(lost) for lost in waiting)))


def _lost(application: Application, issuer: Issuer, entry: x509.RevokedCertificate) -> LostRevocation | None:
    found = application.status_book.status(issuer.id, entry.serial_number)
    if found is not None and found[0] != "issued":
        return None
    reason, since = CrlReason.UNSPECIFIED, None
    for extension in entry.extensions:
        if isinstance(extension.value, x509.CRLReason):
            if extension.value.reason is x509.ReasonFlags.remove_from_crl:
                return None
            reason = _REASONS.get(extension.value.reason, CrlReason.UNSPECIFIED)
        elif isinstance(extension.value, x509.InvalidityDate):
            since = extension.value.invalidity_date_utc
    return LostRevocation(
        issuer_id=issuer.id,
        serial=entry.serial_number,
        revocation=Revocation(entry.revocation_date_utc, reason, since),
        not_after=issuer.view.not_after,
        shard=issuer.record.crl.shard_of(entry.serial_number),
        known=found is not None,
    )


def _name(issuer: Issuer) -> str:
    return f"{issuer.record.name} v{issuer.record.version}"
