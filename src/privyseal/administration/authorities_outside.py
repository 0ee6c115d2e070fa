# SPDX-License-Identifier: Apache-2.0
"""Acts about what was signed elsewhere: a certificate comes back, a root is made known, a CRL is brought.

Files are parameters as base64 of whatever form they had.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from privyseal.administration.act import SecondPerson
from privyseal.administration.authorities import authority_item
from privyseal.administration.authority_ports import AuthorityOffice
from privyseal.administration.parameters import Parameters
from privyseal.ca.chain import ordered
from privyseal.ca.external import ForeignCrl, check_names, check_parents, read_foreign_crl, signer_of, store_parents
from privyseal.ca.founding import begin_service
from privyseal.ca.issuer import Issuer
from privyseal.ca.outside import (
    Check,
    Verdict,
    answer_among,
    check_installable,
    checklist,
    published_urls,
)
from privyseal.errors import CrlRefused, InvalidValue
from privyseal.model.access import Permission
from privyseal.model.authority import IN_FORCE, CaKind, CaRecord, CaState
from privyseal.model.authority_name import PendingAuthority
from privyseal.model.preview import Preview
from privyseal.x509.bundle import read_bundle
from privyseal.x509.certificate import CertificateView
from privyseal.x509.names import DistinguishedName


class Reach(Protocol):
    """Fetches URLs, within bounds of time and size."""

    async def __call__(self, urls: Sequence[str]) -> Mapping[str, str]:
        """For each URL what went wrong; empty text where it answered."""


class InstallCa:
    """``ca.install``: name, certificates (base64 of files of any form). The preview is the whole checklist."""

    name = "ca.install"
    permission = Permission.CA_WRITE
    second_person = SecondPerson.FOUR_EYES

    def __init__(self, office: AuthorityOffice, reach: Reach) -> None:
        self._office = office
        self._reach = reach

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        pending, path = self._answer(Parameters(parameters, {"name", "certificates"}))
        check_names(path[1:], self._office.register)
        checks = await self.checks(parameters)
        failed = tuple(f"{check.name}: {check.evidence}" for check in checks if check.verdict is Verdict.FAILED)
        return Preview(
            summary=f"install the certificate of CA {pending.name} v{pending.version}",
            effects=tuple(f"{check.verdict.value}  {check.name}: {check.evidence}" for check in checks),
            counts={"certificates": len(path), "failed": len(failed)},
            blockers=failed,
            labels=self._office.labels(pending.name),
        )

    async def checks(self, parameters: Mapping[str, Any]) -> tuple[Check, ...]:
        """The checklist. Raises InstallRefused when no certificate is for the request."""
        pending, path = self._answer(Parameters(parameters))
        reached = await self._reach(published_urls(path))
        return checklist(pending, path, now=self._office.clock.now(), reached=reached)

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``."""
        pending, path = self._answer(Parameters(parameters))
        office, now = self._office, self._office.clock.now()
        check_installable(
            checklist(pending, path, now=now, reached={}), shown_as=f"the certificate of CA {pending.name}"
        )
        parents = await store_parents(path[1:], office.register, now=now, actor=actor)
        await activate_foreign(office, parents, actor=actor)
        in_force = any(record.name == pending.name and record.state in IN_FORCE for record in office.register.all())
        record = await office.register.add(
            CaRecord(
                id=0,
                name=pending.name,
                version=pending.version,
                kind=CaKind.ISSUING,
                state=CaState.STAGED if in_force else CaState.ACTIVE,
                parent_id=parents[0].id,
                certificate=path[0].encoded,
                key_ref=pending.key_ref,
                hash_name=pending.hash_name,
                crl=pending.crl,
                created_at=now,
                changed_at=now,
            ),
            actor=actor,
            request_id=pending.id,
        )
        await begin_service(record, office.shop())
        return authority_item(record)

    def _answer(self, asked: Parameters) -> tuple[PendingAuthority, tuple[CertificateView, ...]]:
        pending = self._office.names.pending_of(asked.text("name"))
        given = list(read_files(asked.texts("certificates")))
        # What is stored already need not be handed over again.
        given += [self._office.issuer(record).view for record in self._office.register.all()]
        return pending, answer_among(pending, given)


async def activate_foreign(office: AuthorityOffice, records: Sequence[CaRecord], *, actor: str) -> None:
    """A newer certificate of a CA of others takes its place at once: there is nothing of ours to test."""
    for record in records:
        if record.state is CaState.STAGED and not record.has_key:
            await office.life.activate(record, actor=actor, detail={"key": "elsewhere"})


