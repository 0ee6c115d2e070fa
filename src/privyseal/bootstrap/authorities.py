# SPDX-License-Identifier: Apache-2.0
"""The acts about CAs of a built installation, and what falls due in the life of a CA by itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from privyseal.adapters.fetch import fetch
from privyseal.administration.act import Act
from privyseal.administration.authorities import DeleteCa, PauseCa, ResumeCa, RevokeCa, SetCa, destroy_doomed_keys
from privyseal.administration.authorities_making import CreateCa, RenewCa, renew
from privyseal.administration.authorities_outside import ImportCrl, ImportRoot, InstallCa
from privyseal.administration.authorities_rollover import ActivateCa, RollBackCa, activate
from privyseal.administration.authority_ports import AuthorityOffice
from privyseal.bootstrap import Application
from privyseal.bootstrap.gates import look_at_gates
from privyseal.ca.issuer import Issuer
from privyseal.ca.lifecycle import CaEvent, over
from privyseal.ca.renewal import make_crosses
from privyseal.errors import PrivysealError
from privyseal.model.authority import CaRecord, CaState
from privyseal.model.authority_name import RenewalMode, RenewalPolicy
from privyseal.model.revocation import CrlReason
from privyseal.store.access import AccessBook
from privyseal.store.foreign_crls import ForeignCrls

_ACTOR: Final = "service:life"
_REACH_SECONDS: Final = 5.0
_log: Final = logging.getLogger("privyseal.authorities")


def authority_office(application: Application) -> AuthorityOffice:
    """The ports of the acts about CAs."""

    async def revoke(issuer: Issuer, serial: int, *, reason: CrlReason, actor: str) -> None:
        await application.status.revoke(
            issuer,
            serial,
            signer=application.catalog.signer(issuer.id),
            reason=reason,
            invalid_since=None,
            actor=actor,
        )

    def profiles_of(name: str) -> tuple[str, ...]:
        return tuple(profile.name for profile in application.profiles.all() if profile.issuer == name)

    return AuthorityOffice(
        register=application.authorities,
        names=application.authority_names,
        life=application.authority_life,
        shop=application.workshop,
        revoke=revoke,
        in_ntauth=AccessBook(application.database, application.committer).in_ntauth,
        profiles_of=profiles_of,
        gates=partial(look_at_gates, application),
        clock=application.clock,
        base_url=application.settings.public_url,
        organization=application.settings.organization,
    )


def authority_acts(application: Application) -> tuple[Act, ...]:
    """Every act about CAs."""
    office = authority_office(application)
    crls = ForeignCrls(application.committer, application.crls)
    return (
        CreateCa(office),
        RenewCa(office),
        ActivateCa(office),
        RollBackCa(office),
        PauseCa(office),
        ResumeCa(office),
        RevokeCa(office),
        DeleteCa(office),
        SetCa(office),
        InstallCa(office, reach),
        ImportRoot(office),
        ImportCrl(office, crls),
    )


async def reach(urls: Sequence[str]) -> Mapping[str, str]:
    """Fetches each URL once, all at the same time; what went wrong, or nothing."""

    def one(url: str) -> str:
        try:
            fetch(url, seconds=_REACH_SECONDS, quote=False)
        except PrivysealError as error:
            return error.what
        return ""

    faults = await asyncio.gather(*(asyncio.to_thread(one, url) for url in urls))
    return dict(zip(urls, faults, strict=True))


async def tend(application: Application) -> None:
    """What falls due in the lives of CAs: retire what is over, destroy keys of what was deleted, renew by policy.

    A CA that fails does not keep the others waiting.
    """
    office = authority_office(application)
    for record in application.authorities.all():
        try:
            await _tend_one(application, office, record)
        except PrivysealError as error:
            _log.error("CA %s v%d: [%d] %s", record.name, record.version, error.code, error.what)
    if application.keys is not None:
        await destroy_doomed_keys(office, actor=_ACTOR)


async def _tend_one(application: Application, office: AuthorityOffice, record: CaRecord) -> None:
    now, life = application.clock.now(), application.authority_life
    if record.state is CaState.RETIRED and now < record.changed_at and life.is_needed(record, now):
        await life.move(record, CaEvent.REVIVE, actor=_ACTOR)  # the clock had run ahead when it was retired
    if not record.has_key:
        return
    if record.state in (CaState.STAGED, CaState.SUPERSEDED) and over(record.state, record.changed_at, now):
        if record.state is CaState.STAGED or not life.is_needed(record, now):
            await life.move(record, CaEvent.RETIRE, actor=_ACTOR)
            _log.info("CA %s v%d is retired", record.name, record.version)
            return
    if application.keys is None:
        return
    if record.state is CaState.STAGED:
        await make_crosses(record, application.workshop(), application.authority_names, actor=_ACTOR)
    policy = application.authority_names.get(record.name).renewal
    if policy.mode is RenewalMode.AUTO:
        await _renew_by_policy(office, record, policy, now=now)


async def _renew_by_policy(office: AuthorityOffice, record: CaRecord, policy: RenewalPolicy, *, now: datetime) -> None:
    view = office.issuer(record).view
    if record.state is CaState.STAGED:
        current = office.register.get(record.name)
        gates = await office.gates(record)
        if current.state is CaState.ACTIVE and all(gate.passed for gate in gates):
            await activate(office, record, accepted=frozenset(), actor=_ACTOR)
            _log.info("CA %s v%d is in force", record.name, record.version)
        return
    waiting = any(item.name == record.name for item in office.names.pending())
    newer = any(
        (other.name == record.name and other.state is CaState.STAGED) or waiting for other in office.register.all()
    )
    if record.state is CaState.ACTIVE and not newer and now >= policy.due(view.not_before, view.not_after):
        made = await renew(office, record.name, same_key=False, actor=_ACTOR)
        _log.info("CA %s v%d is %s", record.name, made["version"], made["state"])
