# SPDX-License-Identifier: Apache-2.0
"""Founding a CA: key, certificate by the one road, first CRL, RA and OCSP responder. And keeping those two fresh."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from privyseal.ca.crl import publish_crl
from privyseal.ca.hierarchy import prepare_issuing_ca, prepare_ocsp_responder, prepare_ra, prepare_root
from privyseal.ca.issuance import LintedTbs, issue
from privyseal.ca.issuer import Issuer
from privyseal.ca.lifecycle import Purpose, may_sign
from privyseal.ca.ports import Apart, AuthorityRegister, Clock, CrlLedger, IssuanceLedger, KeyStore, Rng, Signer
from privyseal.errors import NameTaken, ParameterNotFitting, PolicyError
from privyseal.model.authority import CaKind, CaRecord, CaRequest, CaState
from privyseal.model.certificate import CertificateKind
from privyseal.model.enrollment import Claim
from privyseal.x509.algorithms import KeyType, PublicKey, signature_algorithm
from privyseal.x509.certificate import read_certificate
from privyseal.x509.names import DistinguishedName
from privyseal.x509.spki import encode_public_key
from privyseal.x509.tbs import assemble

# SCEP's RA must be RSA whatever the CA is (RFC 8894 section 3.1); a small responder signature keeps OCSP small.
_SERVICE_KEYS: Final = {CertificateKind.RA: KeyType.RSA_2048, CertificateKind.OCSP: KeyType.P256}
_ROLL_AT_PERCENT: Final = 66


@dataclass(frozen=True, slots=True)
class Workshop:
    """The ports that founding needs, together."""

    keys: KeyStore
    register: AuthorityRegister
    ledger: IssuanceLedger
    crls: CrlLedger
    clock: Clock
    rng: Rng
    base_url: str
    apart: Apart


class _Registering:
    """Issues a CA's own certificate; its signature and the CA itself are recorded in one transaction."""

    def __init__(self, shop: Workshop, record: CaRecord, linted: LintedTbs, *, actor: str) -> None:
        self._shop = shop
        self._linted = linted
        self._actor = actor
        self.record_made = record

    async def reserve(self, linted: LintedTbs, claim: Claim) -> int:
        """See ``IssuanceLedger.reserve``."""
        return await self._shop.ledger.reserve(linted, claim)

    async def record(self, certificate_id: int, signature: bytes) -> None:
        """See ``IssuanceLedger.record``."""
        certificate = assemble(self._linted.tbs, self._linted.algorithm.identifier, signature)
        self.record_made = await self._shop.register.add(
            replace(self.record_made, certificate=certificate), actor=self._actor, signed=(certificate_id, signature)
        )


async def found_ca(request: CaRequest, shop: Workshop, *, actor: str, same_key: CaRecord | None = None) -> CaRecord:
    """Make a root or issuing CA, active at once (a successor: staged). Raises what the rules raise.

    The key is on disk before its certificate is reserved, so no certificate can lack its key. ``same_key`` is the
    version whose key a successor keeps; serials and CRLs go on in that version's books.
    """
    version = next_version(request, shop.register)
    refuse_taken_subject(request, shop.register)
    now = shop.clock.now()
    parent = None if request.parent is None else Issuer(shop.register.get(request.parent), shop.base_url)
    if parent is not None:
        parent.require_active(now, Purpose.CA)
    if same_key is None:
        key_ref, public_key = await shop.keys.create(request.key_type)
    else:
        key_ref, public_key = same_key.key_ref, Issuer(same_key, shop.base_url).public_key
    record = CaRecord(
        id=0,
        name=request.name,
        version=version,
        kind=request.kind,
        state=CaState.STAGED if request.successor else CaState.ACTIVE,
        parent_id=None if parent is None else parent.record.id,
        certificate=b"",
        key_ref=key_ref,
        hash_name=request.hash_name,
        crl=request.crl,
        created_at=now,
        changed_at=now,
        ledger_id=0 if same_key is None else same_key.books,
    )
    try:
        record = await _certify(request, record, public_key, shop=shop, parent=parent, actor=actor)
    except PolicyError:
        if same_key is None:
            shop.keys.destroy(key_ref)  # nothing was reserved for it
        raise
    await begin_service(record, shop)
    return record


async def _certify(
    request: CaRequest, record: CaRecord, public_key: PublicKey, *, shop: Workshop, parent: Issuer | None, actor: str
) -> CaRecord:
    spki, now = encode_public_key(public_key), record.created_at
    if parent is None:
        algorithm = signature_algorithm(public_key, request.hash_name)
        linted = prepare_root(request, spki=spki, algorithm=algorithm, now=now, rng=shop.rng)
        signer, issuer_key = shop.keys.signer(record.key_ref, request.hash_name), public_key
    else:
        linted = prepare_issuing_ca(request, parent, spki=spki, now=now, rng=shop.rng)
        signer, issuer_key = shop.keys.signer(parent.record.key_ref, parent.record.hash_name), parent.public_key
    registering = _Registering(shop, record, linted, actor=actor)
    claim = Claim(
        kind=CertificateKind.CA,
        protocol="internal",
        requester=actor,
        subject=request.subject.to_text(),
        issuer_version=0 if parent is None else parent.record.version,
    )
    await issue(linted, signer, issuer_key=issuer_key, ledger=registering, claim=claim)
    return registering.record_made


