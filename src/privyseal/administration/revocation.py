# SPDX-License-Identifier: Apache-2.0
"""Revoking one certificate or many, and letting a device or user in again.

Many are selected by a search that is frozen at its preview: moment, highest id and digest go with the act, so that
nothing is revoked that nobody looked at. Only end entities' certificates in force are ever selected.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from privyseal.administration.act import SecondPerson
from privyseal.administration.parameters import Parameters
from privyseal.ca.ports import Clock
from privyseal.errors import (
    AlreadyRevoked,
    CertificateOfCa,
    InvalidValue,
    NotIssued,
    NotOnHold,
    SelectionChanged,
    TooManySelected,
)
from privyseal.model.access import Permission
from privyseal.model.bulk import (
    BLAST_RADIUS,
    MOST_SELECTED,
    BulkRevocation,
    Tally,
    blocks_by_default,
    operation_name,
    selection_digest,
)
from privyseal.model.certificate import (
    CertificateKind,
    CertificateRecord,
    CertificateStatus,
    format_serial,
    parse_serial,
)
from privyseal.model.enrollment import CROSS
from privyseal.model.entity import EndEntity, EntityKind
from privyseal.model.preview import Preview
from privyseal.model.revocation import CrlReason, Revocation
from privyseal.model.search.grammar import parse_search
from privyseal.model.search.query import Among, Field, Search, Status

_NAMED = 10
_FIRST_YEAR = 1970
_PINNED_FOR = 366 * 86400
_FINAL = "a revocation is final: a certificate that was revoked by mistake has to be issued anew"


class Found(Protocol):
    """What searches find."""

    async def matching(self, search: Search, *, most: int) -> list[int]:
        """The ids of what matches, newest first; at most so many."""

    def records(self, ids: Sequence[int]) -> tuple[CertificateRecord, ...]:
        """The records of these ids, in this order."""

    async def tally(self, ids: Sequence[int]) -> Tally:
        """What these ids are, counted."""


class Revocations(Protocol):
    """Stores revocations, one or many. CRL and OCSP follow from what is stored."""

    async def revoke(
        self, records: Sequence[CertificateRecord], *, revocation: Revocation, block: bool, actor: str
    ) -> None:
        """Revoke each; with ``block`` its entity is kept out at once. Raises AlreadyRevoked and its kin."""

    async def release(self, record: CertificateRecord, *, actor: str) -> None:
        """End a hold, and let the entity in again unless another revocation keeps it out. Raises NotOnHold, WeakKey."""

    async def begin(self, ids: Sequence[int], plan: BulkRevocation, *, later: bool = False) -> BulkRevocation:
        """Store the selection and the intent; ``later``: the worker does the rest.

        The same selection again, while it is under way, goes on instead.
        """

    async def step(self, bulk: BulkRevocation) -> BulkRevocation:
        """One more batch; ``finished`` when nothing was left."""


class Entities(Protocol):
    """Devices and users."""

    def named(self, kind: EntityKind, name: str) -> EndEntity:
        """Raises NotFound."""

    async def unblock(self, entity: EndEntity, profiles: Collection[str], *, actor: str) -> EndEntity:
        """Let an entity have certificates of these profiles again."""


class RevokeCertificate:
    """``certificate.revoke``: serial, ca (when several used the serial), reason, invalid_since, block."""

    name = "certificate.revoke"
    permission = Permission.CERTIFICATE_REVOKE
    second_person = SecondPerson.NEVER  # a stolen key must not wait for office hours

    def __init__(self, found: Found, revocations: Revocations, clock: Clock) -> None:
        self._found = found
        self._revocations = revocations
        self._clock = clock

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        record, revocation, block = await self._asked(parameters)
        blockers = (f"it is revoked since {_at(record)}",) if _is_final(record, revocation.reason) else ()
        return Preview(
            summary=f"revoke certificate {format_serial(record.serial)} of {record.issuer} ({record.subject}) "
            f"for {revocation.reason.label}",
            effects=_effects([record], await self._found.tally([record.id]), block=block),
            counts={"selected": 1},
            irreversible=(_FINAL,),
            blockers=blockers,
        )

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``."""
        record, revocation, block = await self._asked(parameters)
        check_not_final(record, revocation.reason)
        await self._revocations.revoke([record], revocation=revocation, block=block, actor=actor)
        return {
            "serial": format_serial(record.serial),
            "ca": record.issuer,
            "reason": revocation.reason.label,
            "blocked": block and record.entity_id is not None,
        }

    async def _asked(self, parameters: Mapping[str, Any]) -> tuple[CertificateRecord, Revocation, bool]:
        asked = Parameters(parameters, {"serial", "ca", "reason", "invalid_since", "block"})
        revocation = _revocation(asked, self._clock)
        record = await _one(asked, self._found, self._clock)
        if record.kind is CertificateKind.CA and record.protocol != CROSS:
            # Revoking a CA is another act: it takes other rights, a second person, and looks at what hangs on it.
            raise CertificateOfCa(f"certificate {format_serial(record.serial)} ({record.subject}) is that of a CA")
        return record, revocation, _block(asked, revocation.reason)


