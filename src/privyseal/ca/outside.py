# SPDX-License-Identifier: Apache-2.0
"""A CA whose certificate comes from outside: the request out, and every check of what comes back, all at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from privyseal.ca.chain import chain_faults, hash_of, ordered, shown
from privyseal.ca.founding import Workshop, next_version, refuse_taken_subject
from privyseal.ca.hierarchy import service_purposes
from privyseal.ca.issuance import prepare_ca_request, sign
from privyseal.errors import InputError, InstallRefused, ParameterNotFitting
from privyseal.model.authority import CaRequest
from privyseal.model.authority_name import PendingAuthority
from privyseal.x509 import der, extensions, oids
from privyseal.x509.algorithms import signature_algorithm
from privyseal.x509.certificate import CertificateView
from privyseal.x509.csr import CertificationRequest, parse_request
from privyseal.x509.extensions import KeyUsage, ext_key_usage_label
from privyseal.x509.keys import describe_key, load_public_key
from privyseal.x509.spki import encode_public_key
from privyseal.x509.tbs import assemble

_USAGES: Final = frozenset({KeyUsage.DIGITAL_SIGNATURE, KeyUsage.KEY_CERT_SIGN, KeyUsage.CRL_SIGN})
_NEEDED: Final = frozenset({KeyUsage.KEY_CERT_SIGN, KeyUsage.CRL_SIGN})
_SERVICES: Final = (oids.EKU_OCSP_SIGNING, oids.EKU_CERTIFICATE_REQUEST_AGENT)


class Verdict(Enum):
    """How one check ended. A warning does not keep the certificate out."""

    PASSED = "passed"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the checklist."""

    name: str
    verdict: Verdict
    evidence: str


async def request_ca(request: CaRequest, shop: Workshop) -> PendingAuthority:
    """Make the key of a CA and the request for its certificate. Raises NameTaken, ParameterNotFitting.

    The key is on disk before anybody sees the request; the caller stores the result.
    """
    version = next_version(request, shop.register)
    refuse_taken_subject(request, shop.register)
    if not request.outside:
        raise ParameterNotFitting(f"CA {request.name}: a request is made for a CA that is signed outside")
    key_ref, public_key = await shop.keys.create(request.key_type)
    signer = shop.keys.signer(key_ref, request.hash_name)
    algorithm = signature_algorithm(public_key, request.hash_name)
    spki = encode_public_key(public_key)
    linted = prepare_ca_request(_request_info(request, spki), algorithm=algorithm)
    signature = await sign(linted, signer, issuer_key=public_key)
    encoded = assemble(linted.tbs, algorithm.identifier, signature)
    parse_request(encoded)  # what we cannot read ourselves we give to nobody
    return PendingAuthority(
        id=0,
        name=request.name,
        version=version,
        key_ref=key_ref,
        hash_name=request.hash_name,
        request=encoded,
        path_length=request.path_length or 0,
        ext_key_usage=service_purposes(request.ext_key_usage),
        crl=request.crl,
        created_at=shop.clock.now(),
    )


def _request_info(request: CaRequest, spki: bytes) -> bytes:
    """CertificationRequestInfo (RFC 2986) that asks for a CA; whoever signs it has the last word."""
    wanted = [
        extensions.basic_constraints(True, request.path_length or 0),
        extensions.key_usage(_USAGES),
        extensions.subject_key_identifier(extensions.key_identifier(spki)),
    ]
    if request.ext_key_usage:
        wanted.append(extensions.ext_key_usage(service_purposes(request.ext_key_usage)))
    attribute = der.sequence(der.oid(oids.EXTENSION_REQUEST), der.set_of(der.sequence(*wanted)))
    return der.sequence(der.integer(0), request.subject.to_der(), spki, der.tlv(0xA0, attribute))


def answer_among(pending: PendingAuthority, given: Sequence[CertificateView]) -> tuple[CertificateView, ...]:
    """The certificate for the request and the path above it, from files in any order. Raises InstallRefused."""
    spki = parse_request(pending.request).spki
    mine = [view for view in given if view.spki == spki]
    if not mine:
        listed = ", ".join(sorted({shown(view) for view in given})) or "nothing"
        raise InstallRefused(
            f"none of the certificates holds the key of CA {pending.name} v{pending.version}; given: {listed}",
            why="the certificate was made for another request, or only the chain was given",
        )
    newest = max(mine, key=lambda view: view.not_before)
    return ordered(newest, [view for view in given if view.encoded != newest.encoded])


