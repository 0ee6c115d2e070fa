# SPDX-License-Identifier: Apache-2.0
"""What publication needs from outside: receipts that outlive us, controllers to reach, and the present."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypeAlias

from privyseal.directory.changes import DirectoryPort
from privyseal.directory.receipts import Receipt

Connect: TypeAlias = Callable[[str], DirectoryPort]
"""A bound connection to the controller of this name. Raises the 7000s."""

Now: TypeAlias = Callable[[], datetime]
"""The present, aware and in UTC."""


class ReceiptStore(Protocol):
    """The memory of every change that was made to a directory."""

    async def add(self, receipt: Receipt, *, actor: str) -> None:
        """Store a receipt, with its audit event, durably before returning."""

    def receipts(self, forest: str) -> tuple[Receipt, ...]:
        """All receipts of a forest, oldest first."""
