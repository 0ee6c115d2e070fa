# SPDX-License-Identifier: Apache-2.0
"""Changes and certificates as sentences with exact DNs, and the advice that goes with a publication. Texts only."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from privyseal.directory.changes import AddEntry, AddValue, Change, DeleteEntry, RemoveValue, ReplaceValue
from privyseal.directory.containers import CA_CERTIFICATE, USER_CERTIFICATE, Target, present
from privyseal.directory.desired import ENROLLMENT_WARNING
from privyseal.errors import InvalidName, MalformedDer
from privyseal.x509.certificate import read_certificate
from privyseal.x509.names import DistinguishedName

WHO_NEEDS_NTAUTH: Final = (
    "NTAuthCertificates is Tier 0: whoever holds the key of a CA in it can log on as anybody in the forest. It is "
    "needed where domain controllers or NPS map certificates to accounts: smart card and PKINIT logon, 802.1X and VPN "
    "by NPS, client certificates in Schannel. FreeRADIUS, ISE, ClearPass and other RADIUS servers, and TLS in general, "
    "do not look at it: for those alone, leave it out. Only the CA that signs the certificates belongs in it, not "
    "its root."
)
MEMBERS_MUST: Final = (
    "Domain members and controllers copy this at their next policy refresh, which can take 8 hours after replication. "
    "At once: gpupdate /force on each of them, controllers and NPS servers first."
)
_LONGEST_NAME: Final = 120
_STORES: Final[dict[Target, tuple[str, ...]]] = {
    Target.ROOT_CA: ("Root", "CA"),
    Target.SUB_CA: ("CA",),
    Target.NTAUTH_CA: ("NTAuth",),
    Target.ENROLLMENT_SERVICES: (),
}
_POLICY_CAVEAT: Final = (
    "Where the policy `Certificate Services Client - Auto-Enrollment` is set to disabled, members do not refresh this "
    "copy; there: certutil -enterprise -addstore {store} FILE"
)


def certificate_label(certificate: bytes) -> str:
    """Who a certificate is for and the start of its SHA-256; for what cannot be read its size instead."""
    mark = sha256(certificate).hexdigest()[:16]
    try:
        subject = DistinguishedName.from_der(read_certificate(certificate).subject)
    except (MalformedDer, InvalidName):
        return f"{len(certificate):,} octets that are no certificate (SHA-256 {mark}...)"
    named = _readable(subject.common_name or subject.to_text())
    return f"{named or 'a certificate without a name'} (SHA-256 {mark}...)"


def _readable(name: str) -> str:
    # Whoever made the certificate chose it: it must not write over the plan that somebody is about to approve.
    shown = "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in name[:_LONGEST_NAME])
    return shown if len(name) <= _LONGEST_NAME else f"{shown}..."


def value_label(attribute: str, value: bytes) -> str:
    if attribute.lower() in (CA_CERTIFICATE.lower(), USER_CERTIFICATE.lower()):
        return certificate_label(value)
    return f"a CRL of {len(value):,} octets (SHA-256 {sha256(value).hexdigest()[:16]}...)"


def describe(change: Change) -> str:
    """One change in one sentence, with the exact DN."""
    match change:
        case AddEntry(dn, attributes):
            return f"create {dn}{_holding(attributes)}"
        case DeleteEntry(dn, attributes):
            return f"delete {dn}{_holding(attributes)}"
        case AddValue(dn, attribute, value, displaces):
            instead = " in place of the placeholder" if displaces is not None else ""
            return f"add {value_label(attribute, value)} to {attribute} of {dn}{instead}"
        case RemoveValue(dn, attribute, value, leaves):
            empty = ", which keeps a placeholder" if leaves is not None else ""
            return f"remove {value_label(attribute, value)} from {attribute} of {dn}{empty}"
        case ReplaceValue(dn, attribute, value, previous):
            before = "" if previous is None else f" in place of {value_label(attribute, previous)}"
            return f"set {attribute} of {dn} to {value_label(attribute, value)}{before}"


def _holding(attributes: Iterable[tuple[str, tuple[bytes, ...]]]) -> str:
    held = [certificate_label(value) for name, values in attributes for value in _certificates(name, values)]
    return f", which holds {', '.join(held)}" if held else ""


def _certificates(name: str, values: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return present(values) if name.lower() == CA_CERTIFICATE.lower() else ()


def before_writing(targets: Iterable[Target]) -> tuple[str, ...]:
    """What an administrator should know before these targets are written."""
    wanted = set(targets)
    texts = [WHO_NEEDS_NTAUTH] if Target.NTAUTH_CA in wanted else []
    return (*texts, *([ENROLLMENT_WARNING] if Target.ENROLLMENT_SERVICES in wanted else []))


def after_writing(targets: Iterable[Target]) -> tuple[str, ...]:
    """What members of the domain must do to see it, and how to look on one of them."""
    stores = list(dict.fromkeys(store for target in targets for store in _STORES[target]))
    if not stores:
        return (MEMBERS_MUST,)
    looks = tuple(f"certutil -enterprise -viewstore {store}" for store in stores)
    return (MEMBERS_MUST, f"See it on a member: {'; '.join(looks)}", _POLICY_CAVEAT.format(store=stores[-1]))
