# SPDX-License-Identifier: Apache-2.0
"""OCSP over HTTP, GET and POST (RFC 6960 appendix A, RFC 9919). Status is read from the store for every answer.

Answers without a nonce are signed once and kept; a kept answer is used only while the status it tells is
still the stored one, so a revocation shows at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha1, sha256
from typing import Final, Protocol

from privyseal.ca.issuance import finish_ocsp, prepare_ocsp, sign
from privyseal.ca.issuer import Issuer
from privyseal.ca.ports import Clock, Signer
from privyseal.endpoints.http import Request, Response
from privyseal.endpoints.problems import ocsp_error
from privyseal.errors import IssuerNotActive, NotFound, PrivysealError
from privyseal.model.authority import ServiceRecord
from privyseal.model.certificate import CertificateKind
from privyseal.model.profile import BACKDATE
from privyseal.model.revocation import Revocation
from privyseal.protocols import ocsp
from privyseal.x509 import der
from privyseal.x509.algorithms import SignatureAlgorithm, signature_algorithm
from privyseal.x509.certificate import CertificateView, read_certificate
from privyseal.x509.keys import load_public_key

CONTENT_TYPE: Final = "application/ocsp-response"
VALIDITY: Final = timedelta(hours=1)
"""How long a relying party may keep an answer."""
_KEEP: Final = timedelta(minutes=30)
_MOST_KEPT: Final = 20_000
_LARGEST_KEPT: Final = 1024
"""Octets of a request whose answer is kept: eight questions fit, and strangers cannot fill the memory."""
_HTTP_AGE: Final = 300


class StatusReader(Protocol):
    """Status by serial, and a number that changes with every commit to the store."""

    def status(self, issuer_id: int, serial: int) -> tuple[str, Revocation | None] | None:
        """Stored status, or None for a serial that was never reserved."""

    def version(self) -> int:
        """Changes whenever anything in the store did."""


class Responders(Protocol):
    """CAs and their delegated responders."""

    def refresh(self) -> int:
        """Version of the catalog."""

    def issuers(self) -> tuple[Issuer, ...]:
        """Every CA version."""

    def services(self, issuer_id: int, kind: CertificateKind) -> tuple[ServiceRecord, ...]:
        """Unexpired responder certificates, newest first."""

    def service_signer(self, service: ServiceRecord) -> Signer:
        """A responder's key."""


class _Responder:
    """One delegated responder, read once."""

    def __init__(self, service: ServiceRecord, signer: Signer) -> None:
        self.view: CertificateView = read_certificate(service.certificate)
        self.key = load_public_key(self.view.spki)
        self.algorithm: SignatureAlgorithm = signature_algorithm(self.key)
        self.key_hash = sha1(_key_bits(self.view.spki), usedforsecurity=False).digest()  # RFC 6960 4.2.1 byKey
        self.signer = signer


@dataclass(slots=True)
class _Kept:
    body: bytes
    statuses: tuple[tuple[str, Revocation | None] | None, ...]
    asked: tuple[tuple[int, int], ...]
    made_at: datetime
    version: int
    headers: tuple[tuple[bytes, bytes], ...]


