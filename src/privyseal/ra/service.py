# SPDX-License-Identifier: Apache-2.0
"""The registration authority: one entry for each operation, whatever protocol it came by.

Identify, apply the profile, let the CA issue. Refusals are stored with their reason before they are raised.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

from privyseal.ca.form import CertificateForm, DrawnCertificate
from privyseal.ca.issuance import issue
from privyseal.ca.ports import Clock, IssuanceLedger, Rng
from privyseal.errors import (
    AccessError,
    ChallengeUsed,
    EnrollmentRejected,
    InputError,
    NotIssued,
    PolicyError,
    PrivysealError,
    StateError,
    SubjectMismatch,
    TransactionReused,
    UnknownTransaction,
    WeakKey,
)
from privyseal.model.certificate import CertificateKind, CertificateStatus
from privyseal.model.challenge import challenge_hash
from privyseal.model.enrollment import (
    Claim,
    EnrollmentRecord,
    EnrollmentRequest,
    EnrollmentState,
    Granted,
    Outcome,
    Waiting,
)
from privyseal.model.entity import EndEntity
from privyseal.model.profile import Approval, CertificateProfile, RequestedName
from privyseal.ra.identification import Applicant, Identification, challenge_evidence, renewal_evidence
from privyseal.ra.naming import named_by_directory
from privyseal.ra.ports import Catalog, Directory, EntityBook, Inventory, RequestLog
from privyseal.x509.certificate import read_certificate, read_public_key_info
from privyseal.x509.csr import CertificationRequest, parse_request, refuse_authority_claims
from privyseal.x509.keys import check_public_key

_LIVE = (EnrollmentState.WAITING, EnrollmentState.APPROVED, EnrollmentState.RUNNING, EnrollmentState.ISSUED)


class RegistrationAuthority:
    """Enrolls end entities. Holds no state of its own."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        inventory: Inventory,
        entities: EntityBook,
        directory: Directory,
        log: RequestLog,
        ledger: IssuanceLedger,
        clock: Clock,
        rng: Rng,
    ) -> None:
        self._catalog = catalog
        self._inventory = inventory
        self._entities = entities
        self._directory = directory
        self._log = log
        self._ledger = ledger
        self._clock = clock
        self._rng = rng
        self._identification = Identification(catalog, inventory, entities)

    async def enroll(self, request: EnrollmentRequest, *, incident: str) -> Outcome:
        """Grant, make wait, or refuse. The same request again gets the same answer (RFC 8894 section 3.2.1.1).

        Raises a PrivysealError for a refusal, after storing the attempt under ``incident``.
        """
        key_hash = sha256(request.request.spki).digest()
        try:
            earlier = await self._earlier(request, key_hash)
            if earlier is not None:
                return earlier
            try:
                return await self._enroll_anew(request, key_hash)
            except ChallengeUsed:
                # The same message may have been served while this one was on its way: look once more.
                earlier = await self._earlier(request, key_hash)
                if earlier is None:
                    raise
                return earlier
        except (AccessError, InputError, PolicyError, StateError) as error:
            await self._log.refuse(_unproved_claim(request, key_hash), error, incident=incident)
            raise

    async def _enroll_anew(self, request: EnrollmentRequest, key_hash: bytes) -> Outcome:
        form = self._catalog.form(request.profile, request.issuer_version)
        profile = form.profile
        refuse_authority_claims(request.request)
        applicant = await self._identification.authenticate(request, profile, now=self._clock.now())
        applicant.entity.require_admitted(profile.name)
        self._check_key(request.request, profile, key_hash)
        entity = await named_by_directory(profile, applicant.entity, self._directory)
        _check_requested_name(form, entity, request.request)
        claim = _proved_claim(request, key_hash, applicant, form=form)
        if profile.approval is Approval.MANUAL and applicant.challenge_id is not None:
            return Waiting(await self._log.wait(claim, request.request.der))
        return await self._issue(form, entity, request.request, claim)

    async def poll(self, profile: str, transaction_id: str, *, signer_certificate: bytes, incident: str) -> Outcome:
        """The outcome of an earlier request, asked for by whoever made it (RFC 8894 section 3.3.3).

        Raises UnknownTransaction, EnrollmentRejected and, after storing it under ``incident``, what issuing raises.
        """
        key_hash = sha256(read_public_key_info(signer_certificate)).digest()
        evidence = renewal_evidence(signer_certificate)
        for record in await self._log.find(profile, transaction_id):
            if record.key_hash != key_hash and record.evidence != evidence:
                continue
            if record.state is EnrollmentState.APPROVED:
                try:
                    return await self._issue_approved(record)
                except ChallengeUsed:
                    return Waiting(record.id)  # another poll is being served at this moment
                except (AccessError, InputError, PolicyError, StateError) as error:
                    await self._log.refuse(_approved_claim(record), error, incident=incident)
                    raise
            if record.state is EnrollmentState.REFUSED:
                raise EnrollmentRejected(f"enrollment {record.id} was refused: {record.what}")
            known = self._outcome(record)
            if known is not None:
                return known
        raise UnknownTransaction(f"no pending transaction {transaction_id[:80]!r} of this key")

    async def note_refusal(
        self, profile: str, protocol: str, *, transaction_id: str, error: PrivysealError, incident: str
    ) -> None:
        """Store an attempt that did not get as far as a readable request."""
        claim = Claim(
            kind=CertificateKind.END_ENTITY,
            protocol=protocol,
            requester=protocol,
            profile=profile,
            transaction_id=transaction_id,
        )
        await self._log.refuse(claim, error, incident=incident)

    def retrieve(self, issuer_name: bytes, serial: int, *, signer_certificate: bytes) -> Granted:
        """A certificate that was issued, for its own key or its own end entity (RFC 8894 section 3.3.4).

        Raises NotIssued, also when it exists but is not the asker's: who asks learns nothing of others.
        """
        asker = self._identification.holder(signer_certificate)
        for issuer in self._catalog.issuer_of(issuer_name):
            record = self._inventory.by_serial(issuer.id, serial)
            if record is None or record.status is CertificateStatus.RESERVED:
                continue
            certificate = self._inventory.encoded(record.id)
            same_key = read_certificate(certificate).spki == read_public_key_info(signer_certificate)
            same_entity = asker is not None and asker.entity_id is not None and asker.entity_id == record.entity_id
            if same_key or same_entity:
                return Granted(certificate)
        raise NotIssued(f"serial {serial:x} is not a certificate of the asker")

    async def issue_for(
        self, entity: EndEntity, profile: str, request: CertificationRequest, *, requester: str
    ) -> Granted:
        """Issue to an entity that an operator vouches for. Raises what the profile and the CA raise."""
        form, entity, key_hash = await self._vouched(entity, profile, request)
        claim = Claim(
            kind=CertificateKind.END_ENTITY,
            protocol="operator",
            requester=requester,
            profile=profile,
            profile_revision=form.profile.revision,
            entity_id=entity.id,
            key_hash=key_hash,
        )
        return await self._issue(form, entity, request, claim)

    async def draw_for(self, entity: EndEntity, profile: str, request: CertificationRequest) -> DrawnCertificate:
        """What ``issue_for`` would sign. Raises what it would raise before it signs; nothing is stored."""
        form, entity, _ = await self._vouched(entity, profile, request)
        return self._draw(form, entity, request)

    async def _vouched(
        self, entity: EndEntity, profile: str, request: CertificationRequest
    ) -> tuple[CertificateForm, EndEntity, bytes]:
        form = self._catalog.form(profile)
        refuse_authority_claims(request)
        entity.require_enabled()
        key_hash = sha256(request.spki).digest()
        self._check_key(request, form.profile, key_hash)
        return form, await named_by_directory(form.profile, entity, self._directory), key_hash

    def _draw(self, form: CertificateForm, entity: EndEntity, request: CertificationRequest) -> DrawnCertificate:
        now = self._clock.now()
        form.issuer.require_active(now, form.issuer.leaf_purpose)
        entity.require_admitted(form.profile.name)
        return form.draw(
            entity,
            public_key=request.public_key,
            spki=request.spki,
            now=now,
            rng=self._rng,
            wish=request.requested_validity,
        )

    async def _issue(
        self, form: CertificateForm, entity: EndEntity, request: CertificationRequest, claim: Claim
    ) -> Granted:
        drawn = self._draw(form, entity, request)
        claim = replace(
            claim,
            subject=drawn.subject,
            san=drawn.san,
            sid=drawn.sid,
            remark=drawn.remark,
            issuer_version=form.issuer.record.version,
            deliver_to=entity.binding if form.profile.publish_to_directory else None,
        )
        certificate = await issue(
            drawn.linted,
            self._catalog.signer(form.issuer.id),
            issuer_key=form.issuer.public_key,
            ledger=self._ledger,
            claim=claim,
        )
        return Granted(certificate, drawn.remark)

    def _check_key(self, request: CertificationRequest, profile: CertificateProfile, key_hash: bytes) -> None:
        check_public_key(request.public_key, profile.key_rules)
        if self._inventory.key_is_blocked(key_hash):
            raise WeakKey("a certificate of this key was revoked because the key was compromised")

    async def _issue_approved(self, record: EnrollmentRecord) -> Outcome:
        form = self._catalog.form(record.profile)
        entity = await self._entities.entity(record.entity_id or 0)
        entity.require_enabled()
        # Proof of possession was verified when it arrived; legacy requests keep their old signature.
        request = parse_request(record.request_der, allow_sha1=form.profile.scep.legacy_devices)
        self._check_key(request, form.profile, sha256(request.spki).digest())  # the profile may have changed meanwhile
        entity = await named_by_directory(form.profile, entity, self._directory)
        claim = replace(_approved_claim(record), profile_revision=form.profile.revision)
        return await self._issue(form, entity, request, claim)

    async def _earlier(self, request: EnrollmentRequest, key_hash: bytes) -> Outcome | None:
        if not request.transaction_id:
            return None
        records = await self._log.find(request.profile, request.transaction_id)
        if not records:
            return None
        proofs = set()
        if request.request.challenge_password:
            proofs.add(challenge_evidence(challenge_hash(request.request.challenge_password)))
        held = None
        if request.signer_certificate is not None:
            proofs.add(renewal_evidence(request.signer_certificate))
            held = self._identification.holder(request.signer_certificate)
        for record in records:
            if record.state not in _LIVE:
                continue
            if record.key_hash != key_hash:
                raise TransactionReused(
                    f"transaction {request.transaction_id[:80]!r} was begun with another key (enrollment {record.id})"
                )
            # Who signs with a certificate has had the answer that brought it, and those before: this is no repetition
            # of them, though some clients keep transaction id, key and challenge when they renew.
            if held is not None and record.certificate_id is not None and record.certificate_id <= held.id:
                continue
            if record.evidence in proofs:
                if record.state is EnrollmentState.APPROVED:
                    return await self._issue_approved(record)
                return self._outcome(record)
        return None

    def _outcome(self, record: EnrollmentRecord) -> Outcome | None:
        """What is known of an attempt; None when its certificate is no longer good to hand out."""
        if record.state is not EnrollmentState.ISSUED or record.certificate_id is None:
            return Waiting(record.id) if record.state in _LIVE else None
        certificate = self._inventory.encoded(record.certificate_id)
        view = read_certificate(certificate)
        if view.not_after <= self._clock.now():
            return None
        for issuer in self._catalog.issuer_of(view.issuer):
            known = self._inventory.by_serial(issuer.id, view.serial)
            if known is not None and known.id == record.certificate_id and known.revocation is None:
                return Granted(certificate)
        return None