async def begin_service(record: CaRecord, shop: Workshop) -> None:
    """The first CRLs, RA and OCSP certificates of a new version. After a crash the worker does the same."""
    issuer = Issuer(record, shop.base_url)
    if not record.ledger_id:
        signer = shop.keys.signer(record.key_ref, record.hash_name)
        await publish_first_crls(issuer, signer, shop, now=shop.clock.now())
    await refresh_services(issuer, shop)


async def publish_first_crls(issuer: Issuer, signer: Signer, shop: Workshop, *, now: datetime) -> None:
    """Whatever a certificate of this CA may name is there before the first is issued."""
    for scope in issuer.crl_scopes:
        await publish_crl(issuer, signer, ledger=shop.crls, apart=shop.apart, now=now, scope=scope)


def next_version(request: CaRequest, register: AuthorityRegister) -> int:
    """The version that a request makes. Raises NameTaken, ParameterNotFitting."""
    versions = [record for record in register.all() if record.name == request.name]
    last = register.last_version(request.name)
    if not request.successor:
        if versions:
            raise NameTaken(
                f"CA {request.name!r} exists already",
                mend=(f"privyseal ca get {request.name}", f"make its next version: privyseal ca renew {request.name}"),
            )
        return last + 1
    if not versions:
        raise ParameterNotFitting(f"CA {request.name!r} does not exist, so it has no successor")
    latest = versions[-1]
    if latest.state is CaState.STAGED:
        raise NameTaken(
            f"CA {request.name!r} has a staged successor already (v{latest.version})",
            mend=(f"privyseal ca rollover {request.name}", f"privyseal ca delete {request.name} --version N"),
        )
    if latest.kind is not request.kind:
        raise ParameterNotFitting(f"CA {request.name!r} is {latest.kind.value}, its successor must be too")
    return last + 1


def refuse_taken_subject(request: CaRequest, register: AuthorityRegister) -> None:
    """Two CAs of one name could not be told apart: not by a CRL's issuer, and a child would look self-issued."""
    wanted = request.subject.to_der()
    for record in register.all():
        if record.name != request.name and read_certificate(record.certificate).subject == wanted:
            raise NameTaken(
                f"CA {record.name!r} has the subject {request.subject.to_text()} already",
                why="certificates and CRLs name their CA by its subject alone",
                mend=("choose another: --subject 'CN=...,O=...'",),
            )


async def refresh_services(issuer: Issuer, shop: Workshop) -> tuple[CertificateKind, ...]:
    """Give the CA an RA (issuing CAs) and an OCSP responder when it has none or the newest nears its end.

    Returns the kinds that were renewed. Older ones stay until they expire: devices may still hold them.
    """
    state, wanted = issuer.record.state, list[CertificateKind]()
    if may_sign(state, Purpose.STATUS):
        wanted.append(CertificateKind.OCSP)
    if issuer.record.kind is CaKind.ISSUING and may_sign(state, Purpose.RA):
        wanted.append(CertificateKind.RA)
    renewed: list[CertificateKind] = []
    now = shop.clock.now()
    for kind in wanted:
        # One that is not valid yet was made under a clock that ran ahead; nobody would believe it now.
        found = shop.register.services(issuer.id, kind, now=now)
        services = [service for service in found if service.not_before <= now]
        if services and not _due(services[0].not_before, services[0].not_after, now):
            continue
        if services and services[0].not_after >= issuer.view.not_after:
            continue  # it lasts as long as the CA itself; a new one could not last longer
        await _renew_service(issuer, kind, shop)
        renewed.append(kind)
    return tuple(renewed)


def _due(not_before: datetime, not_after: datetime, now: datetime) -> bool:
    return now >= not_before + (not_after - not_before) * _ROLL_AT_PERCENT / 100


async def _renew_service(issuer: Issuer, kind: CertificateKind, shop: Workshop) -> None:
    key_ref, public_key = await shop.keys.create(_SERVICE_KEYS[kind])
    spki, now = encode_public_key(public_key), shop.clock.now()
    prepare = prepare_ra if kind is CertificateKind.RA else prepare_ocsp_responder
    linted = prepare(issuer, spki=spki, now=now, rng=shop.rng)
    signer = shop.keys.signer(issuer.record.key_ref, issuer.record.hash_name)
    certificate = await _issue(
        linted, signer, issuer_key=issuer.public_key, shop=shop, kind=kind, actor="service:rollover"
    )
    view = read_certificate(certificate)
    await shop.register.add_service(
        issuer.id, kind, certificate=certificate, key_ref=key_ref, validity=(view.not_before, view.not_after)
    )


async def _issue(
    linted: LintedTbs, signer: Signer, *, issuer_key: PublicKey, shop: Workshop, kind: CertificateKind, actor: str
) -> bytes:
    content = linted.content
    subject = "" if content is None else DistinguishedName.from_der(content.subject).to_text()
    claim = Claim(kind=kind, protocol="internal", requester=actor, subject=subject)
    return await issue(linted, signer, issuer_key=issuer_key, ledger=shop.ledger, claim=claim)
