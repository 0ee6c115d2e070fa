# SPDX-License-Identifier: Apache-2.0
"""Tier-0 guard: who could become any account of a forest through a CA that stands in NTAuth, in words.

A domain controller believes a certificate of such a CA: whoever decides about its names decides who anybody is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from privyseal.model.access import PERMISSIONS, Grant, Permission
from privyseal.model.profile import CertificateProfile, NamesFrom
from privyseal.model.token import Token
from privyseal.x509 import oids

_LOG_ON: Final[Mapping[str, str]] = {
    oids.EKU_CLIENT_AUTH: "client-auth",
    oids.EKU_SMARTCARD_LOGON: "smartcard-logon",
    oids.EKU_PKINIT_CLIENT: "pkinit-client",
    oids.EKU_KDC: "kdc",
    oids.EKU_CERTIFICATE_REQUEST_AGENT: "certificate-request-agent",
}
_POWERS: Final = (
    (Permission.ACCESS_WRITE, "can give every role, also to themselves"),
    (Permission.CA_WRITE, "can make a CA below it, or renew it"),
    (Permission.PROFILE_WRITE, "can write a profile that certifies any name"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What decides about the names in a CA's certificates."""

    profiles: tuple[CertificateProfile, ...]
    """Those under the CA."""
    holders: tuple[tuple[str, Grant], ...]
    labels: frozenset[str]
    """Of the CA."""
    tokens: tuple[Token, ...]
    """Those in force."""
    readers: tuple[str, ...]
    """Users of the operating system who can read the keys."""


def log_on_purposes(profile: CertificateProfile) -> tuple[str, ...]:
    """Purposes of a profile with which somebody can log on to a domain, or speak for a domain controller."""
    return tuple(_LOG_ON[purpose] for purpose in profile.ext_key_usage if purpose in _LOG_ON)


def lets_people_choose_the_name(profile: CertificateProfile) -> bool:
    """Its certificates are good for log-on, and their names are what is stored here, not what the directory says."""
    return profile.names_from is NamesFrom.ENTITY and bool(log_on_purposes(profile))


def who_could_become_anybody(ca: str, around: Surroundings) -> tuple[str, ...]:
    """Sentences, the widest power first."""
    said = [f"{name} can read the keys of {ca}, as a user of this machine's system" for name in around.readers]
    for permission, power in _POWERS:
        said += _people(around, permission, f"{power} under {ca}")
    loose = [profile for profile in around.profiles if lets_people_choose_the_name(profile)]
    for profile in loose:
        purposes = ", ".join(log_on_purposes(profile))
        said.append(
            f"profile {profile.name} certifies for {purposes} what is stored about a {profile.entity_kind.value}: "
            "names_from = directory would take the name from the account instead"
        )
    if loose:
        names = ", ".join(profile.name for profile in loose)
        said += _people(around, Permission.ENTITY_WRITE, f"can change stored names and have {names} certify them")
    return tuple(dict.fromkeys(said))


def _people(around: Surroundings, permission: Permission, power: str) -> Iterable[str]:
    for person, grant in around.holders:
        if permission in PERMISSIONS[grant.role] and grant.reaches(around.labels):
            tokens = sorted(
                token.name
                for token in around.tokens
                if token.owner == person and any(permission in PERMISSIONS[given.role] for given in token.grants)
            )
            by = f", also by token {', '.join(tokens)}" if tokens else ""
            yield f"{person} ({grant.role.value}) {power}{by}"
