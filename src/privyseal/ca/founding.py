# SPDX-License-Identifier: Apache-2.0
"""Founding a CA: key, certificate by the one road, first CRL, RA and OCSP responder. And keeping those two fresh."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from privyseal.ca.crl import publish_crl
from privyseal.ca.hierarchy import prepare_issuing_ca, prepare_ocsp_responder, prepare_ra, prepare_root
from privyseal.ca.issuance import LintedTbs, issue
from privyseal.ca.issuer import Issuer
from privyseal.ca.ports import Apart, AuthorityRegister, Clock, CrlLedger, IssuanceLedger, KeyStore, Rng, Signer
from privyseal.errors import NameTaken, ParameterNotFitting
from privyseal.model.authority import CaKind, CaRecord, CaRequest, CaState
from privyseal.model.certificate import CertificateKind
from privyseal.model.enrollment import Claim
from privyseal.x509.algorithms import KeyType, PublicKey, signature_algorithm
from privyseal.x509.certificate import read_certificate
from privyseal.x509.names import DistinguishedName
from privyseal.x509.spki import encode_public_key

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


async def found_ca(request: CaRequest, shop: Workshop, *, actor: str) -> CaRecord:
    """Make a root or issuing CA, active at once (a successor: staged). Raises what the rules raise.

    The key is on disk before its certificate is reserved, so no certificate can lack its key.
    """
    version = _next_version(request, shop.register)
    _refuse_taken_subject(request, shop.register)
    parent = None if request.parent is None else Issuer(shop.register.get(request.parent), shop.base_url)
    now = shop.clock.now()
    key_ref, public_key = await shop.keys.create(request.key_type)
    algorithm = signature_algorithm(public_key, request.hash_name)
    own_signer = shop.keys.signer(key_ref, request.hash_name)
    spki = encode_public_key(public_key)
    if parent is None:
        linted = prepare_root(request, spki=spki, algorithm=algorithm, now=now, rng=shop.rng)
        signer, issuer_key = own_signer, public_key
    else:
        linted = prepare_issuing_ca(request, parent, spki=spki, now=now, rng=shop.rng)
        signer, issuer_key = shop.keys.signer(parent.record.key_ref, parent.record.hash_name), parent.public_key
    certificate = await _issue(linted, signer, issuer_key=issuer_key, shop=shop, kind=CertificateKind.CA, actor=actor)
    record = await shop.register.add(
        CaRecord(
            id=0,
            name=request.name,
            version=version,
            kind=request.kind,
            state=CaState.STAGED if request.successor else CaState.ACTIVE,
            parent_id=None if parent is None else parent.id,
            certificate=certificate,
            key_ref=key_ref,
            hash_name=request.hash_name,
            crl=request.crl,
            created_at=now,
        ),
        actor=actor,
    )
    if record.state is CaState.ACTIVE:
        issuer = Issuer(record, shop.base_url)
        await publish_first_crls(issuer, own_signer, shop, now=now)
        await refresh_services(issuer, shop)
    return record


async def publish_first_crls(issuer: Issuer, signer: Signer, shop: Workshop, *, now: datetime) -> None:
    """Whatever a certificate of this CA may name is there before the first is issued."""
    for scope in issuer.crl_scopes:
        await publish_crl(issuer, signer, ledger=shop.crls, apart=shop.apart, now=now, scope=scope)


def _next_version(request: CaRequest, register: AuthorityRegister) -> int:
    versions = [record for record in register.all() if record.name == request.name]
    if not request.successor:
        if versions:
            raise NameTaken(
                f"CA {request.name!r} exists already",
                mend=(f"privyseal ca get {request.name}", "add --successor to make its next version"),
            )
        return 1
    if not versions:
        raise ParameterNotFitting(f"CA {request.name!r} does not exist, so it has no successor")
    latest = versions[-1]
    if latest.state is CaState.STAGED:
        raise NameTaken(f"CA {request.name!r} has a staged successor already (v{latest.version})")
    if latest.kind is not request.kind:
        raise ParameterNotFitting(f"CA {request.name!r} is {latest.kind.value}, its successor must be too")
    return latest.version + 1


def _refuse_taken_subject(request: CaRequest, register: AuthorityRegister) -> None:
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
    """Give the CA an RA (active issuing CAs) and an OCSP responder when it has none or the newest nears its end.

    Returns the kinds that were renewed. Older ones stay until they expire: devices may still hold them.
    """
    wanted = [CertificateKind.OCSP]
    if issuer.record.kind is CaKind.ISSUING and issuer.record.state is CaState.ACTIVE:
        wanted.append(CertificateKind.RA)
    renewed: list[CertificateKind] = []
    now = shop.clock.now()
    for kind in wanted:
        services = shop.register.services(issuer.id, kind, now=now)
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
