# SPDX-License-Identifier: Apache-2.0
"""OCSP messages (RFC 6960, nonce RFC 9654, profile RFC 9919): requests in, responses out.

Signing happens between build_response_data and build_response, by the caller; no status is decided here.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, IntEnum
from functools import lru_cache

from privyseal.errors import MalformedDer, MalformedMessage, MessageTooLarge
from privyseal.x509 import der, oids
from privyseal.x509.span import Span, dotted, span, spans, within

_MAX_REQUEST = 16 * 1024
_MAX_GET_PATH = 3 * _MAX_REQUEST
_MAX_CERT_IDS = 8
_MAX_NONCE = 128
_MAX_SERIAL = 32

# A CertID with another hash is read as well, named by its OID; whoever answers knows no issuer by it.
_HASHES = {
    oids.SHA1: ("sha1", 20),
    oids.SHA224: ("sha224", 28),
    oids.SHA256: ("sha256", 32),
    oids.SHA384: ("sha384", 48),
    oids.SHA512: ("sha512", 64),
}
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_URL_SAFE = bytes.maketrans(b"-_ ", b"+/+")  # a form decoder on the way may have made spaces of plus signs


class OcspError(IntEnum):
    """OCSPResponseStatus other than successful (RFC 6960 4.2.1)."""

    MALFORMED_REQUEST = 1
    INTERNAL_ERROR = 2
    TRY_LATER = 3
    UNAUTHORIZED = 6


class StatusKind(Enum):
    """The alternatives of CertStatus."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CertStatus:
    """Status of one certificate; time and CRLReason number only when revoked."""

    kind: StatusKind
    revocation_time: datetime | None = None
    reason: int | None = None

    @classmethod
    def revoked(cls, time: datetime, reason: int | None = None) -> CertStatus:
        """Revoked at ``time``; reason 0 (unspecified) is left out of the encoding."""
        return cls(StatusKind.REVOKED, time, reason)


GOOD = CertStatus(StatusKind.GOOD)
UNKNOWN = CertStatus(StatusKind.UNKNOWN)


@dataclass(frozen=True, slots=True)
class CertId:
    """Which certificate is asked about; ``der`` is the CertID as sent, to be echoed byte for byte."""

    hash_algorithm: str
    issuer_name_hash: bytes
    issuer_key_hash: bytes
    serial: int
    der: bytes


@dataclass(frozen=True, slots=True)
class OcspRequest:
    """One to eight questions, and the nonce to repeat."""

    cert_ids: tuple[CertId, ...]
    nonce: bytes | None


@dataclass(frozen=True, slots=True)
class SingleAnswer:
    """The answer for one CertID."""

    cert_id_der: bytes
    status: CertStatus
    this_update: datetime
    next_update: datetime | None


def parse_ocsp_request(data: bytes) -> OcspRequest:
    """Read an OCSPRequest; a signature on it is ignored (RFC 6960 4.1.2). Raises MalformedMessage, MessageTooLarge."""
    if len(data) > _MAX_REQUEST:
        raise MessageTooLarge(f"the OCSP request has {len(data)} octets; at most {_MAX_REQUEST} are read")
    try:
        outer = within(data, 0, len(data), tag=der.SEQUENCE, what="OCSPRequest")
        if not outer or [item[0] for item in outer] not in ([der.SEQUENCE], [der.SEQUENCE, 0xA0]):
            raise MalformedMessage("the OCSP request is not a TBSRequest with an optional signature")
        return _read_tbs_request(data, outer[0])
    except MalformedDer as fault:
        raise MalformedMessage(f"the OCSP request cannot be read: {fault.what}") from fault


