# SPDX-License-Identifier: Apache-2.0
"""Operations about CAs, profiles and certificates. A grant that names labels reaches what the CA's labels say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from privyseal.administration.desk import Desk
from privyseal.endpoints.api import examples
from privyseal.endpoints.api.acts import check_tag, submit, would
from privyseal.endpoints.api.cursor import make_cursor, name_of, number_of
from privyseal.endpoints.api.operation import Call, Kind, Operation, Page, QueryField, Reply
from privyseal.endpoints.api.operations import Works, operation_number, operation_shape
from privyseal.errors import BodyInvalid, NotFound, NotIssued
from privyseal.model.access import Permission
from privyseal.model.api.shapes import (
    NAME,
    AuthorityShape,
    CertificateShape,
    Issued,
    IssueWish,
    OperationShape,
    ProfileShape,
    ProfileStored,
    ProfileWish,
    RevokedMany,
    RevokeManyWish,
    RevokeWish,
)
from privyseal.model.entity import EntityKind

_SERIAL: Final = {"serial": "^[0-9a-fA-F]{2,42}$"}
_CA: Final = QueryField(name="ca", doc="When several CAs used the serial.", pattern=NAME, longest=64)
_VERSION: Final = QueryField(name="version", doc="Default: the one in force.", kind=int, least=1, most=9999, example=1)

_COUNT: Final = QueryField(name="count", doc="Add the exact number of all that match.", kind=bool)
_WHERE: Final = QueryField(
    name="where", doc="The search language of `privyseal certificate list`.", longest=2000,
    example="status:expiring ends:<30d",
)  # fmt: skip


class Authorities(Protocol):
    """CAs and profiles."""

    def authorities(self) -> tuple[AuthorityShape, ...]:
        """Every version of every CA, roots first."""

    def authority(self, name: str, version: int) -> AuthorityShape:
        """One; 0 is the one in force. Raises NotFound."""

    def labels(self, ca: str) -> frozenset[str]:
        """Of a CA; empty for one that is not there."""

    def profiles(self) -> tuple[ProfileShape, ...]:
        """All of them, in order of name."""

    def profile(self, name: str) -> ProfileShape:
        """Raises NotFound."""

    def issuer_of(self, profile: str) -> str:
        """The name of a profile's CA. Raises NotFound."""