class ReleaseCertificate:
    """``certificate.release``: serial, ca (when several used the serial). Lets the device or user in again."""

    name = "certificate.release"
    permission = Permission.CERTIFICATE_REVOKE
    second_person = SecondPerson.NEVER

    def __init__(self, found: Found, revocations: Revocations, clock: Clock) -> None:
        self._found = found
        self._revocations = revocations
        self._clock = clock

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        record = await self._asked(parameters)
        return Preview(
            summary=f"end the hold of certificate {format_serial(record.serial)} of {record.issuer}",
            effects=("OCSP says good at once, the next CRL leaves it out",),
            blockers=() if _is_held(record) else ("it is not on hold",),
        )

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``. Raises NotOnHold."""
        record = await self._asked(parameters)
        await self._revocations.release(record, actor=actor)
        return {"serial": format_serial(record.serial), "ca": record.issuer}

    async def _asked(self, parameters: Mapping[str, Any]) -> CertificateRecord:
        return await _one(Parameters(parameters, {"serial", "ca"}), self._found, self._clock)


class RevokeMany:
    """``certificate.revoke-many``: where, reason, invalid_since, block, most, later; and what its preview pinned.

    With ``later`` the selection is stored and the worker carries it out, also after a restart.
    """

    name = "certificate.revoke-many"
    permission = Permission.CERTIFICATE_REVOKE
    second_person = SecondPerson.OVER_LIMIT

    def __init__(self, found: Found, revocations: Revocations, clock: Clock) -> None:
        self._found = found
        self._revocations = revocations
        self._clock = clock

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        asked = _many(parameters)
        where, reason = asked.text("where"), _revocation(asked, self._clock).reason
        ids, pinned = await self._selected(asked)
        tally = await self._found.tally(ids)
        most = asked.number("most", BLAST_RADIUS)
        blockers = [] if ids else ["nothing in force matches"]
        if len(ids) > most:
            blockers.append(f"{len(ids)} are more than {most}; name a higher number if they are meant")
        return Preview(
            summary=f"revoke {len(ids)} certificate(s) that match {where!r} for {reason.label} "
            f"(selection {pinned['digest']})",
            effects=_effects(self._found.records(ids[:_NAMED]), tally, block=_block(asked, reason)),
            counts={"selected": len(ids), **tally.by_issuer},
            pinned=pinned,
            irreversible=(_FINAL,),
            blockers=tuple(blockers),
            over_limit=len(ids) > BLAST_RADIUS,
        )

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``."""
        bulk, later = await self.begin(parameters, actor=actor), _many(parameters).flag("later")
        while not bulk.finished and not later:
            bulk = await self._revocations.step(bulk)
        done = {"selected": bulk.selected, "revoked": bulk.revoked, "skipped": bulk.skipped, "selection": bulk.digest}
        return {**done, "operation": operation_name(bulk.id)} if later else done

    async def begin(self, parameters: Mapping[str, Any], *, actor: str) -> BulkRevocation:
        """Store selection and intent; ``step`` does the rest, here or in another process after an interruption."""
        asked = _many(parameters)
        asked.text("digest")
        revocation = _revocation(asked, self._clock)
        ids, pinned = await self._selected(asked)
        most = asked.number("most", BLAST_RADIUS)
        if not ids:
            raise NotIssued(f"nothing in force matches {asked.text('where')!r}")
        if len(ids) > most:
            raise TooManySelected(f"{asked.text('where')!r} selects {len(ids)} certificates; at most {most} may be")
        plan = BulkRevocation(
            id=0,
            digest=str(pinned["digest"]),
            where=asked.text("where"),
            selected=len(ids),
            reason=revocation.reason,
            invalid_since=revocation.invalid_since,
            block=_block(asked, revocation.reason),
            actor=actor,
            position=0,
            revoked=0,
            skipped=0,
            finished=False,
        )
        return await self._revocations.begin(ids, plan, later=asked.flag("later"))

    async def _selected(self, asked: Parameters) -> tuple[list[int], dict[str, str | int]]:
        """The ids, and what pins them. Raises SelectionChanged when they are not those that were pinned."""
        now = int(self._clock.now().timestamp())
        at = asked.number("at", now)
        if not now - _PINNED_FOR <= at <= now + _PINNED_FOR:
            raise InvalidValue(f"at {at} is not a moment in seconds since 1970 within a year of now")
        search = parse_search(asked.text("where"), now=datetime.fromtimestamp(at, UTC))
        if not search.clauses:
            raise InvalidValue("the search is empty and would select everything; name at least one word")
        kept = (
            Among(Field.STATUS, (Status.ACTIVE.value,)),
            Among(Field.KIND, (CertificateKind.END_ENTITY.value,)),
        )
        search = Search((*search.clauses, *kept), search.now, search.text)
        ids = await self._found.matching(search, most=MOST_SELECTED + 1)
        if len(ids) > MOST_SELECTED:
            raise TooManySelected(f"{search.text!r} selects more than {MOST_SELECTED} certificates")
        upper = asked.number("upper_id", ids[0] if ids else 0)
        ids = [certificate_id for certificate_id in ids if certificate_id <= upper]
        digest = selection_digest(ids)
        if asked.text("digest", digest) != digest:
            raise SelectionChanged(f"{search.text!r} selects {len(ids)} certificates now, and not those of the preview")
        return ids, {"at": at, "upper_id": upper, "digest": digest}


