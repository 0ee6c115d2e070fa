# SPDX-License-Identifier: Apache-2.0
"""Work that falls due by itself: settle interrupted issuance, fresh CRLs, new RA and OCSP certificates."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, TypeAlias

from privyseal.bootstrap import Application
from privyseal.bootstrap.authorities import tend
from privyseal.bootstrap.deliveries import carry_out, due_directories
from privyseal.bootstrap.notices import look_for_ends, send_mails
from privyseal.bootstrap.sightings import look_at_ntauth
from privyseal.bootstrap.webhooks import send_events
from privyseal.ca.founding import refresh_services
from privyseal.ca.issuer import Issuer
from privyseal.ca.ports import Signer
from privyseal.errors import PrivysealError
from privyseal.model.crl import CrlFacts
from privyseal.store.ahead import AheadBook
from privyseal.store.approvals import ApprovalBook

INTERVAL_SECONDS: Final = 60.0
DELIVERY_SECONDS: Final = 15.0
"""How often the queue of deliveries is looked at; what failed waits longer, each on its own."""
WEBHOOK_SECONDS: Final = 1.0
"""How soon an event is on its way."""
NTAUTH_SECONDS: Final = 900.0
"""How often NTAuth is read, for a CA of ours that others put there."""
REST_SECONDS: Final = 0.2
"""How long a wanted CRL waits for company."""
_CUT_AT_ONCE: Final = 1000
_TALLIED_AT_ONCE, _TALLY_ROUNDS = 2000, 50
_BLOCKS_AT_ONCE: Final = 4
# Between reserving and recording lie milliseconds; what is open for so long met a fault and will not be recorded.
STALE: Final = timedelta(minutes=10)
_Work: TypeAlias = Callable[[Application], Awaitable[None]]
_Following: TypeAlias = Callable[[Application], Awaitable[_Work]]
_log: Final = logging.getLogger("privyseal.worker")


async def settle_access(application: Application) -> None:
    """End approvals that ran out or were cut off."""
    if ended := await ApprovalBook(application.database, application.committer).settle():
        _log.info("%d approval(s) ran out or were cut off", ended)


async def _keep_house(application: Application) -> None:
    """Forget what is past its time, and carry the counters on."""
    for table, rows in (await application.retention.cut(most=_CUT_AT_ONCE)).items():
        _log.info("forgot %d row(s) of %s that were past their time", rows, table)
    for _ in range(_TALLY_ROUNDS):
        if await application.tallies.carry_on(most=_TALLIED_AT_ONCE) < _TALLIED_AT_ONCE:
            return
        await asyncio.sleep(0)


async def work_once(application: Application) -> None:
    """Everything that is due now. A CA that fails does not keep the others waiting."""
    settled = await application.status_book.settle(
        application.instance.is_gone, stale_before=application.clock.now() - STALE, actor="service:settle"
    )
    if settled:
        _log.warning("settled %d interrupted issuance(s): serials burnt and revoked as a precaution", settled)
    await settle_access(application)
    if put_off := await AheadBook(application.database, application.committer).make_due(now=application.clock.now()):
        _log.warning("a clock ran ahead: %d thing(s) that it had put off are due now", put_off)
    await _keep_house(application)
    await application.search_index.extend(most=_BLOCKS_AT_ONCE)
    if revoked := await application.bulk.carry_on(now=application.clock.now()):
        _log.warning("revoked %d certificate(s) that an interrupted revocation had left", revoked)
    await tend(application)
    for issuer in _with_status(application):
        try:
            signer = application.catalog.signer(issuer.id)
            await _publish_crls(application, issuer, signer)
            for kind in await refresh_services(issuer, application.workshop()):
                _log.info("%s certificate of %s renewed", kind.value, issuer.record.name)
        except PrivysealError as error:
            _log.error("CA %s: [%d] %s", issuer.record.name, error.code, error.what)


def _with_status(application: Application) -> tuple[Issuer, ...]:
    """CA versions that owe CRL and OCSP answers now; of those that share a key, the newest speaks for all."""
    now, found = application.clock.now(), dict[int, Issuer]()
    for issuer in application.catalog.issuers():
        if issuer.record.has_key and issuer.owes_status(now):
            found[issuer.id] = issuer
    return tuple(found.values())


async def _publish_crls(application: Application, issuer: Issuer, signer: Signer) -> None:
    for published in await application.status.publish_due(issuer, signer):
        _log.info("%s %d of %s published", _crl_label(issuer, published), published.number, issuer.record.name)


def _crl_label(issuer: Issuer, facts: CrlFacts) -> str:
    if facts.base_number is not None:
        return "delta CRL"
    return f"shard {facts.shard}, CRL" if issuer.record.crl.shards else "CRL"


async def publish_wanted(application: Application) -> None:
    """The CRLs of what was just revoked or released. A CA that fails is left to the next round of everything."""
    if not application.crl_wanted.is_set():
        return
    application.crl_wanted.clear()
    for issuer in _with_status(application):
        if application.status.due(issuer):
            try:
                await _publish_crls(application, issuer, application.catalog.signer(issuer.id))
            except PrivysealError as error:
                _log.error("CA %s: [%d] %s", issuer.record.name, error.code, error.what)


async def deliver_once(application: Application) -> None:
    """Every delivery that is due. A directory that is away does not keep the others waiting."""
    for directory in await due_directories(application):
        carried = await carry_out(application, directory, actor="service:deliver")
        if carried.added or carried.removed:
            _log.info("directory %s: %d certificate(s) added, %d gone", directory, carried.added, carried.removed)
        if carried.fault is not None:
            _log.warning("directory %s: [%d] %s", directory, carried.fault.code, carried.fault.what)


async def tell_receivers(application: Application) -> None:
    """Events to webhooks."""
    await send_events(application)


async def watch_ntauth(application: Application) -> None:
    """Four eyes follow what stands in NTAuth, whoever put it there."""
    await look_at_ntauth(application, actor="service:watch")


async def tell_of_ends(application: Application) -> None:
    """Notices of what will not renew itself, and the mails that are due."""
    if found := await look_for_ends(application):
        _log.warning("%d end(s) of what will not renew itself are told of", found)
    await send_mails(application)


async def work_forever(application: Application) -> None:
    """Run what is due, and deliveries apart from the rest: a directory may take its time."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_again_and_again(application, work_once, _next_work))
        group.create_task(_again_and_again(application, deliver_once, _next_delivery))
        group.create_task(_again_and_again(application, tell_receivers, _next_telling))
        group.create_task(_again_and_again(application, watch_ntauth, _next_watch))
        group.create_task(_again_and_again(application, tell_of_ends, _next_notice))


