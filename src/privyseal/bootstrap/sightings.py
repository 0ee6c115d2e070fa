# SPDX-License-Identifier: Apache-2.0
"""Noticing a CA of ours in NTAuth that others put there, by script or certutil: four eyes need no receipt for that."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from privyseal.bootstrap import Application
from privyseal.bootstrap.directory import open_first
from privyseal.directory.containers import READ_ATTRIBUTES, Container, certificates_of, container_dn
from privyseal.directory.status import ControllerView
from privyseal.errors import PrivysealError
from privyseal.model.directory import DirectoryConfig
from privyseal.store.access import AccessBook

if TYPE_CHECKING:
    from privyseal.adapters.ldap import LdapDirectory

_log: Final = logging.getLogger("privyseal.directory")


def ntauth_of(port: LdapDirectory) -> tuple[bytes, ...]:
    """The certificates in NTAuth as one controller shows them: one read."""
    entry = port.read(container_dn(Container.NTAUTH, port.root_dse().configuration_nc), READ_ATTRIBUTES)
    return () if entry is None else tuple(certificates_of(entry))


def ntauth_in(views: Iterable[ControllerView]) -> tuple[bytes, ...]:
    """The same from what controllers were seen to hold."""
    return tuple(
        certificate
        for view in views
        for container, entry in view.entries
        if container is Container.NTAUTH
        for certificate in certificates_of(entry)
    )


async def note_ntauth(
    application: Application, found: Iterable[bytes], *, directory: str, actor: str
) -> frozenset[str]:
    """Remember those that are of our CAs; the names of those that nobody knew of."""
    book = AccessBook(application.database, application.committer)
    new = await book.note_in_ntauth(found, directory=directory, actor=actor)
    for name in sorted(new):
        _log.warning("CA %s stands in NTAuth of directory %s, and was not put there by us", name, directory)
    return new


async def look_at_ntauth(application: Application, *, actor: str) -> None:
    """Look into NTAuth of every directory. One that is away is told of in the log, and what was seen before stays."""
    for config in application.directories.all():
        try:
            found = await asyncio.to_thread(_ask, config)
        except PrivysealError as error:
            _log.warning("NTAuth of directory %s was not read: [%d] %s", config.name, error.code, error.what)
        else:
            await note_ntauth(application, found, directory=config.name, actor=actor)


def _ask(config: DirectoryConfig) -> tuple[bytes, ...]:
    port = open_first(config)
    try:
        return ntauth_of(port)
    finally:
        port.close()
