# SPDX-License-Identifier: Apache-2.0
"""Exit codes, and the one table from the error tree to them. Scripts rely on these numbers: they never change."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from privyseal import errors
from privyseal.errors import PrivysealError


class Exit(IntEnum):
    """What the process leaves with."""

    DONE = 0
    """Also: it was already so."""
    FAILED = 1
    """It did not work, or a check found problems."""
    USAGE = 2
    NOT_FOUND = 3
    NOT_SIGNED_IN = 4
    """A passphrase, challenge or other proof is missing or wrong."""
    NOT_ALLOWED = 5
    """A rule says no."""
    CONFLICT = 6
    """The state of things does not allow it."""
    UNREACHABLE = 7
    """A server or the store does not answer; trying again may help."""
    PENDING = 8
    """Somebody has to approve first."""
    INTERRUPTED = 130


# The most specific class counts, so a category here is the default for its members.
EXITS: Final[Mapping[type[PrivysealError], Exit]] = MappingProxyType(
    {
        errors.InputError: Exit.FAILED,
        errors.InvalidValue: Exit.USAGE,
        errors.SearchInvalid: Exit.USAGE,
        errors.CursorInvalid: Exit.USAGE,
        errors.InvalidName: Exit.USAGE,
        errors.InvalidSid: Exit.USAGE,
        errors.UnknownVariable: Exit.USAGE,
        errors.PolicyError: Exit.NOT_ALLOWED,
        errors.AccessError: Exit.NOT_ALLOWED,
        errors.NotAuthenticated: Exit.NOT_SIGNED_IN,
        errors.EnrollmentPending: Exit.PENDING,
        errors.ApprovalPending: Exit.PENDING,
        errors.NotSignedIn: Exit.NOT_SIGNED_IN,
        errors.TooManyRequests: Exit.UNREACHABLE,
        errors.TokenRefused: Exit.NOT_SIGNED_IN,
        errors.TokenExpired: Exit.NOT_SIGNED_IN,
        errors.ChallengeUnknown: Exit.NOT_SIGNED_IN,
        errors.ChallengeUsed: Exit.NOT_SIGNED_IN,
        errors.ChallengeExpired: Exit.NOT_SIGNED_IN,
        errors.StateError: Exit.CONFLICT,
        errors.NotFound: Exit.NOT_FOUND,
        errors.NotIssued: Exit.NOT_FOUND,
        errors.UnknownTransaction: Exit.NOT_FOUND,
        errors.AuditBroken: Exit.FAILED,
        errors.ServerAnsweredWrongly: Exit.FAILED,
        errors.SetupError: Exit.FAILED,
        errors.NotInitialized: Exit.CONFLICT,
        errors.PassphraseMissing: Exit.NOT_SIGNED_IN,
        errors.PassphraseWrong: Exit.NOT_SIGNED_IN,
        errors.StoreUnavailable: Exit.UNREACHABLE,
        errors.ServerUnreachable: Exit.UNREACHABLE,
        errors.DirectoryUnreachable: Exit.UNREACHABLE,
        errors.DirectoryTimeout: Exit.UNREACHABLE,
        errors.DirectoryBusy: Exit.UNREACHABLE,
        errors.KdcUnreachable: Exit.UNREACHABLE,
        errors.BindRefused: Exit.NOT_SIGNED_IN,
        errors.KerberosCredentialsMissing: Exit.NOT_SIGNED_IN,
        errors.AccountNotFound: Exit.NOT_FOUND,
    }
)


def exit_code(error: PrivysealError) -> Exit:
    """The exit code for an error."""
    for kind in type(error).__mro__:
        if kind in EXITS:
            return EXITS[kind]
    return Exit.FAILED
