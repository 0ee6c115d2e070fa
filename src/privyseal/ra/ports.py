# SPDX-License-Identifier: Apache-2.0
"""What the registration authority needs from outside. Each method says what it raises."""

from __future__ import annotations

from typing import Protocol

from privyseal.ca.form import CertificateForm
from privyseal.ca.issuer import Issuer
from privyseal.ca.ports import Signer
from privyseal.directory.accounts import Account
from privyseal.errors import PrivysealError
from privyseal.model.certificate import CertificateRecord
from privyseal.model.challenge import Challenge
from privyseal.model.directory import DirectoryBinding
from privyseal.model.enrollment import Claim, EnrollmentRecord
from privyseal.model.entity import EndEntity


class Catalog(Protocol):
    """Profiles and CAs as they are in force now."""

    def form(self, profile: str, version: int = 0) -> CertificateForm:
        """The profile under the CA version in force, or under a staged one. Raises NotFound, IssuerNotActive."""

    def issuer_of(self, name: bytes) -> tuple[Issuer, ...]:
        """Our CA versions whose subject is exactly these DER bytes; empty when it is not ours."""

    def signer(self, issuer_id: int) -> Signer:
        """The key of a CA version. Raises PassphraseMissing when it is not unlocked."""


class Inventory(Protocol):
    """What was issued."""

    def by_serial(self, issuer_id: int, serial: int) -> CertificateRecord | None:
        """The record of a serial under one CA version, or None."""

    def key_is_blocked(self, key_hash: bytes) -> bool:
        """True when a certificate of the key with this SHA-256 (of its SubjectPublicKeyInfo) was compromised."""

    def encoded(self, certificate_id: int) -> bytes:
        """A certificate's DER. Raises NotIssued when it was never signed."""


class EntityBook(Protocol):
    """End entities and their challenges."""

    async def entity(self, entity_id: int) -> EndEntity:
        """Raises NotFound."""

    async def promised(self, digest: bytes) -> tuple[Challenge, EndEntity] | None:
        """The challenge whose secret has this hash and whom it is bound to, or None."""


class Directory(Protocol):
    """Accounts as the directory has them now."""

    async def find(self, binding: DirectoryBinding) -> Account:
        """The account of a binding, enabled and the only one of its names.

        Raises AccountNotFound, AccountDisabled, AccountAmbiguous, AccountLacksAttribute, or a SetupError when the
        directory cannot be asked.
        """


class RequestLog(Protocol):
    """Every attempt to enroll. Effects are on disk, with their audit rows, when a method returns."""

    async def find(self, profile: str, transaction_id: str) -> tuple[EnrollmentRecord, ...]:
        """Attempts of one transaction, newest first, at most a few."""

    async def wait(self, claim: Claim, request_der: bytes) -> int:
        """Store an attempt that waits for an operator, and consume its challenge; returns its id."""

    async def refuse(self, claim: Claim, error: PrivysealError, *, incident: str) -> None:
        """Store a refused attempt and why."""
