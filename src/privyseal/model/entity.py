# SPDX-License-Identifier: Apache-2.0
"""End entities: the devices and users that certificates are for (RFC 5280 section 3).

Their attributes are what an administrator or the directory vouches for, never what a request claims.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

from privyseal.errors import EnrollmentBlocked, EntityDisabled, InvalidValue, UnknownVariable, VariableWithoutValue
from privyseal.model.directory import DirectoryBinding
from privyseal.x509.general_names import GeneralName, NameKind
from privyseal.x509.sid import Sid


class EntityKind(Enum):
    """What kind of end entity it is; also the first word of its variables."""

    DEVICE = "device"
    USER = "user"


ATTRIBUTES: Final[Mapping[EntityKind, frozenset[str]]] = MappingProxyType(
    {
        EntityKind.DEVICE: frozenset(
            {
                "name", "dns_name", "sid", "principal_name", "distinguished_name", "serial_number", "manufacturer",
                "model", "id",
            }
        ),
        EntityKind.USER: frozenset(
            {
                "name", "principal_name", "mail", "sid", "distinguished_name", "display_name", "given_name", "surname",
                "department", "id",
            }
        ),
    }
)  # fmt: skip
_LONGEST: Final = {"distinguished_name": 4096}
VARIABLES: Final = frozenset(f"{kind.value}.{name}" for kind, names in ATTRIBUTES.items() for name in names)


@dataclass(frozen=True, slots=True)
class EndEntity:
    """A device or user. ``attributes`` holds only attributes that have a value, ``name`` among them."""

    id: int
    kind: EntityKind
    name: str
    attributes: Mapping[str, str]
    enabled: bool = True
    binding: DirectoryBinding | None = None
    """The directory account that it is, for profiles that take names from there."""
    blocked: frozenset[str] = frozenset()
    """Profiles of which it gets no certificate, since one was revoked for a reason that keeps it out."""

    def value(self, variable: str) -> str:
        """The value of ``device.dns_name`` and the like.

        Raises UnknownVariable for a name outside the list, VariableWithoutValue when this entity lacks it.
        """
        if variable not in VARIABLES:
            raise UnknownVariable(f"{{{{{variable}}}}} is not a variable; there are {', '.join(sorted(VARIABLES))}")
        kind, _, attribute = variable.partition(".")
        if kind != self.kind.value:
            raise VariableWithoutValue(
                f"{{{{{variable}}}}} has no value: {self.name} is a {self.kind.value}, not a {kind}",
                why=f"the profile builds the name from a {kind}'s attribute",
                mend=(f"use a profile for {self.kind.value}s, or enroll a {kind}",),
            )
        found = self.attributes.get(attribute, "")
        if not found:
            flag = attribute.replace("_", "-")
            raise VariableWithoutValue(
                f"{{{{{variable}}}}} has no value for {self.kind.value} {self.name}",
                mend=(f"privyseal {kind} set {self.name} --{flag} VALUE",),
            )
        return found

    def require_enabled(self) -> None:
        """Raise EntityDisabled unless certificates may be issued to it."""
        if not self.enabled:
            raise EntityDisabled(f"{self.kind.value} {self.name} is disabled")

    def require_admitted(self, profile: str) -> None:
        """Raise EnrollmentBlocked unless it may have certificates of this profile."""
        if profile in self.blocked:
            raise EnrollmentBlocked(
                f"{self.kind.value} {self.name} gets no certificate of profile {profile}: one of its was revoked",
                mend=(f"if it may come back: privyseal {self.kind.value} unblock {self.name} --profile {profile}",),
            )


def check_attributes(kind: EntityKind, attributes: Mapping[str, str]) -> dict[str, str]:
    """The attributes without the empty ones, each in canonical form. Raises InvalidValue and its kin."""
    kept: dict[str, str] = {}
    for name, value in attributes.items():
        if name not in ATTRIBUTES[kind]:
            raise InvalidValue(
                f"a {kind.value} has no attribute {name!r}; there are {', '.join(sorted(ATTRIBUTES[kind]))}"
            )
        text = value.strip()
        if not text:
            continue
        longest = _LONGEST.get(name, 256)
        if len(text) > longest or not text.isprintable():
            raise InvalidValue(f"attribute {name} is longer than {longest} characters or holds control characters")
        if name == "sid":
            text = Sid.parse(text).text
        if name == "dns_name":
            text = text.lower()
            GeneralName(NameKind.DNS, text).to_der()
        kept[name] = text
    return kept
