# SPDX-License-Identifier: Apache-2.0
"""What the acts about CAs need from outside, together; and how they find what a parameter names."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from privyseal.administration.parameters import Parameters
from privyseal.ca.founding import Workshop
from privyseal.ca.issuer import Issuer
from privyseal.ca.lifecycle import CaEvent, Holdings, state_at
from privyseal.ca.ports import AuthorityRegister, Clock, CrossRegister
from privyseal.errors import InvalidValue
from privyseal.model.authority import CaRecord
from privyseal.model.authority_name import AuthorityName, PendingAuthority
from privyseal.model.gate import Gate
from privyseal.model.revocation import CrlReason


class NameBook(CrossRegister, Protocol):
    """Names, and requests that wait."""

    def get(self, name: str) -> AuthorityName:
        """Raises NotFound."""

    async def set(self, wanted: AuthorityName, *, actor: str) -> None:
        """Change what is said of a name."""

    def pending(self) -> tuple[PendingAuthority, ...]:
        """Every request that waits."""

    def pending_of(self, name: str) -> PendingAuthority:
        """Raises NotFound."""

    async def add_pending(self, wanted: PendingAuthority, *, actor: str) -> None:
        """Raises NameTaken."""

    async def drop_pending(self, found: PendingAuthority, *, actor: str) -> None:
        """Forget a request."""


class DoomedKeys(Protocol):
    """Keys that nothing needs any more."""

    def doomed_keys(self) -> tuple[str, ...]:
        """Keys that only deleted versions name."""

    async def keys_are_gone(self, key_refs: tuple[str, ...], *, actor: str) -> None:
        """Note that they were destroyed."""


class LifeBook(DoomedKeys, Protocol):
    """States of CA versions. Each method re-reads the state it starts from."""

    async def move(self, record: CaRecord, event: CaEvent, *, actor: str) -> None:
        """Raises AuthorityStateUnfit."""

    async def activate(self, record: CaRecord, *, actor: str, detail: Mapping[str, Any]) -> None:
        """Raises AuthorityStateUnfit."""

    async def roll_back(self, record: CaRecord, *, actor: str) -> None:
        """Raises AuthorityStateUnfit, RollbackTooLate."""

    async def delete(self, record: CaRecord, *, now: datetime, actor: str) -> None:
        """Raises AuthorityInUse."""

    def holdings(self, record: CaRecord, now: datetime) -> Holdings:
        """What hangs on a version."""


class RevokeCertificate(Protocol):
    """Revokes a certificate under its issuer, and publishes the CRL that says so."""

    async def __call__(self, issuer: Issuer, serial: int, *, reason: CrlReason, actor: str) -> None:
        """Raises NotIssued, AlreadyRevoked, KeyNotHere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityOffice:
    """The ports of all acts about CAs."""

    register: AuthorityRegister
    names: NameBook
    life: LifeBook
    shop: Callable[[], Workshop]
    """Raises PassphraseMissing."""
    revoke: RevokeCertificate
    in_ntauth: Callable[[], frozenset[str]]
    """Names of our CAs that stand in NTAuth."""
    profiles_of: Callable[[str], tuple[str, ...]]
    """Names of the profiles that a CA issues for."""
    gates: Callable[[CaRecord], Coroutine[Any, Any, tuple[Gate, ...]]]
    """What a staged version has passed, with evidence."""
    clock: Clock
    base_url: str
    organization: str

    def version(self, asked: Parameters) -> CaRecord:
        """The CA version that ``name`` and ``version`` say; without a version, the one in force. Raises NotFound."""
        return self.register.get(asked.text("name"), version_of(asked))

    def issuer(self, record: CaRecord) -> Issuer:
        """The version, read."""
        return Issuer(record, self.base_url)

    def parent_of(self, record: CaRecord) -> Issuer | None:
        """The version that signed this one; None for a root."""
        found = [other for other in self.register.all() if other.id == record.parent_id]
        return self.issuer(found[0]) if found else None

    def labels(self, name: str) -> frozenset[str]:
        """Labels of a name. Raises NotFound."""
        return self.names.get(name).labels

    def shown_state(self, record: CaRecord) -> str:
        """The state that counts now, as a word."""
        return state_at(record.state, self.issuer(record).view.not_after, self.clock.now()).value


def version_of(asked: Parameters) -> int:
    """The parameter ``version``; 0 when it is not there. Raises InvalidValue."""
    text = asked.text("version", "0")
    if not text.isdecimal() or not text.isascii() or len(text) > 4:
        raise InvalidValue(f"version {text!r} is not a number from 1 to 9999")
    return int(text)
