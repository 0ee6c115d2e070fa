# SPDX-License-Identifier: Apache-2.0
"""An offline root: made, and used, on a machine of its own, by the same one road to a signature.

Its ledger is a port like the store's; what it needs to know of the server is the URL that certificates carry.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from privyseal.ca.crl import publish_crl
from privyseal.ca.hierarchy import prepare_issuing_ca, prepare_root
from privyseal.ca.issuance import LintedTbs, issue
from privyseal.ca.issuer import Issuer
from privyseal.ca.ports import Apart, CrlLedger, IssuanceLedger, KeyStore, Rng
from privyseal.errors import MalformedDer, ParameterNotFitting
from privyseal.model.authority import CaKind, CaRecord, CaRequest, CaState, CrlRules
from privyseal.model.certificate import CertificateKind
from privyseal.model.crl import CrlFacts
from privyseal.model.enrollment import Claim
from privyseal.x509 import der, oids
from privyseal.x509.algorithms import key_type_of, signature_algorithm
from privyseal.x509.csr import CertificationRequest
from privyseal.x509.keys import KeyRules, check_public_key
from privyseal.x509.spki import encode_public_key


class CeremonyLedger(IssuanceLedger, CrlLedger, Protocol):
    """The memory of one offline root: serials and CRL numbers never repeat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceremony:
    """An offline root in use."""

    root: CaRecord
    base_url: str
    keys: KeyStore
    ledger: CeremonyLedger
    rng: Rng
    apart: Apart

    @property
    def issuer(self) -> Issuer:
        """The root, read."""
        return Issuer(self.root, self.base_url)


def root_record(name: str, *, certificate: bytes, key_ref: str, hash_name: str | None, crl: CrlRules) -> CaRecord:
    """The one CA of a ceremony directory."""
    moment = datetime(1970, 1, 1, tzinfo=UTC)  # of no meaning here
    return CaRecord(
        id=1,
        name=name,
        version=1,
        kind=CaKind.ROOT,
        state=CaState.ACTIVE,
        parent_id=None,
        certificate=certificate,
        key_ref=key_ref,
        hash_name=hash_name,
        crl=crl,
        created_at=moment,
        changed_at=moment,
    )


async def make_root(
    request: CaRequest, keys: KeyStore, ledger: CeremonyLedger, *, now: datetime, rng: Rng, actor: str
) -> tuple[bytes, str]:
    """A self-signed root and the name of its key, which is on disk before the certificate exists."""
    key_ref, public_key = await keys.create(request.key_type)
    linted = prepare_root(
        request,
        spki=encode_public_key(public_key),
        algorithm=signature_algorithm(public_key, request.hash_name),
        now=now,
        rng=rng,
    )
    signer = keys.signer(key_ref, request.hash_name)
    claim = Claim(kind=CertificateKind.CA, protocol="ceremony", requester=actor, subject=request.subject.to_text())
    return await issue(linted, signer, issuer_key=public_key, ledger=ledger, claim=claim), key_ref


def asked_for(
    request: CertificationRequest, root: Issuer, *, validity: timedelta, path_length: int | None
) -> CaRequest:
    """What a request of a CA asks for, and what whoever signs it decided. Raises ParameterNotFitting, 6000s."""
    check_public_key(request.public_key, KeyRules())
    values = {extension.oid: extension.value for extension in request.extensions}
    if not request.subject.rdns:
        raise ParameterNotFitting("the request names nobody; a CA has a name")
    purposes = values.get(oids.EXT_KEY_USAGE)
    return CaRequest(
        name=root.record.name,
        kind=CaKind.ISSUING,
        parent=root.record.name,
        subject=request.subject,
        key_type=key_type_of(request.public_key),
        hash_name=None,
        validity=validity,
        path_length=path_length if path_length is not None else _wanted_length(values.get(oids.BASIC_CONSTRAINTS)),
        ext_key_usage=() if purposes is None else _purposes(purposes),
        crl=CrlRules(),
    )


def _wanted_length(value: bytes | None) -> int:
    if value is None:
        return 0
    for element in der.read_only(value, der.SEQUENCE, "basicConstraints").children():
        if element.tag == der.INTEGER:
            return max(0, min(8, element.as_int()))
    return 0


def _purposes(value: bytes) -> tuple[str, ...]:
    found = tuple(element.as_oid() for element in der.read_only(value, der.SEQUENCE, "extKeyUsage").children())
    if not found:
        raise MalformedDer("extKeyUsage names no purpose")
    return found


def draw(ceremony: Ceremony, wanted: CaRequest, request: CertificationRequest, now: datetime) -> LintedTbs:
    """The certificate of an issuing CA, built and linted; nothing is signed. Raises what the rules raise."""
    return prepare_issuing_ca(wanted, ceremony.issuer, spki=request.spki, now=now, rng=ceremony.rng)


async def certify(ceremony: Ceremony, linted: LintedTbs, *, subject: str, actor: str) -> bytes:
    """Reserve, sign and record a certificate that was drawn."""
    root = ceremony.root
    claim = Claim(kind=CertificateKind.CA, protocol="ceremony", requester=actor, subject=subject)
    signer = ceremony.keys.signer(root.key_ref, root.hash_name)
    return await issue(linted, signer, issuer_key=ceremony.issuer.public_key, ledger=ceremony.ledger, claim=claim)


async def next_crl(ceremony: Ceremony, now: datetime) -> CrlFacts:
    """The root's next CRL."""
    root = ceremony.root
    signer = ceremony.keys.signer(root.key_ref, root.hash_name)
    return await publish_crl(ceremony.issuer, signer, ledger=ceremony.ledger, apart=ceremony.apart, now=now)
