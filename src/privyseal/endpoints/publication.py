# SPDX-License-Identifier: Apache-2.0
"""CRLs and CA certificates over plain HTTP (RFC 5280 sections 4.2.1.13 and 4.2.2.1; types of RFC 2585)."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Final, Protocol

from privyseal.ca.issuer import Issuer
from privyseal.endpoints.http import Request, Response
from privyseal.errors import NotFound, NotIssued

_CRL_TYPE: Final = "application/pkix-crl"
_CERTIFICATE_TYPE: Final = "application/pkix-cert"


class CrlSource(Protocol):
    """The CRL in force."""

    def latest_crl(self, issuer_id: int) -> tuple[int, datetime, datetime, bytes] | None:
        """Number, thisUpdate, nextUpdate and DER, or None before the first."""

    def version(self) -> int:
        """Changes whenever anything in the store did."""


class IssuerDirectory(Protocol):
    """CAs by name and by subject."""

    def issuer(self, name: str, version: int = 0) -> Issuer:
        """Raises NotFound."""

    def issuer_of(self, name: bytes) -> tuple[Issuer, ...]:
        """Our CA versions with this subject."""


class PublicationEndpoint:
    """Answers ``/crl/<ca>/v<n>.crl`` and ``/aia/<ca>/v<n>.cer``; keeps the bodies while the store is unchanged."""

    def __init__(self, *, issuers: IssuerDirectory, crls: CrlSource) -> None:
        self._issuers = issuers
        self._crls = crls
        self._kept: dict[int, tuple[int, Response]] = {}

    async def crl(self, request: Request, incident: str) -> Response:
        """The CRL in force of a CA version."""
        issuer = self._issuer(request, ".crl")
        version = self._crls.version()
        kept = self._kept.get(issuer.id)
        if kept is None or kept[0] != version:
            kept = (version, self._crl_response(issuer))
            self._kept[issuer.id] = kept
        return kept[1]

    async def ca_certificate(self, request: Request, incident: str) -> Response:
        """A CA version's certificate."""
        return Response(200, _CERTIFICATE_TYPE, self._issuer(request, ".cer").view.encoded)

    def crl_of(self, issuer_name: bytes) -> bytes:
        """The CRL of our CA with this subject, for SCEP's GetCRL. Raises NotIssued."""
        for issuer in self._issuers.issuer_of(issuer_name):
            latest = self._crls.latest_crl(issuer.id)
            if latest is not None:
                return latest[3]
        raise NotIssued("no CRL: the CA that was named is not ours, or has published none yet")

    def _issuer(self, request: Request, suffix: str) -> Issuer:
        if len(request.path) != 3 or not request.path[2].startswith("v") or not request.path[2].endswith(suffix):
            raise NotFound("there is no such publication path")
        digits = request.path[2][1 : -len(suffix)]
        if not digits.isdecimal() or not digits.isascii() or len(digits) > 4 or int(digits) == 0:
            raise NotFound("there is no such CA version")
        return self._issuers.issuer(request.path[1], int(digits))

    def _crl_response(self, issuer: Issuer) -> Response:
        latest = self._crls.latest_crl(issuer.id)
        if latest is None:
            raise NotFound(f"CA {issuer.record.name} has published no CRL yet")
        _, _, _, body = latest
        # max-age 0: a cache may keep it but asks each time, or a revocation would show late.
        headers = ((b"cache-control", b"public, max-age=0, must-revalidate"), (b"etag", _etag(body)))
        return Response(200, _CRL_TYPE, body, headers)


def _etag(body: bytes) -> bytes:
    return b'"' + sha256(body).hexdigest().encode() + b'"'
