# SPDX-License-Identifier: Apache-2.0
"""The REST API of a built installation: its table of operations, and the HTTP application that serves it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib.resources import files
from itertools import chain
from typing import Final

from privyseal import errors
from privyseal.bootstrap import Application
from privyseal.bootstrap.administration import Administration
from privyseal.bootstrap.api_directories import ApiDirectories
from privyseal.bootstrap.api_inventory import ApiAuthorities, ApiEnrolling, ApiInventory
from privyseal.bootstrap.graph import build_graph
from privyseal.bootstrap.webhooks import WebhookSecrets, webhook_book
from privyseal.endpoints.api.access import AccessOperations
from privyseal.endpoints.api.authorities import AuthorityOperations
from privyseal.endpoints.api.certificates import CertificateOperations
from privyseal.endpoints.api.directories import DirectoryOperations
from privyseal.endpoints.api.endpoint import ApiEndpoint
from privyseal.endpoints.api.entities import EntityOperations
from privyseal.endpoints.api.first_owner import FirstOwnerOperations
from privyseal.endpoints.api.operation import Operation
from privyseal.endpoints.api.operations import LongOperations
from privyseal.endpoints.api.problems import fault_answer, problem_answer
from privyseal.endpoints.api.table import Description, OpenOperations, ProblemPages
from privyseal.endpoints.api.webhooks import WebhookOperations
from privyseal.endpoints.app import Access, Route
from privyseal.endpoints.app import Application as HttpApplication
from privyseal.endpoints.graph.refusals import graph_answer, graph_fault
from privyseal.endpoints.health import HealthEndpoint
from privyseal.endpoints.limits import Buckets, FailureDelays
from privyseal.store.first_owner import FirstOwnerBook
from privyseal.store.idempotency import IdempotencyBook

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_GET: Final = frozenset({"GET", "HEAD"})
_BODY_LIMIT: Final = 1 << 20
_BURST_SECONDS: Final = 5


def build_endpoint(application: Application) -> ApiEndpoint:
    """The API's front; in-process callers use it as it is."""
    books = Administration(application)
    description = Description()
    operations = tuple(_operations(application, books, description=description))
    description.of(operations)
    return ApiEndpoint(
        operations,
        sign_in=books.sign_in,
        uses=books.tokens,
        repeats=IdempotencyBook(application.database, application.committer),
        gauge=application.committer,
        clock=application.clock,
        rates=_rates(application),
        failures=FailureDelays(time.monotonic),
    )


def _operations(application: Application, books: Administration, *, description: Description) -> Iterator[Operation]:
    def has_ca() -> bool:
        application.database.version()
        return bool(application.catalog.issuers())

    authorities = ApiAuthorities(application)
    yield from chain(
        OpenOperations(has_ca=has_ca, described=description).table(),
        AccessOperations(
            desk=books.desk,
            holders=books.access,
            tokens=books.tokens,
            approvals=books.approvals,
            clock=application.clock,
            rng=application.rng,
        ).table(),
        DirectoryOperations(desk=books.desk, directories=ApiDirectories(application)).table(),
        FirstOwnerOperations(
            codes=FirstOwnerBook(application.database, application.committer),
            tokens=books.tokens,
            clock=application.clock,
            rng=application.rng,
        ).table(),
        WebhookOperations(
            desk=books.desk, webhooks=webhook_book(application), secrets=WebhookSecrets(application)
        ).table(),
        CertificateOperations(
            desk=books.desk, authorities=authorities, inventory=ApiInventory(application), works=application.bulk
        ).table(),
        LongOperations(application.bulk).table(),
        AuthorityOperations(desk=books.desk).table(),
        EntityOperations(
            entities=application.entities,
            enrollments=application.enrollments,
            audit=application.audit,
            desk=books.desk,
            enrolling=ApiEnrolling(application, authorities),
        ).table(),
    )


def build_api(application: Application) -> HttpApplication:
    """The routes of the API's listener. Each request is authenticated inside, from the table of operations."""
    endpoint = build_endpoint(application)
    pages = ProblemPages(_runbook)
    health = HealthEndpoint(database=application.database, catalog=application.catalog)
    operations = Route(
        "api", _METHODS, _BODY_LIMIT, Access.TOKEN, "the table of operations says who", endpoint.handle,
        on_error=problem_answer, on_fault=fault_answer,
    )  # fmt: skip
    graph = Route(
        "beta", _METHODS, _BODY_LIMIT, Access.TOKEN, "the table of operations says who",
        build_graph_endpoint(application).handle,
        on_error=graph_answer, on_fault=graph_fault,
    )  # fmt: skip
    problems = Route(
        "problems", _GET, 0, Access.PUBLIC, "they are published with the source", pages.page,
        on_error=problem_answer, on_fault=fault_answer,
    )  # fmt: skip
    routes = (
        operations,
        graph,
        problems,
        Route("livez", _GET, 0, Access.PUBLIC, "tells nothing but that it runs", health.live),
        Route("readyz", _GET, 0, Access.PUBLIC, "tells nothing but whether it can serve", health.ready),
    )
    return HttpApplication(routes, application.rng)


def build_graph_endpoint(application: Application) -> ApiEndpoint:
    """The front of the facade."""
    return build_graph(
        application,
        Administration(application),
        scheme="https" if application.settings.api_certificate else "http",
        rates=_rates(application),
        failures=FailureDelays(time.monotonic),
    )


def _rates(application: Application) -> Buckets | None:
    limit = float(application.settings.api_limit)
    return Buckets(per_second=limit, burst=_BURST_SECONDS * limit, clock=time.monotonic) if limit else None


def _runbook(code: int) -> str | None:
    known = {getattr(item, "code", 0) for item in vars(errors).values()}
    return (files("privyseal") / "runbooks" / f"{code}.md").read_text("utf-8") if code and code in known else None
