# SPDX-License-Identifier: Apache-2.0
"""8300-8399: administrators, their tokens and approvals, and the API that they use."""

from __future__ import annotations

from privyseal.errors.tree import AccessError, InputError, PolicyError, SetupError, StateError

# --- 8300: who administers ---------------------------------------------------------------------


class NotSignedIn(AccessError):
    code = 8301
    title = "The request does not say who asks"
    default_why = "the API answers nobody without a token"
    default_mend = ("send `Authorization: Bearer TOKEN`", "make a token: privyseal token create NAME --role viewer")


class TokenRefused(AccessError):
    code = 8302
    title = "The token is not accepted"
    default_why = "it was never made here, was revoked, or was mistyped"
    default_mend = ("privyseal token list", "make a new one: privyseal token create NAME --role viewer")


class TokenExpired(AccessError):
    code = 8303
    title = "The token has expired"
    default_why = "every token ends at the time that was set when it was made"
    default_mend = ("make a new one: privyseal token create NAME --role viewer",)


class NotPermitted(AccessError):
    code = 8304
    title = "The role does not allow this"
    default_why = "what somebody may do follows from the roles that were granted"
    default_mend = ("ask somebody who holds one of the roles that are named", "privyseal role list")


class GrantTooWide(PolicyError):
    code = 8305
    title = "The token would do more than its owner may"
    default_why = "a token never does what the person it belongs to may not do"
    default_mend = ("ask for fewer roles, or narrower labels", "privyseal role list")


class LastOwner(PolicyError):
    code = 8306
    title = "Nobody would be owner any more"
    default_why = "without an owner nobody could grant roles"
    default_mend = ("grant the role to somebody else first: privyseal role grant PERSON owner",)


class TooManyRequests(AccessError):
    """``seconds`` is how long to wait."""

    code = 8307
    title = "Too many requests from one place"
    default_why = "each source and each token has a limit, so that none can keep the others out"
    default_mend = ("wait for the time that is named", "send less often")

    def __init__(self, what: str, *, why: str = "", mend: tuple[str, ...] = (), seconds: int = 1) -> None:
        super().__init__(what, why=why, mend=mend)
        self.seconds = seconds


class FirstOwnerRefused(AccessError):
    code = 8308
    title = "The code for the first owner is not accepted"
    default_why = "a code is good once, for 30 minutes, until another one is made, and while there is no owner yet"
    default_mend = ("make a new one on the machine: privyseal access first-owner",)


class OwnerKnown(StateError):
    code = 8309
    title = "There is an owner already"
    default_why = "a code makes the first owner only; every other one is granted by an owner"
    default_mend = ("privyseal role list", "privyseal role grant PERSON owner")


# --- 8320: approvals ---------------------------------------------------------------------------


class ApprovalPending(AccessError):
    code = 8320
    title = "Somebody else has to approve first"
    default_why = "this is one of the acts that two people do together"
    default_mend = ("ask somebody with the role approver: privyseal approval approve ID", "privyseal approval get ID")


class OwnApproval(AccessError):
    code = 8321
    title = "Nobody approves what they asked for themselves"
    default_why = "two people have to agree; another token of the same person is the same person"
    default_mend = ("ask somebody else with the role approver: privyseal role list",)


class ApprovalOver(StateError):
    code = 8322
    title = "The approval is not waiting any more"
    default_why = "it was decided, cancelled, or ran out"
    default_mend = ("privyseal approval get ID", "ask for the act again")


class ApprovalStale(StateError):
    code = 8323
    title = "What would happen is not what was asked for any more"
    default_why = "things changed since the request, and what is approved is what happens"
    default_mend = ("ask for the act again and look at its preview",)


class ActBlocked(StateError):
    code = 8324
    title = "This cannot be done now"
    default_why = "the preview found what stands in the way"
    default_mend = ("do first what is named", "look at the preview: add --dry-run")


# --- 8340: the API -----------------------------------------------------------------------------


class BodyInvalid(InputError):
    """``faults`` are pairs of a JSON pointer (RFC 6901) and a sentence."""

    code = 8340
    title = "The request's content is not valid"
    default_why = "a field is missing, unknown, of the wrong kind or outside its limits"
    default_mend = ("correct the fields that are named", "see /api/v1/openapi.json")

    def __init__(
        self, what: str, *, why: str = "", mend: tuple[str, ...] = (), faults: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(what, why=why, mend=mend)
        self.faults = faults


class ContentTypeRefused(InputError):
    code = 8341
    title = "The content is not JSON"
    default_why = "the API reads application/json only"
    default_mend = ("send `Content-Type: application/json`",)


class MethodRefused(InputError):
    code = 8342
    title = "The resource does not know this method"
    default_why = "each resource has its own methods, which the answer's Allow header lists"
    default_mend = ("see /api/v1/openapi.json",)


class ChangedMeanwhile(StateError):
    code = 8343
    title = "The object was changed meanwhile"
    default_why = "If-Match names another state than the object has now"
    default_mend = ("get it again, look at what changed, and send the change with the new ETag",)


class IfMatchNeeded(StateError):
    code = 8344
    title = "The change does not say which state it is for"
    default_why = "without If-Match one person's change could silently undo another's"
    default_mend = ("get the object and send its ETag as If-Match",)


class IdempotencyConflict(StateError):
    code = 8345
    title = "The Idempotency-Key was used for something else"
    default_why = "one key belongs to one request; the same key with the same request gets the first answer again"
    default_mend = ("choose a new key for a new request",)


class ApiNotEncrypted(SetupError):
    code = 8346
    title = "The API would be served without TLS"
    default_why = "tokens must not cross a network in clear"
    default_mend = (
        "set api_certificate and api_key in privyseal.toml",
        'listen on the loopback: api_listen = "127.0.0.1:8443"',
    )


class NotRemote(InputError):
    code = 8347
    title = "The command works on the installation's own machine only"
    default_why = "a server is in use, and the command has no way to it; acting here instead is not what was meant"
    default_mend = (
        "say which installation here is meant: add --home DIR",
        "run it on the machine of the server",
        "privyseal config list-contexts",
    )


# --- 8380: the facade in the form of Graph -----------------------------------------------------


class FacadeUnsupported(InputError):
    code = 8380
    title = "This cannot be said in the form of Graph"
    default_why = "the property is fixed when a CA is made, or there is nothing like it here"
    default_mend = ("leave the property out, or send it as it is", "use /api/v1, which can do more")


class FilterUnsupported(InputError):
    code = 8381
    title = "The query option cannot be followed"
    default_why = "of OData the part is known that scripts for Cloud PKI use; a filter that is passed over would lie"
    default_mend = ("filter by a property that is named in the message", "filter on your side, or search by /api/v1")
