# SPDX-License-Identifier: Apache-2.0
"""Acts that reach Active Directory's trust: publishing to NTAuth, and profiles under a CA that stands there."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Protocol

from privyseal.administration.act import SecondPerson
from privyseal.administration.parameters import Parameters
from privyseal.administration.tier0 import lets_people_choose_the_name
from privyseal.directory.containers import Target
from privyseal.directory.describe import WHO_NEEDS_NTAUTH, describe
from privyseal.errors import ApprovalStale, InvalidValue, NotFound, PlanStale
from privyseal.model.access import Permission
from privyseal.model.preview import Preview
from privyseal.model.profile import CertificateProfile, NamesFrom
from privyseal.model.profile_text import profile_from_data
from privyseal.repository.service import Planned, Wanted
from privyseal.x509.extensions import ext_key_usage_label

_MOST_ITEMS = 64


class Publisher(Protocol):
    """One directory, reached each time anew."""

    async def plan(self, directory: str, wanted: Sequence[Wanted]) -> Planned:
        """What would be changed. Raises the 7000s."""

    async def apply(self, directory: str, wanted: Sequence[Wanted], *, agreed: str, actor: str) -> Mapping[str, Any]:
        """Change it, if the plan is still the one with this fingerprint. Raises PlanStale and the 7000s."""


class PublishToDirectory:
    """``directory.publish``: directory, plan (fingerprint), items of target, certificate (base64), allow_expired.

    ``guard`` is pinned by the preview: who could become anybody is what the approver was told.
    """

    name = "directory.publish"
    permission = Permission.DIRECTORY_WRITE
    second_person = SecondPerson.TIER0

    def __init__(self, publisher: Publisher, guard: Callable[[bytes], Sequence[str]]) -> None:
        self._publisher = publisher
        self._guard = guard

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``. The fingerprint of the plan is in the summary: what is approved is what happens."""
        asked = Parameters(parameters, {"directory", "plan", "items", "guard"})
        directory, wanted, agreed = asked.text("directory"), _wanted(parameters), asked.text("plan", "")
        planned = await self._publisher.plan(directory, wanted)
        if agreed and planned.plan.fingerprint != agreed:
            raise PlanStale(f"the plan is now {planned.plan.fingerprint[:16]}, not {agreed[:16]}")
        targets = dict.fromkeys(item.target for item in wanted)
        effects = [describe(change) for change in planned.plan.changes]
        tier0 = Target.NTAUTH_CA in targets
        if tier0:
            effects += [WHO_NEEDS_NTAUTH, *self._said(asked, wanted)]
        listed = ", ".join(target.value for target in targets)
        return Preview(
            summary=f"publish {len(wanted)} CA certificate(s) to directory {directory} as {listed}, plan "
            f"{planned.plan.fingerprint[:16]}",
            effects=tuple(effects),
            counts={"changes": len(planned.plan.changes)},
            pinned={"guard": _digest(self._said(asked, wanted))},
            tier0=tier0,
        )

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``."""
        asked, wanted = Parameters(parameters), _wanted(parameters)
        agreed = asked.text("plan", "")
        self._said(asked, wanted)
        return await self._publisher.apply(asked.text("directory"), wanted, agreed=agreed, actor=actor)

    def _said(self, asked: Parameters, wanted: Sequence[Wanted]) -> tuple[str, ...]:
        """The guard's words. Raises ApprovalStale when they are not those that were pinned."""
        certificates = [item.certificate for item in wanted if item.target is Target.NTAUTH_CA]
        said = tuple(text for certificate in certificates for text in self._guard(certificate))
        if asked.text("guard", _digest(said)) != _digest(said):
            raise ApprovalStale("others than those who were named could become anybody now")
        return said


def _digest(said: Sequence[str]) -> str:
    return sha256("\n".join(said).encode()).hexdigest()[:32]


def publication_parameters(directory: str, wanted: Sequence[Wanted], *, fingerprint: str) -> dict[str, Any]:
    """The act's parameters. Raises InvalidValue for EnrollmentServices, which is published apart."""
    if any(item.service is not None for item in wanted):
        raise InvalidValue("EnrollmentServices is published apart from NTAuthCA, in a command of its own")
    items = [
        {
            "target": item.target.value,
            "certificate": base64.b64encode(item.certificate).decode("ascii"),
            "allow_expired": item.allow_expired,
        }
        for item in wanted
    ]
    return {"directory": directory, "plan": fingerprint, "items": items}


