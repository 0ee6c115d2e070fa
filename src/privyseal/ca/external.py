# SPDX-License-Identifier: Apache-2.0
"""CAs whose keys are elsewhere: certificates of parents and offline roots, and the CRLs that are brought for them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from privyseal.ca.chain import chain_faults, shown, signed_by
from privyseal.ca.issuer import Issuer
from privyseal.ca.ports import AuthorityRegister
from privyseal.errors import CrlRefused, InstallRefused, InvalidValue, SigningFailed
from privyseal.model.authority import IN_FORCE, CaKind, CaRecord, CaState, CrlRules
from privyseal.x509 import der
from privyseal.x509.algorithms import algorithm_of, verify_signature
from privyseal.x509.certificate import CertificateView
from privyseal.x509.names import DistinguishedName


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignCrl:
    """A CRL that was made elsewhere, read."""

    encoded: bytes
    number: int
    this_update: datetime
    next_update: datetime
    serials: frozenset[int]


def check_parents(path: Sequence[CertificateView], now: datetime) -> None:
    """Raise InstallRefused unless a path of CA certificates is whole."""
    faults = [fault.text for fault in chain_faults(path, now)]
    if faults:
        raise InstallRefused(f"{shown(path[0])} has {len(faults)} finding(s): {'; '.join(faults)}")


def check_names(path: Sequence[CertificateView], register: AuthorityRegister) -> None:
    """Raise InstallRefused when a certificate that is not stored bears the name of a CA whose key is here."""
    records = register.all()
    known, ours = {record.certificate for record in records}, {_subject(one) for one in records if one.has_key}
    for view in path:
        if view.encoded not in known and view.subject in ours:
            raise InstallRefused(
                f"{shown(view)} is the name of a CA whose key is here",
                why="CRLs and certificates name their CA by its subject alone; two could not be told apart",
                mend=("leave that certificate out, or have the CA of others renamed",),
            )


async def store_parents(
    path: Sequence[CertificateView], register: AuthorityRegister, *, now: datetime, actor: str, name: str = ""
) -> tuple[CaRecord, ...]:
    """Store a path of certificates without keys, the root first; those that are there already stay as they are.

    ``name`` is for the first of ``path``; without it a name is made of the subject. Raises InstallRefused.
    """
    check_names(path, register)
    stored: list[CaRecord] = []
    for view in reversed(path):
        known = {record.certificate: record for record in register.all()}
        found = known.get(view.encoded)
        if found is None:
            parent = stored[-1] if stored else None
            wanted = name if view is path[0] else ""
            found = await register.add(_foreign(view, parent, register, now=now, name=wanted), actor=actor)
        stored.append(found)
    return tuple(reversed(stored))


def _foreign(
    view: CertificateView, parent: CaRecord | None, register: AuthorityRegister, *, now: datetime, name: str
) -> CaRecord:
    # A renewed root of others keeps its name here and becomes its next version.
    same = [record for record in register.all() if not record.has_key and _subject(record) == view.subject]
    chosen = same[-1].name if same else name or _free_name(view, register)
    in_force = any(record.name == chosen and record.state in IN_FORCE for record in register.all())
    return CaRecord(
        id=0,
        name=chosen,
        version=register.last_version(chosen) + 1,
        kind=CaKind.ROOT if parent is None else CaKind.ISSUING,
        state=CaState.STAGED if in_force else CaState.ACTIVE,
        parent_id=None if parent is None else parent.id,
        certificate=view.encoded,
        key_ref="",
        hash_name=None,
        crl=CrlRules(),
        created_at=now,
        changed_at=now,
    )


def _subject(record: CaRecord) -> bytes:
    return Issuer(record, "").view.subject


def _free_name(view: CertificateView, register: AuthorityRegister) -> str:
    common_name = DistinguishedName.from_der(view.subject).common_name or "external-ca"
    stem = re.sub(r"[^a-z0-9]+", "-", common_name.lower()).strip("-")[:56] or "external-ca"
    name, number = stem, 1
    while register.last_version(name):
        number += 1
        name = f"{stem}-{number}"
    return name


def read_foreign_crl(encoded: bytes) -> ForeignCrl:
    """A CRL's number, times and serials. Raises CrlRefused."""
    try:
        crl = x509.load_der_x509_crl(encoded)
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        partial = any(
            isinstance(one.value, x509.DeltaCRLIndicator | x509.IssuingDistributionPoint) for one in crl.extensions
        )
        next_update = crl.next_update_utc
        serials = frozenset(entry.serial_number for entry in crl)
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension) as error:
        raise CrlRefused(f"it cannot be read as a CRL with a number: {error}") from error
    if next_update is None:
        raise CrlRefused(f"CRL {number} does not say when the next one comes (nextUpdate)")
    if partial:
        raise CrlRefused(f"CRL {number} is a delta CRL or a part of one; the whole CRL is needed")
    if not 0 < number < 1 << 62:
        raise CrlRefused(f"the CRL number {number} is not from 1 to 2^62")
    return ForeignCrl(
        encoded=encoded, number=number, this_update=crl.last_update_utc, next_update=next_update, serials=serials
    )


def signer_of(crl: ForeignCrl, issuers: Sequence[Issuer], now: datetime) -> Issuer:
    """The CA without a key here that signed it. Raises CrlRefused."""
    read = x509.load_der_x509_crl(crl.encoded)
    name = read.issuer.public_bytes()
    named = [issuer for issuer in issuers if issuer.view.subject == name]
    if not named:
        raise CrlRefused(f"CRL {crl.number} is of {read.issuer.rfc4514_string()}, which is not stored here")
    if any(issuer.record.has_key for issuer in named):
        raise CrlRefused(f"CRL {crl.number} is of a CA whose key is here: its CRLs are made here")
    if not crl.this_update <= now < crl.next_update:
        raise CrlRefused(
            f"CRL {crl.number} is good from {crl.this_update:%Y-%m-%dT%H:%MZ} to {crl.next_update:%Y-%m-%dT%H:%MZ}, "
            "not now"
        )
    for issuer in named:
        try:
            algorithm = algorithm_of(_algorithm(crl.encoded))
            verify_signature(issuer.public_key, algorithm, read.signature, data=read.tbs_certlist_bytes)
        except (SigningFailed, InvalidValue):
            continue
        return issuer
    raise CrlRefused(f"CRL {crl.number} is not signed by the key of {named[0].shown}")


def _algorithm(encoded: bytes) -> bytes:
    return list(der.read(encoded).children())[1].encoded


def is_self_signed(view: CertificateView) -> bool:
    """A root: its own name, and its own signature."""
    return view.issuer == view.subject and signed_by(view, view)
