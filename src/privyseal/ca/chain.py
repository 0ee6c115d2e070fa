# SPDX-License-Identifier: Apache-2.0
"""Chains of CA certificates: put in order from whatever order they came in, and each link looked at. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from privyseal.errors import InputError, MalformedDer, PolicyError
from privyseal.x509 import oids
from privyseal.x509.certificate import CertificateView
from privyseal.x509.extensions import KeyUsage, ext_key_usage_label
from privyseal.x509.keys import LARGEST_RSA_BITS, KeyRules, check_public_key, load_public_key
from privyseal.x509.names import DistinguishedName

MOST_LINKS: Final = 10
_WEAK_HASHES: Final = frozenset({"md2", "md4", "md5", "sha1"})
_KEYS: Final = KeyRules(rsa_maximum=LARGEST_RSA_BITS)
# RFC 5280 section 4.2; whoever meets another critical one has to refuse the path (section 4.2, third paragraph).
_UNDERSTOOD: Final = frozenset(
    {
        oids.BASIC_CONSTRAINTS, oids.KEY_USAGE, oids.EXT_KEY_USAGE, oids.NAME_CONSTRAINTS, oids.CERTIFICATE_POLICIES,
        oids.POLICY_MAPPINGS, oids.POLICY_CONSTRAINTS, oids.INHIBIT_ANY_POLICY, oids.SUBJECT_ALT_NAME,
        oids.CRL_DISTRIBUTION_POINTS,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a chain: a stable short name and a sentence."""

    rule: str
    text: str


def ordered(first: CertificateView, others: Sequence[CertificateView]) -> tuple[CertificateView, ...]:
    """The path upwards from ``first``, as far as ``others`` lead; by name and, where there is one, key identifier."""
    path = [first]
    while path[-1].issuer != path[-1].subject and len(path) < MOST_LINKS:
        above = [view for view in others if view.subject == path[-1].issuer and view not in path]
        wanted = path[-1].authority_key_identifier
        by_key = [view for view in above if wanted is not None and view.subject_key_identifier == wanted]
        # Without key identifiers (or with a CA that has several) the signature decides.
        chosen = next((view for view in by_key or above if signed_by(path[-1], view)), None)
        if chosen is None:
            break
        path.append(chosen)
    return tuple(path)


def signed_by(subject: CertificateView, issuer: CertificateView) -> bool:
    """Whether the signature of one certificate verifies with the key of the other, by a reader that is not ours."""
    try:
        below, above = (x509.load_der_x509_certificate(view.encoded) for view in (subject, issuer))
        below.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def chain_faults(path: Sequence[CertificateView], now: datetime) -> tuple[Fault, ...]:
    """Everything that is wrong with a path, the CA in question first: to a root, dates, hashes, rights of each CA."""
    return tuple(_faults(path, now))


def _faults(path: Sequence[CertificateView], now: datetime) -> Iterator[Fault]:
    top = path[-1]
    if top.issuer != top.subject:
        yield Fault("chain", f"it ends at {shown(top)}, which is signed by {_name(top.issuer)}; that one is missing")
    elif not signed_by(top, top):
        yield Fault("signature", f"the root {shown(top)} is not signed by its own key")
    for below, above in pairwise(path):
        if not signed_by(below, above):
            yield Fault("signature", f"{shown(below)} is not signed by the key of {shown(above)}")
    for depth, view in enumerate(path):
        yield from _content_faults(view)
        if not view.not_before <= now <= view.not_after:
            yield Fault("dates", f"{shown(view)} is valid from {view.not_before:%Y-%m-%d} to {view.not_after:%Y-%m-%d}")
        usages = view.key_usage
        if not view.is_ca:
            yield Fault("ca", f"{shown(view)} is not a CA certificate (basicConstraints CA:TRUE)")
        if usages is not None and KeyUsage.KEY_CERT_SIGN not in usages:
            yield Fault("key-usage", f"{shown(view)} may not sign certificates (keyCertSign)")
        if view is not top and (hash_name := hash_of(view)) in _WEAK_HASHES:
            yield Fault("hash", f"{shown(view)} is signed with {hash_name.upper()}")
        count = sum(item.issuer != item.subject for item in path[:depth])
        if view.path_length is not None and count > view.path_length:
            yield Fault("path-length", f"{shown(view)} allows {view.path_length} CA(s) below it, there are {count}")
    yield from _purpose_faults(path)


def _content_faults(view: CertificateView) -> Iterator[Fault]:
    """What we or relying parties could not work with: a key, an identifier or a critical extension."""
    try:
        check_public_key(load_public_key(view.spki), _KEYS)
    except PolicyError as fault:
        yield Fault("strength", f"{shown(view)}: {fault.what}")
    try:
        _ = view.subject_key_identifier, view.authority_key_identifier
    except MalformedDer as fault:
        yield Fault("extensions", f"{shown(view)}: {fault.what}")
    unknown = sorted(name for name, (critical, _) in view.extensions.items() if critical and name not in _UNDERSTOOD)
    if unknown:
        yield Fault("extensions", f"{shown(view)} has critical extensions that nobody knows: {', '.join(unknown)}")


def _purpose_faults(path: Sequence[CertificateView]) -> Iterator[Fault]:
    for below, above in pairwise(path):
        allowed, wanted = above.ext_key_usage, below.ext_key_usage
        if allowed is None or oids.ANY_EXTENDED_KEY_USAGE in allowed:
            continue
        beyond = sorted((wanted or frozenset()) - allowed)
        if wanted is None or beyond:
            named = ", ".join(map(ext_key_usage_label, beyond)) or "every purpose"
            yield Fault("eku", f"{shown(below)} allows {named}, {shown(above)} above it does not")


def hash_of(view: CertificateView) -> str:
    """The hash of the signature, in lower case; empty where the scheme has none of its own."""
    try:
        found = x509.load_der_x509_certificate(view.encoded).signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        return "unknown"
    return "" if found is None else found.name.replace("-", "")


def shown(view: CertificateView) -> str:
    """How sentences name a certificate."""
    return _name(view.subject)


def _name(encoded: bytes) -> str:
    try:
        return DistinguishedName.from_der(encoded).to_text()
    except InputError:
        return f"an unreadable name ({encoded[:12].hex()}...)"