def _wanted(parameters: Mapping[str, Any]) -> tuple[Wanted, ...]:
    items = parameters.get("items")
    if not isinstance(items, list) or not 1 <= len(items) <= _MOST_ITEMS:
        raise InvalidValue(f"items is not a list of 1 to {_MOST_ITEMS}")
    return tuple(map(_item, items))


def _item(given: Any) -> Wanted:
    if not isinstance(given, Mapping):
        raise InvalidValue("an item is not a table")
    asked = Parameters(given, {"target", "certificate", "allow_expired"})
    try:
        certificate = base64.b64decode(asked.text("certificate"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidValue("certificate is not base64") from error
    target = Target.parse(asked.text("target"))
    if target is Target.ENROLLMENT_SERVICES:
        raise InvalidValue("EnrollmentServices is published on the machine of the installation only")
    return Wanted(target=target, certificate=certificate, allow_expired=asked.flag("allow_expired"))


class ProfileStore(Protocol):
    """Stored profiles."""

    def get(self, name: str) -> CertificateProfile:
        """The newest revision. Raises NotFound."""

    async def save(self, profile: CertificateProfile, *, replace_existing: bool, actor: str) -> CertificateProfile:
        """Raises NameTaken, NotFound."""


class SaveProfile:
    """``profile.save``: profile (as `profile get -o json`), replace, revision (the one that was seen; 0: none)."""

    name = "profile.save"
    permission = Permission.PROFILE_WRITE
    second_person = SecondPerson.TIER0

    def __init__(
        self,
        profiles: ProfileStore,
        *,
        check: Callable[[CertificateProfile], None],
        in_ntauth: Callable[[], frozenset[str]],
        labels: Callable[[str], frozenset[str]],
    ) -> None:
        self._profiles = profiles
        self._check = check
        self._in_ntauth = in_ntauth
        self._labels = labels

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        profile, replaces = _profile(parameters)
        self._check(profile)
        revision = self._revision(parameters, profile.name)
        trusted = profile.issuer in self._in_ntauth()
        loose = lets_people_choose_the_name(profile)
        purposes = ", ".join(map(ext_key_usage_label, profile.ext_key_usage))
        effects = [
            f"it issues under CA {profile.issuer}",
            f"for {purposes}",
            f"subject {profile.subject.text}, alternative names "
            f"{', '.join(f'{rule.kind.value}:{rule.template.text}' for rule in profile.san) or 'none'}, "
            f"from {'the directory' if profile.names_from is NamesFrom.DIRECTORY else 'what is stored here'}",
        ]
        if trusted and loose:
            effects.append(
                f"CA {profile.issuer} stands in NTAuth: whoever may change a {profile.entity_kind.value} can then "
                "become any account of the forest; names_from = directory would prevent that"
            )
        verb = "store the next revision of" if replaces else "make"
        return Preview(
            summary=f"{verb} profile {profile.name} under CA {profile.issuer}",
            effects=tuple(effects),
            pinned={"revision": revision},
            tier0=trusted and loose,
            labels=self._labels(profile.issuer),
        )

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``."""
        profile, replaces = _profile(parameters)
        self._check(profile)
        self._revision(parameters, profile.name)
        stored = await self._profiles.save(profile, replace_existing=replaces, actor=actor)
        return {"name": stored.name, "revision": stored.revision}

    def _revision(self, parameters: Mapping[str, Any], name: str) -> int:
        """The one that is stored, 0 for none. Raises ApprovalStale when it is not the one that was pinned."""
        try:
            stored = self._profiles.get(name).revision
        except NotFound:
            stored = 0
        seen = Parameters(parameters).number("revision", stored)
        if seen != stored:
            raise ApprovalStale(f"profile {name} has revision {stored} now, not {seen}")
        return stored


def _profile(parameters: Mapping[str, Any]) -> tuple[CertificateProfile, bool]:
    asked = Parameters(parameters, {"profile", "replace", "revision"})
    return profile_from_data(asked.data("profile")), asked.flag("replace")