class Inventory(Protocol):
    """Certificates."""

    def page(
        self, where: str, *, cas: frozenset[str] | None, cursor: str, limit: int
    ) -> tuple[tuple[CertificateShape, ...], str]:
        """Newest first, only of these CAs unless None; and the next cursor. Raises SearchInvalid, CursorInvalid."""

    async def count(self, where: str, *, cas: frozenset[str] | None) -> int:
        """How many there are. Raises SearchInvalid."""

    def certificate(self, serial: str, ca: str) -> CertificateShape:
        """With its PEM. Raises NotIssued, NotFound, InvalidValue."""

    async def drawn(self, wish: IssueWish, kind: EntityKind, *, name: str) -> tuple[str, ...]:
        """What ``issue`` would certify, in words. Raises what it would raise before it signs."""

    async def issue(self, wish: IssueWish, kind: EntityKind, *, name: str, requester: str) -> Issued:
        """Raises what the profile and the CA raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateOperations:
    """The handlers, with what they read."""

    desk: Desk
    authorities: Authorities
    inventory: Inventory
    works: Works

    def table(self) -> Iterator[Operation]:
        """Every operation about CAs, profiles and certificates."""
        yield from self._authorities()
        yield from self._certificates()

    def _authorities(self) -> Iterator[Operation]:
        names = {"name": NAME}
        yield Operation(
            id="list_authorities", method="GET", path="/authorities", permission=Permission.CA_READ, kind=Kind.PAGE,
            summary="Every version of every CA, roots first.", handler=self.list_authorities, answer=AuthorityShape,
            example=examples.AUTHORITY,
        )  # fmt: skip
        yield Operation(
            id="get_authority", method="GET", path="/authorities/{name}", permission=Permission.CA_READ,
            summary="One CA version.", handler=self.get_authority, answer=AuthorityShape, query=(_VERSION,),
            example=examples.AUTHORITY, path_patterns=names,
        )  # fmt: skip
        yield Operation(
            id="list_authority_versions", method="GET", path="/authorities/{name}/versions", kind=Kind.PAGE,
            permission=Permission.CA_READ, summary="Every version of one CA.", handler=self.list_versions,
            answer=AuthorityShape, example=examples.AUTHORITY, path_patterns=names,
        )  # fmt: skip
        yield Operation(
            id="list_profiles", method="GET", path="/profiles", permission=Permission.PROFILE_READ, kind=Kind.PAGE,
            summary="Profiles in their newest revision.", handler=self.list_profiles, answer=ProfileShape,
            example=examples.PROFILE,
        )  # fmt: skip
        yield Operation(
            id="get_profile", method="GET", path="/profiles/{name}", permission=Permission.PROFILE_READ,
            summary="One profile; its ETag is for changing it.", handler=self.get_profile, answer=ProfileShape,
            example=examples.PROFILE, path_patterns=names,
        )  # fmt: skip

        stored = {"name": "wifi-device", "revision": 4}
        yield Operation(
            id="create_profile", method="POST", path="/profiles", permission=Permission.PROFILE_WRITE, kind=Kind.ACT,
            status=201, summary="Make a profile.", handler=self.create_profile, body=ProfileWish,
            body_example={"body": examples.PROFILE["body"]}, answer=ProfileStored, example={**stored, "revision": 1},
        )  # fmt: skip
        yield Operation(
            id="replace_profile", method="PUT", path="/profiles/{name}", permission=Permission.PROFILE_WRITE,
            kind=Kind.ACT, if_match=True, summary="Store the next revision of a profile.",
            handler=self.replace_profile, body=ProfileWish, body_example={"body": examples.PROFILE["body"]},
            answer=ProfileStored, example=stored, path_patterns=names,
        )  # fmt: skip

    def _certificates(self) -> Iterator[Operation]:
        yield Operation(
            id="list_certificates", method="GET", path="/certificates", permission=Permission.CERTIFICATE_READ,
            kind=Kind.PAGE, summary="Certificates, newest first.", handler=self.list_certificates,
            query=(_WHERE, _COUNT), answer=CertificateShape, example=examples.CERTIFICATE,
        )  # fmt: skip
        yield Operation(
            id="issue_certificate", method="POST", path="/certificates", permission=Permission.CERTIFICATE_ISSUE,
            summary="Issue to a device or user that the caller vouches for.", handler=self.issue, status=201,
            body=IssueWish, body_example=examples.ISSUE_WISH, answer=Issued, example=examples.ISSUED,
            shares_commits=True, previews=True,
        )  # fmt: skip
        yield Operation(
            id="get_certificate", method="GET", path="/certificates/{serial}", permission=Permission.CERTIFICATE_READ,
            summary="One certificate, with its PEM.", handler=self.get_certificate, query=(_CA,),
            answer=CertificateShape, example=examples.CERTIFICATE, path_patterns=_SERIAL,
        )  # fmt: skip
        yield Operation(
            id="revoke_certificate", method="POST", path="/certificates/{serial}:revoke", query=(_CA,), kind=Kind.ACT,
            permission=Permission.CERTIFICATE_REVOKE, summary="Revoke; OCSP says so at once, the CRL after a moment.",
            handler=self.revoke, body=RevokeWish, body_example={"reason": "key-compromise"},
            answer=CertificateShape, example=examples.REVOKED, path_patterns=_SERIAL,
        )  # fmt: skip
        yield Operation(
            id="release_certificate", method="POST", path="/certificates/{serial}:release", query=(_CA,), kind=Kind.ACT,
            permission=Permission.CERTIFICATE_REVOKE, summary="End a hold.", handler=self.release,
            answer=CertificateShape, example=examples.CERTIFICATE, path_patterns=_SERIAL,
        )  # fmt: skip
        yield Operation(
            id="revoke_certificates", method="POST", path="/certificates:revoke", kind=Kind.ACT,
            permission=Permission.CERTIFICATE_REVOKE, summary="Revoke everything in force that a search finds.",
            handler=self.revoke_many, body=RevokeManyWish,
            body_example={"where": "profile:wifi-device issued:<2026-11-01", "reason": "key-compromise", "most": 200},
            later=OperationShape, answer=RevokedMany,
            example={"selected": 180, "revoked": 180, "skipped": 0, "selection": "9f2c8a7b"},
        )  # fmt: skip

    async def list_authorities(self, call: Call) -> Reply:
        """Those that the caller reaches."""
        return self._page(call, self.authorities.authorities())

    async def list_versions(self, call: Call) -> Reply:
        """Of one name."""
        name = call.path["name"]
        found = tuple(shape for shape in self.authorities.authorities() if shape.name == name)
        if not found or not self._reaches(call, Permission.CA_READ, name):
            raise NotFound(f"there is no CA {name!r}", mend=("privyseal ca list",))
        return self._page(call, found)

    def _page(self, call: Call, found: tuple[AuthorityShape, ...]) -> Reply:
        reached = tuple(shape for shape in found if self._reaches(call, Permission.CA_READ, shape.name))
        after = number_of(call.query.get("cursor"))
        more = make_cursor(after + call.limit) if len(reached) > after + call.limit else None
        return Reply(Page(reached[after : after + call.limit], more))

    async def get_authority(self, call: Call) -> Reply:
        """One CA version."""
        name = call.path["name"]
        if not self._reaches(call, Permission.CA_READ, name):
            raise NotFound(f"there is no CA {name!r}", mend=("privyseal ca list",))
        return Reply(self.authorities.authority(name, call.query.get("version", 0)))

    async def list_profiles(self, call: Call) -> Reply:
        """In order of name."""
        after = name_of(call.query.get("cursor"))
        found = [
            shape
            for shape in self.authorities.profiles()
            if shape.name > after and self._reaches(call, Permission.PROFILE_READ, shape.body["issuer"])
        ]
        items = tuple(found[: call.limit])
        return Reply(Page(items, make_cursor(items[-1].name) if len(found) > call.limit else None))

    async def get_profile(self, call: Call) -> Reply:
        """One profile."""
        shape = self.authorities.profile(call.path["name"])
        if not self._reaches(call, Permission.PROFILE_READ, shape.body["issuer"]):
            raise NotFound(f"there is no profile {shape.name!r}", mend=("privyseal profile list",))
        return Reply(shape, 200, (("etag", profile_tag(shape)),))

    async def list_certificates(self, call: Call) -> Reply:
        """A page of those that the caller reaches."""
        cas = self._cas(call, Permission.CERTIFICATE_READ)
        where = call.query.get("where", "")
        items, more = self.inventory.page(where, cas=cas, cursor=call.query.get("cursor", ""), limit=call.limit)
        count = await self.inventory.count(where, cas=cas) if call.query.get("count") else None
        return Reply(Page(items, more or None, count))

    async def get_certificate(self, call: Call) -> Reply:
        """One certificate."""
        return Reply(self._found(call, Permission.CERTIFICATE_READ))

    async def issue(self, call: Call) -> Reply:
        """The names come from the device or user; of the request only its key counts."""
        wish: IssueWish = call.body
        kind, name = named_entity(wish.device, wish.user)
        if not self._reaches(call, Permission.CERTIFICATE_ISSUE, self.authorities.issuer_of(wish.profile)):
            raise NotFound(f"there is no profile {wish.profile!r}", mend=("privyseal profile list",))
        if call.dry_run:
            drawn = await self.inventory.drawn(wish, kind, name=name)
            return would(f"issue a certificate of profile {wish.profile} to {kind.value} {name}", *drawn)
        made = await self.inventory.issue(wish, kind, name=name, requester=call.actor.name)
        return Reply(made, 201, (("location", f"/api/v1/certificates/{made.serial}"),))

    async def revoke(self, call: Call) -> Reply:
        """``certificate.revoke``."""
        found = self._found(call, Permission.CERTIFICATE_REVOKE)
        wish: RevokeWish = call.body
        given = {"serial": found.serial, "ca": found.ca, **_revocation(wish.reason, wish.invalid_since, wish.block)}
        reply = await submit(self.desk, call, "certificate.revoke", parameters=given)
        return reply if call.dry_run else Reply(self.inventory.certificate(found.serial, found.ca))

    async def release(self, call: Call) -> Reply:
        """``certificate.release``."""
        found = self._found(call, Permission.CERTIFICATE_REVOKE)
        given = {"serial": found.serial, "ca": found.ca}
        reply = await submit(self.desk, call, "certificate.release", parameters=given)
        return reply if call.dry_run else Reply(self.inventory.certificate(found.serial, found.ca))

    async def revoke_many(self, call: Call) -> Reply:
        """``certificate.revoke-many``; for those who reach every CA."""
        wish: RevokeManyWish = call.body
        given: dict[str, Any] = {
            "where": wish.where,
            "most": wish.most,
            **_revocation(wish.reason, wish.invalid_since, wish.block),
        }
        if wish.later:
            given["later"] = True
        reply = await submit(self.desk, call, "certificate.revoke-many", parameters=given)
        if not wish.later or call.dry_run or reply.status != 200:
            return reply
        begun = operation_shape(self.works.get(operation_number(reply.content["operation"])))
        return Reply(begun, 202, (("location", f"/api/v1/operations/{begun.id}"),))

    async def create_profile(self, call: Call) -> Reply:
        """``profile.save``, for a name that is free."""
        return await submit(self.desk, call, "profile.save", parameters={"profile": _body(call)}, status=201)

    async def replace_profile(self, call: Call) -> Reply:
        """``profile.save``, as the next revision of the one that the caller has seen."""
        shape = self.authorities.profile(call.path["name"])
        if not self._reaches(call, Permission.PROFILE_WRITE, shape.body["issuer"]):
            raise NotFound(f"there is no profile {shape.name!r}", mend=("privyseal profile list",))
        check_tag(call, profile_tag(shape), what=f"profile {shape.name}")
        given = {"profile": {**_body(call), "name": shape.name}, "replace": True, "revision": shape.revision}
        return await submit(self.desk, call, "profile.save", parameters=given)

    def _found(self, call: Call, permission: Permission) -> CertificateShape:
        found = self.inventory.certificate(call.path["serial"], call.query.get("ca", ""))
        if not self._reaches(call, permission, found.ca):
            raise NotIssued(f"no certificate has serial {found.serial}")  # as for one that there is not
        return found

    def _reaches(self, call: Call, permission: Permission, ca: str) -> bool:
        return call.actor.may(permission, self.authorities.labels(ca))

    def _cas(self, call: Call, permission: Permission) -> frozenset[str] | None:
        """The names of the CAs that the caller reaches; None means every one."""
        if call.actor.scope(permission) is None:
            return None
        names = {shape.name for shape in self.authorities.authorities()}
        return frozenset(name for name in names if self._reaches(call, permission, name))


def named_entity(device: str | None, user: str | None) -> tuple[EntityKind, str]:
    """The one that was named of the two. Raises BodyInvalid."""
    if device is not None and user is None:
        return EntityKind.DEVICE, device
    if user is not None and device is None:
        return EntityKind.USER, user
    raise BodyInvalid("say either device or user", faults=(("/device", "is not the only one of device and user"),))


def profile_tag(shape: ProfileShape) -> str:
    """The ETag of a profile: its revision."""
    return f'"{shape.revision}"'


def _revocation(reason: str, since: datetime | None, block: str) -> dict[str, str]:
    """The parameters that both acts of revocation take."""
    return {"reason": reason, "block": block, **({"invalid_since": since.isoformat()} if since else {})}


def _body(call: Call) -> dict[str, Any]:
    return {name: value for name, value in call.body.body.items() if name not in ("revision", "scep_url")}
