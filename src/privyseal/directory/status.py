# SPDX-License-Identifier: Apache-2.0
"""What the containers hold, whose it is and what is wrong with it; per controller and against receipts. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from hashlib import sha256
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from privyseal.directory.changes import Entry
from privyseal.directory.containers import CA_CERTIFICATE, Container, certificates_of, values_of
from privyseal.directory.desired import signed_by_itself
from privyseal.directory.naming import dn_key
from privyseal.directory.receipts import Ownership
from privyseal.errors import InvalidName, MalformedDer
from privyseal.x509 import der, oids
from privyseal.x509.certificate import CertificateView, read_certificate
from privyseal.x509.keys import describe_key
from privyseal.x509.names import DistinguishedName

_WEAK_SIGNATURES: Final = {
    "1.2.840.113549.1.1.2": "MD2",
    "1.2.840.113549.1.1.3": "MD4",
    oids.MD5_WITH_RSA: "MD5",
    oids.SHA1_WITH_RSA: "SHA-1",
    oids.ECDSA_WITH_SHA1: "SHA-1",
    "1.2.840.10040.4.3": "SHA-1",  # DSA
}
_RSA_BITS: Final = 2048
_CURVE_BITS: Final = 256


class Owner(Enum):
    """Whose certificate it is."""

    OURS = "ours"
    EXTERNAL = "external"
    """Of another PKI, and known to us: imported to be watched."""
    FOREIGN = "foreign"
    """Nobody told us about it."""


@dataclass(frozen=True, slots=True)
class Known:
    """CA certificates that we know by their SHA-256 digests, each with its name here."""

    ours: Mapping[bytes, str]
    external: Mapping[bytes, str]
    ended: Mapping[bytes, str] = field(default_factory=dict)
    """Of ours, those that shall stand nowhere any more, each with the reason in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One certificate in one container, as one controller shows it."""

    container: Container
    dn: str
    certificate: bytes
    name: str
    """Our name of the CA, or else its common name."""
    owner: Owner
    not_before: datetime | None
    not_after: datetime | None
    problems: tuple[str, ...]
    """In words; empty when nothing is wrong with it."""
    receipted: bool
    """A receipt says that we put it there."""
    usn_changed: int | None
    when_changed: datetime | None

    @property
    def digest(self) -> bytes:
        """SHA-256 of the certificate."""
        return sha256(self.certificate).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerView:
    """What one controller holds in the containers, and when it was asked."""

    controller: str
    highest_usn: int | None
    at: datetime
    entries: tuple[tuple[Container, Entry], ...]


def classify(view: ControllerView, known: Known, *, ours: Ownership) -> tuple[Found, ...]:
    """Every certificate that a controller shows, in the order of containers and DNs; NTAuth comes first."""
    found = [
        _found(container, entry, certificate=certificate, known=known, ours=ours, now=view.at)
        for container, entry in view.entries
        for certificate in certificates_of(entry)
    ]
    return tuple(sorted(found, key=lambda item: (_rank(item.container), dn_key(item.dn), item.digest)))


def _rank(container: Container) -> int:
    return 0 if container is Container.NTAUTH else 1 + list(Container).index(container)


def _found(
    container: Container, entry: Entry, *, certificate: bytes, known: Known, ours: Ownership, now: datetime
) -> Found:
    digest = sha256(certificate).digest()
    owner = Owner.OURS if digest in known.ours else Owner.EXTERNAL if digest in known.external else Owner.FOREIGN
    try:
        view: CertificateView | None = read_certificate(certificate)
    except MalformedDer:
        view = None
    problems = _problems(view, now, container=container) if view else ["it is not a certificate that can be read"]
    receipted = ours.owns_value(entry.dn, CA_CERTIFICATE, value=certificate)
    if digest in known.ended:
        problems.append(known.ended[digest])
    if owner is Owner.FOREIGN and container is Container.NTAUTH:
        whose = "it was published from here, and no CA here has it" if receipted else "nobody told us about this CA"
        problems.append(f"{whose}, and its certificates may log on to the domain")
    return Found(
        container=container,
        dn=entry.dn,
        certificate=certificate,
        name=known.ours.get(digest) or known.external.get(digest) or _common_name(view),
        owner=owner,
        not_before=view.not_before if view else None,
        not_after=view.not_after if view else None,
        problems=tuple(problems),
        receipted=receipted,
        usn_changed=read_usn(values_of(entry, "uSNChanged")),
        when_changed=read_generalized_time(values_of(entry, "whenChanged")),
    )


def _common_name(view: CertificateView | None) -> str:
    try:
        name = None if view is None else DistinguishedName.from_der(view.subject)
    except InvalidName:
        name = None
    return (name.common_name or name.to_text() if name else "") or "(without a readable name)"


def _problems(view: CertificateView, now: datetime, *, container: Container) -> list[str]:
    problems: list[str] = []
    if view.not_after < now:
        problems.append(f"expired on {view.not_after:%Y-%m-%d}")
    elif view.not_before > now:
        problems.append(f"not valid before {view.not_before:%Y-%m-%d}")
    try:
        if not view.is_ca:
            problems.append("not a CA certificate")
        # A root's own signature protects nothing: members trust its bytes.
        if view.issuer != view.subject and (weak := _WEAK_SIGNATURES.get(_algorithm(view))):
            problems.append(f"signed with {weak}")
    except MalformedDer as fault:
        problems.append(f"it cannot be read to its end: {fault.what}")
    if container is Container.CERTIFICATION_AUTHORITIES and not signed_by_itself(view):
        problems.append("a root is self-signed, and this is not")
    return [*problems, *_key_problems(view)]


def _algorithm(view: CertificateView) -> str:
    fields = list(der.read(view.algorithm).children())
    return fields[0].as_oid() if fields else ""


def _key_problems(view: CertificateView) -> list[str]:
    try:
        key = load_der_public_key(view.spki)
    except (ValueError, UnsupportedAlgorithm, TypeError, OverflowError):
        return ["its key is of a kind that cannot be read"]
    weak = (
        (isinstance(key, rsa.RSAPublicKey) and key.key_size < _RSA_BITS)
        or (isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size < _CURVE_BITS)
        or isinstance(key, dsa.DSAPublicKey)
    )
    return [f"weak key: {describe_key(key)}"] if weak else []


def read_usn(values: Sequence[bytes]) -> int | None:
    """uSNChanged or highestCommittedUSN, or None when the server does not say a number."""
    text = values[0] if len(values) == 1 else b""
    return int(text) if text.isdigit() and len(text) < 20 else None


def read_generalized_time(values: Sequence[bytes]) -> datetime | None:
    """whenChanged or currentTime (YYYYMMDDHHMMSS.0Z), or None when it is not one."""
    text = values[0].decode("latin-1") if len(values) == 1 else ""
    try:
        return datetime.strptime(text.replace(".0Z", "+0000").replace("Z", "+0000"), "%Y%m%d%H%M%S%z")
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Difference:
    """A certificate of one object that some controllers show and others do not."""

    dn: str
    certificate: bytes
    present_on: tuple[str, ...]
    missing_on: tuple[str, ...]


def differences(views: Sequence[ControllerView]) -> tuple[Difference, ...]:
    """Where the controllers do not hold the same."""
    holders: dict[tuple[str, bytes], list[str]] = {}
    shown: dict[str, str] = {}
    for view in views:
        for _, entry in view.entries:
            shown.setdefault(dn_key(entry.dn), entry.dn)
            for certificate in dict.fromkeys(certificates_of(entry)):
                holders.setdefault((dn_key(entry.dn), certificate), []).append(view.controller)
    everybody = [view.controller for view in views]
    return tuple(
        Difference(shown[key], certificate, tuple(on), tuple(name for name in everybody if name not in on))
        for (key, certificate), on in sorted(holders.items())
        if len(on) < len(everybody)
    )


@dataclass(frozen=True, slots=True)
class Drift:
    """What a receipt says we published, and a controller no longer shows."""

    dn: str
    attribute: str
    value: bytes


def drift(view: ControllerView, ours: Ownership) -> tuple[Drift, ...]:
    """CA certificates that we published and that are gone from this controller."""
    held = {
        (dn_key(entry.dn), certificate): entry.dn for _, entry in view.entries for certificate in certificates_of(entry)
    }
    attribute = CA_CERTIFICATE.lower()
    gone = [item for item in ours.values if item[1] == attribute and (item[0], item[2]) not in held]
    return tuple(Drift(dn, CA_CERTIFICATE, value) for dn, _, value in sorted(gone))


@dataclass(frozen=True, slots=True)
class ExternalCa:
    """A CA that was found in a directory and is not ours: to be watched for its expiry."""

    name: str
    certificate: bytes
    not_after: datetime
    places: tuple[str, ...]


def external_cas(found: Iterable[Found]) -> tuple[ExternalCa, ...]:
    """Every readable CA certificate that is not ours, each once, with the DNs where it stands."""
    places: dict[bytes, list[str]] = {}
    first: dict[bytes, Found] = {}
    for item in found:
        if item.owner is not Owner.OURS and item.not_after is not None:
            places.setdefault(item.certificate, []).append(item.dn)
            first.setdefault(item.certificate, item)
    return tuple(
        ExternalCa(item.name, certificate, item.not_after, tuple(dict.fromkeys(places[certificate])))
        for certificate, item in first.items()
        if item.not_after is not None
    )
