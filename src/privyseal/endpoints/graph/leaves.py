# SPDX-License-Identifier: Apache-2.0
"""Operations on `cloudCertificationAuthorityLeafCertificate`: lists over our search, revocation over our desk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from privyseal.administration.desk import Desk
from privyseal.endpoints.api.operation import Call, Handler, Kind, Operation, Reply
from privyseal.endpoints.graph import examples
from privyseal.endpoints.graph.authorities import BASE, ID_EXAMPLES, IDS, Authorities, done, found, reached
from privyseal.endpoints.graph.mapping import serial_of
from privyseal.endpoints.graph.odata import LISTING, PAGE, SELECT, Term, collection_reply, entity_reply, parse_filter
from privyseal.endpoints.graph.shapes import GUID, Leaf, LeafChoice, LeafStatus, SerialChoice
from privyseal.errors import FilterUnsupported
from privyseal.model.access import Permission
from privyseal.model.certificate import format_serial, parse_serial

LEAVES: Final = "cloudCertificationAuthorityLeafCertificate"
_SIGNS: Final = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}


class Leaves(Protocol):
    """Certificates of devices and users."""

    async def page(self, where: str, *, cas: frozenset[str], cursor: str, limit: int) -> tuple[tuple[Leaf, ...], str]:
        """Newest first, and the cursor of the next page. Raises CursorInvalid."""

    async def count(self, where: str, *, cas: frozenset[str]) -> int:
        """How many there are."""

    async def one(self, serial: str, *, cas: frozenset[str]) -> Leaf:
        """Raises NotIssued."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafOperations:
    """The handlers, with what they read."""

    desk: Desk
    authorities: Authorities
    leaves: Leaves

    def table(self) -> Iterator[Operation]:
        """Every operation on leaf certificates."""
        read, revoke = Permission.CERTIFICATE_READ, Permission.CERTIFICATE_REVOKE
        for id_, method, path in (
            ("graph_list_leaves_of_all", "GET", f"/deviceManagement/{LEAVES}"),
            ("graph_list_leaves", "GET", f"{BASE}/{{id}}/{LEAVES}"),
            ("graph_get_all_leaves", "POST", f"{BASE}/{{id}}/getAllCloudCertificationAuthorityLeafCertificates"),
        ):
            yield Operation(
                id=id_, method=method, path=path, permission=read, kind=Kind.COLLECTION, query=LISTING,
                summary="Certificates of devices and users, newest first.", handler=self.list, answer=Leaf,
                example=examples.LEAF_PAGE, path_patterns=IDS, path_examples=ID_EXAMPLES,
            )  # fmt: skip
        for id_, path in (
            ("graph_get_leaf_of_all", f"/deviceManagement/{LEAVES}/{{leaf}}"),
            ("graph_get_leaf", f"{BASE}/{{id}}/{LEAVES}/{{leaf}}"),
        ):
            yield Operation(
                id=id_, method="GET", path=path, permission=read, kind=Kind.ENTITY, query=(SELECT,),
                summary="One certificate.", handler=self.get, answer=Leaf, example=examples.LEAF,
                path_patterns={**IDS, "leaf": GUID}, path_examples=ID_EXAMPLES,
            )  # fmt: skip
        serial = {"certificateSerialNumber": "6a0f3c62a1b2c3d4e5f60718293a4be1"}
        rows: tuple[tuple[str, Permission, Handler, type, Any, str], ...] = (
            ("searchCloudCertificationAuthorityLeafCertificateBySerialNumber", read, self.search, SerialChoice, serial,
             "One certificate, by its serial."),
            ("revokeLeafCertificate", revoke, self.revoke, LeafChoice, {"leafCertificateId": examples.LEAF["id"]},
             "Revoke a certificate."),
            ("revokeLeafCertificateBySerialNumber", revoke, self.revoke_serial, SerialChoice, serial,
             "Revoke a certificate, by its serial."),
        )  # fmt: skip
        for name, permission, handler, body, example, summary in rows:
            yield Operation(
                id=f"graph_{name}", method="POST", path=f"{BASE}/{{id}}/{name}", permission=permission,
                kind=Kind.ENTITY, summary=summary, handler=handler, body=body, body_example=example, answer=Leaf,
                example=examples.LEAF, path_patterns=IDS, path_examples=ID_EXAMPLES, annotations=True,
            )  # fmt: skip

    async def list(self, call: Call) -> Reply:
        """Of one CA, or of all that the caller reaches."""
        cas, where = self._cas(call, Permission.CERTIFICATE_READ), _where(call.query.get("$filter", ""))
        limit, cursor = call.query.get("$top") or PAGE, call.query.get("$skiptoken", "")
        items, more = await self.leaves.page(where, cas=cas, cursor=cursor, limit=limit)
        count = await self.leaves.count(where, cas=cas) if call.query.get("$count") else None
        return collection_reply(call, items, cursor=more, count=count)

    async def get(self, call: Call) -> Reply:
        """One, by its id."""
        cas = self._cas(call, Permission.CERTIFICATE_READ)
        return entity_reply(call, await self.leaves.one(serial_of(call.path["leaf"]), cas=cas))

    async def search(self, call: Call) -> Reply:
        """One, by its serial."""
        serial = format_serial(parse_serial(call.body.certificateSerialNumber))
        cas = self._cas(call, Permission.CERTIFICATE_READ)
        return entity_reply(call, await self.leaves.one(serial, cas=cas))

    async def revoke(self, call: Call) -> Reply:
        """``certificate.revoke``; Graph knows no reason, so it is unspecified."""
        return await self._revoke(call, serial_of(call.body.leafCertificateId))

    async def revoke_serial(self, call: Call) -> Reply:
        """The same."""
        return await self._revoke(call, format_serial(parse_serial(call.body.certificateSerialNumber)))

    async def _revoke(self, call: Call, serial: str) -> Reply:
        seen = found(self.authorities, call, Permission.CERTIFICATE_REVOKE)
        cas = frozenset({seen.said.name})
        leaf = await self.leaves.one(serial, cas=cas)
        await done(self.desk, call, "certificate.revoke", {"serial": leaf.serialNumber, "ca": seen.said.name})
        return entity_reply(call, await self.leaves.one(serial, cas=cas))

    def _cas(self, call: Call, permission: Permission) -> frozenset[str]:
        if "id" in call.path:
            return frozenset({found(self.authorities, call, permission).said.name})
        return frozenset(seen.said.name for seen in reached(self.authorities, call, permission))


