# SPDX-License-Identifier: Apache-2.0
"""8300-8399: administrators, their tokens and approvals, and the API that they use."""

from __future__ import annotations

from privyseal.errors.tree import AccessError, PolicyError, StateError

# --- 8300: who administers ---------------------------------------------------------------------


class TokenRefused(AccessError):
    code = 8302
    title = "The token is not accepted"
    default_why = "it was never made here, was revoked, or was mistyped"
    default_mend = ("`token` list", "make a new one: token create NAME --role viewer")


class TokenExpired(AccessError):
    code = 8303
    title = "The token has expired"
    default_why = "every token ends at the time that was set when it was made"
    default_mend = ("make a new one: `token` create NAME --role viewer",)


class NotPermitted(AccessError):
    code = 8304
    title = "The role does not allow this"
    default_why = "what somebody may do follows from the roles that were granted"
    default_mend = ("ask somebody who holds one of the roles that are named", "`role` list")


class GrantTooWide(PolicyError):
    code = 8305
    title = "The token would do more than its owner may"
    default_why = "a token never does what the person it belongs to may not do"
    default_mend = ("ask for fewer roles, or narrower labels", "`role` list")


class LastOwner(PolicyError):
    code = 8306
    title = "Nobody would be owner any more"
    default_why = "without an owner nobody could grant roles"
    default_mend = ("grant the role to somebody else first: `role` grant PERSON owner",)


# --- 8320: approvals ---------------------------------------------------------------------------


class OwnApproval(AccessError):
    code = 8321
    title = "Nobody approves what they asked for themselves"
    default_why = "two people have to agree; another token of the same person is the same person"
    default_mend = ("ask somebody else with the role approver: `role` list",)


class ApprovalOver(StateError):
    code = 8322
    title = "The approval is not waiting any more"
    default_why = "it was decided, cancelled, or ran out"
    default_mend = ("`approval` get ID", "ask for the act again")


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
