# SPDX-License-Identifier: Apache-2.0
"""The resources of the API. Field names are those of `-o json`; what is added later gets a default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from privyseal.model.access import Role
from privyseal.model.api.fields import limited
from privyseal.model.approval import ApprovalState, FourEyes
from privyseal.model.entity import EntityKind
from privyseal.model.revocation import CrlReason

NAME: Final = r"^[A-Za-z0-9-]{1,64}$"
PERSON: Final = r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$"
TOKEN_NAME: Final = r"^[a-z0-9][a-z0-9._-]{0,63}$"
DURATION: Final = r"^[0-9]{1,6}[mhdy]$"
_ROLES: Final = tuple(role.value for role in Role)
_REASONS: Final = tuple(reason.label for reason in CrlReason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """One way to mend it."""

    text: str
    command: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with one field."""

    pointer: str = limited(doc="JSON pointer (RFC 6901) into the request.")
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error (RFC 9457), with the same code, cause and remedies as everywhere."""

    type: str = limited(doc="A page about it, on this server.")
    title: str
    status: int
    detail: str
    code: int = limited(doc="Stable for ever; `privyseal explain CODE`.")
    cause: str
    remedies: tuple[Remedy, ...]
    retryable: bool
    correlation_id: str = limited(doc="The incident in the server's log.")
    retry_after: int | None = None
    errors: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewShape:
    """What an act would do."""

    summary: str
    effects: tuple[str, ...]
    counts: Mapping[str, int]
    irreversible: tuple[str, ...]
    blockers: tuple[str, ...]
    tier0: bool
    over_limit: bool
    needs_approval: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalShape:
    """A request for a second person."""

    id: int
    act: str
    state: str = limited(choices=tuple(state.value for state in ApprovalState))
    requester: str
    requested_by: str
    created_at: datetime
    expires_at: datetime
    summary: str
    effects: tuple[str, ...]
    counts: Mapping[str, int]
    irreversible: tuple[str, ...]
    decider: str | None
    decided_at: datetime | None
    what: str | None
    result: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """Why an approval is denied."""

    reason: str = limited(pattern=r"\S", longest=500)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantShape:
    """A role of a person."""

    person: str
    role: str = limited(choices=_ROLES)
    labels: tuple[str, ...] = limited(doc="Empty: everything.")


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantWish:
    """Give a person a role."""

    person: str = limited(pattern=PERSON, longest=64)
    role: str = limited(choices=_ROLES)
    labels: tuple[str, ...] = limited(factory=tuple, longest=32)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedRole:
    """A role that a person does not hold any more."""

    person: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenShape:
    """A token; its secret is nowhere."""

    name: str
    owner: str
    roles: tuple[str, ...]
    labels: tuple[str, ...]
    created_by: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = limited(doc="To the hour.")  # noqa: RUF009 - it makes a field
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenWish:
    """Make a token."""

    name: str = limited(pattern=TOKEN_NAME, longest=64)
    owner: str | None = limited(pattern=PERSON, longest=64, default=None, doc="Default: who asks.")
    roles: tuple[str, ...] = limited(longest=8, choices=_ROLES)
    labels: tuple[str, ...] = limited(factory=tuple, longest=32)
    life: str | None = limited(
        pattern=DURATION, longest=8, default=None, doc="Such as 90d (the default); 366d at most."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMade:
    """A new token with its secret, which is shown this once."""

    secret: str = limited(secret=True)
    token: TokenShape | None = None
    approval: ApprovalShape | None = limited(default=None, doc="Once approved, the secret is good.")  # noqa: RUF009 - it makes a field


@dataclass(frozen=True, slots=True, kw_only=True)
class FourEyesWish:
    """Set four eyes."""

    mode: str = limited(choices=tuple(mode.value for mode in FourEyes))
    reason: str = limited(default="", longest=500)


@dataclass(frozen=True, slots=True, kw_only=True)
class FourEyesShape:
    """The setting of four eyes, and whether two people are needed now."""

    four_eyes: str = limited(choices=tuple(mode.value for mode in FourEyes))
    until: datetime | None = None
    in_force: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WhoAmI:
    """Who asks, as the server sees it."""

    name: str
    person: str
    grants: tuple[GrantShape, ...]
    permissions: tuple[str, ...]
    expires_at: datetime | None = None
    four_eyes: bool = False


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
