# SPDX-License-Identifier: Apache-2.0
"""What belongs to a CA's name and not to one version: labels, renewal policy; and requests that wait outside."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from privyseal.errors import InvalidValue, ParameterNotFitting
from privyseal.model.authority import CaKind, CrlRules

MOST_LABELS: Final = 16
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")


class RenewalMode(Enum):
    """Who begins and ends a rollover."""

    REMIND = "remind"
    """A person does both."""
    AUTO = "auto"
    """The worker stages the next version, and activates it once every gate has passed."""


@dataclass(frozen=True, slots=True)
class RenewalPolicy:
    """When a CA version should be followed by the next, in percent of its life."""

    mode: RenewalMode = RenewalMode.REMIND
    at_percent: int = 66

    def __post_init__(self) -> None:
        """Not before half of its life, and early enough for gates and relying parties."""
        if not 50 <= self.at_percent <= 95:
            raise ParameterNotFitting(f"renewal at {self.at_percent} % of a CA's life; it is 50 to 95 %")

    def due(self, not_before: datetime, not_after: datetime) -> datetime:
        """The moment at which renewal begins."""
        return not_before + (not_after - not_before) * self.at_percent / 100


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityName:
    """A CA as people speak of it."""

    name: str
    description: str = ""
    labels: frozenset[str] = frozenset()
    """Roles are granted for labels."""
    renewal: RenewalPolicy = RenewalPolicy()

    def __post_init__(self) -> None:
        """Bounded, so that they fit wherever they are shown."""
        if len(self.description) > 400:
            raise InvalidValue(f"CA {self.name}: the description has {len(self.description)} characters, 400 at most")
        if len(self.labels) > MOST_LABELS:
            raise InvalidValue(f"CA {self.name}: {len(self.labels)} labels, {MOST_LABELS} at most")
        for label in self.labels:
            check_label(label)


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingAuthority:
    """A CA version whose key exists and whose certificate is still to come from outside."""

    id: int
    name: str
    version: int
    key_ref: str
    hash_name: str | None
    request: bytes
    """PKCS#10, DER."""
    path_length: int | None
    ext_key_usage: tuple[str, ...]
    crl: CrlRules
    created_at: datetime
    kind: CaKind = CaKind.ISSUING


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossCertificate:
    """The key of one CA version, certified by another version of the same name."""

    subject_id: int
    issuer_id: int
    certificate: bytes


def check_label(text: str) -> str:
    """A label: lower case letters, digits and hyphens, at most 40. Raises InvalidValue."""
    if not _LABEL.fullmatch(text):
        raise InvalidValue(f"label {text!r} is not 1 to 40 lower case letters, digits and hyphens")
    return text
