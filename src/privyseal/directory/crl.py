# SPDX-License-Identifier: Apache-2.0
"""CRLs in the CDP container, for sites whose members read them by LDAP. The newer one replaces the older, no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from privyseal.directory.changes import AddEntry, Change, ReplaceValue
from privyseal.directory.containers import (
    BASE_CRL,
    CRL_LIMIT,
    DELTA_CRL,
    DISTRIBUTION_POINT,
    Container,
    container_dn,
    present,
    values_of,
)
from privyseal.directory.naming import child_dn, dn_key, sanitized_name
from privyseal.directory.plan import Observed, Plan, check_container, fingerprint
from privyseal.errors import CertificateTooLarge, InvalidValue, MalformedDer, PlanStale
from privyseal.x509 import der, oids
from privyseal.x509.span import dotted, spans, within

_DELTA_INDICATOR = "2.5.29.27"  # RFC 5280 5.2.4


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlView:
    """What of a CRL decides where it goes and whether it is newer."""

    issuer: bytes
    authority_key: bytes
    """The key identifier of the CA's key: versions of a CA have one name. Empty where the CRL does not say."""
    number: int | None
    delta: bool


def read_crl(encoded: bytes) -> CrlView:
    """Issuer, CRL number and kind of a CRL. Raises MalformedDer."""
    fields = within(encoded, 0, len(encoded), tag=der.SEQUENCE, what="CertificateList")
    if len(fields) != 3:
        raise MalformedDer("a CRL has three fields")
    inside = within(encoded, fields[0][1], fields[0][3], tag=der.SEQUENCE, what="tbsCertList")
    if len(inside) < 4 or inside[0][0] != der.INTEGER or inside[2][0] != der.SEQUENCE:
        raise MalformedDer("only version 2 CRLs are read")
    number: int | None = None
    key, delta = b"", False
    for tag, _, body, end in inside:
        for entry in within(encoded, body, end, tag=der.SEQUENCE, what="crlExtensions") if tag == 0xA0 else ():
            parts = spans(encoded, entry[2], entry[3])
            if not 2 <= len(parts) <= 3:
                raise MalformedDer("an extension has two or three fields")
            name = dotted(encoded, parts[0])
            delta = delta or name == _DELTA_INDICATOR
            value = encoded[parts[-1][2] : parts[-1][3]]
            if name == oids.CRL_NUMBER:
                number = der.read_only(value, der.INTEGER, "cRLNumber").as_int()
            if name == oids.AUTHORITY_KEY_IDENTIFIER:
                fields = within(value, 0, len(value), tag=der.SEQUENCE, what="authorityKeyIdentifier")
                key = next((value[at:end] for tag, _, at, end in fields if tag == 0x80), b"")
    return CrlView(issuer=encoded[inside[2][1] : inside[2][3]], authority_key=key, number=number, delta=delta)


def point_name(ca_name: str, key_index: int) -> str:
    """The CN of a CA's distribution point: as in AD CS, each further key of the CA has one of its own."""
    return sanitized_name(ca_name) + (f"({key_index})" if key_index else "")


def crl_dns(ca_name: str, host: str, *, configuration_nc: str, key_index: int = 0) -> tuple[str, str]:
    """The DNs of the host's container in CDP and of the CA's distribution point in it."""
    if not 0 < len(host) <= 64 or not host.isascii() or not host.isprintable():
        raise InvalidValue(f"CDP container {host[:80]!r} is not 1 to 64 printable ASCII characters")
    box = child_dn(sanitized_name(host), container_dn(Container.CDP, configuration_nc))
    return box, child_dn(point_name(ca_name, key_index), box)


def plan_crls(
    crls: Sequence[bytes],
    ca_name: str,
    *,
    host: str,
    configuration_nc: str,
    observed: Observed,
    key_index: int = 0,
) -> Plan:
    """Put a base CRL, a delta CRL or both where ``certutil -dspublish FILE HOST NAME`` does.

    ``observed`` holds both DNs of `crl_dns`, and the CDP container when the host's is absent. A CRL with a lower number
    than the one in place is refused: PlanStale.
    """
    box, dn = crl_dns(ca_name, host, configuration_nc=configuration_nc, key_index=key_index)
    wanted = [_attribute_and_number(crl) for crl in crls]
    if len({name for name, _ in wanted}) != len(wanted):
        raise InvalidValue("more than one base or more than one delta CRL was given")
    values = [(name, crl) for (name, _), crl in zip(wanted, crls, strict=True)]
    changes: list[Change] = []
    if observed[dn_key(box)] is None:
        container = container_dn(Container.CDP, configuration_nc)
        check_container(box, has_parent=observed.get(dn_key(container)) is not None)
        changes.append(AddEntry(box, (("objectClass", (b"top", b"container")),)))
    entry = observed[dn_key(dn)]
    if entry is None:
        attributes = tuple((name, (crl,)) for name, crl in values)
        changes.append(AddEntry(dn, (("objectClass", (b"top", DISTRIBUTION_POINT.encode())), *attributes)))
    else:
        for (name, number), crl in zip(wanted, crls, strict=True):
            held = values_of(entry, name)
            if crl not in held:
                _check_newer(dn, number, held=held)
                changes.append(ReplaceValue(dn, name, crl, held[0] if held else None))
    return Plan(tuple(changes), fingerprint(observed), (box, dn))


def _attribute_and_number(crl: bytes) -> tuple[str, int | None]:
    if len(crl) > CRL_LIMIT:
        raise CertificateTooLarge(f"the CRL has {len(crl):,} octets; the directory takes at most {CRL_LIMIT:,}")
    view = read_crl(crl)
    return (DELTA_CRL if view.delta else BASE_CRL), view.number


def _check_newer(dn: str, number: int | None, *, held: Sequence[bytes]) -> None:
    for value in present(held):
        try:
            there = read_crl(value).number
        except MalformedDer:
            continue  # what nobody can read may be replaced
        if there is not None and number is not None and there > number:
            raise PlanStale(
                f"{dn} holds CRL number {there} (SHA-256 {sha256(value).hexdigest()[:16]}...); {number} is older",
                mend=("publish the CA's current CRL",),
            )
