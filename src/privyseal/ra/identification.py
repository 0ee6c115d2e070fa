# SPDX-License-Identifier: Apache-2.0
"""Identification and authentication (RFC 3647 section 3): from evidence to the end entity it proves.

The evidence is a one-time challenge or a current certificate of ours. Names in the request prove nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from privyseal.errors import (
    ChallengeExpired,
    ChallengeOfOtherProfile,
    ChallengeUnknown,
    ChallengeUsed,
    MalformedDer,
    NotAuthenticated,
    RenewalSignerRefused,
    RenewalTooEarly,
    SigningFailed,
)
from privyseal.model.certificate import CertificateKind, CertificateRecord, CertificateStatus, format_serial
from privyseal.model.challenge import challenge_hash
from privyseal.model.enrollment import EnrollmentRequest
from privyseal.model.entity import EndEntity
from privyseal.model.lifespan import why_over
from privyseal.model.profile import CertificateProfile
from privyseal.ra.ports import Catalog, EntityBook, Inventory
from privyseal.x509.algorithms import algorithm_of, verify_signature
from privyseal.x509.certificate import CertificateView, read_certificate, read_issuer


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who asks, proved; and what proved it."""

    entity: EndEntity
    requester: str
    evidence: bytes
    challenge_id: int | None = None


def challenge_evidence(digest: bytes) -> bytes:
    """Names a challenge, by its ``challenge_hash``, without telling it."""
    return sha256(b"challenge" + digest).digest()


def renewal_evidence(certificate: bytes) -> bytes:
    """Names the certificate that signed a renewal."""
    return sha256(b"renewal" + certificate).digest()


class Identification:
    """Checks evidence against what was issued and what was promised."""

    def __init__(self, catalog: Catalog, inventory: Inventory, entities: EntityBook) -> None:
        self._catalog = catalog
        self._inventory = inventory
        self._entities = entities

    async def authenticate(
        self, request: EnrollmentRequest, profile: CertificateProfile, *, now: datetime
    ) -> Applicant:
        """The proved applicant.

        A fresh challenge counts first: a client that re-enrolls may sign with its old certificate and still
        bring a new challenge. Else a certificate of ours makes it a renewal, whatever the message type says
        (some clients renew with PKCSReq). Raises an AccessError.
        """
        secret = request.request.challenge_password
        signer = request.signer_certificate
        ours = None if signer is None else self.holder(signer)
        if secret and (ours is None or profile.scep.renewal_needs_challenge or await self._fresh(secret, profile, now)):
            return await self._by_challenge(secret, profile, now)
        if ours is not None and signer is not None and not profile.scep.renewal_needs_challenge:
            return await self._by_certificate(signer, ours, profile, now=now)
        if request.renewal and ours is None:
            raise RenewalSignerRefused("the renewal is not signed by a certificate that this service issued")
        raise NotAuthenticated(f"the request for profile {profile.name} brings no challenge password")

    async def _fresh(self, secret: str, profile: CertificateProfile, now: datetime) -> bool:
        promised = await self._entities.promised(challenge_hash(secret))
        if promised is None:
            return False
        found, _ = promised
        return found.used_at is None and found.is_good(now) and found.profile == profile.name

    async def _by_challenge(self, secret: str, profile: CertificateProfile, now: datetime) -> Applicant:
        digest = challenge_hash(secret)
        promised = await self._entities.promised(digest)
        if promised is None:
            raise ChallengeUnknown(f"a request for profile {profile.name} brought a challenge that was never issued")
        found, entity = promised
        if found.profile != profile.name:
            raise ChallengeOfOtherProfile(
                f"the challenge is for profile {found.profile}, the request came to {profile.name}"
            )
        if found.used_at is not None:
            raise ChallengeUsed(
                f"the challenge of {entity.name} was already used at {found.used_at:%Y-%m-%dT%H:%M:%SZ}"
            )
        if not found.is_good(now):
            raise ChallengeExpired(
                f"the challenge of {entity.name}, made {found.created_at:%Y-%m-%dT%H:%M:%SZ}, "
                f"{why_over(found.expires_at, now=now)}; the request arrived at {now:%Y-%m-%dT%H:%M:%SZ}"
            )
        entity.require_enabled()
        return Applicant(entity, f"challenge:{found.id}", challenge_evidence(digest), found.id)

    def holder(self, certificate: bytes) -> CertificateRecord | None:
        """The record of a certificate that one of our CAs really signed, or None for anything else."""
        try:
            issuers = self._catalog.issuer_of(read_issuer(certificate))
            if not issuers:
                return None
            view = read_certificate(certificate)
        except MalformedDer:
            # Some clients sign with a throw-away version 1 certificate; it is simply not ours.
            return None
        for issuer in issuers:
            if view.algorithm != issuer.algorithm.identifier:
                continue
            try:
                verify_signature(issuer.public_key, algorithm_of(view.algorithm), view.signature, data=view.tbs)
            except SigningFailed:
                continue
            # Two versions with one key both verify it; only one of them has it in its books.
            record = self._inventory.by_serial(issuer.id, view.serial)
            if record is not None:
                return record
        return None

    async def _by_certificate(
        self, certificate: bytes, record: CertificateRecord, profile: CertificateProfile, *, now: datetime
    ) -> Applicant:
        view, shown = read_certificate(certificate), format_serial(record.serial)
        if record.kind is not CertificateKind.END_ENTITY or record.entity_id is None:
            raise RenewalSignerRefused(f"certificate {shown} is not an end entity's")
        if record.status is not CertificateStatus.ISSUED:
            raise RenewalSignerRefused(f"certificate {shown} is {record.status.value}")
        if record.profile != profile.name:
            raise RenewalSignerRefused(
                f"certificate {shown} is of profile {record.profile}, the request came to {profile.name}"
            )
        if view.not_after <= now:
            raise RenewalSignerRefused(f"certificate {shown} expired at {view.not_after:%Y-%m-%dT%H:%M:%SZ}")
        _check_window(view, profile, now=now, shown=shown)
        entity = await self._entities.entity(record.entity_id)
        entity.require_enabled()
        return Applicant(entity, f"certificate:{shown}", renewal_evidence(certificate))


def _check_window(view: CertificateView, profile: CertificateProfile, *, now: datetime, shown: str) -> None:
    opens = view.not_before + (view.not_after - view.not_before) * profile.renew_at_percent / 100
    if now < opens:
        raise RenewalTooEarly(
            f"certificate {shown} may be renewed from {opens:%Y-%m-%dT%H:%M:%SZ}, "
            f"{profile.renew_at_percent} % of its lifetime"
        )
