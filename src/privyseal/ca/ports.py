# SPDX-License-Identifier: Apache-2.0
"""What the issuing CA needs from outside: a signer, a ledger, a clock and chance."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, TypeVar

from privyseal.model.authority import CaRecord, ServiceRecord
from privyseal.model.authority_name import CrossCertificate
from privyseal.model.certificate import CertificateKind
from privyseal.model.crl import CrlFacts, CrlScope
from privyseal.model.enrollment import Claim
from privyseal.x509.algorithms import KeyType, PublicKey

if TYPE_CHECKING:
    from privyseal.ca.issuance import LintedTbs

T = TypeVar("T")


class Clock(Protocol):
    """The present, always aware and in UTC."""

    def now(self) -> datetime:
        """The current time."""


class Rng(Protocol):
    """Unpredictable bytes from the operating system."""

    def bytes(self, count: int) -> bytes:
        """``count`` random bytes."""


class Signer(Protocol):
    """One private key. Implementations run the operation off the event loop when it is slow."""

    @property
    def public_key(self) -> PublicKey:
        """The public half."""

    @property
    def results_are_checked(self) -> bool:
        """It gives no signature out that does not verify with its public key: its operation makes sure of that."""

    async def sign(self, tbs: bytes) -> bytes:
        """The signature over ``tbs`` with the signer's one algorithm."""


class IssuanceLedger(Protocol):
    """The memory of every certificate that was meant to be, and of every one that is.

    Both methods return only when their effect, with its audit rows, is on disk.
    """

    async def reserve(self, linted: LintedTbs, claim: Claim) -> int:
        """Store intent and TBS before any signature; consume what the claim consumes.

        Returns the certificate's id. Raises when the claim no longer holds (ChallengeUsed,
        TransactionReused) or the serial was ever used: then nothing is stored.
        """

    async def record(self, certificate_id: int, signature: bytes) -> None:
        """Store the signature: from here on the certificate is issued."""


class Apart(Protocol):
    """Runs pure work where it does not hold up the event loop; one piece at a time, in order."""

    async def __call__(self, work: Callable[[], T], /) -> T:
        """What ``work`` returns, or raises."""


class CrlLedger(Protocol):
    """Numbers and revoked entries of one CA's CRLs."""

    async def reserve_crl(
        self, issuer_id: int, scope: CrlScope, *, this_update: datetime, next_update: datetime
    ) -> tuple[int, int | None]:
        """The next CRL number, stored as used before anything is signed; never repeats, never falls.

        With it for a delta the BaseCRLNumber: the oldest base that relying parties may still hold. Raises NotFound
        when there is none.
        """

    async def entries(self, issuer_id: int, shard: int, *, since: int | None) -> bytes:
        """The joined contents of revokedCertificates, read off the event loop as of one moment.

        ``since`` a base's number: what changed after it, holds that were released among it. None: all entries.
        """

    async def record_crl(self, issuer_id: int, number: int, crl: bytes) -> CrlFacts:
        """Store the signed CRL: from here on it is the published one of its scope."""


class KeyStore(Protocol):
    """Private keys by reference. They never leave it; what is made is on disk when the method returns."""

    async def create(self, key_type: KeyType) -> tuple[str, PublicKey]:
        """Make a key; its reference and public half."""

    def signer(self, key_ref: str, hash_name: str | None) -> Signer:
        """The signer of a key. Raises PassphraseMissing, PassphraseWrong, NotFound."""

    def destroy(self, key_ref: str) -> None:
        """Overwrite and remove a key for good; one that is gone already is no fault."""


class CrossRegister(Protocol):
    """Certificates of one CA version's key by another version of its name."""

    def crosses(self) -> tuple[CrossCertificate, ...]:
        """All of them."""

    async def add_cross(self, cross: CrossCertificate, *, signed: tuple[int, bytes], actor: str) -> None:
        """Store one in the transaction that records its signature."""


class AuthorityRegister(Protocol):
    """CA versions and their services, as stored."""

    def all(self) -> tuple[CaRecord, ...]:
        """Every CA version, oldest first."""

    def get(self, name: str, version: int = 0) -> CaRecord:
        """One CA version; 0 is the one in force. Raises NotFound."""

    def last_version(self, name: str) -> int:
        """The highest version that a name ever had; 0 when there was none."""

    async def add(
        self, record: CaRecord, *, actor: str, signed: tuple[int, bytes] | None = None, request_id: int = 0
    ) -> CaRecord:
        """Store a new version; its id is given here. Raises NameTaken.

        ``signed``: the reserved certificate's id and signature, recorded in the same transaction.
        """

    def services(self, issuer_id: int, kind: CertificateKind, *, now: datetime) -> tuple[ServiceRecord, ...]:
        """Unexpired services of one kind, newest first."""

    async def add_service(
        self,
        issuer_id: int,
        kind: CertificateKind,
        *,
        certificate: bytes,
        key_ref: str,
        validity: tuple[datetime, datetime],
    ) -> None:
        """Store a new RA or OCSP certificate."""
