# SPDX-License-Identifier: Apache-2.0
"""What shall stand in the directory: a CA certificate and a target become objects and values. Nothing wrong gets past.

Whoever can place a certificate in NTAuthCertificates can log on as anybody, so every certificate is checked here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntFlag
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509 import load_der_x509_certificate

from privyseal.directory.containers import (
    AUTHORITY_CRL,
    BASE_CRL,
    CA_CERTIFICATE,
    CERTIFICATE_LIMIT,
    CERTIFICATION_AUTHORITY,
    ENROLLMENT_SERVICE,
    PLACEHOLDER,
    Target,
    object_dns,
)
from privyseal.directory.naming import sanitized_name
from privyseal.errors import (
    CertificateExpired,
    CertificateTooLarge,
    InvalidName,
    MalformedDer,
    NotACaCertificate,
    NotConfirmed,
)
from privyseal.x509 import der
from privyseal.x509.certificate import CertificateView, read_certificate
from privyseal.x509.extensions import KeyUsage
from privyseal.x509.general_names import GeneralName, NameKind
from privyseal.x509.names import DistinguishedName

Attributes = tuple[tuple[str, tuple[bytes, ...]], ...]

ENROLLMENT_WARNING: Final = (
    "Every domain member takes a pKIEnrollmentService object for an enterprise CA: it adds the CA to its list, offers "
    "it in its wizards and tries to enroll from its host at the next policy refresh. Where no enrollment service "
    "answers there, each of them logs errors, every few hours. RootCA, SubCA and NTAuthCA need no such object."
)


class ServiceFlags(IntFlag):
    """The flags attribute of pKIEnrollmentService."""

    NO_TEMPLATES = 1
    NT_AUTHENTICATION = 2
    MANUAL_AUTHENTICATION = 4
    ADVANCED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollmentService:
    """The host behind an Enrollment Services object. ``confirmed`` says that an administrator asked for just that."""

    dns_host_name: str
    confirmed: bool
    flags: ServiceFlags = ServiceFlags.NO_TEMPLATES


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """One value that one object shall hold; ``fresh`` are the attributes of the object when it has to be made."""

    target: Target
    dn: str
    object_class: str
    attribute: str
    value: bytes
    fresh: Attributes
    fixed: Attributes = ()
    """Attributes that must agree when the object is already there: a difference is somebody else's object."""


def ca_name(view: CertificateView) -> str:
    """The common name of a CA. Raises NotACaCertificate when it has none."""
    try:
        name = DistinguishedName.from_der(view.subject).common_name
    except InvalidName as fault:
        raise NotACaCertificate(f"the certificate's subject cannot be read: {fault.what}") from fault
    if not name:
        raise NotACaCertificate(
            "the certificate's subject has no common name",
            why="the objects of the directory are named after the CA's common name",
            mend=("make the CA again with a CN in its subject",),
        )
    return name


def check_certificate(
    certificate: bytes, target: Target, *, now: datetime, allow_expired: bool = False
) -> CertificateView:
    """The certificate's fields when it may be published as ``target``; else raise the one reason why not."""
    if len(certificate) > CERTIFICATE_LIMIT:
        raise CertificateTooLarge(
            f"the certificate has {len(certificate):,} octets; the directory takes at most {CERTIFICATE_LIMIT:,}"
        )
    try:
        view = read_certificate(certificate)
        _check_authority(view, target)
    except MalformedDer as fault:
        raise NotACaCertificate(
            f"what was given for {target.value} is not an X.509 certificate: {fault.what}",
            mend=("give the CA's certificate in DER or PEM: openssl x509 -in FILE -noout -text shows it",),
        ) from fault
    if target is Target.ROOT_CA:
        _check_self_signed(view)
    if view.not_after < now and not allow_expired:
        raise CertificateExpired(
            f"the certificate of {ca_name(view)!r} expired at {view.not_after:%Y-%m-%d %H:%M} UTC; "
            f"now it is {now:%Y-%m-%d %H:%M} UTC"
        )
    return view


