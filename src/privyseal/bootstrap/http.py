# SPDX-License-Identifier: Apache-2.0
"""The HTTP application of a built installation: every route, with who may use it and why."""

from __future__ import annotations

import time
from typing import Final
from urllib.parse import urlsplit

from privyseal.adapters.keys import reply_signature
from privyseal.bootstrap import Application
from privyseal.endpoints.app import Access, Route
from privyseal.endpoints.app import Application as HttpApplication
from privyseal.endpoints.health import HealthEndpoint
from privyseal.endpoints.limits import Buckets
from privyseal.endpoints.ocsp import OcspEndpoint
from privyseal.endpoints.publication import PublicationEndpoint
from privyseal.endpoints.scep import ScepEndpoint
from privyseal.model.revocation import Revocation

_GET: Final = frozenset({"GET", "HEAD"})
_GET_POST: Final = frozenset({"GET", "POST"})
_BURST_SECONDS: Final = 10
_SCEP_LIMIT: Final = 64 * 1024
_OCSP_LIMIT: Final = 16 * 1024


class _Status:
    """What the OCSP endpoint reads, from the books of one installation."""

    def __init__(self, application: Application) -> None:
        self._book = application.status_book
        self.version = application.database.version

    def status(self, issuer_id: int, serial: int) -> tuple[str, Revocation | None] | None:
        """See ``endpoints.ocsp.StatusReader``."""
        return self._book.status(issuer_id, serial)


def build_http(application: Application) -> HttpApplication:
    """The routes. Each names why strangers may use it; there is no route that is open by default."""
    status = _Status(application)
    publication = PublicationEndpoint(issuers=application.catalog, crls=application.crls)
    ocsp = OcspEndpoint(responders=application.catalog, status=status, clock=application.clock)
    scep = ScepEndpoint(
        authorities=application.catalog,
        registration=application.registration,
        status=publication,
        rng=application.rng,
        gauge=application.committer,
        signature=reply_signature,
    )
    health = HealthEndpoint(database=application.database, catalog=application.catalog)
    routes = (
        Route("scep", _GET_POST, _SCEP_LIMIT, Access.PUBLIC, "SCEP authenticates inside", scep, scep.note_unread),
        Route("ocsp", _GET_POST, _OCSP_LIMIT, Access.PUBLIC, "status is for every relying party", ocsp),
        Route("crl", _GET, 0, Access.PUBLIC, "CRLs are for every relying party", publication.crl),
        Route("aia", _GET, 0, Access.PUBLIC, "CA certificates are public", publication.ca_certificate),
        Route("livez", _GET, 0, Access.PUBLIC, "tells nothing but that it runs", health.live),
        Route("readyz", _GET, 0, Access.PUBLIC, "tells nothing but whether it can serve", health.ready),
    )
    limit, place = float(application.settings.public_limit), urlsplit(application.settings.public_url).path
    rates = Buckets(per_second=limit, burst=_BURST_SECONDS * limit, clock=time.monotonic) if limit else None
    return HttpApplication(routes, application.rng, place=place, rates=rates)
