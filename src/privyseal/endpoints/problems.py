# SPDX-License-Identifier: Apache-2.0
"""From the error tree to what a peer on the wire is told: little, and an incident id for the operator's log."""

from __future__ import annotations

from typing import Final

from privyseal.endpoints.http import Response, text
from privyseal.errors import (
    AlgorithmNotAllowed,
    EnvelopeNotForUs,
    InputError,
    MalformedDer,
    MalformedRequest,
    MessageSignatureInvalid,
    MessageTooLarge,
    NextCaNotAvailable,
    NotFound,
    NotIssued,
    PrivysealError,
    ProofOfPossessionFailed,
    SetupError,
    SignatureAlgorithmNotAllowed,
)
from privyseal.protocols.ocsp import OcspError
from privyseal.protocols.scep.messages import FailInfo

# First match along the class's ancestry wins, so the general rows stand for whatever is not named.
_FAIL_INFO: Final[dict[type[PrivysealError], FailInfo]] = {
    AlgorithmNotAllowed: FailInfo.BAD_ALG,
    SignatureAlgorithmNotAllowed: FailInfo.BAD_ALG,
    MessageSignatureInvalid: FailInfo.BAD_MESSAGE_CHECK,
    EnvelopeNotForUs: FailInfo.BAD_MESSAGE_CHECK,
    ProofOfPossessionFailed: FailInfo.BAD_MESSAGE_CHECK,
    MalformedRequest: FailInfo.BAD_MESSAGE_CHECK,
    MalformedDer: FailInfo.BAD_MESSAGE_CHECK,
    NotIssued: FailInfo.BAD_CERT_ID,
    PrivysealError: FailInfo.BAD_REQUEST,
}
_OCSP: Final[dict[type[PrivysealError], OcspError]] = {
    InputError: OcspError.MALFORMED_REQUEST,
    NotFound: OcspError.UNAUTHORIZED,
    SetupError: OcspError.TRY_LATER,
    PrivysealError: OcspError.INTERNAL_ERROR,
}
_HTTP: Final[dict[type[PrivysealError], int]] = {
    MessageTooLarge: 413,
    NotFound: 404,
    NextCaNotAvailable: 404,
    InputError: 400,
    SetupError: 503,
    PrivysealError: 403,
}


def fail_info(error: PrivysealError) -> FailInfo:
    """SCEP failInfo (RFC 8894 section 3.2.1.4)."""
    return next(_FAIL_INFO[kind] for kind in type(error).__mro__ if kind in _FAIL_INFO)


def ocsp_error(error: PrivysealError) -> OcspError:
    """OCSPResponseStatus (RFC 6960 section 4.2.1)."""
    return next(_OCSP[kind] for kind in type(error).__mro__ if kind in _OCSP)


def http_status(error: PrivysealError) -> int:
    """HTTP status for protocols that have no failure message of their own."""
    return next(_HTTP[kind] for kind in type(error).__mro__ if kind in _HTTP)


def http_answer(error: PrivysealError, incident: str) -> Response:
    """A terse answer: the status's meaning and the incident, nothing of the inside."""
    meaning = {400: "malformed request", 403: "refused", 404: "not found", 413: "too large", 503: "not available now"}
    status = http_status(error)
    return text(status, f"{meaning[status]} (incident {incident})")


def fault_answer(incident: str) -> Response:
    """For a fault of ours: the incident, and nothing of the inside."""
    return text(500, f"internal error (incident {incident})")
