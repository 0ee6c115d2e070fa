# SPDX-License-Identifier: Apache-2.0
"""Gates of a rollover: what a staged CA version must have shown before it becomes active."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class GateName(Enum):
    """Each can be accepted by name where it does not pass."""

    CHAIN = "chain"
    CROSS = "cross"
    CRL = "crl"
    OCSP = "ocsp"
    AIA = "aia"
    DIRECTORY = "directory"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate: whether it has passed, and what was seen."""

    name: GateName
    passed: bool
    evidence: str
