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
from privyseal.model.api.shapes import EntityShape, RevokeWish
from privyseal.model.certificate import format_serial
from privyseal.model.entity import ATTRIBUTES, EntityKind


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


def list_profiles(session: Session) -> None:
    """``profile list``."""
    with session.client() as client:
        items = [dict(item.body) for item in client.profiles()]
    show_list(session, items, ("name", "revision", "for", "issuer", "subject", "validity", "approval"))


def get_profile(session: Session, name: str) -> None:
    """``profile get``."""
    with session.client() as client:
        show_item(session, dict(client.profile(name).body))


def list_entities(session: Session, kind: EntityKind, *, limit: int, columns: tuple[str, ...]) -> None:
    """``device list`` and ``user list``."""
    with session.client() as client:
        items = [_entity_row(item) for item in islice(client.entities(kind), limit)]
    show_list(session, items, columns)


def get_entity(session: Session, kind: EntityKind, name: str) -> None:
    """``device get`` and ``user get``."""
    with session.client() as client:
        show_item(session, _entity_row(client.entity(kind, name)))


def _entity_row(item: EntityShape) -> dict[str, Any]:
    row: dict[str, Any] = encode(item)
    known = {name: item.attributes.get(name) for name in sorted(ATTRIBUTES[EntityKind(item.kind)] - {"name"})}
    return {name: value for name, value in row.items() if name != "attributes"} | known


def _row(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name != "certificate"}


def _serial(given: str) -> str:
    path = Path(given)
    return format_serial(first_certificate(read_given(path)).serial) if path.is_file() else given
