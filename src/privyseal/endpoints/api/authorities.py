# SPDX-License-Identifier: Apache-2.0
"""Operations that change CAs: each is an act by its name, with the parameters of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from privyseal.administration.desk import Desk
from privyseal.endpoints.api.acts import submit
from privyseal.endpoints.api.operation import Call, Handler, Kind, Operation, QueryField, Reply
from privyseal.model.api.authority_shapes import (
    NAME,
    ActivateWish,
    AuthorityChange,
    AuthorityDone,
    AuthorityWish,
    Nothing,
    RenewWish,
    RevokeAuthorityWish,
    VersionWish,
)
from privyseal.model.api.codec import encode

_VERSION: Final = QueryField(
    name="version", doc="Needed when there are several.", kind=int, least=1, most=9999, example=1
)
_DONE: Final[dict[str, Any]] = {"name": "contoso-issuing", "version": 1, "state": "active"}
# Verb, state afterwards, shape, example, summary.
_VERBS: Final[tuple[tuple[str, str, type, dict[str, Any], str], ...]] = (
    ("pause", "paused", VersionWish, {}, "Issue nothing for now; CRL and OCSP go on."),
    ("resume", "active", VersionWish, {}, "Issue again."),
    ("renew", "staged", RenewWish, {"same_key": False}, "Stage the next version."),
    ("activate", "active", ActivateWish, {"accept": []}, "Put a staged version in force, when its gates pass."),
    ("rollback", "active", Nothing, {}, "Go back to the version before."),
    ("revoke", "revoked", RevokeAuthorityWish, {"reason": "ca-compromise"}, "Revoke it for good."),
    ("set", "active", AuthorityChange, {"labels": ["prod"]}, "Change labels, description or renewal."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityOperations:
    """The handlers."""

    desk: Desk

    def table(self) -> Iterator[Operation]:
        """Every operation that changes a CA."""
        names = {"name": NAME}
        make = Operation(
            id="create_authority", method="POST", path="/authorities", kind=Kind.ACT, status=201,
            permission=self.desk.act("ca.create").permission, summary="Make a CA.", handler=self._act("ca.create"),
            body=AuthorityWish, body_example={"name": "contoso-issuing", "parent": "contoso-root"},
            answer=AuthorityDone, example=_DONE,
        )  # fmt: skip
        yield make
        for verb, state, shape, example, summary in _VERBS:
            act = f"ca.{verb}"
            yield replace(
                make, id=f"{verb}_authority", path=f"/authorities/{{name}}:{verb}", status=200, summary=summary,
                permission=self.desk.act(act).permission, handler=self._act(act), body=shape, body_example=example,
                example={**_DONE, "state": state}, path_patterns=names,
            )  # fmt: skip
        yield Operation(
            id="delete_authority", method="DELETE", path="/authorities/{name}", kind=Kind.ACT, query=(_VERSION,),
            permission=self.desk.act("ca.delete").permission, summary="Delete a CA version and destroy its key.",
            handler=self._delete, answer=AuthorityDone, example={**_DONE, "state": "deleted"}, path_patterns=names,
        )  # fmt: skip

    def _act(self, act: str) -> Handler:
        async def handle(call: Call) -> Reply:
            given = {name: value for name, value in encode(call.body).items() if value is not None}
            status = 201 if act == "ca.create" else 200
            return _short(await submit(self.desk, call, act, parameters={**given, **call.path}, status=status))

        return handle

    async def _delete(self, call: Call) -> Reply:
        version = call.query.get("version")
        given = {"name": call.path["name"], **({"version": str(version)} if version else {})}
        return _short(await submit(self.desk, call, "ca.delete", parameters=given))


def _short(reply: Reply) -> Reply:
    """Of an act's result only what every one of them has; the CA itself is there to be read."""
    if not isinstance(reply.content, dict):
        return reply
    found = reply.content
    done = AuthorityDone(name=found["name"], version=found.get("version"), state=found.get("state"))
    return replace(reply, content=done)
