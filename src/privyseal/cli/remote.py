# SPDX-License-Identifier: Apache-2.0
"""The few commands about CAs and certificates that speak to a server when one is in use, with the same field names."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from privyseal.cli.inspecting import first_certificate
from privyseal.cli.output import show_item, show_list, write_text
from privyseal.cli.session import Session
from privyseal.cli.values import read_given
from privyseal.model.api.codec import encode
from privyseal.model.api.shapes import RevokeWish
from privyseal.model.certificate import format_serial


def list_certificates(session: Session, where: str, *, limit: int, columns: tuple[str, ...]) -> None:
    """``certificate list``."""
    with session.client() as client:
        items = [_row(encode(item)) for item in islice(client.certificates(where, limit=limit), limit)]
    show_list(session, items, columns)


def get_certificate(session: Session, serial: str, ca: str | None) -> None:
    """``certificate get``."""
    with session.client() as client:
        found = client.certificate(_serial(serial), ca=ca or "")
    if session.output == "pem":
        write_text(found.certificate or "")
    else:
        show_item(session, _row(encode(found)))


def revoke_certificate(
    session: Session, serial: str, *, ca: str | None, reason: str, since: datetime | None, block: bool | None
) -> None:
    """``certificate revoke``."""
    chosen = "default" if block is None else "yes" if block else "no"
    with session.client() as client:
        wish = RevokeWish(reason=reason, invalid_since=since, block=chosen)
        found = client.revoke(_serial(serial), wish, ca=ca or "")
    show_item(session, _row(encode(found)))
    session.done(f"revoked {found.serial}; OCSP says so now, the next CRL in a moment")


def list_authorities(session: Session) -> None:
    """``ca list``."""
    with session.client() as client:
        items = [_row(encode(item)) for item in client.authorities()]
    show_list(session, items, ("name", "version", "kind", "state", "parent", "key", "not_after", "crl_next_update"))


def get_authority(session: Session, name: str, version: int) -> None:
    """``ca get``."""
    with session.client() as client:
        found = client.authority(name, version=version)
    if session.output == "pem":
        write_text(found.certificate)
    else:
        show_item(session, _row(encode(found)))


def _row(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name != "certificate"}


def _serial(given: str) -> str:
    path = Path(given)
    return format_serial(first_certificate(read_given(path)).serial) if path.is_file() else given