def checklist(
    pending: PendingAuthority, path: Sequence[CertificateView], *, now: datetime, reached: Mapping[str, str]
) -> tuple[Check, ...]:
    """Every finding at once. ``reached``: what came of fetching each CDP and AIA URL; empty text where it answered."""
    request, mine = parse_request(pending.request), path[0]
    checks = [Check("key", Verdict.PASSED, "it holds the key of the request")]
    checks.append(_name_check(request, mine))
    checks.append(_usage_check(mine))
    checks.append(_length_check(pending, mine))
    checks.append(_purpose_check(pending, mine))
    faults = chain_faults(path, now)
    for rule in (
        "ca",
        "key-usage",
        "path-length",
        "eku",
        "chain",
        "signature",
        "hash",
        "strength",
        "extensions",
        "dates",
    ):
        found = [fault.text for fault in faults if fault.rule == rule]
        if found:
            checks = [check for check in checks if check.name != rule or check.verdict is Verdict.FAILED]
            checks.append(Check(rule, Verdict.FAILED, "; ".join(dict.fromkeys(found))))
        elif rule not in {check.name for check in checks}:
            checks.append(Check(rule, Verdict.PASSED, _fine(rule, path)))
    if len(path) == 1 and mine.issuer == mine.subject:
        checks.append(Check("issuer", Verdict.FAILED, "it is signed by its own key: a root was expected above it"))
    limited = [shown(view) for view in path if view.extension(oids.NAME_CONSTRAINTS) is not None]
    if limited:
        text = f"{', '.join(limited)} limits names (nameConstraints): certificates with others are worthless"
        checks.append(Check("name-constraints", Verdict.WARNING, text))
    for url, fault in reached.items():
        verdict = Verdict.WARNING if fault else Verdict.PASSED
        checks.append(Check("reachable", verdict, f"{url}: {fault or 'answers'}"))
    return tuple(checks)


def check_installable(checks: Sequence[Check], *, shown_as: str) -> None:
    """Raise InstallRefused with every failed check."""
    failed = [f"{check.name}: {check.evidence}" for check in checks if check.verdict is Verdict.FAILED]
    if failed:
        raise InstallRefused(f"{shown_as} has {len(failed)} finding(s): {'; '.join(failed)}")


def published_urls(path: Sequence[CertificateView]) -> tuple[str, ...]:
    """The HTTP URLs that CRLDistributionPoints and AIA of a path name: where relying parties will look.

    Raises MalformedDer.
    """
    found: dict[str, None] = {}
    for view in path:
        for dotted in (oids.CRL_DISTRIBUTION_POINTS, oids.AUTHORITY_INFO_ACCESS):
            value = view.extension(dotted)
            if value is not None:
                found.update(dict.fromkeys(extensions.http_urls(value)))
    return tuple(found)[:16]


def _name_check(request: CertificationRequest, mine: CertificateView) -> Check:
    if mine.subject == request.subject_der:
        return Check("name", Verdict.PASSED, f"it is named {shown(mine)}, as requested")
    if shown(mine) == request.subject.to_text():
        return Check("name", Verdict.PASSED, f"it is named {shown(mine)}, with another string type than requested")
    return Check("name", Verdict.FAILED, f"it is named {shown(mine)}, requested was {request.subject.to_text()}")


def _usage_check(mine: CertificateView) -> Check:
    missing = sorted(KeyUsage(bit).label for bit in _NEEDED - (mine.key_usage or frozenset()))
    if missing:
        return Check("key-usage", Verdict.FAILED, f"it lacks {', '.join(missing)}")
    return Check("key-usage", Verdict.PASSED, "it may sign certificates and CRLs")


def _length_check(pending: PendingAuthority, mine: CertificateView) -> Check:
    try:
        given = mine.path_length
    except InputError as error:
        return Check("path-length", Verdict.FAILED, error.what)
    wanted = pending.path_length
    if given is not None and wanted is not None and given < wanted:
        return Check("path-length", Verdict.WARNING, f"it allows {given} CA(s) below it, requested were {wanted}")
    return Check("path-length", Verdict.PASSED, "no limit" if given is None else f"{given} CA(s) below it")


def _purpose_check(pending: PendingAuthority, mine: CertificateView) -> Check:
    given = mine.ext_key_usage
    if given is None:
        return Check("eku", Verdict.PASSED, "any purpose")
    if oids.ANY_EXTENDED_KEY_USAGE in given:
        return Check("eku", Verdict.FAILED, "it names anyExtendedKeyUsage, which relying parties read in several ways")
    needed = dict.fromkeys((*pending.ext_key_usage, *_SERVICES))
    missing = [ext_key_usage_label(dotted) for dotted in needed if dotted not in given]
    if missing:
        return Check("eku", Verdict.FAILED, f"it does not allow {', '.join(missing)}")
    return Check("eku", Verdict.PASSED, ", ".join(map(ext_key_usage_label, sorted(given))))


def _fine(rule: str, path: Sequence[CertificateView]) -> str:
    match rule:
        case "ca":
            return "every certificate of the path is a CA's"
        case "chain":
            return " > ".join(shown(view) for view in path)
        case "signature":
            return f"{len(path)} signature(s) verify"
        case "strength":
            return ", ".join(dict.fromkeys(describe_key(load_public_key(view.spki)) for view in path))
        case "extensions":
            return "none that a relying party would not know"
        case "hash":
            return ", ".join(dict.fromkeys(hash_of(view) or "none of its own" for view in path))
        case _:
            return f"until {min(view.not_after for view in path):%Y-%m-%d}"
