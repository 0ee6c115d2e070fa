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
from privyseal.x509.names import ValueTemplate, Variable

_LOG_ON: Final[Mapping[str, str]] = {
    oids.EKU_CLIENT_AUTH: "client-auth",
    oids.EKU_SMARTCARD_LOGON: "smartcard-logon",
    oids.EKU_PKINIT_CLIENT: "pkinit-client",
    oids.EKU_KDC: "kdc",
    oids.EKU_CERTIFICATE_REQUEST_AGENT: "certificate-request-agent",
    oids.ANY_APPLICATION_POLICY: "any application policy",
}
_OF_ACCOUNTS: Final = frozenset({"sid", "principal_name", "dns_name", "mail", "distinguished_name"})
"""What a directory says of an account. Every other variable is what is stored here."""
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
    """Its certificates are good for log-on, and people here decide about a name in them, not the directory alone.

    Of a profile that asks the directory, an alternative name that is more than one attribute of the account was
    written by people: a text in it, such as a SID or an administrator's principal name, would stand in every one.
    """
    if not log_on_purposes(profile):
        return False
    return profile.names_from is NamesFrom.ENTITY or not all(_is_of_account(rule.template) for rule in profile.san)


def attributes_that_decide(profile: CertificateProfile) -> frozenset[str]:
    """What is stored about a device or user that a certificate for log-on of this profile says who somebody is."""
    if not lets_people_choose_the_name(profile):
        return frozenset()
    said = frozenset[str]().union(*(rule.template.variables for rule in profile.san))
    said |= {variable for variable in profile.subject.variables if variable.partition(".")[2] in _OF_ACCOUNTS}
    deciding = frozenset(variable.partition(".")[2] for variable in said)
    if profile.names_from is NamesFrom.DIRECTORY:
        return deciding - _OF_ACCOUNTS
    return deciding | ({"sid"} if profile.sid_extension or profile.sid_uri else set())


def _is_of_account(template: ValueTemplate) -> bool:
    match template.parts:
        case (Variable(name=name),):
            return name.partition(".")[2] in _OF_ACCOUNTS
        case _:
            return False


def who_could_become_anybody(ca: str, around: Surroundings) -> tuple[str, ...]:
    """Sentences, the widest power first."""
    said = [f"{name} can read the keys of {ca}, as a user of this machine's system" for name in around.readers]
    for permission, power in _POWERS:
        said += _people(around, permission, f"{power} under {ca}")
    loose = [profile for profile in around.profiles if lets_people_choose_the_name(profile)]
    for profile in loose:
        purposes = ", ".join(log_on_purposes(profile))
        if profile.names_from is NamesFrom.DIRECTORY:
            said.append(f"profile {profile.name} certifies for {purposes} alternative names that it says itself")
            continue
        said.append(
            f"profile {profile.name} certifies for {purposes} what is stored about a {profile.entity_kind.value}: "
            "names_from = directory would take the name from the account instead"
        )
    if loose:
        names = ", ".join(profile.name for profile in loose)
        said += _people(around, Permission.ENTITY_WRITE, f"can change stored names and have {names} certify them")
    strict = [profile.name for profile in around.profiles if log_on_purposes(profile) and profile not in loose]
    for permission in (Permission.CERTIFICATE_ISSUE, Permission.ENROLLMENT_DECIDE):
        if strict:
            power = f"can have {', '.join(strict)} certify any account that is bound here, for a key of their own"
            said += _people(around, permission, power)
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
