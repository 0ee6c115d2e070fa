# SPDX-License-Identifier: Apache-2.0
"""The resources of the API. Field names are those of `-o json`; what is added later gets a default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from privyseal.model.api.access_shapes import DURATION
from privyseal.model.api.fields import limited
from privyseal.model.entity import EntityKind
from privyseal.model.revocation import CrlReason

NAME: Final = r"^[A-Za-z0-9-]{1,64}$"
OPERATION: Final = r"^op_[0-9]{1,18}$"
_BLOCK: Final = ("default", "yes", "no")
_REASONS: Final = tuple(reason.label for reason in CrlReason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether the service can work."""

    status: str = limited(choices=("ok", "no-ca"))
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityShape:
    """One version of a CA."""

    name: str
    version: int
    kind: str
    state: str
    parent: str | None
    subject: str
    serial: str
    key: str
    signature_algorithm: str
    not_before: datetime
    not_after: datetime
    path_length: int | None
    ext_key_usage: tuple[str, ...]
    fingerprint_sha256: str
    crl_url: str
    aia_url: str
    ocsp_url: str
    crl_number: int | None
    crl_next_update: datetime | None
    labels: tuple[str, ...]
    certificate: str = limited(doc="PEM.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateShape:
    """A certificate of the inventory."""

    serial: str
    ca: str
    status: str
    kind: str
    subject: str
    san: str
    profile: str | None
    profile_revision: int | None
    entity: str | None
    not_before: datetime
    not_after: datetime
    protocol: str
    requester: str
    revoked_at: datetime | None
    reason: str | None
    invalid_since: datetime | None
    certificate: str | None = limited(default=None, doc="PEM; only when one is asked for.")


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueWish:
    """Issue to a device or user that the caller vouches for."""

    profile: str = limited(pattern=NAME, longest=64)
    csr: str = limited(longest=32768, doc="PKCS #10, PEM or base64 of DER. Only its key counts.")
    device: str | None = limited(default=None, longest=256, doc="This, or a user.")
    user: str | None = limited(default=None, longest=256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A new certificate with its chain."""

    serial: str
    not_before: datetime
    not_after: datetime
    certificate: str = limited(doc="PEM.")
    chain: tuple[str, ...] = limited(doc="PEM, the root last.")
    remark: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeWish:
    """Revoke for good."""

    reason: str = limited(choices=_REASONS, default=CrlReason.UNSPECIFIED.label)
    invalid_since: datetime | None = None
    block: str = limited(choices=_BLOCK, default="default", doc="Whether the device or user may enroll again.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeManyWish:
    """Revoke everything that a search finds and that is in force."""

    where: str = limited(pattern=r"\S", longest=2000)
    reason: str = limited(choices=_REASONS, default=CrlReason.UNSPECIFIED.label)
    invalid_since: datetime | None = None
    block: str = limited(choices=_BLOCK, default="default", doc="Whether the devices and users may enroll again.")
    most: int = limited(default=50, least=1, most=100_000, doc="Refuse when it would be more.")
    later: bool = limited(default=False, doc="Answer 202 with an operation; the server carries it out.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedMany:
    """What a revocation of many did."""

    selected: int
    revoked: int
    skipped: int
    selection: str = limited(doc="Digest of what was selected.")


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationShape:
    """Work that goes on after its request was answered, and after a restart."""

    id: str = limited(pattern=OPERATION)
    kind: str = limited(choices=("certificate.revoke-many",))
    state: str = limited(choices=("waiting", "running", "done"))
    summary: str
    actor: str
    done: int
    total: int
    touched_at: datetime | None = limited(doc="When it came further for the last time.")  # noqa: RUF009 - it makes a field
    result: RevokedMany | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityShape:
    """A device or user."""

    kind: str = limited(choices=tuple(kind.value for kind in EntityKind))
    name: str
    enabled: bool
    attributes: Mapping[str, str]
    directory: str | None = None
    object_sid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityWish:
    """Make a device or user known."""

    name: str = limited(longest=256)
    attributes: Mapping[str, str] = limited(factory=dict, longest=16, doc="As the command's options, with underscores.")


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityChange:
    """Change attributes; an empty value removes one."""

    attributes: Mapping[str, str] = limited(factory=dict, longest=16)
    enabled: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeWish:
    """A one-time password for one enrollment."""

    profile: str = limited(pattern=NAME, longest=64)
    device: str | None = limited(default=None, longest=256)
    user: str | None = limited(default=None, longest=256)
    life: str | None = limited(pattern=DURATION, longest=8, default=None, doc="Default 60m, at most 7d.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeMade:
    """A challenge, shown this once."""

    secret: str = limited(secret=True)
    profile: str
    entity: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollmentShape:
    """One attempt to enroll."""

    id: int
    at: datetime
    state: str
    profile: str
    protocol: str
    entity: str | None
    transaction_id: str
    serial: str | None
    code: int | None
    what: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """About an enrollment that waits."""

    decision: str = limited(choices=("approve", "reject"))


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditShape:
    """One row of the audit trail."""

    seq: int
    at: datetime
    event: str
    actor: str
    target: str
    detail: Mapping[str, Any]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileShape:
    """A profile, as `privyseal profile get -o json` prints it."""

    name: str
    revision: int
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileWish:
    """A profile to store."""

    body: Mapping[str, Any] = limited(doc="As `privyseal profile get -o json` prints it; without its revision.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileStored:
    """A profile as it was stored."""

    name: str
    revision: int
