# SPDX-License-Identifier: Apache-2.0
"""One mail to an SMTP server, with TLS that is checked and bounded in time. The password is read for each mail."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

from privyseal.errors import NoticeNotSent
from privyseal.model.notice import MailSettings, MailTls

_SECONDS: Final = 20.0


def send_mail(settings: MailSettings, *, password: str, title: str, body: str, message_id: str, at: datetime) -> None:
    """Hand a mail over. Raises NoticeNotSent, unless every recipient was accepted.

    ``message_id`` is the same for each attempt: one that was taken and not acknowledged shows as one mail.
    """
    message = EmailMessage()
    message["From"], message["To"] = settings.sender, ", ".join(settings.to)
    message["Subject"] = " ".join(title.split())
    message["Date"], message["Message-ID"] = format_datetime(at), f"<{message_id}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(body)
    where = f"{settings.host}:{settings.port}"
    try:
        with _connected(settings) as server:
            if settings.user:
                server.login(settings.user, password)
            refused = server.send_message(message)
    except smtplib.SMTPResponseException as error:
        said = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        raise NoticeNotSent(f"{where} said {error.smtp_code}: {str(said)[:200]}") from error
    except smtplib.SMTPRecipientsRefused as error:
        raise NoticeNotSent(f"{where} refused {', '.join(error.recipients)}") from error
    except (OSError, smtplib.SMTPException) as error:
        raise NoticeNotSent(f"{where} does not take it: {str(error)[:200]}") from error
    if refused:
        raise NoticeNotSent(f"{where} refused {', '.join(refused)}")


@contextmanager
def _connected(settings: MailSettings) -> Iterator[smtplib.SMTP]:
    if settings.tls is MailTls.TLS:
        with smtplib.SMTP_SSL(settings.host, settings.port, timeout=_SECONDS, context=_context(settings)) as server:
            yield server
        return
    with smtplib.SMTP(settings.host, settings.port, timeout=_SECONDS) as server:
        if settings.tls is MailTls.STARTTLS:
            server.starttls(context=_context(settings))
        yield server


def _context(settings: MailSettings) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=settings.ca_file or None)