def _check_authority(view: CertificateView, target: Target) -> None:
    name = ca_name(view)
    if not view.is_ca:
        danger = "; its holder could make himself anybody" if target is Target.NTAUTH_CA else ""
        raise NotACaCertificate(
            f"{name!r} is not a CA: its basicConstraints do not say CA:TRUE; {target.value} takes CAs only{danger}"
        )
    usage = view.key_usage
    if usage is not None and KeyUsage.KEY_CERT_SIGN not in usage:
        labels = ", ".join(KeyUsage(bit).label for bit in sorted(usage) if bit <= KeyUsage.DECIPHER_ONLY)
        raise NotACaCertificate(f"the key usage of {name!r} is {labels or 'empty'}; a CA needs key-cert-sign")


def _check_self_signed(view: CertificateView) -> None:
    name = ca_name(view)
    if view.issuer != view.subject:
        raise NotACaCertificate(
            f"{name!r} is not a root: another CA signed it; RootCA takes self-signed certificates only",
            why="a member that trusts an intermediate CA as a root no longer asks whether its root is good",
            mend=("publish it as SubCA", "publish its root as RootCA"),
        )
    if not signed_by_itself(view):
        raise NotACaCertificate(
            f"{name!r} names itself as its issuer, but the signature does not verify with its own key",
            why="it is damaged, or a cross certificate: another version of the CA signed this one",
            mend=("publish a cross certificate as SubCA", "publish the self-signed certificate as RootCA"),
        )


def signed_by_itself(view: CertificateView) -> bool:
    """The certificate's own key made its signature. A cross certificate of a CA's versions only looks like that."""
    try:
        certificate = load_der_x509_certificate(view.encoded)
        certificate.verify_directly_issued_by(certificate)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError, OverflowError):
        return False
    return True


def desired_values(
    certificate: bytes,
    target: Target,
    *,
    configuration_nc: str,
    now: datetime,
    allow_expired: bool = False,
    service: EnrollmentService | None = None,
) -> tuple[Desired, ...]:
    """What ``certutil -dspublish -f`` would put into the directory for this certificate, checked before."""
    if target is Target.ENROLLMENT_SERVICES and (service is None or not service.confirmed):
        raise NotConfirmed(
            f"Enrollment Services is written on explicit demand only. {ENROLLMENT_WARNING}",
        )
    view = check_certificate(certificate, target, now=now, allow_expired=allow_expired)
    dns = object_dns(target, ca_name(view), configuration_nc=configuration_nc)
    if target is Target.ENROLLMENT_SERVICES and service is not None:
        return (_enrollment_service(view, dns[0], service),)
    empty = (PLACEHOLDER,)
    fresh: Attributes = (
        ("objectClass", (b"top", CERTIFICATION_AUTHORITY.encode())),
        (CA_CERTIFICATE, (certificate,)),
        # The class demands both, and there is nothing to say in them.
        (AUTHORITY_CRL, empty),
        (BASE_CRL, empty),
    )
    return tuple(
        Desired(
            target=target,
            dn=dn,
            object_class=CERTIFICATION_AUTHORITY,
            attribute=CA_CERTIFICATE,
            value=certificate,
            fresh=fresh,
        )
        for dn in dns
    )


def _enrollment_service(view: CertificateView, dn: str, service: EnrollmentService) -> Desired:
    # Checked, and in A-labels where it is international.
    host = der.read(GeneralName(NameKind.DNS, service.dns_host_name).to_der()).contents
    name = ca_name(view)
    fixed = (("dNSHostName", (host,)),)
    fresh: Attributes = (
        ("objectClass", (b"top", ENROLLMENT_SERVICE.encode())),
        ("cn", (sanitized_name(name).encode("ascii"),)),
        ("displayName", (name.encode("utf-8"),)),
        *fixed,
        (CA_CERTIFICATE, (view.encoded,)),
        ("cACertificateDN", (DistinguishedName.from_der(view.subject).to_text().encode("utf-8"),)),
        ("flags", (str(int(service.flags)).encode("ascii"),)),
    )
    return Desired(
        target=Target.ENROLLMENT_SERVICES,
        dn=dn,
        object_class=ENROLLMENT_SERVICE,
        attribute=CA_CERTIFICATE,
        value=view.encoded,
        fresh=fresh,
        fixed=fixed,
    )


def needs_reading(desired: Sequence[Desired]) -> tuple[str, ...]:
    """The DNs that must be read before a plan can be made, each once, in order."""
    return tuple(dict.fromkeys(item.dn for item in desired))