class OcspEndpoint:
    """Answers for every CA of this service; the CertID says which, the path is only a convenience."""

    def __init__(self, *, responders: Responders, status: StatusReader, clock: Clock) -> None:
        self._responders = responders
        self._status = status
        self._clock = clock
        self._catalog = -1
        self._issuers: dict[tuple[str, bytes, bytes], Issuer] = {}
        self._ready: dict[int, _Responder] = {}
        self._kept: dict[bytes, _Kept] = {}

    async def __call__(self, request: Request, incident: str) -> Response:
        """Answer a request; errors become OCSP error responses (unsigned, RFC 6960 section 2.3)."""
        try:
            raw = request.body if request.method == "POST" else ocsp.decode_ocsp_get_path(_get_tail(request))
            body, headers = await self._answer(raw)
        except PrivysealError as error:
            return Response(200, CONTENT_TYPE, ocsp.build_error_response(ocsp_error(error)))
        return Response(200, CONTENT_TYPE, body, headers if request.method == "GET" else ())

    async def _answer(self, raw: bytes) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
        now, version = self._clock.now(), self._status.version()
        kept = self._kept.get(raw)
        if kept is not None and kept.made_at <= now < kept.made_at + _KEEP:
            if kept.version == version:
                return kept.body, kept.headers
            if tuple(self._status.status(*asked) for asked in kept.asked) == kept.statuses:
                kept.version = version
                return kept.body, kept.headers
        return await self._sign_answer(raw, now, version)

    async def _sign_answer(
        self, raw: bytes, now: datetime, version: int
    ) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
        request = ocsp.parse_ocsp_request(raw)
        issuer = self._issuer_of(request.cert_ids)
        responder = self._responder(issuer)
        moment = now.replace(microsecond=0)
        asked = tuple((issuer.id, cert_id.serial) for cert_id in request.cert_ids)
        statuses = tuple(self._status.status(*one) for one in asked)
        answers = [
            ocsp.SingleAnswer(cert_id.der, _certificate_status(found), moment - BACKDATE, moment + VALIDITY)
            for cert_id, found in zip(request.cert_ids, statuses, strict=True)
        ]
        tbs = ocsp.build_response_data(
            responder_key_hash=responder.key_hash, produced_at=moment, answers=answers, nonce=request.nonce
        )
        linted = prepare_ocsp(tbs, algorithm=responder.algorithm, issuer_id=issuer.id)
        signature = await sign(linted, responder.signer, issuer_key=responder.key)
        encoded = ocsp.build_response(
            tbs,
            responder.algorithm.identifier,
            signature=signature,
            certificates=(responder.view.encoded,),
        )
        body, headers = finish_ocsp(encoded), _cache_headers(encoded, moment)
        if request.nonce is None and len(raw) <= _LARGEST_KEPT:
            if len(self._kept) >= _MOST_KEPT:
                for stale in list(self._kept)[: _MOST_KEPT // 2]:
                    del self._kept[stale]
            self._kept[raw] = _Kept(body, statuses, asked, moment, version, headers)
            return body, headers
        return body, () if request.nonce else headers

    def _issuer_of(self, cert_ids: tuple[ocsp.CertId, ...]) -> Issuer:
        """The one CA that all questions are about. Raises NotFound (answered as unauthorized)."""
        catalog = self._responders.refresh()
        if catalog != self._catalog:
            # Of a CA whose key is elsewhere we keep CRLs, but know no serials.
            ours = [issuer for issuer in self._responders.issuers() if issuer.record.has_key]
            self._issuers = {key: issuer for issuer in ours for key in _cert_id_keys(issuer)}
            self._ready.clear()
            self._catalog = catalog
        found = {self._issuers.get((one.hash_algorithm, one.issuer_name_hash, one.issuer_key_hash)) for one in cert_ids}
        if len(found) != 1 or None in found:
            raise NotFound("the request asks about a CA that is not ours, or about several")
        issuer = found.pop()
        if issuer is None:
            raise NotFound("the request asks about no CA")
        return issuer

    def _responder(self, issuer: Issuer) -> _Responder:
        services = self._responders.services(issuer.id, CertificateKind.OCSP)
        if not services:
            raise IssuerNotActive(f"CA {issuer.record.name} has no OCSP responder certificate")
        newest = services[0]
        if newest.id not in self._ready:
            self._ready[newest.id] = _Responder(newest, self._responders.service_signer(newest))
        return self._ready[newest.id]


def _get_tail(request: Request) -> bytes:
    """The base64 request behind ``/ocsp/<ca>/v<n>/``; it may itself hold slashes."""
    parts = request.raw_path.lstrip(b"/").split(b"/", 3)
    return parts[3] if len(parts) == 4 else b""


def _cert_id_keys(issuer: Issuer) -> tuple[tuple[str, bytes, bytes], ...]:
    # RFC 9919: clients of the light-weight profile ask by SHA-256, everybody else still by SHA-1.
    name, bits = issuer.view.subject, _key_bits(issuer.view.spki)
    return (
        ("sha1", sha1(name, usedforsecurity=False).digest(), sha1(bits, usedforsecurity=False).digest()),
        ("sha256", sha256(name).digest(), sha256(bits).digest()),
    )


def _key_bits(spki: bytes) -> bytes:
    return list(der.read_only(spki, der.SEQUENCE, "SubjectPublicKeyInfo").children())[1].contents[1:]


def _certificate_status(found: tuple[str, Revocation | None] | None) -> ocsp.CertStatus:
    if found is None or found[0] == "reserved":
        return ocsp.UNKNOWN
    revocation = found[1]
    if revocation is None:
        return ocsp.GOOD
    return ocsp.CertStatus.revoked(revocation.at, int(revocation.reason))


def _cache_headers(body: bytes, moment: datetime) -> tuple[tuple[bytes, bytes], ...]:
    """For GET (RFC 9919 section 6): short, so that no proxy hides a revocation for long."""

    def date(when: datetime) -> bytes:
        return when.strftime("%a, %d %b %Y %H:%M:%S GMT").encode()

    return (
        (b"cache-control", f"max-age={_HTTP_AGE}, public, no-transform, must-revalidate".encode()),
        (b"etag", b'"' + sha256(body).hexdigest().encode() + b'"'),
        (b"last-modified", date(moment)),
        (b"expires", date(moment + timedelta(seconds=_HTTP_AGE))),
    )
