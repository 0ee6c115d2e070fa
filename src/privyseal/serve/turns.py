# SPDX-License-Identifier: Apache-2.0
"""Of all processes that serve one store, one at a time does what falls due by itself: who holds the lease."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta
from typing import Final

from privyseal.bootstrap import Application
from privyseal.errors import PrivysealError
from privyseal.worker import publish_as_wanted, work_forever, work_once

LEASE: Final = "worker"
LIFETIME: Final = timedelta(seconds=60)
"""How long a machine that is gone without a word keeps others waiting; a process that died does not."""
_RENEW_SECONDS: Final = 10.0
_log: Final = logging.getLogger("privyseal.worker")


async def work_at_start(application: Application) -> None:
    """What is due before the first request, unless another process sees to it already."""
    if await _holds(application):
        await work_once(application)


async def work_in_turns(application: Application) -> None:
    """Work while the lease is ours, wait for it while it is not. Until cancelled; then it is given up."""
    working: asyncio.Task[None] | None = None
    wanted = asyncio.create_task(publish_as_wanted(application))
    try:
        while True:
            holds = await _holds(application)
            if holds and working is None:
                working = asyncio.create_task(work_forever(application))
            elif not holds and working is not None:
                _log.warning("another process has taken over what falls due")
                await _end(working)
                working = None
            await asyncio.sleep(_RENEW_SECONDS)
    finally:
        await _end(wanted)
        if working is not None:
            await _end(working)
        with suppress(PrivysealError):  # then it ends by itself
            await application.leases.give_up(LEASE)


async def _holds(application: Application) -> bool:
    try:
        fence = await application.leases.take(LEASE, lifetime=LIFETIME, holder_gone=application.instance.is_gone)
    except PrivysealError as error:
        _log.error("the lease could not be renewed: [%d] %s", error.code, error.what)
        return False
    return fence is not None


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
