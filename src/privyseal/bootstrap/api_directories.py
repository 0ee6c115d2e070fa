# SPDX-License-Identifier: Apache-2.0
"""What the API's operations about directories read, as shapes. Controllers are asked in a thread, few at a time."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from typing import Any

from privyseal.bootstrap import Application
from privyseal.bootstrap.api_inventory import read_request
from privyseal.bootstrap.directory_looking import Seen, known_authorities, look_everywhere
from privyseal.bootstrap.publishing import directory_place
from privyseal.bootstrap.sightings import note_ntauth, ntauth_in
from privyseal.directory.describe import certificate_label, describe
from privyseal.directory.receipts import ownership
from privyseal.directory.status import classify, drift
from privyseal.errors import BodyInvalid
from privyseal.model.api.directory_shapes import (
    ControllerShape,
    DirectoryShape,
    DirectoryStatus,
    FoundCertificate,
    MissingValue,
    PublishItem,
    ReceiptShape,
)
from privyseal.model.directory import DirectoryConfig
from privyseal.x509.bundle import read_bundle


class ApiDirectories:
    """Implements ``endpoints.api.directories.Directories``."""

    def __init__(self, application: Application) -> None:
        self._app = application

    def all(self) -> tuple[DirectoryShape, ...]:
        """In order of name."""
        return tuple(map(_shape, self._app.directories.all()))

    def get(self, name: str) -> DirectoryShape:
        """Raises NotFound."""
        return _shape(self._app.directories.get(name))

    def receipts(self, *, before: int, limit: int) -> tuple[ReceiptShape, ...]:
        """Newest first."""
        return tuple(
            ReceiptShape(
                id=number,
                at=found.at,
                forest=found.forest,
                controller=found.controller,
                result=found.result,
                change=describe(found.change),
                dn=found.change.dn,
                usn=found.usn,
            )
            for number, found in self._app.receipts.page(before=before, limit=limit)
        )

    def items(self, items: Sequence[PublishItem]) -> list[dict[str, Any]]:
        """As the act takes them."""
        return [
            {
                "target": item.target,
                "certificate": base64.b64encode(self._certificate(item, number)).decode("ascii"),
                "allow_expired": item.allow_expired,
            }
            for number, item in enumerate(items)
        ]

    def _certificate(self, item: PublishItem, number: int) -> bytes:
        if (item.ca is None) == (item.certificate is None):
            raise BodyInvalid(
                "say either ca or certificate", faults=((f"/items/{number}/ca", "is not the only one of the two"),)
            )
        if item.certificate is None:
            return self._app.authorities.get(item.ca or "", item.version or 0).certificate
        found = read_bundle(read_request(item.certificate))
        if len(found) != 1:
            raise BodyInvalid(
                f"certificate holds {len(found)} certificates, not one",
                faults=((f"/items/{number}/certificate", "is not one certificate"),),
            )
        return found[0].encoded

    async def status(self, name: str, *, actor: str) -> DirectoryStatus:
        """Asked of every controller now; a CA of ours in NTAuth is remembered."""
        config, clock = self._app.directories.get(name), self._app.clock
        async with directory_place():
            seen = await asyncio.to_thread(look_everywhere, config, now=clock.now)
        await note_ntauth(self._app, ntauth_in(seen.views), directory=name, actor=actor)
        return self._status(name, seen)

    def _status(self, name: str, seen: Seen) -> DirectoryStatus:
        ours, known = ownership(self._app.receipts.receipts(seen.forest)), known_authorities(self._app)
        missing = tuple(
            MissingValue(controller=view.controller, dn=lost.dn, certificate=certificate_label(lost.value))
            for view in seen.views
            for lost in drift(view, ours)
        )
        asked = [
            ControllerShape(controller=view.controller, highest_usn=view.highest_usn, asked_at=view.at, fault=None)
            for view in seen.views
        ]
        silent = [
            ControllerShape(controller=host, highest_usn=None, asked_at=None, fault=f"{fault.code}: {fault.what}")
            for host, fault in seen.faults
        ]
        return DirectoryStatus(
            directory=name,
            forest=seen.forest,
            controllers=(*asked, *silent),
            certificates=tuple(
                FoundCertificate(
                    controller=view.controller,
                    container=item.container.value,
                    name=item.name,
                    owner=item.owner.value,
                    not_after=item.not_after,
                    problems=item.problems,
                    receipted=item.receipted,
                    dn=item.dn,
                    fingerprint_sha256=item.digest.hex(),
                )
                for view in seen.views
                for item in classify(view, known, ours=ours)
            ),
            missing=missing,
            proven=not missing and not silent,
        )


def _shape(config: DirectoryConfig) -> DirectoryShape:
    return DirectoryShape(
        name=config.name,
        uris=config.uris,
        hosts=config.hosts,
        bind=config.bind.value,
        account=config.account,
    )
