# SPDX-License-Identifier: Apache-2.0
"""Profiles as plain data: what the store keeps, what files hold, what ``-o json`` prints. One form for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final, TypeVar

from privyseal.errors import ProfileInvalid
from privyseal.model.durations import format_duration, parse_duration
from privyseal.model.entity import EntityKind
from privyseal.model.profile import (
    Approval,
    AtCaEnd,
    CertificateProfile,
    ChainShape,
    NamesFrom,
    RequestedName,
    SanRule,
    ScepRules,
)
from privyseal.x509.extensions import KeyUsage, ext_key_usage_label, parse_ext_key_usage
from privyseal.x509.general_names import NameKind
from privyseal.x509.keys import KeyRules
from privyseal.x509.names import NameTemplate, ValueTemplate

_FIELDS: Final = frozenset(
    "name revision issuer for subject san key key_usage ext_key_usage validity at_ca_end renew_at_percent "
    "sid_extension sid_uri approval requested_name names_from publish_to_directory scep".split()
)
_KEY_FIELDS: Final = frozenset({"rsa_minimum", "rsa_maximum", "curves", "ed25519"})
_SCEP_FIELDS: Final = frozenset({"enabled", "chain", "legacy_devices", "renewal_needs_challenge"})
_SAN_KINDS: Final = (NameKind.DNS, NameKind.EMAIL, NameKind.URI, NameKind.IP, NameKind.UPN, NameKind.KPN)
_Choice = TypeVar("_Choice", bound=Enum)


def profile_to_data(profile: CertificateProfile) -> dict[str, Any]:
    """A profile as JSON-ready data, lossless."""
    return {
        "name": profile.name,
        "revision": profile.revision,
        "issuer": profile.issuer,
        "for": profile.entity_kind.value,
        "subject": profile.subject.text,
        "san": [f"{rule.kind.value}:{rule.template.text}" for rule in profile.san],
        "key": {
            "rsa_minimum": profile.key_rules.rsa_minimum,
            "rsa_maximum": profile.key_rules.rsa_maximum,
            "curves": sorted(profile.key_rules.curves),
            "ed25519": profile.key_rules.ed25519,
        },
        "key_usage": [usage.label for usage in sorted(profile.key_usage)],
        "ext_key_usage": [ext_key_usage_label(dotted) for dotted in profile.ext_key_usage],
        "validity": format_duration(profile.validity),
        "at_ca_end": profile.at_ca_end.value,
        "renew_at_percent": profile.renew_at_percent,
        "sid_extension": profile.sid_extension,
        "sid_uri": profile.sid_uri,
        "approval": profile.approval.value,
        "requested_name": profile.requested_name.value,
        "names_from": profile.names_from.value,
        "publish_to_directory": profile.publish_to_directory,
        "scep": {
            "enabled": profile.scep.enabled,
            "chain": profile.scep.chain.value,
            "legacy_devices": profile.scep.legacy_devices,
            "renewal_needs_challenge": profile.scep.renewal_needs_challenge,
        },
    }


def profile_from_data(data: Mapping[str, Any]) -> CertificateProfile:
    """A profile from data as ``profile_to_data`` writes it; absent fields take their defaults.

    Raises ProfileInvalid and the errors of the values inside (InvalidName, InvalidValue, ...).
    """
    _refuse_unknown(data, _FIELDS, "profile")
    for needed in ("name", "issuer", "subject"):
        if not isinstance(data.get(needed), str) or not data[needed]:
            raise ProfileInvalid(f"the profile has no {needed!r}")
    scep, key = _table(data, "scep", _SCEP_FIELDS), _table(data, "key", _KEY_FIELDS)
    usages = _texts(data, "key_usage", ("digital-signature", "key-encipherment"))
    rules = KeyRules()
    return CertificateProfile(
        name=data["name"],
        revision=_whole(data, "revision", 1),
        issuer=data["issuer"],
        entity_kind=_choice(EntityKind, data.get("for", "device"), "for"),
        subject=NameTemplate.parse(data["subject"]),
        san=tuple(parse_san_rule(text) for text in _texts(data, "san", ())),
        key_rules=KeyRules(
            rsa_minimum=_whole(key, "rsa_minimum", rules.rsa_minimum),
            rsa_maximum=_whole(key, "rsa_maximum", rules.rsa_maximum),
            curves=frozenset(_texts(key, "curves", sorted(rules.curves))),
            ed25519=_flag(key, "ed25519", rules.ed25519),
        ),
        key_usage=frozenset(KeyUsage.parse(text) for text in usages),
        ext_key_usage=tuple(parse_ext_key_usage(text) for text in _texts(data, "ext_key_usage", ("client-auth",))),
        validity=parse_duration(str(data.get("validity", "365d"))),
        at_ca_end=_choice(AtCaEnd, data.get("at_ca_end", "refuse"), "at_ca_end"),
        renew_at_percent=_whole(data, "renew_at_percent", 66),
        sid_extension=_flag(data, "sid_extension", False),
        sid_uri=_flag(data, "sid_uri", False),
        approval=_choice(Approval, data.get("approval", "automatic"), "approval"),
        requested_name=_choice(RequestedName, data.get("requested_name", "ignore"), "requested_name"),
        names_from=_choice(NamesFrom, data.get("names_from", "entity"), "names_from"),
        publish_to_directory=_flag(data, "publish_to_directory", False),
        scep=ScepRules(
            enabled=_flag(scep, "enabled", True),
            chain=_choice(ChainShape, scep.get("chain", "ra-and-full-chain"), "scep.chain"),
            legacy_devices=_flag(scep, "legacy_devices", False),
            renewal_needs_challenge=_flag(scep, "renewal_needs_challenge", False),
        ),
    )


def parse_san_rule(text: str) -> SanRule:
    """``dns:{{device.dns_name}}`` as a rule. Raises ProfileInvalid, InvalidName."""
    kind, colon, template = text.partition(":")
    for member in _SAN_KINDS:
        if colon and member.value == kind.strip():
            return SanRule(member, ValueTemplate.parse(template.strip()))
    kinds = ", ".join(member.value for member in _SAN_KINDS)
    raise ProfileInvalid(f"SAN {text!r} is not KIND:VALUE with KIND one of {kinds}")


def _refuse_unknown(data: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    unknown = sorted(set(data) - known)
    if unknown:
        raise ProfileInvalid(f"{where} has no field {unknown[0]!r}; there are {', '.join(sorted(known))}")


def _table(data: Mapping[str, Any], name: str, known: frozenset[str]) -> Mapping[str, Any]:
    table = data.get(name, {})
    if not isinstance(table, Mapping):
        raise ProfileInvalid(f"field {name!r} is not a table")
    _refuse_unknown(table, known, name)
    return table


def _texts(data: Mapping[str, Any], name: str, default: Sequence[str]) -> Sequence[str]:
    found = data.get(name, default)
    if isinstance(found, str) or not isinstance(found, Sequence) or not all(isinstance(item, str) for item in found):
        raise ProfileInvalid(f"field {name!r} is not a list of texts")
    return found


def _whole(data: Mapping[str, Any], name: str, default: int) -> int:
    found = data.get(name, default)
    if isinstance(found, bool) or not isinstance(found, int):
        raise ProfileInvalid(f"field {name!r} is not a whole number")
    return found


def _flag(data: Mapping[str, Any], name: str, default: bool) -> bool:
    found = data.get(name, default)
    if not isinstance(found, bool):
        raise ProfileInvalid(f"field {name!r} is neither true nor false")
    return found


def _choice(kind: type[_Choice], text: object, name: str) -> _Choice:
    for member in kind:
        if member.value == text:
            return member
    raise ProfileInvalid(f"field {name!r} is {text!r}, not one of {', '.join(str(member.value) for member in kind)}")
