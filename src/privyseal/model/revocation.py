# SPDX-License-Identifier: Apache-2.0
"""Revocation reasons and the status of a certificate (RFC 5280 section 5.3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Final

from privyseal.errors import InvalidValue


class CrlReason(IntEnum):
    """CRLReason, without removeFromCRL: that is an entry of delta CRLs and never the state of a certificate."""

    UNSPECIFIED = 0
    KEY_COMPROMISE = 1
    CA_COMPROMISE = 2
    AFFILIATION_CHANGED = 3
    SUPERSEDED = 4
    CESSATION_OF_OPERATION = 5
    CERTIFICATE_HOLD = 6
    """Until further notice: the only reason that can be released, or become another one."""
    PRIVILEGE_WITHDRAWN = 9

    @property
    def label(self) -> str:
        """For screens and flags: ``key-compromise``."""
        return self.name.lower().replace("_", "-")

    @classmethod
    def parse(cls, text: str) -> CrlReason:
        """From its label. Raises InvalidValue."""
        for member in cls:
            if member.label == text:
                return member
        raise InvalidValue(f"reason {text!r} is not one of {', '.join(member.label for member in cls)}")


REMOVE_FROM_CRL: Final = 8
"""The CRLReason by which a delta CRL says that a hold is over (RFC 5280 section 5.3.1)."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """When, why, and since when the key is thought to be bad."""

    at: datetime
    reason: CrlReason
    invalid_since: datetime | None = None
