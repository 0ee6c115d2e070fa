# SPDX-License-Identifier: Apache-2.0
"""How a table of operations shows itself: below which path, and how it tells errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from privyseal.endpoints.http import Response


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """The one of ``/api/v1``, or of what looks like the API of somebody else."""

    prefix: str
    title: str
    error: type
    """The shape of an error."""
    error_media: str
    error_example: Callable[[int], dict[str, Any]]
    """For one status."""
    refuse: Callable[..., Response]
    """Error, incident and headers to an answer."""
