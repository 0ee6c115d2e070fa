# SPDX-License-Identifier: Apache-2.0
"""Certification authorities as values: what one is asked to be, and what one is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from privyseal.errors import CrlFormNotFitting, ParameterNotFitting
from privyseal.model.certificate import CertificateKind
from privyseal.x509.algorithms import KeyType
from privyseal.x509.names import DistinguishedName


class CaKind(Enum):
    """Root CAs sign themselves; issuing CAs are signed by another CA."""

    ROOT = "root"
    ISSUING = "issuing"


class CaState(Enum):
    """Life cycle of a CA version; which may follow which, and what each may sign, is said in ``ca.lifecycle``."""

    SIGNING_REQUIRED = "signing-required"
    """The key exists and the request waits for a certificate from outside."""
    STAGED = "staged"
    """The next version: test certificates only."""
    ACTIVE = "active"
    PAUSED = "paused"
    """Issues nothing for now; CRL and OCSP go on."""
    SUPERSEDED = "superseded"
    """Replaced by a newer version; keeps CRL and OCSP for what it signed."""
    RETIRED = "retired"
    """Superseded, and all that it signed is over; or staged and never used."""
    REVOKED = "revoked"
    EXPIRED = "expired"
    """Never stored: it follows from the clock, which may be wrong and be set right."""


IN_FORCE: Final = frozenset({CaState.ACTIVE, CaState.PAUSED})
"""At most one version of a name is in one of these; enrollment goes to it."""
MOST_SHARDS: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaRules:
    """How long a delta CRL is good for and how often a new one is published (always at once on revocation)."""

    validity: timedelta
    publish_every: timedelta

    def __post_init__(self) -> None:
        """A delta CRL must be replaced before it runs out."""
        _check_interval("delta CRL", self.validity, self.publish_every)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlRules:
    """How long a CRL is good for and how often a new one is published.

    After a revocation one is published at once: the delta CRL where there are deltas, else the CRL or its shard.
    """

    validity: timedelta = timedelta(days=7)
    publish_every: timedelta = timedelta(days=3, hours=12)
    delta: DeltaRules | None = None
    shards: int = 0
    """How many shards, by serial number; 0 is one CRL for all. Certificates name their shard, so it never changes."""

    def __post_init__(self) -> None:
        """A CRL must be replaced before it runs out; a shard has no delta."""
        _check_interval("CRL", self.validity, self.publish_every)
        if not 0 <= self.shards <= MOST_SHARDS:
            raise CrlFormNotFitting(f"{self.shards} shards were asked for; it can be 1 to {MOST_SHARDS}")
        if self.delta is not None and self.shards:
            raise CrlFormNotFitting(f"delta CRLs and {self.shards} shards were asked for together")
        if self.delta is not None and self.delta.validity > self.validity:
            raise ParameterNotFitting(
                f"delta CRL validity {self.delta.validity} is longer than the CRL's own, {self.validity}"
            )

    def interval_of(self, *, delta: bool) -> timedelta:
        """How often such a CRL is published when nothing changes."""
        return self.delta.publish_every if delta and self.delta is not None else self.publish_every

    def validity_of(self, *, delta: bool) -> timedelta:
        """How long such a CRL is good for."""
        return self.delta.validity if delta and self.delta is not None else self.validity

    def shard_of(self, serial: int) -> int:
        """The shard that a certificate belongs to: the remainder of its serial, whose low 96 bits are random."""
        return serial % self.shards if self.shards else 0

    @property
    def all_shards(self) -> range:
        """Every shard's number; one, 0, where the CRL is in one piece."""
        return range(max(1, self.shards))


def _check_interval(what: str, validity: timedelta, publish_every: timedelta) -> None:
    if not timedelta(minutes=10) <= publish_every < validity <= timedelta(days=366):
        raise ParameterNotFitting(
            f"{what} validity {validity} and publication every {publish_every} do not fit: the interval "
            "is at least 10 minutes and shorter than the validity, the validity at most 366 days"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CaRequest:
    """What the administrator asks for when a CA is made."""

    name: str
    kind: CaKind
    parent: str | None
    subject: DistinguishedName
    key_type: KeyType
    hash_name: str | None
    validity: timedelta
    path_length: int | None
    ext_key_usage: tuple[str, ...]
    """Empty on a root means: any. On an issuing CA empty means: what its parent allows."""
    crl: CrlRules
    outside: bool = False
    """Its certificate comes from a CA whose key is not here: it has no parent yet."""
    successor: bool = False
    """Make the next version of an existing CA, staged (RFC 8894 section 4.7 announces it)."""

    def __post_init__(self) -> None:
        """Names appear in URLs and file names, so they are narrow."""
        if not 1 <= len(self.name) <= 64 or not self.name.isascii() or not self.name.replace("-", "").isalnum():
            raise ParameterNotFitting(f"CA name {self.name!r} is not 1 to 64 ASCII letters, digits and hyphens")
        if (self.kind is CaKind.ISSUING) != (self.parent is not None or self.outside):
            raise ParameterNotFitting(f"CA {self.name}: an issuing CA has a parent and a root has none")
        if not timedelta(days=1) <= self.validity <= timedelta(days=365 * 40):
            raise ParameterNotFitting(f"CA {self.name}: validity {self.validity} is outside 1 day to 40 years")
        if self.path_length is not None and not 0 <= self.path_length <= 8:
            raise ParameterNotFitting(f"CA {self.name}: path length {self.path_length} is outside 0 to 8")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaRecord:
    """One CA version as stored. ``version`` counts from 1 under one ``name``."""

    id: int
    name: str
    version: int
    kind: CaKind
    state: CaState
    parent_id: int | None
    certificate: bytes
    key_ref: str
    """Empty when the key is somewhere else: a CA of others, or an offline root."""
    hash_name: str | None
    crl: CrlRules
    created_at: datetime
    changed_at: datetime
    """When it came into its state."""
    ledger_id: int = 0
    """The version under which serials, revocations and CRLs are kept: the first with this key. 0 is itself."""

    @property
    def has_key(self) -> bool:
        """True when this service can sign with it."""
        return bool(self.key_ref)

    @property
    def books(self) -> int:
        """The id under which what it signed is kept."""
        return self.ledger_id or self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRecord:
    """An RA or OCSP responder certificate of one CA version, with the name of its key."""

    id: int
    issuer_id: int
    kind: CertificateKind
    certificate: bytes
    key_ref: str
    not_before: datetime
    not_after: datetime
