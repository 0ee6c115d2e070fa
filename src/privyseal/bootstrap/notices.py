# SPDX-License-Identifier: Apache-2.0
"""Looking once a day for ends that nobody sees to, and sending the mails that tell of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from privyseal.adapters.mail import send_mail
from privyseal.administration.notices import digest, due_notices
from privyseal.bootstrap import Application
from privyseal.config import read_passphrase
from privyseal.errors import NotFound, PrivysealError
from privyseal.model.authority import IN_FORCE, CaState
from privyseal.model.authority_name import RenewalMode
from privyseal.model.certificate import CertificateKind, CertificateRecord, format_serial
from privyseal.model.notice import DEFAULT_PERCENTS, Ending, MailSettings
from privyseal.model.search.grammar import parse_search
from privyseal.store.notices import Mail, NoticeBook
from privyseal.x509.certificate import read_certificate

_EVERY: Final = timedelta(days=1)
_NOT_RENEWED: Final = 80
"""Percent of its life at which what should have renewed itself has not: RA and OCSP do at two thirds."""
_MISSED: Final = 90
"""The same for devices, which may be switched off for a while."""
_MOST_CERTIFICATES: Final = 20_000
_MAILS_AT_ONCE: Final = 10
_log: Final = logging.getLogger("privyseal.notices")


def notice_book(application: Application) -> NoticeBook:
    """Notices and mails of an installation."""
    return NoticeBook(application.database, application.committer)


async def look_for_ends(application: Application) -> int:
    """Once a day: tell of all ends that passed a threshold, by one mail and one event; of how many."""
    book, now = notice_book(application), application.clock.now()
    last = book.looked_at()
    if last is not None and last <= now < last + _EVERY:
        return 0
    endings = [*_authorities(application), *_services(application, now)]
    endings += [ending async for ending in _certificates(application, now)]
    told = {ending.subject: book.told(ending.subject) for ending in endings}
    mail = application.settings.mail
    notices = due_notices(endings, told, mail.at_percent if mail else DEFAULT_PERCENTS, now=now)
    organization = application.settings.organization
    title, body = digest(notices, organization=organization, now=now) if notices and mail else ("", "")
    await book.give(notices, title=title, body=body)
    return len(notices)


async def send_mails(application: Application) -> int:
    """Send what is due; how many were taken."""
    book, settings, taken = notice_book(application), application.settings.mail, 0
    if settings is None:
        return 0
    for mail in book.due(now=application.clock.now(), most=_MAILS_AT_ONCE):
        try:
            await asyncio.to_thread(_send, application, settings, mail)
        except PrivysealError as error:
            _log.warning("mail %d: [%d] %s", mail.id, error.code, error.what)
            if await book.failed(mail, error):
                _log.error("mail %d is given up after a week", mail.id)
            continue
        await book.sent(mail)
        taken += 1
    return taken


def send_test(application: Application, settings: MailSettings) -> None:
    """Send a mail now that says nothing. Raises NoticeNotSent."""
    now = application.clock.now()
    title, body = "A test of notices", "Mail reaches you. Notices tell of what will not renew by itself.\n"
    _hand_over(application, settings, title, body, message_id=f"test.{application.rng.bytes(8).hex()}", at=now)


def _send(application: Application, settings: MailSettings, mail: Mail) -> None:
    origin = sha256(application.settings.public_url.encode()).hexdigest()[:12]
    name = f"notice.{mail.id}.{int(mail.created_at.timestamp())}.{origin}"
    _hand_over(application, settings, mail.title, mail.body, message_id=name, at=mail.created_at)


def _hand_over(
    application: Application, settings: MailSettings, title: str, body: str, *, message_id: str, at: datetime
) -> None:
    password = read_passphrase(application.settings.home / settings.password_file) if settings.password_file else ""
    name = f"{message_id}@{settings.sender.rpartition('@')[2]}"
    send_mail(settings, password=password, title=title, body=body, message_id=name, at=at)


def _authorities(application: Application) -> Iterator[Ending]:
    """CAs that no policy renews, and those of others."""
    staged = {issuer.record.name for issuer in application.catalog.issuers() if issuer.record.state is CaState.STAGED}
    for issuer in application.catalog.issuers():
        record, view = issuer.record, issuer.view
        automatic = application.authority_names.get(record.name).renewal.mode is RenewalMode.AUTO
        if record.state in IN_FORCE and not (automatic and record.has_key) and record.name not in staged:
            yield Ending(
                subject=f"ca:{record.name} v{record.version}",
                shown=f"CA {record.name} v{record.version}",
                begins=view.not_before,
                ends=view.not_after,
                mend=f"privyseal ca renew {record.name}",
            )
    for external in application.directories.externals():
        view = read_certificate(external.certificate)
        yield Ending(
            subject=f"external:{sha256(external.certificate).hexdigest()}",
            shown=f"CA {external.name} of others, in directory {external.directory}",
            begins=view.not_before,
            ends=view.not_after,
            mend="ask whoever runs it for its successor",
        )


def _services(application: Application, now: datetime) -> Iterator[Ending]:
    """RA and OCSP certificates that should have been renewed by now."""
    for issuer in application.catalog.issuers():
        for kind in (CertificateKind.RA, CertificateKind.OCSP):
            newest = application.catalog.services(issuer.id, kind)
            if issuer.record.state not in IN_FORCE or not newest or newest[0].not_after >= issuer.view.not_after:
                continue
            ending = Ending(
                subject=f"{kind.value}:{sha256(newest[0].certificate).hexdigest()}",
                shown=f"{kind.value.upper()} certificate of CA {issuer.record.name} v{issuer.record.version}",
                begins=newest[0].not_before,
                ends=newest[0].not_after,
                mend="it should have been renewed: privyseal doctor",
            )
            if ending.percent(now) >= _NOT_RENEWED:
                yield ending


async def _certificates(application: Application, now: datetime) -> AsyncIterator[Ending]:
    """Certificates in the last fifth of their life that nobody will renew, or that should have been renewed."""
    seen = 0
    search = parse_search("status:expiring kind:end-entity", now=now)
    async for records in application.inventory.batches(search):
        for record in records:
            seen += 1
            ending = _ending(record)
            if (
                not _renews_itself(application, record) or ending.percent(now) >= _MISSED
            ) and not application.certificates.has_successor(record):
                yield ending
        if seen >= _MOST_CERTIFICATES:
            _log.warning("more than %d certificates expire; the rest is looked at tomorrow", seen)
            return


def _ending(record: CertificateRecord) -> Ending:
    owner = record.entity or record.subject
    return Ending(
        subject=f"serial:{record.issuer} v{record.issuer_version}:{format_serial(record.serial)}",
        shown=f"{owner} by profile {record.profile}, serial {format_serial(record.serial)}",
        begins=record.not_before,
        ends=record.not_after,
        mend=f"privyseal certificate get {format_serial(record.serial)}",
    )


def _renews_itself(application: Application, record: CertificateRecord) -> bool:
    """Devices renew by SCEP what they got by SCEP; what an operator issued, nobody does."""
    try:
        profile = application.profiles.get(record.profile)
    except NotFound:
        return False
    return record.protocol == "scep" and profile.scep.enabled