def _unproved_claim(request: EnrollmentRequest, key_hash: bytes) -> Claim:
    return Claim(
        kind=CertificateKind.END_ENTITY,
        protocol=request.protocol,
        requester=request.protocol,
        profile=request.profile,
        transaction_id=request.transaction_id,
        key_hash=key_hash,
    )


def _approved_claim(record: EnrollmentRecord) -> Claim:
    return Claim(
        kind=CertificateKind.END_ENTITY,
        protocol=record.protocol,
        requester=f"enrollment:{record.id}",
        profile=record.profile,
        entity_id=record.entity_id,
        transaction_id=record.transaction_id,
        key_hash=record.key_hash,
        evidence=record.evidence,
        enrollment_id=record.id,
    )


def _proved_claim(request: EnrollmentRequest, key_hash: bytes, applicant: Applicant, *, form: CertificateForm) -> Claim:
    return Claim(
        kind=CertificateKind.END_ENTITY,
        protocol=request.protocol,
        requester=applicant.requester,
        profile=request.profile,
        profile_revision=form.profile.revision,
        entity_id=applicant.entity.id,
        transaction_id=request.transaction_id,
        key_hash=key_hash,
        evidence=applicant.evidence,
        challenge_id=applicant.challenge_id,
    )


def _check_requested_name(form: CertificateForm, entity: EndEntity, request: CertificationRequest) -> None:
    if form.profile.requested_name is RequestedName.IGNORE:
        return
    wanted, built = request.subject.common_name, form.names(entity).subject.common_name
    if wanted != built:
        raise SubjectMismatch(f"the request asks for CN {wanted!r}, the challenge is for {built!r}")
