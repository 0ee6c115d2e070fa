# SPDX-License-Identifier: Apache-2.0
"""Enrollment: one attempt to get a certificate, its evidence and its end (RFC 3647 sections 4.1-4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from privyseal.model.certificate import CertificateKind
from privyseal.model.directory import DirectoryBinding
from privyseal.x509.csr import CertificationRequest


class EnrollmentState(Enum):
    """Waiting for an operator, running, or at its end. *Refused*: policy said no. *Failed*: we broke."""

    WAITING = "waiting"
    APPROVED = "approved"
    RUNNING = "running"
    ISSUED = "issued"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollmentRequest:
    """A protocol-neutral request: what came in, and the evidence of who sent it."""

    profile: str
    protocol: str
    transaction_id: str
    request: CertificationRequest
    signer_certificate: bytes | None
    """The certificate that signed the message when it is not self-signed for this request only."""
    renewal: bool
    """The client says that this is a renewal (RFC 8894 messageType 17)."""
    issuer_version: int = 0
    """A staged CA version, for a test; 0 is the one in force."""


CROSS: Final = "cross"
"""The protocol of a cross certificate: one version of a CA certifies the key of another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What the store must find true, consume and note in the transaction that reserves a certificate.

    The serial and TBS travel beside it. ``evidence`` names what authorised the request (a hash, never the
    secret); a second claim with the same transaction, key and evidence is the same enrollment.
    """

    kind: CertificateKind
    protocol: str
    requester: str
    profile: str = ""
    profile_revision: int = 0
    entity_id: int | None = None
    subject: str = ""
    san: str = ""
    sid: str = ""
    """The SID inside the certificate."""
    transaction_id: str = ""
    key_hash: bytes = b""
    evidence: bytes = b""
    challenge_id: int | None = None
    enrollment_id: int | None = None
    issuer_version: int = 0
    """The CA version that signs; 0 where only one can."""
    deliver_to: DirectoryBinding | None = None
    """The account at which the certificate shall be published, queued with the intent."""
    remark: str = ""
    """Said to the operator and kept in the audit trail, for example that the validity was shortened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollmentRecord:
    """One row of the enrollment log."""

    id: int
    at: datetime
    state: EnrollmentState
    profile: str
    protocol: str
    transaction_id: str
    key_hash: bytes
    evidence: bytes
    entity_id: int | None
    entity: str
    certificate_id: int | None
    code: int
    """Error code when refused or failed, else 0."""
    what: str
    request_der: bytes


@dataclass(frozen=True, slots=True)
class Granted:
    """The end entity gets (or already got) this certificate."""

    certificate: bytes
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An operator has to decide first."""

    enrollment_id: int


Outcome = Granted | Waiting