class UnblockEntity:
    """``entity.unblock``: kind (device, user), name, profiles; without profiles all that are blocked."""

    name = "entity.unblock"
    permission = Permission.ENTITY_WRITE
    second_person = SecondPerson.NEVER

    def __init__(self, entities: Entities) -> None:
        self._entities = entities

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        entity, profiles = self._asked(parameters)
        return Preview(
            summary=f"let {entity.kind.value} {entity.name} have certificates of {', '.join(profiles) or 'no profile'}",
            effects=("it may enroll again at its next check-in",),
            blockers=() if profiles else ("it is not blocked",),
        )

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``."""
        entity, profiles = self._asked(parameters)
        after = await self._entities.unblock(entity, profiles, actor=actor)
        return {"kind": after.kind.value, "name": after.name, "blocked_profiles": sorted(after.blocked)}

    def _asked(self, parameters: Mapping[str, Any]) -> tuple[EndEntity, list[str]]:
        asked = Parameters(parameters, {"kind", "name", "profiles"})
        kinds = {kind.value: kind for kind in EntityKind}
        if asked.text("kind") not in kinds:
            raise InvalidValue(f"kind {asked.text('kind')[:40]!r} is not one of {', '.join(kinds)}")
        entity = self._entities.named(kinds[asked.text("kind")], asked.text("name"))
        wanted = asked.texts("profiles") or tuple(sorted(entity.blocked))
        return entity, [profile for profile in wanted if profile in entity.blocked]


async def _one(asked: Parameters, found: Found, clock: Clock) -> CertificateRecord:
    serial = format_serial(parse_serial(asked.text("serial")))
    now = int(clock.now().timestamp())
    ca = asked.text("ca", "")
    only = (Among(Field.ISSUER, (ca,)),) if ca else ()
    ids = await found.matching(Search((Among(Field.SERIAL, (serial,)), *only), now), most=2)
    if not ids:
        raise NotIssued(f"no certificate has serial {serial}")
    if len(ids) > 1:
        raise InvalidValue(f"several CAs issued serial {serial}", mend=("say which: --ca NAME",))
    record = found.records(ids)[0]
    if record.status is CertificateStatus.RESERVED:
        raise NotIssued(f"serial {serial} is reserved; nothing was issued under it")
    return record


def _many(parameters: Mapping[str, Any]) -> Parameters:
    known = {"where", "reason", "invalid_since", "block", "most", "at", "upper_id", "digest", "later"}
    return Parameters(parameters, known)


def _revocation(asked: Parameters, clock: Clock) -> Revocation:
    reason, now = CrlReason.parse(asked.text("reason", CrlReason.UNSPECIFIED.label)), clock.now()
    text, since = asked.text("invalid_since", ""), None
    if text:
        try:
            since = datetime.fromisoformat(text)
        except ValueError as error:
            raise InvalidValue(f"invalid_since {text[:40]!r} is not like 2026-01-31T12:00:00Z") from error
        since = (since if since.tzinfo else since.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)
        if since.year < _FIRST_YEAR:
            raise InvalidValue(f"invalid_since {text[:40]} lies before {_FIRST_YEAR}; no key is that old")
        if since > now:
            raise InvalidValue(f"invalid_since {text[:40]} lies ahead; a key is bad since some moment in the past")
    return Revocation(now.replace(microsecond=0), reason, since)


def _block(asked: Parameters, reason: CrlReason) -> bool:
    chosen = asked.text("block", "default")
    choices = {"default": blocks_by_default(reason), "yes": True, "no": False}
    if chosen not in choices:
        raise InvalidValue(f"block {chosen[:40]!r} is not one of {', '.join(choices)}")
    return choices[chosen]


def _effects(sample: Sequence[CertificateRecord], tally: Tally, *, block: bool) -> tuple[str, ...]:
    names = [record.entity or record.subject for record in sample]
    unnamed = sum(tally.by_issuer.values()) - len(names)
    more = f" and {unnamed} more" if unnamed else ""
    effects = [f"{', '.join(names)}{more}"] if names else []
    effects += [f"{number} of CA {issuer}" for issuer, number in sorted(tally.by_issuer.items())]
    if block:
        effects.append(f"{tally.entities} device(s) or user(s) are kept from further certificates of the same profile")
    elif tally.entities:
        effects.append("they may enroll again at their next check-in: nothing blocks them")
    effects.append("OCSP says so at once, the next CRL holds it; who has an older CRL accepts them until it ends")
    return tuple(effects)


def check_not_final(record: CertificateRecord, reason: CrlReason) -> None:
    """Raise AlreadyRevoked unless it may be revoked for this reason."""
    if _is_final(record, reason):
        raise AlreadyRevoked(f"certificate {format_serial(record.serial)} is revoked since {_at(record)}")


def check_on_hold(record: CertificateRecord) -> None:
    """Raise NotOnHold unless there is a hold that could end."""
    if not _is_held(record):
        raise NotOnHold(f"certificate {format_serial(record.serial)} is not on hold")


def _is_held(record: CertificateRecord) -> bool:
    return record.revocation is not None and record.revocation.reason is CrlReason.CERTIFICATE_HOLD


def _is_final(record: CertificateRecord, reason: CrlReason) -> bool:
    """A hold may become another revocation; no other revocation becomes anything."""
    return record.revocation is not None and (not _is_held(record) or reason is CrlReason.CERTIFICATE_HOLD)


def _at(record: CertificateRecord) -> str:
    return "" if record.revocation is None else f"{record.revocation.at:%Y-%m-%dT%H:%M:%SZ}"