def _where(text: str) -> str:
    """The words of our search for a $filter. Raises FilterUnsupported."""
    return " ".join(_word(term) for term in parse_filter(text))


def _word(term: Term) -> str:
    kind = _WORDS.get((term.name, "order" if term.op in _SIGNS else term.op))
    if kind is None or '"' in term.value or not term.value.strip() or not term.value.isprintable():
        known = ", ".join(f"{name} {op}" for name, op in _WORDS)
        raise FilterUnsupported(f"$filter by {term.name} {term.op} is not possible here; there are {known}")
    return kind(term)


def _status(term: Term) -> str:
    known = [status.value for status in LeafStatus]
    if term.value not in known:
        raise FilterUnsupported(f"certificateStatus {term.value[:40]!r} is not one of {', '.join(known)}")
    return f"status:{term.value}"


def _moment(field: str) -> Callable[[Term], str]:
    return lambda term: f'{field}:"{_SIGNS[term.op]}{term.value}"'


def _exact(field: str) -> Callable[[Term], str]:
    return lambda term: f'{field}:"{term.value}"'


_WORDS: Final[Mapping[tuple[str, str], Callable[[Term], str]]] = {
    ("certificateStatus", "eq"): _status,
    ("serialNumber", "eq"): _exact("serial"),
    ("deviceName", "eq"): _exact("device"),
    ("userPrincipalName", "eq"): _exact("user"),
    ("subjectName", "contains"): _exact("subject"),
    ("validityEndDateTime", "order"): _moment("ends"),
    ("validityStartDateTime", "order"): _moment("issued"),
    ("revocationDateTime", "order"): _moment("revoked"),
}