def _read_tbs_request(data: bytes, tbs: Span) -> OcspRequest:
    cert_ids: tuple[CertId, ...] | None = None
    nonce: bytes | None = None
    last = 0
    for item in spans(data, tbs[2], tbs[3]):
        tag = item[0]
        # version [0], requestorName [1], requestList, requestExtensions [2], in this order.
        place = {0xA0: 1, 0xA1: 2, der.SEQUENCE: 3, 0xA2: 4}.get(tag, 0)
        if place <= last:
            raise MalformedMessage(f"tag 0x{tag:02x} is out of place in the OCSP request")
        last = place
        if tag == der.SEQUENCE:
            cert_ids = _read_request_list(data, item)
        elif tag == 0xA2:
            nonce = _read_extensions(data, item)
    if cert_ids is None:
        raise MalformedMessage("the OCSP request has no request list")
    return OcspRequest(cert_ids, nonce)


def _read_request_list(data: bytes, item: Span) -> tuple[CertId, ...]:
    requests = spans(data, item[2], item[3])
    if not 0 < len(requests) <= _MAX_CERT_IDS:
        raise MalformedMessage(f"the OCSP request asks about {len(requests)} certificates; 1 to {_MAX_CERT_IDS} are")
    return tuple([_read_request(data, request) for request in requests])


def _read_request(data: bytes, request: Span) -> CertId:
    parts = spans(data, request[2], request[3])
    if request[0] != der.SEQUENCE or not parts or parts[0][0] != der.SEQUENCE or len(parts) > 2:
        raise MalformedMessage("a question of the OCSP request is not a CertID")
    if len(parts) == 2:
        if parts[1][0] != 0xA0:
            raise MalformedMessage("a question of the OCSP request has something else than extensions")
        _read_extensions(data, parts[1])
    _, start, body, end = parts[0]
    fields = spans(data, body, end)
    if [field[0] for field in fields] != [der.SEQUENCE, der.OCTET_STRING, der.OCTET_STRING, der.INTEGER]:
        raise MalformedMessage("a CertID is not hash algorithm, name hash, key hash and serial number")
    algorithm, name_hash, key_hash, serial = fields
    oid = dotted(data, span(data, algorithm[2], algorithm[3]))
    hash_algorithm, size = _HASHES.get(oid, (oid, 0))
    issuer_name_hash, issuer_key_hash = data[name_hash[2] : name_hash[3]], data[key_hash[2] : key_hash[3]]
    if size and not len(issuer_name_hash) == len(issuer_key_hash) == size:
        raise MalformedMessage(f"a CertID with {hash_algorithm} has hashes of another length than {size} octets")
    octets = serial[3] - serial[2]
    if not 0 < octets <= _MAX_SERIAL:
        raise MalformedMessage(f"a CertID has a serial number of {octets} octets; 1 to {_MAX_SERIAL} are read")
    number = int.from_bytes(data[serial[2] : serial[3]], "big", signed=True)
    return CertId(hash_algorithm, issuer_name_hash, issuer_key_hash, number, data[start:end])


def _read_extensions(data: bytes, item: Span) -> bytes | None:
    """The nonce among the extensions. A critical one that we do not know refuses the request (RFC 6960 4.1.2)."""
    nonce: bytes | None = None
    for tag, _, body, end in within(data, item[2], item[3], tag=der.SEQUENCE, what="Extensions"):
        parts = spans(data, body, end)
        if tag != der.SEQUENCE or not 2 <= len(parts) <= 3 or parts[-1][0] != der.OCTET_STRING:
            raise MalformedMessage("an extension of the OCSP request is not type, criticality and value")
        oid = dotted(data, parts[0])
        if oid == oids.OCSP_NONCE:
            if nonce is not None:
                raise MalformedMessage("the OCSP request has two nonces")
            nonce = _read_nonce(data, parts[-1])
        elif len(parts) == 3 and data[parts[1][2] : parts[1][3]] != b"\x00":
            raise MalformedMessage(f"the OCSP request has the critical extension {oid}, which is not known")
    return nonce


