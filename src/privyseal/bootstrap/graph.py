# SPDX-License-Identifier: Apache-2.0
"""The facade of a built installation: what it reads, its table of operations, and its front."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Final

from privyseal.bootstrap import Application
from privyseal.bootstrap.administration import Administration
from privyseal.ca.issuer import Issuer
from privyseal.endpoints.api.endpoint import ApiEndpoint
from privyseal.endpoints.api.operation import Call, Kind, Operation, Reply
from privyseal.endpoints.api.table import Description
from privyseal.endpoints.graph.authorities import CloudCaOperations
from privyseal.endpoints.graph.leaves import LeafOperations
from privyseal.endpoints.graph.mapping import CaSeen, leaf_entity
from privyseal.endpoints.graph.refusals import GRAPH
from privyseal.endpoints.graph.shapes import Leaf
from privyseal.endpoints.limits import Buckets, FailureDelays
from privyseal.errors import NotFound, NotIssued
from privyseal.model.certificate import CertificateKind, CertificateRecord
from privyseal.model.entity import EndEntity
from privyseal.model.search.grammar import parse_search
from privyseal.model.search.query import Among, Field, Search, Status
from privyseal.store.idempotency import IdempotencyBook
from privyseal.x509.certificate import read_certificate

_AT_ONCE: Final = 50


class GraphAuthorities:
    """Implements ``endpoints.graph.authorities.Authorities``."""

    def __init__(self, application: Application) -> None:
        self._app = application

    def all(self) -> tuple[CaSeen, ...]:
        """In order of name; what was deleted is gone."""
        records, base = self._app.authorities.all(), self._app.settings.public_url
        waiting = {item.name: item for item in self._app.authority_names.pending()}
        profiles = sorted((profile.issuer, profile.name) for profile in self._app.profiles.all())
        found = []
        for said in self._app.authority_names.all():
            mine = sorted((record for record in records if record.name == said.name), key=lambda one: one.version)
            if mine or said.name in waiting:
                found.append(
                    CaSeen(
                        said=said,
                        versions=tuple(Issuer(record, base) for record in mine),
                        pending=waiting.get(said.name),
                        above={record.id: record for record in records},
                        base_url=base,
                        profile=next((name for issuer, name in profiles if issuer == said.name), ""),
                        now=self._app.clock.now(),
                    )
                )
        return tuple(found)


class GraphLeaves:
    """Implements ``endpoints.graph.leaves.Leaves``."""

    def __init__(self, application: Application) -> None:
        self._app = application

    async def page(self, where: str, *, cas: frozenset[str], cursor: str, limit: int) -> tuple[tuple[Leaf, ...], str]:
        """Newest first."""
        page = self._app.inventory.page(self._search(where, cas), limit=limit, cursor=cursor)
        return await self._leaves(page.records), page.cursor

    async def count(self, where: str, *, cas: frozenset[str]) -> int:
        """How many there are."""
        return await self._app.inventory.count(self._search(where, cas))

    async def one(self, serial: str, *, cas: frozenset[str]) -> Leaf:
        """Raises NotIssued."""
        found = self._app.inventory.page(self._search(f"serial:{serial}", cas), limit=1).records
        if not found:
            raise NotIssued(f"no certificate has serial {serial}")
        return (await self._leaves(found))[0]

    def _search(self, where: str, cas: frozenset[str]) -> Search:
        search = parse_search(where, now=self._app.clock.now())
        more = (
            Among(Field.KIND, (CertificateKind.END_ENTITY.value,)),
            Among(Field.STATUS, (Status.RESERVED.value,), negated=True),
            Among(Field.ISSUER, tuple(sorted(cas)) or ("-",)),
        )
        # A cursor is good for one list only, so the CAs belong to its name.
        return replace(search, clauses=(*search.clauses, *more), text=f"{search.text} of {sorted(cas)}")

    async def _leaves(self, records: tuple[CertificateRecord, ...]) -> tuple[Leaf, ...]:
        base, now = self._app.settings.public_url, self._app.clock.now()
        issuers = {(one.name, one.version): Issuer(one, base) for one in self._app.authorities.all()}
        found = []
        for number, record in enumerate(records):
            if number % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)
            issuer = issuers.get((record.issuer, record.issuer_version))
            if issuer is not None:
                view = read_certificate(self._app.certificates.encoded(record.id))
                entity = await self._entity(record)
                found.append(leaf_entity(record, view, issuer=issuer, entity=entity, now=now))
        return tuple(found)

    async def _entity(self, record: CertificateRecord) -> EndEntity | None:
        if record.entity_id is None:
            return None
        try:
            return await self._app.entities.entity(record.entity_id)
        except NotFound:
            return None


def build_graph(
    application: Application, books: Administration, *, scheme: str, rates: Buckets | None, failures: FailureDelays
) -> ApiEndpoint:
    """The facade's front. ``scheme`` is that of the listener, for links."""
    description = Description(GRAPH)

    async def described(call: Call) -> Reply:
        return Reply(description())

    def table() -> Iterator[Operation]:
        authorities = GraphAuthorities(application)
        yield Operation(
            id="graph_openapi", method="GET", path="/openapi.json", permission=None, kind=Kind.RAW, handler=described,
            summary="This document.", answer=None, example={"openapi": "3.1.0"},
            open_because="it is the same for every installation",
        )  # fmt: skip
        yield from chain(
            CloudCaOperations(desk=books.desk, authorities=authorities).table(),
            LeafOperations(desk=books.desk, authorities=authorities, leaves=GraphLeaves(application)).table(),
        )

    operations = tuple(table())
    description.of(operations)
    return ApiEndpoint(
        operations,
        sign_in=books.sign_in,
        uses=books.tokens,
        repeats=IdempotencyBook(application.database, application.committer),
        clock=application.clock,
        gauge=application.committer,
        rates=rates,
        failures=failures,
        face=GRAPH,
        scheme=scheme,
    )
