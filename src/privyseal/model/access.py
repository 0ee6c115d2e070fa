# SPDX-License-Identifier: Apache-2.0
"""Who may do what: roles as fixed sets of permissions, narrowed by labels. Pure values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from privyseal.errors import InvalidValue, NotPermitted


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

    def reaches(self, labels: frozenset[str]) -> bool:
        """Whether an object with these labels is among those that it is for."""
        return not self.labels or bool(self.labels & labels)


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who was authenticated: ``cli:alice``, ``token:ci-1``. Names are what the audit trail keeps."""

    name: str
    grants: tuple[Grant, ...]
    person: str = ""
    """Who answers for it: two tokens of one person are one person."""

    def holds(self, permission: Permission) -> bool:
        """Some grant gives it, for some objects at least."""
        return any(permission in PERMISSIONS[grant.role] for grant in self.grants)

    def may(self, permission: Permission, labels: frozenset[str] = frozenset()) -> bool:
        """Some grant gives it for an object with these labels."""
        return any(permission in PERMISSIONS[grant.role] and grant.reaches(labels) for grant in self.grants)

    def scope(self, permission: Permission) -> frozenset[str] | None:
        """The labels whose objects it may; None means all objects, empty none."""
        giving = [grant for grant in self.grants if permission in PERMISSIONS[grant.role]]
        if any(not grant.labels for grant in giving):
            return None
        return frozenset().union(*(grant.labels for grant in giving))


def roles_with(permission: Permission) -> tuple[str, ...]:
    """The roles that give it, in the order in which they are declared."""
    return tuple(role.value for role in Role if permission in PERMISSIONS[role])


def check_permission(actor: Actor, permission: Permission, labels: frozenset[str] | None = None) -> None:
    """Raises NotPermitted. Without ``labels`` it is enough to hold it for some objects."""
    allowed = actor.holds(permission) if labels is None else actor.may(permission, labels)
    if not allowed:
        raise NotPermitted(
            f"{actor.name} lacks {permission.value}"
            + ("" if labels is None or not actor.holds(permission) else " for this object")
            + f"; the roles {', '.join(roles_with(permission))} give it"
        )


def narrowed(wanted: tuple[Grant, ...], held: tuple[Grant, ...]) -> tuple[Grant, ...]:
    """What is left of ``wanted`` within ``held``: a token never does more than its owner may at this moment."""
    left: list[Grant] = []
    for grant in wanted:
        for owned in held:
            if not PERMISSIONS[grant.role] <= PERMISSIONS[owned.role]:
                continue
            if not owned.labels:
                left.append(grant)
            elif not grant.labels:
                left.append(Grant(grant.role, owned.labels))
            elif grant.labels & owned.labels:
                left.append(Grant(grant.role, grant.labels & owned.labels))
    return tuple(dict.fromkeys(left))


def parse_role(text: str) -> Role:
    """Raises InvalidValue."""
    for role in Role:
        if role.value == text:
            return role
    raise InvalidValue(f"role {text[:40]!r} is not one of {', '.join(role.value for role in Role)}")


def parse_person(text: str) -> str:
    """A person's name in its one spelling: two that look alike must not be two people. Raises InvalidValue."""
    name = text.strip().lower()
    if not re.fullmatch(r"[a-z0-9][a-z0-9._@+-]{0,63}", name):
        raise InvalidValue(f"person {text[:80]!r} is not 1 to 64 ASCII letters, digits and . _ @ + -")
    return name


def parse_labels(texts: Iterable[str]) -> frozenset[str]:
    """Labels, each a word of a URL. Raises InvalidValue."""
    found = frozenset(texts)
    for label in found:
        if not re.fullmatch(r"[a-z0-9][a-z0-9.=/_-]{0,62}", label):
            raise InvalidValue(f"label {label[:80]!r} is not 1 to 63 lower-case letters, digits and . = / _ -")
    if len(found) > 32:
        raise InvalidValue(f"{len(found)} labels are more than 32")
    return found