def _read_nonce(data: bytes, value: Span) -> bytes:
    tag, _, body, end = span(data, value[2], value[3])
    if tag != der.OCTET_STRING or end != value[3] or not 0 < end - body <= _MAX_NONCE:
        # RFC 9654 section 2.1: any other length is answered with malformedRequest.
        raise MalformedMessage(f"the OCSP nonce is not an OCTET STRING of 1 to {_MAX_NONCE} octets")
    return data[body:end]


def decode_ocsp_get_path(raw_path_tail: str | bytes) -> bytes:
    """The request in what follows the responder's URL in a GET (RFC 6960 appendix A.1), as it came on the wire.

    Takes percent-encoding or none, both base64 alphabets, any padding. Raises MalformedMessage, MessageTooLarge.
    """
    if len(raw_path_tail) > _MAX_GET_PATH:
        raise MessageTooLarge(f"the OCSP path has {len(raw_path_tail)} characters; at most {_MAX_GET_PATH} are read")
    raw = raw_path_tail.encode("utf-8", "replace") if isinstance(raw_path_tail, str) else raw_path_tail
    text = _PERCENT.sub(lambda found: bytes.fromhex(found[1].decode("ascii")), raw)
    # No request begins with 0xFC, so a slash in front belongs to the path. Line breaks come from wrapped base64.
    text = text.lstrip(b"/").replace(b"\r", b"").replace(b"\n", b"").translate(_URL_SAFE).rstrip(b"=")
    try:
        decoded = binascii.a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)
    except binascii.Error as fault:
        raise MalformedMessage("the path of the OCSP request is not base64") from fault
    if not decoded:
        raise MalformedMessage("the path of the OCSP request is empty")
    return decoded


def build_response_data(
    *, responder_key_hash: bytes, produced_at: datetime, answers: Sequence[SingleAnswer], nonce: bytes | None
) -> bytes:
    """DER ResponseData, the bytes to sign. ``responder_key_hash`` is the SHA-1 of the key's BIT STRING value."""
    parts = [
        der.explicit(2, der.octet_string(responder_key_hash)),
        _time(produced_at),
        der.sequence(*[_single_response(answer) for answer in answers]),
    ]
    if nonce is not None:
        value = der.octet_string(der.octet_string(nonce))
        parts.append(der.explicit(1, der.sequence(der.sequence(der.oid(oids.OCSP_NONCE), value))))
    return der.sequence(*parts)


def _single_response(answer: SingleAnswer) -> bytes:
    status = answer.status
    if status.kind is StatusKind.GOOD:
        encoded = b"\x80\x00"
    elif status.kind is StatusKind.UNKNOWN:
        encoded = b"\x82\x00"
    elif status.revocation_time is None:
        raise MalformedMessage("a revoked status needs the time of revocation")
    else:
        reason = der.explicit(0, der.tlv(der.ENUMERATED, bytes((status.reason,)))) if status.reason else b""
        encoded = der.tlv(0xA1, _time(status.revocation_time), reason)
    next_update = der.explicit(0, _time(answer.next_update)) if answer.next_update is not None else b""
    return der.sequence(answer.cert_id_der, encoded, _time(answer.this_update), next_update)


@lru_cache(maxsize=1024)
def _time(moment: datetime) -> bytes:
    return der.generalized_time(moment)


def build_response(
    tbs: bytes, signature_algorithm_der: bytes, *, signature: bytes, certificates: Sequence[bytes]
) -> bytes:
    """DER OCSPResponse, successful, around a signed ResponseData and the certificates that verify it."""
    chain = der.explicit(0, der.sequence(*certificates)) if certificates else b""
    basic = der.sequence(tbs, signature_algorithm_der, der.bit_string(signature), chain)
    content = der.sequence(der.oid(oids.OCSP_BASIC), der.octet_string(basic))
    return der.sequence(b"\x0a\x01\x00", der.explicit(0, content))


def build_error_response(error: OcspError) -> bytes:
    """DER OCSPResponse that carries only ``error``; such answers are never signed (RFC 6960 2.3)."""
    return der.sequence(der.tlv(der.ENUMERATED, bytes((error.value,))))