class ImportRoot:
    """``ca.import-root``: certificates, name. A root (or a CA below one) whose key is elsewhere."""

    name = "ca.import-root"
    permission = Permission.CA_WRITE
    second_person = SecondPerson.FOUR_EYES

    def __init__(self, office: AuthorityOffice) -> None:
        self._office = office

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        asked = Parameters(parameters, {"certificates", "name"})
        path = self._path(asked)
        check_parents(path, self._office.clock.now())
        check_names(path, self._office.register)
        listed = " > ".join(DistinguishedName.from_der(view.subject).to_text() for view in path)
        return Preview(
            summary=f"import {listed}",
            effects=("its certificate is served at the URLs of this service; bring its CRLs with import-crl",),
            counts={"certificates": len(path)},
        )

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``."""
        asked = Parameters(parameters)
        path, now = self._path(asked), self._office.clock.now()
        check_parents(path, now)
        register = self._office.register
        stored = await store_parents(path, register, now=now, actor=actor, name=asked.text("name", ""))
        await activate_foreign(self._office, stored, actor=actor)
        return authority_item(register.get(stored[0].name, stored[0].version))

    def _path(self, asked: Parameters) -> tuple[CertificateView, ...]:
        views = read_files(asked.texts("certificates"))
        issuers = {view.issuer for view in views if view.issuer != view.subject}
        lowest = [view for view in views if view.subject not in issuers] or list(views)
        return ordered(lowest[0], [view for view in views if view is not lowest[0]])


class CrlStore(Protocol):
    """CRLs that were made elsewhere."""

    async def import_crl(self, issuer: Issuer, crl: ForeignCrl, *, hit: Sequence[CaRecord], actor: str) -> None:
        """Revoke the CAs that it hits, and publish it. Raises CrlRefused when its number falls."""


class ImportCrl:
    """``ca.import-crl``: crl (base64 of DER or PEM). Published at the CA's URL; a CA of ours in it is revoked."""

    name = "ca.import-crl"
    permission = Permission.CA_OPERATE
    second_person = SecondPerson.NEVER

    def __init__(self, office: AuthorityOffice, crls: CrlStore) -> None:
        self._office = office
        self._crls = crls

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        issuer, crl = self._read(Parameters(parameters, {"crl"}))
        hit = self._hit(issuer, crl)
        effects = [f"it is served at {issuer.urls.crl} until {crl.next_update:%Y-%m-%dT%H:%M:%SZ}"]
        effects += [f"CA {record.name} v{record.version} is listed in it and counts as revoked" for record in hit]
        return Preview(
            summary=f"publish CRL {crl.number} of {issuer.shown}",
            effects=tuple(effects),
            counts={"entries": len(crl.serials), "revoked_authorities": len(hit)},
            labels=self._office.labels(issuer.record.name),
        )

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``."""
        issuer, crl = self._read(Parameters(parameters))
        await self._crls.import_crl(issuer, crl, hit=self._hit(issuer, crl), actor=actor)
        return {
            "name": issuer.record.name,
            "version": issuer.record.version,
            "crl_number": crl.number,
            "crl_url": issuer.urls.crl,
        }

    def _read(self, asked: Parameters) -> tuple[Issuer, ForeignCrl]:
        crl = read_foreign_crl(_decoded(asked.text("crl")))
        now = self._office.clock.now()
        issuers = [self._office.issuer(record) for record in self._office.register.all()]
        issuer = signer_of(crl, issuers, now)
        for record in self._below(issuer):
            view = self._office.issuer(record).view
            if record.state is CaState.REVOKED and view.serial not in crl.serials and now < view.not_after:
                raise CrlRefused(
                    f"CRL {crl.number} does not list CA {record.name} v{record.version}, which an earlier one revoked",
                    why="it was made from an older copy of the ledger, or revocations were lost where it was made",
                    mend=("make the next CRL from the newest copy of what the root remembers",),
                )
        return issuer, crl

    def _hit(self, issuer: Issuer, crl: ForeignCrl) -> list[CaRecord]:
        """CAs in it that count as good so far."""
        return [
            record
            for record in self._below(issuer)
            if record.state is not CaState.REVOKED and self._office.issuer(record).view.serial in crl.serials
        ]

    def _below(self, issuer: Issuer) -> list[CaRecord]:
        """CAs that its key certified: several certificates of one CA may have that key."""
        office = self._office
        same = {
            other.id
            for other in office.register.all()
            if (view := office.issuer(other).view).subject == issuer.view.subject and view.spki == issuer.view.spki
        }
        return [record for record in office.register.all() if record.parent_id in same]


def read_files(files: Sequence[str]) -> tuple[CertificateView, ...]:
    """The certificates of several files, given as base64. Raises InvalidValue, MalformedDer."""
    if not 1 <= len(files) <= 20:
        raise InvalidValue(f"certificates: 1 to 20 files are read, not {len(files)}")
    found = {view.encoded: view for file in files for view in read_bundle(_decoded(file))}
    return tuple(found.values())


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidValue("a file is not base64") from error