async def _again_and_again(application: Application, work: _Work, following: _Following) -> None:
    """Until cancelled; the second top loop that survives any fault."""
    while True:
        try:
            await work(application)
        except Exception:
            # Keep serving: the next round may succeed, and silence would be worse than a repeated trace.
            _log.exception("[9000] the worker met an unexpected fault")
        work = await following(application)


async def _next_delivery(_: Application) -> _Work:
    await asyncio.sleep(DELIVERY_SECONDS)
    return deliver_once


async def _next_telling(_: Application) -> _Work:
    await asyncio.sleep(WEBHOOK_SECONDS)
    return tell_receivers


async def _next_watch(_: Application) -> _Work:
    await asyncio.sleep(NTAUTH_SECONDS)
    return watch_ntauth


async def _next_notice(_: Application) -> _Work:
    await asyncio.sleep(INTERVAL_SECONDS)
    return tell_of_ends


async def _next_work(_: Application) -> _Work:
    await asyncio.sleep(INTERVAL_SECONDS)
    return work_once


async def publish_as_wanted(application: Application) -> None:
    """Publish CRLs of what this process revoked, as long as it serves; it needs no turn for that."""
    await _again_and_again(application, publish_wanted, _next_wanted)


async def _next_wanted(application: Application) -> _Work:
    await application.crl_wanted.wait()
    # Whoever revokes many, one by one, gets a CRL for some of them together.
    await asyncio.sleep(REST_SECONDS)
    return publish_wanted
