# SPDX-License-Identifier: Apache-2.0
"""CRLs that stand in the CDP container: their number and dates, and whether a newer one is in force. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from cryptography import x509

from privyseal.directory.containers import BASE_CRL, DELTA_CRL, Container, present, values_of
from privyseal.directory.crl import read_crl
from privyseal.directory.naming import dn_key
from privyseal.directory.status import ControllerView
from privyseal.errors import MalformedDer

_ATTRIBUTES: Final = (BASE_CRL, DELTA_CRL)


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """The newest numbers of one of our CAs."""

    name: str
    base: int | None
    delta: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCrl:
    """One CRL as one controller shows it."""

    dn: str
    delta: bool
    owner: str
    """Our CA's name; empty for a CRL of others."""
    number: int | None
    this_update: datetime | None
    next_update: datetime | None
    problems: tuple[str, ...]
    """In words; empty when nothing is wrong with it."""


Ours: TypeAlias = Mapping[tuple[bytes, bytes], InForce]
"""Our CAs by the DER of their subject and by the identifier of their key: versions of one CA share the subject."""


def classify_crls(view: ControllerView, ours: Ours) -> tuple[FoundCrl, ...]:
    """Every CRL that a controller shows, by DN."""
    found = [
        _found(entry.dn, attribute == DELTA_CRL, value, ours=ours, now=view.at)
        for container, entry in view.entries
        if container is Container.CDP
        for attribute in _ATTRIBUTES
        for value in present(values_of(entry, attribute))
    ]
    return tuple(sorted(found, key=lambda item: (dn_key(item.dn), item.delta)))


def _found(dn: str, delta: bool, value: bytes, *, ours: Ours, now: datetime) -> FoundCrl:
    try:
        read, parsed = read_crl(value), x509.load_der_x509_crl(value)
    except (MalformedDer, ValueError):
        return FoundCrl(
            dn=dn, delta=delta, owner="", number=None, this_update=None, next_update=None,
            problems=("it is not a CRL that can be read",),
        )  # fmt: skip
    owner, end = ours.get((read.issuer, read.authority_key)), parsed.next_update_utc
    problems = []
    if end is not None and end <= now:
        problems.append(f"ended on {end:%Y-%m-%dT%H:%M:%SZ}")
    if read.delta is not delta:
        problems.append("a delta CRL stands where the base belongs" if read.delta else "a base CRL stands as delta")
    newest = None if owner is None else owner.delta if delta else owner.base
    if newest is not None and read.number is not None and read.number < newest:
        problems.append(f"stale: {newest} is in force")
    return FoundCrl(
        dn=dn,
        delta=delta,
        owner="" if owner is None else owner.name,
        number=read.number,
        this_update=parsed.last_update_utc,
        next_update=end,
        problems=tuple(problems),
    )
