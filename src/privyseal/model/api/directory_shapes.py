# SPDX-License-Identifier: Apache-2.0
"""Shapes about directories: how they are reached, plans, what controllers hold, and receipts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from privyseal.model.api.fields import limited
from privyseal.model.api.shapes import NAME

TARGETS = ("RootCA", "SubCA", "NTAuthCA")


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryShape:
    """A directory and how it is reached; secrets stay in files on the server."""

    name: str
    uris: tuple[str, ...]
    hosts: tuple[str, ...]
    bind: str
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishItem:
    """One CA for one target."""

    target: str = limited(choices=TARGETS)
    ca: str | None = limited(default=None, pattern=NAME, longest=64, doc="One of ours; this, or a certificate.")
    version: int | None = limited(default=None, least=1, most=9999, doc="Default: the one in force.")
    certificate: str | None = limited(default=None, longest=32768, doc="A CA of anybody, PEM or base64 of DER.")
    allow_expired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishWish:
    """Publish CAs to a directory."""

    items: tuple[PublishItem, ...] = limited(longest=64)
    plan: str = limited(default="", longest=64, pattern="^[0-9a-f]*$", doc="Refuse any plan but this fingerprint.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a publication changed."""

    directory: str
    controller: str
    changes: int
    undo: str | None = limited(default=None, doc="The undo file; for `privyseal directory undo`.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerShape:
    """A controller that was asked, or could not be."""

    controller: str
    highest_usn: int | None
    asked_at: datetime | None
    fault: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCertificate:
    """A CA certificate in a container, as one controller shows it."""

    controller: str
    container: str
    name: str
    owner: str
    not_after: datetime | None
    problems: tuple[str, ...]
    receipted: bool
    dn: str
    fingerprint_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingValue:
    """What we published and a controller does not show."""

    controller: str
    dn: str
    certificate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryStatus:
    """What every controller holds, and what of ours is missing there."""

    directory: str
    forest: str
    controllers: tuple[ControllerShape, ...]
    certificates: tuple[FoundCertificate, ...]
    missing: tuple[MissingValue, ...]
    proven: bool = limited(doc="Every controller answered, and shows everything that receipts say we published.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptShape:
    """One change of a directory, as it was intended or done."""

    id: int
    at: datetime
    forest: str
    controller: str
    result: str
    change: str
    dn: str
    usn: int | None
