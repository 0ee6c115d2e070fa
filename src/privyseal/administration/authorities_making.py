# SPDX-License-Identifier: Apache-2.0
"""Acts that make CAs and their next versions. Parameters are JSON-ready: durations, names and numbers as text."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from privyseal.administration.act import SecondPerson
from privyseal.administration.authorities import authority_item
from privyseal.administration.authority_ports import AuthorityOffice
from privyseal.administration.parameters import Parameters
from privyseal.ca.founding import found_ca, next_version, refuse_taken_subject
from privyseal.ca.issuer import Issuer
from privyseal.ca.lifecycle import Purpose
from privyseal.ca.outside import (
    request_ca,
)
from privyseal.ca.renewal import renew_ca, renewal_request
from privyseal.errors import InvalidValue
from privyseal.model.access import Permission
from privyseal.model.authority import CaKind, CaRecord, CaRequest, CaState, CrlRules, DeltaRules
from privyseal.model.authority_name import AuthorityName, PendingAuthority
from privyseal.model.durations import format_duration, parse_duration
from privyseal.model.preview import Preview
from privyseal.x509.algorithms import KeyType
from privyseal.x509.extensions import ext_key_usage_label, parse_ext_key_usage
from privyseal.x509.names import DistinguishedName
from privyseal.x509.rfc4514 import escape_value

ROOT_YEARS, ISSUING_YEARS = 20, 5
_CREATE = {
    "name", "kind", "parent", "external_root", "subject", "key", "hash", "validity", "path_length", "eku",
    "crl_validity", "crl_interval", "delta_crl", "delta_interval", "crl_shards", "description", "labels",
}  # fmt: skip


class CreateCa:
    """``ca.create``: name, kind (root, issuing), parent or external_root, and how it shall be."""

    name = "ca.create"
    permission = Permission.CA_WRITE
    second_person = SecondPerson.FOUR_EYES

    def __init__(self, office: AuthorityOffice) -> None:
        self._office = office

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        asked, office = Parameters(parameters, _CREATE), self._office
        request, labels = self._request(asked), frozenset(asked.texts("labels"))
        AuthorityName(name=request.name, description=asked.text("description", ""), labels=labels)
        next_version(request, office.register)
        refuse_taken_subject(request, office.register)
        if request.outside:
            effects = ["its key is made, and a request that is to be signed outside; it issues nothing before that"]
        else:
            if request.parent is not None:
                office.issuer(office.register.get(request.parent)).require_active(office.clock.now(), Purpose.CA)
            above = "itself" if request.parent is None else f"CA {request.parent}"
            effects = [f"its key is made and it is signed by {above}, for {format_duration(request.validity)}"]
        purposes = ", ".join(map(ext_key_usage_label, request.ext_key_usage)) or "any"
        effects.append(f"it may issue for these purposes: {purposes}")
        return Preview(
            summary=f"make {request.kind.value} CA {request.name}, {request.subject.to_text()}, "
            f"{request.key_type.value}",
            effects=tuple(effects),
            irreversible=("name, key and purposes of a CA version never change",),
            labels=labels,
        )

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``."""
        asked = Parameters(parameters, _CREATE)
        request, office = self._request(asked), self._office
        if request.outside:
            pending = await request_ca(request, office.shop())
            await office.names.add_pending(pending, actor=actor)
            item = pending_item(pending)
        else:
            item = authority_item(await found_ca(request, office.shop(), actor=actor))
        said = AuthorityName(
            name=request.name, description=asked.text("description", ""), labels=frozenset(asked.texts("labels"))
        )
        if said.description or said.labels:
            await office.names.set(said, actor=actor)
        return item

    def _request(self, asked: Parameters) -> CaRequest:
        name, parent = asked.text("name"), asked.text("parent", "")
        kind = asked.text("kind", CaKind.ISSUING.value)
        if kind not in (CaKind.ROOT.value, CaKind.ISSUING.value):
            raise InvalidValue(f"kind {kind[:40]!r} is neither root nor issuing")
        root = kind == CaKind.ROOT.value
        # A CA below an offline root or a parent of others is signed where that key is.
        outside = asked.flag("external_root") or (bool(parent) and not self._office.register.get(parent).has_key)
        years = ROOT_YEARS if root else ISSUING_YEARS
        length = asked.text("path_length", "")
        if length and not (length.isdecimal() and len(length) == 1):
            raise InvalidValue(f"path_length {length[:20]!r} is not a number from 0 to 8")
        return CaRequest(
            name=name,
            kind=CaKind.ROOT if root else CaKind.ISSUING,
            parent=None if outside or not parent else parent,
            subject=self._subject(asked, name),
            key_type=KeyType.parse(asked.text("key", KeyType.RSA_3072.value)),
            hash_name=asked.text("hash", "") or None,
            validity=_duration(asked, "validity") or timedelta(days=365 * years),
            path_length=int(length) if length else None,
            ext_key_usage=tuple(dict.fromkeys(map(parse_ext_key_usage, asked.texts("eku")))),
            crl=_crl_rules(asked),
            outside=outside,
        )

    def _subject(self, asked: Parameters, name: str) -> DistinguishedName:
        given = asked.text("subject", "")
        if given:
            return DistinguishedName.parse(given)
        words = " ".join(
            word.upper() if word.lower() == "ca" else word.capitalize() for word in name.split("-") if word
        )
        return DistinguishedName.parse(f"CN={escape_value(words)},O={escape_value(self._office.organization)}")


