# SPDX-License-Identifier: Apache-2.0
"""What every controller of a directory holds, and the CAs that are known here. Looking blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from privyseal.bootstrap import Application
from privyseal.bootstrap.directory import connector, controllers, open_first
from privyseal.directory.status import ControllerView, Known
from privyseal.errors import PrivysealError
from privyseal.model.authority import CaState
from privyseal.model.directory import DirectoryConfig
from privyseal.repository.proof import look


@dataclass(frozen=True, slots=True)
class Seen:
    """What every controller that could be asked holds; ``faults`` are the others, with the reason."""

    forest: str
    views: tuple[ControllerView, ...]
    faults: tuple[tuple[str, PrivysealError], ...]


def look_everywhere(config: DirectoryConfig, *, now: Callable[[], datetime]) -> Seen:
    """Ask all of them, one after the other. Raises when none of the named controllers answers."""
    connect = connector(config)
    views: dict[str, ControllerView] = {}
    faults: list[tuple[str, PrivysealError]] = []
    port = open_first(config)
    try:
        forest = port.root_dse().forest
        names = controllers(config, port)
    finally:
        port.close()
    for name in names:
        try:
            port = connect(name)
            try:
                view = look(port, now=now)
            finally:
                port.close()
        except PrivysealError as fault:
            faults.append((name, fault))
        else:
            views.setdefault(view.controller, view)
    return Seen(forest, tuple(views.values()), tuple(faults))


def known_authorities(application: Application) -> Known:
    """Certificates of CAs that are known here, by digest."""
    records = application.authorities.all()
    ours = {sha256(record.certificate).digest(): f"{record.name} v{record.version}" for record in records}
    for issuer in application.catalog.issuers():
        crosses = application.catalog.crosses(issuer)
        ours |= {sha256(cross).digest(): f"{issuer.shown}, signed by another version" for cross in crosses}
    return Known(
        ours=ours,
        external={sha256(item.certificate).digest(): item.name for item in application.directories.externals()},
        ended={
            sha256(record.certificate).digest(): f"this version is {record.state.value}: take it out"
            for record in records
            if record.state in (CaState.RETIRED, CaState.REVOKED)
        },
    )
