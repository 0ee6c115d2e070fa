# SPDX-License-Identifier: Apache-2.0
"""The system's clock and randomness, the only place they are read (``ca.ports.Clock`` and ``Rng``)."""

from __future__ import annotations

import os
from datetime import UTC, datetime


class SystemClock:
    """Now, in UTC."""

    def now(self) -> datetime:
        """The current time."""
        return datetime.now(UTC)


class SystemRng:
    """The operating system's generator."""

    def bytes(self, count: int) -> bytes:
        """``count`` unpredictable bytes."""
        return os.urandom(count)
