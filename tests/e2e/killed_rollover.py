# SPDX-License-Identifier: Apache-2.0
"""Renews and activates a root, and kills itself with SIGKILL at a named step. Run by test_ca_killed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from privyseal.adapters.keys import FileKeyStore, FileSigner
from privyseal.store.authorities import AuthorityBook
from privyseal.store.authority_life import AuthorityLife
from privyseal.store.authority_names import AuthorityNames
from privyseal.store.certificates import CertificateLedger
from privyseal.store.crls import CrlBook
from tests.e2e.test_ca_life import ALL_GATES, act
from tests.installation import ROOT_CA, Installation

PLACES: Final[dict[str, tuple[type, str]]] = {
    "key": (FileKeyStore, "create"),
    "reserve": (CertificateLedger, "reserve"),
    "sign": (FileSigner, "sign"),
    "add": (AuthorityBook, "add"),
    "number": (CrlBook, "reserve_crl"),
    "crl": (CrlBook, "record_crl"),
    "service": (AuthorityBook, "add_service"),
    "cross": (AuthorityNames, "add_cross"),
    "activate": (AuthorityLife, "activate"),
}
STEPS: Final = tuple(f"{when} {name}" for name in PLACES for when in ("before", "after"))


def arm(step: str, passes: int) -> None:
    """Death at the step, when it is passed for this time."""
    when, _, name = step.partition(" ")
    owner, method = PLACES[name]
    inner: Callable[..., Awaitable[Any]] = getattr(owner, method)
    left = [passes]

    def passing(now: str) -> None:
        if now == when:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    async def stepped(*arguments: Any, **named: Any) -> Any:
        passing("before")
        found = await inner(*arguments, **named)
        passing("after")
        return found

    setattr(owner, method, stepped)


def main(home: Path, step: str, passes: int) -> None:
    """One life."""
    installation = Installation(home)
    arm(step, passes)
    act(installation, "ca.renew", name=ROOT_CA)
    act(installation, "ca.activate", name=ROOT_CA, accept=ALL_GATES)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
