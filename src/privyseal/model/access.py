# SPDX-License-Identifier: Apache-2.0
"""Who may do what: roles as fixed sets of permissions, narrowed by labels. Pure values; nothing here decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Permission(Enum):
    """One thing that a route or command asks for. The part before the dot is the noun."""

    CA_READ = "ca.read"
    CA_WRITE = "ca.write"
    CA_OPERATE = "ca.operate"
    """Pause and resume, publish a CRL."""
    PROFILE_READ = "profile.read"
    PROFILE_WRITE = "profile.write"
    CERTIFICATE_READ = "certificate.read"
    CERTIFICATE_ISSUE = "certificate.issue"
    CERTIFICATE_REVOKE = "certificate.revoke"
    ENTITY_READ = "entity.read"
    ENTITY_WRITE = "entity.write"
    ENROLLMENT_READ = "enrollment.read"
    ENROLLMENT_DECIDE = "enrollment.decide"
    DIRECTORY_READ = "directory.read"
    DIRECTORY_WRITE = "directory.write"
    """Configure and publish to a directory: Tier-0."""
    AUDIT_READ = "audit.read"
    ACCESS_READ = "access.read"
    ACCESS_WRITE = "access.write"
    """Grant roles, make tokens for others."""
    APPROVAL_DECIDE = "approval.decide"
    OPERATION_READ = "operation.read"
    SETTING_WRITE = "setting.write"
    """Webhooks, notices, retention, backup."""


class Role(Enum):
    """The names that people grant. ``owner`` grants roles; it is not a superset in daily work by accident."""

    VIEWER = "viewer"
    AUDITOR = "auditor"
    OPERATOR = "operator"
    PROFILE_ADMIN = "profile-admin"
    CA_ADMIN = "ca-admin"
    AD_PUBLISHER = "ad-publisher"
    APPROVER = "approver"
    OWNER = "owner"


_READ: Final = frozenset(
    {
        Permission.CA_READ, Permission.PROFILE_READ, Permission.CERTIFICATE_READ, Permission.ENTITY_READ,
        Permission.ENROLLMENT_READ, Permission.DIRECTORY_READ, Permission.OPERATION_READ,
    }
)  # fmt: skip
_AUDIT: Final = frozenset({Permission.AUDIT_READ, Permission.ACCESS_READ})
_OPERATE: Final = frozenset(
    {
        Permission.CERTIFICATE_ISSUE, Permission.CERTIFICATE_REVOKE, Permission.ENTITY_WRITE,
        Permission.ENROLLMENT_DECIDE,
    }
)  # fmt: skip

PERMISSIONS: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.VIEWER: _READ,
    Role.AUDITOR: _READ | _AUDIT,
    Role.OPERATOR: _READ | _OPERATE,
    Role.PROFILE_ADMIN: _READ | {Permission.PROFILE_WRITE, Permission.ENTITY_WRITE},
    Role.CA_ADMIN: _READ | {Permission.CA_WRITE, Permission.CA_OPERATE, Permission.CERTIFICATE_REVOKE},
    Role.AD_PUBLISHER: _READ | {Permission.DIRECTORY_WRITE},
    Role.APPROVER: _READ | _AUDIT | {Permission.APPROVAL_DECIDE},
    Role.OWNER: frozenset(Permission),
}


@dataclass(frozen=True, slots=True)
class Grant:
    """A role, and the labels of the objects that it reaches; no labels means all objects."""

    role: Role
    labels: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who was authenticated: ``cli:alice``, ``token:ci-1``. Names are what the audit trail keeps."""

    name: str
    grants: tuple[Grant, ...]
