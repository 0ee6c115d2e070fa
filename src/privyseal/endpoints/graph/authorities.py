# SPDX-License-Identifier: Apache-2.0
"""Operations on `cloudCertificationAuthority`: each change is one of our acts, over the same desk."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Protocol

from privyseal.administration.desk import Desk, Pending
from privyseal.endpoints.api.cursor import make_cursor, number_of
from privyseal.endpoints.api.operation import Call, Handler, Kind, Operation, Reply
from privyseal.endpoints.graph import examples
from privyseal.endpoints.graph.mapping import CaSeen, ca_entity, ca_id, ca_versions
from privyseal.endpoints.graph.odata import (
    COUNT,
    FILTER,
    LISTING,
    PAGE,
    SELECT,
    check_tag,
    collection_reply,
    entity_reply,
    matches,
    parse_filter,
)
from privyseal.endpoints.graph.shapes import (
    GUID,
    CaStatus,
    CaType,
    CloudCa,
    CloudCaVersion,
    KeySize,
    SignedUpload,
    StatusChange,
    VersionChoice,
)
from privyseal.errors import ApprovalPending, BodyInvalid, FacadeUnsupported, NotFound
from privyseal.model.access import Permission
from privyseal.model.api.codec import encode
from privyseal.x509.names import escape_value

BASE: Final = "/deviceManagement/cloudCertificationAuthority"
IDS: Final = {"id": GUID}
ID_EXAMPLES: Final = {"id": examples.CA["id"]}
_KEYS: Final[Mapping[str, str]] = {
    KeySize.RSA_2048.value: "rsa:2048", KeySize.RSA_3072.value: "rsa:3072", KeySize.RSA_4096.value: "rsa:4096",
    KeySize.P256.value: "ec:p256", KeySize.P384.value: "ec:p384", KeySize.P521.value: "ec:p521",
}  # fmt: skip
_SUBJECT: Final = (
    ("C", "countryName"), ("ST", "stateName"), ("L", "localityName"), ("O", "organizationName"),
    ("OU", "organizationUnit"), ("CN", "commonName"),
)  # fmt: skip
_CHANGEABLE: Final = {"description", "roleScopeTagIds", "eTag", "lastModifiedDateTime"}


class Authorities(Protocol):
    """CAs as they are now."""

    def all(self) -> tuple[CaSeen, ...]:
        """In order of name."""


def reached(authorities: Authorities, call: Call, permission: Permission) -> tuple[CaSeen, ...]:
    """Those that the caller may see."""
    return tuple(seen for seen in authorities.all() if call.actor.may(permission, seen.said.labels))


def found(authorities: Authorities, call: Call, permission: Permission = Permission.CA_READ) -> CaSeen:
    """The one that the path names. Raises NotFound, also for one that the caller may not see."""
    wanted = call.path["id"].lower()
    for seen in reached(authorities, call, permission):
        if ca_id(seen.said.name) == wanted:
            return seen
    raise NotFound(f"there is no cloudCertificationAuthority {wanted[:40]!r}", mend=("list them: GET /beta" + BASE,))


async def done(desk: Desk, call: Call, act: str, parameters: Mapping[str, Any]) -> None:
    """Do an act. Raises ApprovalPending when somebody else has to approve it first."""
    answer = await desk.submit(call.actor, act, parameters=parameters)
    if isinstance(answer, Pending):
        number = answer.approval.id
        raise ApprovalPending(
            f"nothing was done yet; approval {number} waits for somebody else: {answer.approval.preview.summary}",
            mend=(f"privyseal approval approve {number}, by somebody else", f"GET /api/v1/approvals/{number}"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudCaOperations:
    """The handlers, with what they read."""

    desk: Desk
    authorities: Authorities

    def table(self) -> Iterator[Operation]:
        """Every operation on CAs and their versions."""
        yield from self._reading()
        yield from self._writing()
        yield from self._acting()

    def _reading(self) -> Iterator[Operation]:
        read = Permission.CA_READ
        for id_, method, path in (
            ("graph_list_ca", "GET", BASE),
            ("graph_get_all_ca", "POST", f"{BASE}/{{id}}/getAllCloudCertificationAuthority"),
        ):
            yield Operation(
                id=id_, method=method, path=path, permission=read, kind=Kind.COLLECTION, query=LISTING,
                summary="CAs.", handler=self.list, answer=CloudCa, example=examples.CA_PAGE,
                path_patterns=IDS, path_examples=ID_EXAMPLES,
            )  # fmt: skip
        for id_, method, path in (
            ("graph_get_ca", "GET", f"{BASE}/{{id}}"),
            ("graph_get_ca_action", "POST", f"{BASE}/{{id}}/getCloudCertificationAuthority"),
        ):
            yield Operation(
                id=id_, method=method, path=path, permission=read, kind=Kind.ENTITY, query=(SELECT,),
                summary="One CA.", handler=self.get, answer=CloudCa, example=examples.CA,
                path_patterns=IDS, path_examples=ID_EXAMPLES,
            )  # fmt: skip
        for id_, method, path in (
            ("graph_list_versions", "GET", f"{BASE}/{{id}}/versions"),
            ("graph_get_versions_action", "POST", f"{BASE}/{{id}}/getCloudCertificationAuthorityVersions"),
        ):
            yield Operation(
                id=id_, method=method, path=path, permission=read, kind=Kind.COLLECTION, query=(SELECT, FILTER, COUNT),
                summary="Versions of a CA.", handler=self.versions, answer=CloudCaVersion,
                path_patterns=IDS, path_examples=ID_EXAMPLES,
                example=examples.VERSION_PAGE,
            )  # fmt: skip
        yield Operation(
            id="graph_active_version", method="GET", path=f"{BASE}/{{id}}/activeVersion", permission=read,
            kind=Kind.ENTITY, query=(SELECT,), summary="The version in force.", handler=self.active_version,
            answer=CloudCaVersion, example=examples.VERSION, path_patterns=IDS, path_examples=ID_EXAMPLES,
        )  # fmt: skip
        yield Operation(
            id="graph_get_version_action", method="POST", path=f"{BASE}/{{id}}/getCloudCertificationAuthorityVersion",
            permission=read, kind=Kind.ENTITY, query=(SELECT,), summary="One version.", handler=self.version,
            body=VersionChoice, body_example={"certificationAuthorityVersion": 1}, answer=CloudCaVersion,
            example=examples.VERSION, path_patterns=IDS, path_examples=ID_EXAMPLES, annotations=True,
        )  # fmt: skip

    def _writing(self) -> Iterator[Operation]:
        write = Permission.CA_WRITE
        for id_, path in (
            ("graph_create_ca", BASE),
            ("graph_create_ca_action", f"{BASE}/{{id}}/postCloudCertificationAuthority"),
        ):
            yield Operation(
                id=id_, method="POST", path=path, permission=write, kind=Kind.ENTITY, status=201, summary="Make a CA.",
                handler=self.create, body=CloudCa, body_example=examples.CA_WISH, answer=CloudCa, example=examples.CA,
                path_patterns=IDS, path_examples=ID_EXAMPLES, annotations=True,
            )  # fmt: skip
        for id_, method, path in (
            ("graph_change_ca", "PATCH", f"{BASE}/{{id}}"),
            ("graph_change_ca_action", "POST", f"{BASE}/{{id}}/patchCloudCertificationAuthority"),
        ):
            yield Operation(
                id=id_, method=method, path=path, permission=write, kind=Kind.ENTITY, may_match=True,
                summary="Change description and scope tags (our labels).", handler=self.change, body=CloudCa,
                body_example={"description": "Wi-Fi"}, answer=CloudCa, example=examples.CA,
                path_patterns=IDS, path_examples=ID_EXAMPLES,
                annotations=True,
            )  # fmt: skip
        yield Operation(
            id="graph_delete_ca", method="DELETE", path=f"{BASE}/{{id}}", permission=write, status=204,
            may_match=True, summary="Delete a CA: all its versions.", handler=self.delete, answer=None, example=None,
            path_patterns=IDS, path_examples=ID_EXAMPLES,
        )  # fmt: skip

    def _acting(self) -> Iterator[Operation]:
        version = {"certificationAuthorityVersion": 1}
        operate, write = Permission.CA_OPERATE, Permission.CA_WRITE
        rows: tuple[tuple[str, Permission, Handler, type | None, Any, str], ...] = (
            ("changeCloudCertificationAuthorityStatus", operate, self.change_status, StatusChange,
             {"certificationAuthorityStatus": "paused"}, "Pause or resume."),
            ("revokeCloudCertificationAuthorityCertificate", write, self.revoke, VersionChoice, version,
             "Revoke the CA's certificate for good."),
            ("uploadExternallySignedCertificationAuthorityCertificate", write, self.upload, SignedUpload,
             {"signedCertificate": "MIIC...", "trustChainCertificates": [{"certificate": "MIIC...",
              "displayName": "Root"}]}, "Install the certificate that was signed outside."),
            ("renew", write, self.renew, None, None, "Stage the next version."),
            ("activate", write, self.activate, VersionChoice, {"certificationAuthorityVersion": 2},
             "Put the staged version in force, when its gates pass."),
        )  # fmt: skip
        for name, permission, handler, body, example, summary in rows:
            yield Operation(
                id=f"graph_{name}", method="POST", path=f"{BASE}/{{id}}/{name}", permission=permission,
                kind=Kind.ENTITY, summary=summary, handler=handler, body=body, body_example=example, answer=CloudCa,
                example=examples.CA, path_patterns=IDS, path_examples=ID_EXAMPLES, annotations=True,
            )  # fmt: skip

    async def list(self, call: Call) -> Reply:
        """In order of name."""
        terms = parse_filter(call.query.get("$filter", ""))
        entities = [ca_entity(seen) for seen in reached(self.authorities, call, Permission.CA_READ)]
        entities = [entity for entity in entities if matches(encode(entity), terms)]
        top, after = call.query.get("$top") or PAGE, number_of(call.query.get("$skiptoken"))
        more = make_cursor(after + top) if len(entities) > after + top else ""
        count = len(entities) if call.query.get("$count") else None
        return collection_reply(call, entities[after : after + top], cursor=more, count=count)

    async def get(self, call: Call) -> Reply:
        """One CA."""
        return entity_reply(call, ca_entity(found(self.authorities, call)))

    async def versions(self, call: Call) -> Reply:
        """The oldest first; there are few."""
        terms = parse_filter(call.query.get("$filter", ""))
        listed = [item for item in ca_versions(found(self.authorities, call)) if matches(encode(item), terms)]
        count = len(listed) if call.query.get("$count") else None
        return collection_reply(call, listed, cursor="", count=count)

    async def active_version(self, call: Call) -> Reply:
        """The one that the CA shows."""
        seen = found(self.authorities, call)
        return self._version(call, seen, seen.shown.record.version if seen.shown is not None else 0)

    async def version(self, call: Call) -> Reply:
        """The one that the content names; without a number the one in force."""
        number = call.body.certificationAuthorityVersion
        return self._version(call, found(self.authorities, call), number) if number else await self.active_version(call)

    def _version(self, call: Call, seen: CaSeen, number: int) -> Reply:
        for item in ca_versions(seen):
            if item.versionNumber == number or not number:
                return entity_reply(call, item)
        raise NotFound(f"CA {seen.said.name} has no version {number}", mend=(f"privyseal ca get {seen.said.name}",))

    async def create(self, call: Call) -> Reply:
        """``ca.create``."""
        wish: CloudCa = call.body
        name = re.sub(r"[^a-z0-9]+", "-", (wish.displayName or wish.commonName or "").lower()).strip("-")[:64]
        if not name:
            raise BodyInvalid("displayName is missing", faults=(("/displayName", "has no letter or digit"),))
        given = {"name": name, **self._made_of(wish, call)}
        await done(self.desk, call, "ca.create", given)
        made = next(seen for seen in self.authorities.all() if seen.said.name == name)
        return entity_reply(call, ca_entity(made), status=201)

    def _made_of(self, wish: CloudCa, call: Call) -> dict[str, Any]:
        given: dict[str, Any] = {}
        kind = wish.cloudCertificationAuthorityType
        if kind == CaType.ROOT.value:
            given["kind"] = "root"
        elif kind == CaType.ISSUING_EXTERNAL.value:
            given["external_root"] = True
        elif kind == CaType.ISSUING.value:
            above = wish.certificationAuthorityIssuerId or ""
            parents = {ca_id(seen.said.name): seen.said.name for seen in reached(self.authorities, call,
                                                                                 Permission.CA_READ)}  # fmt: skip
            if above.lower() not in parents:
                raise NotFound(f"certificationAuthorityIssuerId {above[:40]!r} is not the id of a CA")
            given["parent"] = parents[above.lower()]
        else:
            raise BodyInvalid(
                "cloudCertificationAuthorityType is missing",
                faults=(("/cloudCertificationAuthorityType", "says whether it is a root or an issuing CA"),),
            )
        if wish.certificateKeySize is not None:
            if wish.certificateKeySize not in _KEYS:
                known = ", ".join(_KEYS)
                raise FacadeUnsupported(f"certificateKeySize {wish.certificateKeySize} is not one of {known}")
            given["key"] = _KEYS[wish.certificateKeySize]
        if wish.cloudCertificationAuthorityHashingAlgorithm is not None:
            given["hash"] = wish.cloudCertificationAuthorityHashingAlgorithm
        if wish.validityPeriodInYears:
            given["validity"] = f"{wish.validityPeriodInYears}y"
        names = [(short, getattr(wish, long)) for short, long in _SUBJECT if getattr(wish, long)]
        if wish.commonName:
            given["subject"] = ",".join(f"{short}={escape_value(value)}" for short, value in reversed(names))
        given["eku"] = [use.objectIdentifier for use in wish.extendedKeyUsages or ()]
        given["description"] = wish.description or ""
        given["labels"] = _labels(wish)
        return given

    async def change(self, call: Call) -> Reply:
        """``ca.set``. What a CA version is never changes; sending it unchanged is no fault."""
        wish: CloudCa = call.body
        seen = found(self.authorities, call)
        entity = ca_entity(seen)
        check_tag(call, entity.eTag or "")
        before, after = encode(entity), encode(wish)
        for name in (item.name for item in fields(wish) if item.name not in _CHANGEABLE):
            if after[name] is not None and after[name] != before[name]:
                raise FacadeUnsupported(
                    f"{name} of CA {seen.said.name} is {str(before[name])[:80]} and stays so",
                    why="description and roleScopeTagIds of a CA can be changed; everything else makes another CA",
                )
        given: dict[str, Any] = {"name": seen.said.name}
        if wish.description is not None:
            given["description"] = wish.description
        if wish.roleScopeTagIds is not None:
            given["labels"] = _labels(wish)
        if len(given) > 1:
            await done(self.desk, call, "ca.set", given)
        return await self._now(call)

    async def delete(self, call: Call) -> Reply:
        """``ca.delete`` for each version."""
        seen = found(self.authorities, call)
        check_tag(call, ca_entity(seen).eTag or "")
        numbers = [issuer.record.version for issuer in seen.versions]
        if seen.pending is not None:
            numbers.append(seen.pending.version)
        for number in numbers:
            await done(self.desk, call, "ca.delete", {"name": seen.said.name, "version": str(number)})
        return Reply(None, 204)

    async def change_status(self, call: Call) -> Reply:
        """``ca.pause`` or ``ca.resume``."""
        wish: StatusChange = call.body
        act = "ca.pause" if wish.certificationAuthorityStatus == CaStatus.PAUSED.value else "ca.resume"
        return await self._act(call, act, _version_of(wish.certificationAuthorityVersion))

    async def revoke(self, call: Call) -> Reply:
        """``ca.revoke``; Graph knows no reason, so it is the act's default."""
        return await self._act(call, "ca.revoke", _version_of(call.body.certificationAuthorityVersion))

    async def upload(self, call: Call) -> Reply:
        """``ca.install``."""
        wish: SignedUpload = call.body
        files = [wish.signedCertificate, *(above.certificate for above in wish.trustChainCertificates)]
        return await self._act(call, "ca.install", {"certificates": ["".join(file.split()) for file in files]})

    async def renew(self, call: Call) -> Reply:
        """``ca.renew``."""
        return await self._act(call, "ca.renew", {})

    async def activate(self, call: Call) -> Reply:
        """``ca.activate``."""
        return await self._act(call, "ca.activate", _version_of(call.body.certificationAuthorityVersion))

    async def _act(self, call: Call, act: str, parameters: Mapping[str, Any]) -> Reply:
        seen = found(self.authorities, call)
        await done(self.desk, call, act, {"name": seen.said.name, **parameters})
        return await self._now(call)

    async def _now(self, call: Call) -> Reply:
        return entity_reply(call, ca_entity(found(self.authorities, call)))


def _version_of(number: int | None) -> dict[str, str]:
    return {"version": str(number)} if number else {}


def _labels(wish: CloudCa) -> list[str]:
    return [label for label in wish.roleScopeTagIds or () if label != "0"]