def _crl_rules(asked: Parameters) -> CrlRules:
    validity = _duration(asked, "crl_validity") or CrlRules().validity
    shards, delta = asked.text("crl_shards", "0"), _duration(asked, "delta_crl")
    if not shards.isdecimal() or len(shards) > 4:
        raise InvalidValue(f"crl_shards {shards[:20]!r} is not a number")
    deltas = None
    if delta is not None:
        deltas = DeltaRules(validity=delta, publish_every=_duration(asked, "delta_interval") or delta / 2)
    return CrlRules(
        validity=validity,
        publish_every=_duration(asked, "crl_interval") or validity / 2,
        delta=deltas,
        shards=int(shards),
    )


def _duration(asked: Parameters, name: str) -> timedelta | None:
    text = asked.text(name, "")
    return parse_duration(text) if text else None


class RenewCa:
    """``ca.renew``: name, same_key. The next version is staged; nothing changes for devices yet."""

    name = "ca.renew"
    permission = Permission.CA_WRITE
    second_person = SecondPerson.TIER0

    def __init__(self, office: AuthorityOffice) -> None:
        self._office = office

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        asked = Parameters(parameters, {"name", "same_key"})
        current = self._office.register.get(asked.text("name"))
        issuer, parent = self._office.issuer(current), self._parent(current)
        wanted = renewal_request(issuer, parent, self._office.clock.now())
        next_version(wanted, self._office.register)
        number = self._office.register.last_version(current.name) + 1
        key = "with the same key" if asked.flag("same_key") else f"with a new key, {wanted.key_type.value}"
        effects = [f"CA {current.name} v{number} is staged {key}; v{current.version} goes on as before"]
        if current.kind is CaKind.ROOT and not asked.flag("same_key"):
            effects.append("the two roots certify each other; devices need the new root before it becomes active")
        if parent is not None and not parent.record.has_key:
            effects = [f"a key and a request for v{number} are made, to be signed by {parent.record.name} outside"]
        return Preview(
            summary=f"renew CA {current.name}: v{number}",
            effects=tuple(effects),
            tier0=current.name in self._office.in_ntauth(),
            labels=self._office.labels(current.name),
        )

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``."""
        asked = Parameters(parameters, {"name", "same_key"})
        return await renew(self._office, asked.text("name"), same_key=asked.flag("same_key"), actor=actor)

    def _parent(self, current: CaRecord) -> Issuer | None:
        return renewing_parent(self._office, current)


def renewing_parent(office: AuthorityOffice, current: CaRecord) -> Issuer | None:
    """The version in force of the CA that signed this one; None for a root."""
    found = [record for record in office.register.all() if record.id == current.parent_id]
    return office.issuer(office.register.get(found[0].name)) if found else None


async def renew(office: AuthorityOffice, name: str, *, same_key: bool, actor: str) -> dict[str, Any]:
    """Stage the next version, or make the request for it when its parent's key is elsewhere."""
    current = office.register.get(name)
    parent = renewing_parent(office, current)
    if parent is None or parent.record.has_key:
        made = await renew_ca(name, office.shop(), office.names, same_key=same_key, actor=actor)
        return authority_item(made)
    if same_key:
        raise InvalidValue(f"CA {name} is signed outside; its next version has a key of its own")
    wanted = renewal_request(office.issuer(current), None, office.clock.now(), outside=True)
    pending = await request_ca(wanted, office.shop())
    await office.names.add_pending(pending, actor=actor)
    return pending_item(pending)


def pending_item(pending: PendingAuthority) -> dict[str, Any]:
    """What an act answers about a request that waits."""
    return {
        "name": pending.name,
        "version": pending.version,
        "kind": pending.kind.value,
        "state": CaState.SIGNING_REQUIRED.value,
        "request": base64.b64encode(pending.request).decode("ascii"),
    }
