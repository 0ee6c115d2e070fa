# SPDX-License-Identifier: Apache-2.0
"""CRLs and CA certificates over plain HTTP (RFC 5280 sections 4.2.1.13 and 4.2.2.1; types of RFC 2585)."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from privyseal.ca.issuer import Issuer
from privyseal.endpoints.http import Request, Response
from privyseal.errors import NotFound, NotIssued
from privyseal.model.crl import CrlFacts, CrlScope
from privyseal.protocols.cms_write import certificates_only

_CRL_TYPE: Final = "application/pkix-crl"
_BUNDLE_TYPE: Final = "application/pkcs7-mime"  # RFC 5280 section 4.2.2.1
_CERTIFICATE_TYPE: Final = "application/pkix-cert"
_DELTA: Final = "delta.crl"


class CrlSource(Protocol):
    """The CRLs in force."""

    def in_force(self, issuer_id: int, scope: CrlScope) -> CrlFacts | None:
        """What is known of the CRL of this scope, or None before the first."""

    def knows(self, issuer_id: int, serial: int) -> bool:
        """Whether this CA ever reserved the serial."""

    async def encoded_apart(self, issuer_id: int, number: int) -> bytes:
        """Its DER, read off the event loop. Raises NotFound when a newer one took its place."""


class IssuerDirectory(Protocol):
    """CAs by name and by subject."""

    def issuer(self, name: str, version: int = 0) -> Issuer:
        """Raises NotFound."""

    def issuer_of(self, name: bytes) -> tuple[Issuer, ...]:
        """Our CA versions with this subject."""

    def crosses(self, issuer: Issuer) -> tuple[bytes, ...]:
        """Certificates of this version's key by other versions of its name."""


class PublicationEndpoint:
    """Answers ``/crl/<ca>/v<n>.crl``, ``/crl/<ca>/v<n>/delta.crl`` or ``/<shard>.crl``, and ``/aia/<ca>/v<n>.cer``.

    Keeps the bodies as long as they are in force.
    """

    def __init__(self, *, issuers: IssuerDirectory, crls: CrlSource) -> None:
        self._issuers = issuers
        self._crls = crls
        self._kept: dict[tuple[int, CrlScope], tuple[int, Response]] = {}
        self._loading = asyncio.Lock()

    async def crl(self, request: Request, incident: str) -> Response:
        """The CRL in force of a CA version: in one piece, the delta, or a shard."""
        path = request.path
        if len(path) == 4 and path[2].startswith("v"):
            issuer = self._issuers.issuer(path[1], _number(path[2][1:], "CA version", least=1))
            scope = _scope(issuer, path[3])
        else:
            issuer, scope = self._issuer(request, ".crl"), CrlScope()
            if issuer.record.crl.shards:
                raise NotFound(
                    f"CA {issuer.record.name} publishes shards; the first is at {issuer.crl_url(scope)}"
                )  # fmt: skip
        return await self._response(issuer, scope)

    async def ca_certificate(self, request: Request, incident: str) -> Response:
        """A CA version's certificate; as ``.p7c`` with those that certify its key under another version."""
        if request.path[-1].endswith(".p7c"):
            issuer = self._issuer(request, ".p7c")
            certificates = (issuer.view.encoded, *self._issuers.crosses(issuer))
            return Response(200, _BUNDLE_TYPE, certificates_only(certificates))
        return Response(200, _CERTIFICATE_TYPE, self._issuer(request, ".cer").view.encoded)

    async def crl_of(self, issuer_name: bytes, serial: int) -> bytes:
        """The base CRL that covers this serial of our CA with this subject, for SCEP's GetCRL. Raises NotIssued."""
        versions = self._issuers.issuer_of(issuer_name)
        # Versions of a CA share the subject; the one that reserved the serial is asked for.
        for issuer in sorted(versions, key=lambda version: not self._crls.knows(version.id, serial)):
            scope = CrlScope(shard=issuer.record.crl.shard_of(serial))
            if self._crls.in_force(issuer.id, scope) is not None:
                return (await self._response(issuer, scope)).body
        raise NotIssued("no CRL: the CA that was named is not ours, or has published none yet")

    def _issuer(self, request: Request, suffix: str) -> Issuer:
        if len(request.path) != 3 or not request.path[2].startswith("v") or not request.path[2].endswith(suffix):
            raise NotFound("there is no such publication path")
        return self._issuers.issuer(
            request.path[1], _number(request.path[2][1 : -len(suffix)], "CA version", least=1)
        )  # fmt: skip

    async def _response(self, issuer: Issuer, scope: CrlScope) -> Response:
        facts = self._crls.in_force(issuer.id, scope)
        if facts is None:
            raise NotFound(f"CA {issuer.record.name} has published no CRL at {issuer.crl_url(scope)} yet")
        kept = self._kept.get((issuer.id, scope))
        if kept is not None and kept[0] == facts.number:
            return kept[1]
        async with self._loading:  # a hundred who ask at once for a large CRL get one copy of it
            return await self._load(issuer, scope)

    async def _load(self, issuer: Issuer, scope: CrlScope) -> Response:
        for last_try in (False, True):
            facts = self._crls.in_force(issuer.id, scope)
            if facts is None:
                break
            kept = self._kept.get((issuer.id, scope))
            if kept is not None and kept[0] == facts.number:
                return kept[1]
            try:
                body = await self._crls.encoded_apart(issuer.id, facts.number)
            except NotFound:
                if last_try:
                    raise
                continue  # a newer one took its place in between
            return self._keep(issuer, facts, body)
        raise NotFound(f"CA {issuer.record.name} has no CRL at {issuer.crl_url(scope)}")

    def _keep(self, issuer: Issuer, facts: CrlFacts, body: bytes) -> Response:
        # max-age 0: a cache may keep it but asks each time, or a revocation would show late.
        etag = b'"' + facts.digest.hex().encode() + b'"'
        headers = ((b"cache-control", b"public, max-age=0, must-revalidate"), (b"etag", etag))
        response = Response(200, _CRL_TYPE, body, headers)
        self._kept[issuer.id, facts.scope] = (facts.number, response)
        return response


def _scope(issuer: Issuer, name: str) -> CrlScope:
    if name == _DELTA:
        return CrlScope(delta=True)
    shard = _number(name.removesuffix(".crl"), "shard", least=0) if name.endswith(".crl") else -1
    if not 0 <= shard < issuer.record.crl.shards:
        raise NotFound(f"CA {issuer.record.name} has no such CRL")
    return CrlScope(shard=shard)


def _number(digits: str, what: str, *, least: int) -> int:
    if not digits.isdecimal() or not digits.isascii() or len(digits) > 4 or int(digits) < least:
        raise NotFound(f"there is no such {what}")
    return int(digits)
