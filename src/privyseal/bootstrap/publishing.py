# SPDX-License-Identifier: Apache-2.0
"""The acts about publication and profiles with what they need: a directory reached anew, and the Tier-0 guard."""

from __future__ import annotations

import asyncio
import grp
import pwd
import stat
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from privyseal.administration.act import Act
from privyseal.administration.entities import ChangeEntity, CreateEntity
from privyseal.administration.publication import PublishToDirectory, SaveProfile
from privyseal.administration.tier0 import Surroundings, who_could_become_anybody
from privyseal.bootstrap import Application
from privyseal.bootstrap.directory import open_first
from privyseal.ca.form import CertificateForm
from privyseal.directory.receipts import Receipt
from privyseal.directory.undo_file import UndoFile, write_undo_file
from privyseal.errors import NotFound, PlanStale
from privyseal.model.directory import DirectoryConfig
from privyseal.model.profile import CertificateProfile
from privyseal.repository.service import Applied, Planned, PublicationService, Wanted
from privyseal.store.access import AccessBook
from privyseal.store.directories import ReceiptBook
from privyseal.store.tokens import TokenBook

_MOST_TOKENS = 1000
_MOST_AT_ONCE = 4
_PLACES: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


class LivePublisher:
    """Implements ``administration.publication.Publisher``. LDAP blocks, so planning is done in a thread."""

    def __init__(self, application: Application) -> None:
        self._app = application
        self._service = PublicationService(application.receipts, application.clock.now)

    async def plan(self, directory: str, wanted: Sequence[Wanted]) -> Planned:
        """See ``Publisher``."""
        config = self._app.directories.get(directory)
        async with directory_place():
            return await asyncio.to_thread(self._plan, config, wanted)

    def _plan(self, config: DirectoryConfig, wanted: Sequence[Wanted]) -> Planned:
        port = open_first(config)
        try:
            return self._service.plan(port, wanted)
        finally:
            port.close()

    async def apply(self, directory: str, wanted: Sequence[Wanted], *, agreed: str, actor: str) -> Mapping[str, Any]:
        """See ``Publisher``. The undo file's text is in the result; a fault is raised after what was done is stored."""
        config = self._app.directories.get(directory)
        across = _ReceiptsAcross(self._app.receipts, asyncio.get_running_loop())
        service = PublicationService(across, self._app.clock.now)
        async with directory_place():
            planned, applied = await asyncio.to_thread(_apply, service, config, wanted, agreed=agreed, actor=actor)
        if applied.fault is not None:
            raise applied.fault
        undo = UndoFile(
            forest=planned.root.forest,
            controller=planned.root.dns_host_name,
            at=self._app.clock.now(),
            changes=applied.done,
        )
        return {
            "directory": directory,
            "controller": planned.root.dns_host_name,
            "changes": len(applied.done),
            "undo": write_undo_file(undo) if applied.done else None,
        }


def _apply(
    service: PublicationService, config: DirectoryConfig, wanted: Sequence[Wanted], *, agreed: str, actor: str
) -> tuple[Planned, Applied]:
    """In a thread of its own: LDAP blocks, and the server must not."""
    port = open_first(config)
    try:
        planned = service.plan(port, wanted)
        if agreed and planned.plan.fingerprint != agreed:
            raise PlanStale(f"the plan is now {planned.plan.fingerprint[:16]}, not {agreed[:16]}")
        return planned, asyncio.run(service.apply(port, planned, actor=actor))
    finally:
        port.close()


class _ReceiptsAcross:
    """Implements ``repository.ports.ReceiptStore`` for a thread: the store is touched on its own loop only."""

    def __init__(self, book: ReceiptBook, loop: asyncio.AbstractEventLoop) -> None:
        self._book = book
        self._loop = loop

    async def add(self, receipt: Receipt, *, actor: str) -> None:
        """On disk when this returns."""
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._book.add(receipt, actor=actor), self._loop))

    def receipts(self, forest: str) -> tuple[Receipt, ...]:
        """All of a forest."""

        async def read() -> tuple[Receipt, ...]:
            return self._book.receipts(forest)

        return asyncio.run_coroutine_threadsafe(read(), self._loop).result()


@asynccontextmanager
async def directory_place() -> AsyncIterator[None]:
    """One of the few places for work with directories, so that slow controllers use up no more threads."""
    loop = asyncio.get_running_loop()
    found = _PLACES.setdefault(loop, asyncio.Semaphore(_MOST_AT_ONCE))
    async with found:
        yield


class Guard:
    """Who could become anybody through a CA of this installation."""

    def __init__(self, application: Application, access: AccessBook, tokens: TokenBook) -> None:
        self._app = application
        self._access = access
        self._tokens = tokens

    def of_certificate(self, certificate: bytes) -> tuple[str, ...]:
        """For a CA certificate that is about to be published."""
        names = {record.name for record in self._app.authorities.all() if record.certificate == certificate}
        if not names:
            return ("it is a CA of others: who decides about names there is not known here",)
        return tuple(text for name in sorted(names) for text in self.of(name))

    def of(self, ca: str) -> tuple[str, ...]:
        """For a CA by name. Raises NotFound."""
        if ca not in {record.name for record in self._app.authorities.all()}:
            raise NotFound(f"there is no CA {ca!r}", mend=("privyseal ca list",))
        now = self._app.clock.now()
        return who_could_become_anybody(
            ca,
            Surroundings(
                profiles=tuple(profile for profile in self._app.profiles.all() if profile.issuer == ca),
                holders=self._access.holders(),
                labels=ca_labels(self._app, ca),
                tokens=tuple(
                    token
                    for token in self._tokens.page(before=0, limit=_MOST_TOKENS)
                    if token.revoked_at is None and token.expires_at > now
                ),
                readers=readers_of(self._app.settings.keys),
            ),
        )


def publication_acts(application: Application, access: AccessBook, guard: Guard) -> Iterator[Act]:
    """Publishing, profiles that decide about names, and the names that are stored."""

    def check(profile: CertificateProfile) -> None:
        # Built once now, so that a purpose which the CA does not allow is refused here and not at a device.
        CertificateForm(profile, application.catalog.issuer(profile.issuer))

    yield PublishToDirectory(LivePublisher(application), guard.of_certificate)
    yield SaveProfile(
        application.profiles,
        check=check,
        in_ntauth=access.in_ntauth,
        labels=lambda ca: ca_labels(application, ca),
    )

    def trusted() -> tuple[CertificateProfile, ...]:
        standing = access.in_ntauth()
        return (
            tuple(profile for profile in application.profiles.all() if profile.issuer in standing) if standing else ()
        )

    yield CreateEntity(application.entities, trusted)
    yield ChangeEntity(application.entities, trusted)


def ca_labels(application: Application, ca: str) -> frozenset[str]:
    """The labels of a CA; none for one that is not there."""
    try:
        return frozenset(application.authority_names.get(ca).labels)
    except NotFound:
        return frozenset()


def readers_of(directory: Path) -> tuple[str, ...]:
    """Users of the operating system who can read what is in a directory, by its mode; root always can."""
    try:
        found = directory.stat()
    except OSError:
        return ("root",)
    names = ["root", _user(found.st_uid)]
    if found.st_mode & (stat.S_IRGRP | stat.S_IXGRP):
        names += _members(found.st_gid)
    if found.st_mode & (stat.S_IROTH | stat.S_IXOTH):
        names.append("every user")
    return tuple(dict.fromkeys(names))


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"


def _members(gid: int) -> list[str]:
    try:
        return list(grp.getgrgid(gid).gr_mem)
    except KeyError:
        return [f"group {gid}"]
