# SPDX-License-Identifier: Apache-2.0
"""Certificates that a PKI makes for itself: roots, issuing CAs, RA and OCSP responders. Rules, then lints.

Path length, purposes and validity nest inside the parent's, or nothing is made.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from privyseal.ca.issuance import LintedTbs, new_serial, prepare_certificate
from privyseal.ca.issuer import Issuer
from privyseal.ca.lifecycle import Purpose
from privyseal.ca.ports import Rng
from privyseal.errors import EkuNotNested, PathLengthExceeded, ValidityNotNested
from privyseal.model.authority import CaRequest
from privyseal.model.profile import BACKDATE
from privyseal.x509 import extensions, oids
from privyseal.x509.algorithms import SignatureAlgorithm
from privyseal.x509.extensions import KeyUsage
from privyseal.x509.lint import CertificateRules
from privyseal.x509.names import DistinguishedName
from privyseal.x509.tbs import CertificateContent

_CA_USAGE: Final = frozenset({KeyUsage.DIGITAL_SIGNATURE, KeyUsage.KEY_CERT_SIGN, KeyUsage.CRL_SIGN})
RA_VALIDITY: Final = timedelta(days=365)
OCSP_VALIDITY: Final = timedelta(days=30)
_SERVICE_PURPOSES: Final = (oids.EKU_OCSP_SIGNING, oids.EKU_CERTIFICATE_REQUEST_AGENT)


def service_purposes(wanted: tuple[str, ...]) -> tuple[str, ...]:
    """The purposes of a CA that limits them, with those its own OCSP responder and RA need."""
    if not wanted:
        return ()
    return wanted + tuple(dotted for dotted in _SERVICE_PURPOSES if dotted not in wanted)


def prepare_root(
    request: CaRequest, *, spki: bytes, algorithm: SignatureAlgorithm, now: datetime, rng: Rng
) -> LintedTbs:
    """A self-signed root. It points to no CRL of itself: a root is trusted or removed by hand."""
    start = now.replace(microsecond=0)
    identifier = extensions.key_identifier(spki)
    name = request.subject.to_der()
    purposes = service_purposes(request.ext_key_usage)
    parts = [
        extensions.basic_constraints(True, request.path_length),
        extensions.key_usage(_CA_USAGE),
        extensions.subject_key_identifier(identifier),
        extensions.authority_key_identifier(identifier),
    ]
    if purposes:
        parts.append(extensions.ext_key_usage(purposes))
    content = CertificateContent(
        serial=new_serial(now, rng),
        algorithm=algorithm.identifier,
        issuer=name,
        not_before=start - BACKDATE,
        not_after=start + request.validity,
        subject=name,
        spki=spki,
        extensions=tuple(parts),
    )
    rules = CertificateRules(
        algorithm=algorithm.identifier,
        spki=spki,
        subject=name,
        ca=True,
        issuer_name=name,
        issuer_key_identifier=identifier,
        issuer_not_after=content.not_after,
        issuer_ext_key_usage=None,
        issuer_path_length=None,
        self_signed=True,
        exact={},
        revocable=False,
    )
    return prepare_certificate(content, rules, algorithm=algorithm, issuer_id=0)


def prepare_issuing_ca(request: CaRequest, parent: Issuer, *, spki: bytes, now: datetime, rng: Rng) -> LintedTbs:
    """A CA below ``parent``. Raises PathLengthExceeded, EkuNotNested, ValidityNotNested, LintFailed."""
    parent.require_active(now, Purpose.CA)
    start = now.replace(microsecond=0)
    name, limit = request.subject.to_der(), parent.view.path_length
    if limit == 0:
        raise PathLengthExceeded(f"CA {parent.record.name} has path length 0: it may sign end entities only")
    if request.path_length is not None and limit is not None and request.path_length >= limit:
        raise PathLengthExceeded(
            f"path length {request.path_length} does not fit below CA {parent.record.name} with path length {limit}"
        )
    path_length = request.path_length if request.path_length is not None else 0
    not_after = start + request.validity
    if not_after > parent.view.not_after:
        raise ValidityNotNested(
            f"CA {request.name} until {not_after:%Y-%m-%d} would outlive its parent {parent.record.name}, "
            f"which ends {parent.view.not_after:%Y-%m-%d}",
            mend=("ask for a shorter --validity", "renew the parent first"),
        )
    serial = new_serial(now, rng)
    parts = [
        extensions.basic_constraints(True, path_length),
        extensions.key_usage(_CA_USAGE),
        extensions.subject_key_identifier(extensions.key_identifier(spki)),
        *parent.pointers(serial),
    ]
    purposes = _nested_purposes(request, parent)
    if purposes:
        parts.append(extensions.ext_key_usage(purposes))
    content = CertificateContent(
        serial=serial,
        algorithm=parent.algorithm.identifier,
        issuer=parent.view.subject,
        not_before=max(start - BACKDATE, parent.view.not_before),
        not_after=not_after,
        subject=name,
        spki=spki,
        extensions=tuple(parts),
    )
    rules = parent.rules(spki=spki, subject=name, ca=True, exact={})
    return prepare_certificate(content, rules, algorithm=parent.algorithm, issuer_id=parent.id)


def prepare_cross(subject: Issuer, issuer: Issuer, *, now: datetime, rng: Rng) -> LintedTbs:
    """The key of one version of a root, certified by another version of the same name (self-issued, RFC 5280 3.2)."""
    issuer.require_active(now, Purpose.CROSS)
    serial, purposes = new_serial(now, rng), subject.view.ext_key_usage or issuer.view.ext_key_usage
    parts = [
        # Self-issued certificates do not count in a path (RFC 5280 section 6.1.4 l), so the length is the root's own.
        extensions.basic_constraints(True, subject.view.path_length),
        extensions.key_usage(_CA_USAGE),
        extensions.subject_key_identifier(subject.key_identifier),
        *issuer.pointers(serial),
    ]
    if purposes:
        parts.append(extensions.ext_key_usage(tuple(sorted(purposes))))
    content = CertificateContent(
        serial=serial,
        algorithm=issuer.algorithm.identifier,
        issuer=issuer.view.subject,
        not_before=max(now.replace(microsecond=0) - BACKDATE, issuer.view.not_before, subject.view.not_before),
        not_after=min(issuer.view.not_after, subject.view.not_after),
        subject=subject.view.subject,
        spki=subject.view.spki,
        extensions=tuple(parts),
    )
    rules = issuer.rules(spki=subject.view.spki, subject=subject.view.subject, ca=True, exact={})
    return prepare_certificate(content, rules, algorithm=issuer.algorithm, issuer_id=issuer.id)


def _nested_purposes(request: CaRequest, parent: Issuer) -> tuple[str, ...]:
    allowed = parent.view.ext_key_usage
    wanted = service_purposes(request.ext_key_usage)
    if allowed is None:
        return wanted
    if not wanted:
        return tuple(sorted(allowed))
    beyond = [dotted for dotted in wanted if dotted not in allowed]
    if beyond:
        raise EkuNotNested(
            f"CA {request.name} wants {', '.join(map(extensions.ext_key_usage_label, beyond))}, its parent "
            f"{parent.record.name} allows {', '.join(map(extensions.ext_key_usage_label, sorted(allowed)))}"
        )
    return wanted


def prepare_ra(issuer: Issuer, *, spki: bytes, now: datetime, rng: Rng) -> LintedTbs:
    """The SCEP RA certificate: RSA, signs and deciphers, with the purpose that Windows looks for.

    Without digitalSignature, keyEncipherment and a fitting EKU, Windows goes silent after GetCACert.
    """
    usages = {KeyUsage.DIGITAL_SIGNATURE, KeyUsage.KEY_ENCIPHERMENT}
    return _prepare_service(
        issuer, spki=spki, now=now, rng=rng, suffix="RA", validity=RA_VALIDITY,
        parts=(extensions.key_usage(usages), extensions.ext_key_usage((oids.EKU_CERTIFICATE_REQUEST_AGENT,))),
    )  # fmt: skip


def prepare_ocsp_responder(issuer: Issuer, *, spki: bytes, now: datetime, rng: Rng) -> LintedTbs:
    """A delegated OCSP responder (RFC 6960 section 4.2.2.2), short-lived instead of revocable."""
    parts = (
        extensions.key_usage({KeyUsage.DIGITAL_SIGNATURE}),
        extensions.ext_key_usage((oids.EKU_OCSP_SIGNING,)),
        extensions.ocsp_no_check(),
    )
    return _prepare_service(issuer, spki=spki, now=now, rng=rng, suffix="OCSP", validity=OCSP_VALIDITY, parts=parts)


def _prepare_service(
    issuer: Issuer, *, spki: bytes, now: datetime, rng: Rng, suffix: str, validity: timedelta, parts: tuple[bytes, ...]
) -> LintedTbs:
    start = now.replace(microsecond=0)
    own = DistinguishedName.from_der(issuer.view.subject)
    rest = tuple(rdn for rdn in own.rdns if all(kind != oids.COMMON_NAME for kind, _ in rdn))
    common_name = f"{(own.common_name or issuer.record.name)[:58]} {suffix}"
    subject = DistinguishedName((*rest, ((oids.COMMON_NAME, common_name),))).to_der()
    serial = new_serial(now, rng)
    content = CertificateContent(
        serial=serial,
        algorithm=issuer.algorithm.identifier,
        issuer=issuer.view.subject,
        not_before=max(start - BACKDATE, issuer.view.not_before),
        # The service's own certificate follows its CA to the end; nobody asked for a longer one.
        not_after=min(start + validity, issuer.view.not_after),
        subject=subject,
        spki=spki,
        extensions=(
            extensions.basic_constraints(False),
            *parts,
            extensions.subject_key_identifier(extensions.key_identifier(spki)),
            *issuer.pointers(serial),
        ),
    )
    rules = issuer.rules(spki=spki, subject=subject, ca=False, exact={})
    return prepare_certificate(content, rules, algorithm=issuer.algorithm, issuer_id=issuer.id)
