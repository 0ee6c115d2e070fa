# SPDX-License-Identifier: Apache-2.0
"""Carries out what is due of deliveries: one connection for each directory, LDAP in a thread, every step stored.

An issuance never waits for this, and nothing is lost when a directory is away: what is queued stays queued.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from privyseal.bootstrap import Application
from privyseal.bootstrap.directory import open_first
from privyseal.errors import (
    ControllersDisagree,
    DirectoryBusy,
    DirectoryTimeout,
    DirectoryUnreachable,
    ExtraMissing,
    PrivysealError,
)
from privyseal.model.delivery import Delivery, DeliveryState, retry_after
from privyseal.repository.delivery import Step, make, next_step

if TYPE_CHECKING:
    from privyseal.adapters.ldap import LdapDirectory

_AT_ONCE: Final = 200
_MOST_ROUNDS: Final = 10
# After these nothing else of the same directory can go better now.
_AWAY: Final = (DirectoryUnreachable, DirectoryTimeout, DirectoryBusy)


@dataclass(slots=True)
class Carried:
    """How far it went."""

    added: int = 0
    removed: int = 0
    postponed: int = 0
    fault: PrivysealError | None = None
    """What kept a whole directory from being asked."""


Said = Callable[[Delivery, str], None]


async def carry_out(application: Application, directory: str, *, actor: str, said: Said | None = None) -> Carried:
    """Everything that is due for one directory, in bounded rounds. Never raises what a directory can cause."""
    carried = Carried()
    port: LdapDirectory | None = None
    try:
        for _ in range(_MOST_ROUNDS):
            batch = application.deliveries.due(directory, now=application.clock.now(), most=_AT_ONCE)
            if not batch:
                break
            if port is None:
                port = await asyncio.to_thread(open_first, application.directories.get(directory))
            courier = _Courier(application, port, actor=actor)
            await courier.arrive()
            for delivery in batch:
                words, fault = await courier.deliver(delivery, carried)
                if said is not None:
                    said(delivery, words)
                if fault is not None:
                    raise fault
    except PrivysealError as fault:
        # The log-in or the connection failed; whoever else is due would meet the same.
        carried.fault = fault
        carried.postponed += await _postpone_all(application, directory, fault)
    finally:
        if port is not None:
            await asyncio.to_thread(port.close)
    return carried


async def _postpone_all(application: Application, directory: str, fault: PrivysealError) -> int:
    now = application.clock.now()
    first = application.deliveries.due(directory, now=now, most=1)
    until = _later(application, first[0].attempts + 1 if first else 1)
    return await application.deliveries.postpone_all(directory, fault, now=now, until=until)


def _later(application: Application, attempts: int) -> datetime:
    return application.clock.now() + retry_after(attempts, application.rng.bytes(1)[0])


class _Courier:
    """Delivers over one connection."""

    def __init__(self, application: Application, port: LdapDirectory, *, actor: str) -> None:
        self._application = application
        self._port = port
        self._actor = actor
        self._base = self._controller = ""

    async def arrive(self) -> None:
        """Ask the controller who it is."""
        root = await asyncio.to_thread(self._port.root_dse)
        self._base, self._controller = root.default_nc, root.dns_host_name

    async def deliver(self, delivery: Delivery, carried: Carried) -> tuple[str, PrivysealError | None]:
        """One delivery; what became of it, and the fault when the controller cannot be asked any more."""
        book, certain = self._application.deliveries, True
        if delivery.state is DeliveryState.TO_ADD and not (delivery.good or delivery.ours):
            # Revoked or expired before anything was sent: the directory need not be asked.
            await book.gone(delivery, dn="", controller="", removed=False, actor=self._actor)
            carried.removed += 1
            return "not sent: the certificate is good no longer", None
        try:
            certificate = self._application.certificates.encoded(delivery.certificate_id)
            step = await asyncio.to_thread(
                next_step, self._port, self._base, delivery, certificate=certificate, controller=self._controller
            )
            if step.change is not None:
                if not await book.intend(
                    delivery, dn=step.dn, controller=self._controller, ours=step.ours, actor=self._actor
                ):
                    return "in the hands of another process", None
                certain = False
                await asyncio.to_thread(make, self._port, step.change, controller=self._controller)
        except (*_AWAY, ExtraMissing) as away:
            await self._postpone(delivery, away, certainly_not=certain)
            carried.postponed += 1
            return f"later: {away.what}", away
        except PrivysealError as refused:
            sure = certain or not isinstance(refused, ControllersDisagree)
            await self._postpone(delivery, refused, certainly_not=sure)
            carried.postponed += 1
            return f"later: [{refused.code}] {refused.what}", None
        return await self._note(delivery, step, carried), None

    async def _note(self, delivery: Delivery, step: Step, carried: Carried) -> str:
        book = self._application.deliveries
        if step.stands:
            await book.added(delivery, dn=step.dn, controller=self._controller, ours=step.ours, actor=self._actor)
            carried.added += 1
            return f"stands at {step.dn}"
        removed = step.change is not None
        await book.gone(delivery, dn=step.dn, controller=self._controller, removed=removed, actor=self._actor)
        carried.removed += 1
        return f"taken from {step.dn}" if removed else "nothing of ours stands there"

    async def _postpone(self, delivery: Delivery, error: PrivysealError, *, certainly_not: bool) -> None:
        until = _later(self._application, delivery.attempts + 1)
        await self._application.deliveries.postpone(delivery, error, until=until, certainly_not=certainly_not)


async def due_directories(application: Application) -> tuple[str, ...]:
    """Directories for which something is due, after what has expired was queued."""
    now = application.clock.now()
    await application.deliveries.expire(now=now)
    return application.deliveries.directories(now)
