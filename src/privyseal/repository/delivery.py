# SPDX-License-Identifier: Apache-2.0
"""One delivery to an account, in steps that a caller interleaves with its store: look, intend, change, read back.

Three round trips when there is something to do, one when there is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from privyseal.directory.changes import AddValue, DirectoryPort, Entry, RemoveValue
from privyseal.directory.containers import USER_CERTIFICATE
from privyseal.directory.receipts import took_effect
from privyseal.directory.user_certificate import (
    DELIVERY_ATTRIBUTES,
    account_filter,
    addition,
    holds,
    removal,
    the_holder,
)
from privyseal.errors import AccountNotFound, ControllersDisagree, PrivysealError
from privyseal.model.delivery import Delivery, DeliveryState


class DeliveryStore(Protocol):
    """The queue and the receipts of deliveries."""

    async def intend(self, delivery: Delivery, *, dn: str, controller: str, ours: bool, actor: str) -> bool:
        """Store the intent before the change is sent; False when another process has it in hand."""

    async def added(self, delivery: Delivery, *, dn: str, controller: str, ours: bool, actor: str) -> None:
        """Store that it stands at the account."""

    async def gone(self, delivery: Delivery, *, dn: str, controller: str, removed: bool, actor: str) -> None:
        """Store that nothing of ours stands there any more."""

    async def postpone(
        self, delivery: Delivery, error: PrivysealError, *, until: datetime, certainly_not: bool
    ) -> None:
        """Store what went wrong, and when to try again."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is left to do for a delivery. Without ``change`` the account is as it shall be."""

    dn: str
    change: AddValue | RemoveValue | None
    ours: bool
    stands: bool
    """Afterwards the certificate stands at the account."""


def next_step(port: DirectoryPort, base: str, delivery: Delivery, *, certificate: bytes, controller: str) -> Step:
    """Look at the account: one search. Raises AccountNotFound for an addition, and the 7000s."""
    found = list(port.search(base, account_filter(delivery.account.sid), attributes=DELIVERY_ATTRIBUTES, most=2))
    wanted = delivery.state is DeliveryState.TO_ADD and delivery.good
    try:
        entry = the_holder(found, delivery.account.sid, controller=controller)
    except AccountNotFound:
        if wanted:
            raise
        return Step(delivery.dn, None, delivery.ours, stands=False)  # with the account went its certificates
    there = holds(entry, certificate)
    if wanted:
        # What is there before we ever meant to add it is somebody else's, though it is our certificate.
        return Step(entry.dn, None if there else addition(entry, certificate), delivery.ours or not there, stands=True)
    ours_to_take = there and delivery.ours
    return Step(entry.dn, removal(entry, certificate) if ours_to_take else None, delivery.ours, stands=False)


def make(port: DirectoryPort, change: AddValue | RemoveValue, *, controller: str) -> Entry | None:
    """Make the change and read it back. Raises ControllersDisagree when it does not show, and the 7000s."""
    port.apply(change)
    entry = port.read(change.dn, (USER_CERTIFICATE,))
    if not took_effect(change, entry):
        raise ControllersDisagree(
            f"{controller} took a change of {change.dn}, but does not show it when it is read again",
            why="another program changed the account at the same moment",
            mend=("nothing: it is tried again",),
        )
    return entry
