# SPDX-License-Identifier: Apache-2.0
"""userCertificate of an account: which object is meant, and what is missing there. Values are appended, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from privyseal.directory.changes import AddValue, Entry, RemoveValue
from privyseal.directory.containers import USER_CERTIFICATE, values_of
from privyseal.errors import AccountAmbiguous, AccountNotFound
from privyseal.x509.sid import Sid

DELIVERY_ATTRIBUTES: Final = (USER_CERTIFICATE, "isDeleted")


def account_filter(sid: Sid) -> str:
    """A filter for the user or computer with this SID."""
    return f"(&(objectClass=user)(objectSid={sid.text}))"


def the_holder(found: Sequence[Entry], sid: Sid, *, controller: str) -> Entry:
    """The one account. Disabled ones count: a certificate must also be taken away from those.

    Raises AccountNotFound, AccountAmbiguous.
    """
    alive = [entry for entry in found if entry.attributes.get("isdeleted", ()) != (b"TRUE",)]
    if not alive:
        raise AccountNotFound(f"{controller} knows no user or computer with SID {sid.text}")
    if len(alive) > 1:
        raise AccountAmbiguous(f"{controller} knows {len(alive)} accounts with SID {sid.text}")
    return alive[0]


def holds(entry: Entry, certificate: bytes) -> bool:
    """The account has this certificate."""
    return certificate in values_of(entry, USER_CERTIFICATE)


def addition(entry: Entry, certificate: bytes) -> AddValue:
    """The change that appends it."""
    return AddValue(entry.dn, USER_CERTIFICATE, certificate)


def removal(entry: Entry, certificate: bytes) -> RemoveValue:
    """The change that takes out this value and no other."""
    return RemoveValue(entry.dn, USER_CERTIFICATE, certificate)
