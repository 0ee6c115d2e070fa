# SPDX-License-Identifier: Apache-2.0
"""The acts of revocation, each with the books that it needs."""

from __future__ import annotations

from collections.abc import Iterator

from privyseal.administration.act import Act
from privyseal.administration.revocation import ReleaseCertificate, RevokeCertificate, RevokeMany, UnblockEntity
from privyseal.bootstrap import Application


def revocation_acts(application: Application) -> Iterator[Act]:
    """Revoke one or many, release, unblock."""
    for act in (RevokeCertificate, ReleaseCertificate, RevokeMany):
        yield act(application.inventory, application.bulk, application.clock)
    yield UnblockEntity(application.entities)
