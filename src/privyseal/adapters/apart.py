# SPDX-License-Identifier: Apache-2.0
"""One thread for work that would hold up the event loop (``ca.ports.Apart``): one piece at a time bounds memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class OneThread:
    """Runs pieces of work in order, in a thread of its own."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="apart")

    async def __call__(self, work: Callable[[], T], /) -> T:
        """See ``Apart``."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Wait for the piece under way; what has not begun is given up."""
        self._pool.shutdown(cancel_futures=True)
