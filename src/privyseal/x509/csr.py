# SPDX-License-Identifier: Apache-2.0
"""Certification requests (PKCS#10, RFC 2986) as values, read with tolerance where real clients need it.

What a request asks for is only data here: the profile decides. Nothing leaves without proof of possession.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from datetime import timedelta

from privyseal.errors import CaInRequest, InvalidName, MalformedDer, MalformedRequest, SidInRequest
from privyseal.x509 import der, oids
from privyseal.x509.general_names import GeneralName, decode_general_names
from privyseal.x509.keys import LoadedKey, PublicKey, load_public_key
from privyseal.x509.names import DistinguishedName
from privyseal.x509.possession import verify_possession
from privyseal.x509.sid import URI_PREFIX
from privyseal.x509.span import Span, dotted, span, spans, within
from privyseal.x509.strings import decode_string

_MAX_REQUEST = 64 * 1024
_MAX_ATTRIBUTES = 64
_MAX_EXTENSIONS = 64
_PEM_LABELS = (b"CERTIFICATE REQUEST", b"NEW CERTIFICATE REQUEST")
_KEY_CERT_SIGN_OR_CRL_SIGN = 0x06  # bits 5 and 6 of KeyUsage, in its first octet
# Words of ValidityPeriod; a wish needs no calendar, so months and years have a fixed length.
_UNITS = {
    "minutes": timedelta(minutes=1),
    "hours": timedelta(hours=1),
    "days": timedelta(days=1),
    "weeks": timedelta(weeks=1),
    "months": timedelta(days=30),
    "years": timedelta(days=365),
}
_MAX_VALIDITY = timedelta(days=36525)


@dataclass(frozen=True, slots=True)
class RequestedExtension:
    """An extension the request asks for; ``value`` is what its OCTET STRING holds."""

    oid: str
    critical: bool
    value: bytes


@dataclass(frozen=True, slots=True)
class CertificationRequest:
    """A request whose signature verified with the key it carries."""

    der: bytes
    subject: DistinguishedName
    subject_der: bytes
    spki: bytes
    public_key: PublicKey
    signature_algorithm: str
    challenge_password: str | None
    extensions: tuple[RequestedExtension, ...]
    san: tuple[GeneralName, ...]
    template_name: str | None
    requested_validity: timedelta | None


@dataclass(slots=True)
class _Wishes:
    """What the attributes say, gathered one by one."""

    challenge_password: str | None
    extensions: tuple[RequestedExtension, ...]
    pairs: dict[str, str]


def parse_request(data: bytes, *, allow_sha1: bool = False, loaded: LoadedKey | None = None) -> CertificationRequest:
    """Read a DER or PEM request and verify its proof of possession over the bytes as they came.

    ``loaded`` is a key that the request is likely to hold. Raises MalformedRequest, KeyNotAcceptable,
    SignatureAlgorithmNotAllowed, ProofOfPossessionFailed.
    """
    if len(data) > _MAX_REQUEST:
        raise MalformedRequest(f"the request has {len(data)} octets; at most {_MAX_REQUEST} are read")
    encoded = data if data[:1] == b"\x30" else _from_pem(data)
    try:
        return _parse(encoded, allow_sha1, loaded)
    except (MalformedDer, InvalidName) as fault:
        raise MalformedRequest(f"the request cannot be read: {fault.what}") from fault


def _parse(data: bytes, allow_sha1: bool, loaded: LoadedKey | None) -> CertificationRequest:
    outer = within(data, 0, len(data), tag=der.SEQUENCE, what="CertificationRequest")
    if [item[0] for item in outer] != [der.SEQUENCE, der.SEQUENCE, der.BIT_STRING]:
        raise MalformedRequest("the request is not a SEQUENCE of information, algorithm and signature")
    info, algorithm, signature = outer
    fields = spans(data, info[2], info[3])
    # Attributes are mandatory (RFC 2986 4.1), but some clients leave an empty set out.
    tags = [item[0] for item in fields]
    if tags[:3] != [der.INTEGER, der.SEQUENCE, der.SEQUENCE] or tags[3:] not in ([0xA0], []):
        raise MalformedRequest("the request information is not version, subject, key and attributes")
    version, subject, spki = fields[:3]
    if data[version[2] : version[3]] != b"\x00":
        raise MalformedRequest("the request's version is not 0 (RFC 2986 section 4.1)")
    subject_der, spki_der = data[subject[1] : subject[3]], data[spki[1] : spki[3]]
    wishes = _read_attributes(data, fields[3]) if len(fields) == 4 else _Wishes(None, (), {})
    public_key = load_public_key(spki_der, loaded)
    signature_algorithm = verify_possession(
        data,
        public_key,
        signed=data[info[1] : info[3]],
        algorithm=algorithm,
        signature=data[signature[2] : signature[3]],
        allow_sha1=allow_sha1,
    )
    values = {extension.oid: extension.value for extension in wishes.extensions}
    return CertificationRequest(
        der=data,
        subject=DistinguishedName.from_der(subject_der),
        subject_der=subject_der,
        spki=spki_der,
        public_key=public_key,
        signature_algorithm=signature_algorithm,
        challenge_password=wishes.challenge_password,
        extensions=wishes.extensions,
        san=decode_general_names(values[oids.SUBJECT_ALT_NAME]) if oids.SUBJECT_ALT_NAME in values else (),
        template_name=_template_name(values.get(oids.MS_ENROLL_CERTTYPE), wishes.pairs),
        requested_validity=_requested_validity(wishes.pairs),
    )


def refuse_authority_claims(request: CertificationRequest) -> None:
    """Refuse a request that claims an account or an authority. Raises SidInRequest, CaInRequest, MalformedRequest."""
    for extension in request.extensions:
        if extension.oid == oids.NTDS_CA_SECURITY_EXT:
            raise SidInRequest(f"the request carries extension {extension.oid}, which names a Windows account")
        if extension.oid == oids.SUBJECT_ALT_NAME:
            # Searched in the bytes, whatever the kind of name: a verifier may be more lenient than our reader.
            if URI_PREFIX.encode() in extension.value.lower():
                raise SidInRequest("the request's alternative names hold a SID URI")
            if der.oid(oids.NTDS_OBJECTSID) in extension.value:
                raise SidInRequest("the request's alternative names hold a szOID_NTDS_OBJECTSID name")
        elif extension.oid == oids.BASIC_CONSTRAINTS:
            _refuse_ca(extension.value)
        elif extension.oid == oids.KEY_USAGE:
            _refuse_signing_usage(extension.value)


def _refuse_ca(value: bytes) -> None:
    # Windows NDES clients send cA FALSE together with a pathLenConstraint; only cA matters here.
    try:
        fields = within(value, 0, len(value), tag=der.SEQUENCE, what="basicConstraints")
    except MalformedDer as fault:
        raise MalformedRequest(f"the request's basicConstraints cannot be read: {fault.what}") from fault
    if any(tag == der.BOOLEAN and value[body:end].strip(b"\x00") for tag, _, body, end in fields):
        raise CaInRequest("the request asks for basicConstraints CA:TRUE")


def _refuse_signing_usage(value: bytes) -> None:
    try:
        tag, _, body, end = span(value, 0, len(value))
    except MalformedDer as fault:
        raise MalformedRequest(f"the request's keyUsage cannot be read: {fault.what}") from fault
    if tag != der.BIT_STRING or end != len(value) or end == body:
        raise MalformedRequest("the request's keyUsage is not a BIT STRING")
    if end - body > 1 and value[body + 1] & _KEY_CERT_SIGN_OR_CRL_SIGN:
        raise CaInRequest("the request asks for key usage keyCertSign or cRLSign")


def _from_pem(data: bytes) -> bytes:
    for label in _PEM_LABELS:
        head, _, rest = data.partition(b"-----BEGIN " + label + b"-----")
        body, end, tail = rest.partition(b"-----END " + label + b"-----")
        if not end:
            continue
        if b"-----BEGIN" in head or b"-----BEGIN" in tail:
            raise MalformedRequest("the file holds more than one PEM block; send the request alone")
        try:
            return binascii.a2b_base64(b"".join(body.split()), strict_mode=True)
        except binascii.Error as fault:
            raise MalformedRequest("the PEM block is not base64") from fault
    raise MalformedRequest("the request is neither DER nor a PEM block CERTIFICATE REQUEST")


def _read_attributes(data: bytes, attributes: Span) -> _Wishes:
    # No order is asked of the SET: strongSwan writes it as it comes, and the signature covers it like that.
    found = spans(data, attributes[2], attributes[3])
    if len(found) > _MAX_ATTRIBUTES:
        raise MalformedRequest(f"the request has {len(found)} attributes; at most {_MAX_ATTRIBUTES} are read")
    wishes = _Wishes(None, (), {})
    seen: set[str] = set()
    for item in found:
        parts = spans(data, item[2], item[3])
        if item[0] != der.SEQUENCE or len(parts) != 2 or parts[1][0] != der.SET:
            raise MalformedRequest("an attribute of the request is not one type and a SET of values")
        oid = dotted(data, parts[0])
        # Windows writes one attribute for each name-value pair (MS-WCCE 2.2.2.7.10); all others occur once.
        if oid in seen and oid != oids.MS_ENROLLMENT_NAME_VALUE_PAIR:
            raise MalformedRequest(f"the request has attribute {oid} twice")
        seen.add(oid)
        if oid == oids.CHALLENGE_PASSWORD:
            tag, _, body, end = _single(data, parts[1], "challengePassword")
            wishes.challenge_password = decode_string(tag, data[body:end])
        elif oid in (oids.EXTENSION_REQUEST, oids.MS_CERT_EXTENSIONS):
            wishes.extensions += _read_extensions(data, _single(data, parts[1], "extensionRequest"))
        elif oid == oids.MS_ENROLLMENT_NAME_VALUE_PAIR:
            _read_pairs(data, parts[1], wishes.pairs)
    if len({extension.oid for extension in wishes.extensions}) != len(wishes.extensions):
        raise MalformedRequest("the request asks for the same extension twice")
    return wishes


def _single(data: bytes, values: Span, what: str) -> Span:
    found = spans(data, values[2], values[3])
    if len(found) != 1:
        raise MalformedRequest(f"{what} has {len(found)} values; exactly 1 is allowed")
    return found[0]


def _read_extensions(data: bytes, item: Span) -> tuple[RequestedExtension, ...]:
    found = within(data, item[1], item[3], tag=der.SEQUENCE, what="extensionRequest")
    if len(found) > _MAX_EXTENSIONS:
        raise MalformedRequest(f"the request asks for {len(found)} extensions; at most {_MAX_EXTENSIONS} are read")
    extensions: list[RequestedExtension] = []
    for tag, _, body, end in found:
        parts = spans(data, body, end)
        # An explicit `critical FALSE` is not DER, but harmless and seen.
        critical = len(parts) == 3 and parts[1][0] == der.BOOLEAN and data[parts[1][2] : parts[1][3]] != b"\x00"
        well_formed = len(parts) == 2 or (len(parts) == 3 and parts[1][0] == der.BOOLEAN)
        if tag != der.SEQUENCE or not well_formed or parts[-1][0] != der.OCTET_STRING:
            raise MalformedRequest("a requested extension is not type, criticality and value")
        extensions.append(RequestedExtension(dotted(data, parts[0]), critical, data[parts[-1][2] : parts[-1][3]]))
    return tuple(extensions)


def _read_pairs(data: bytes, values: Span, pairs: dict[str, str]) -> None:
    for item in spans(data, values[2], values[3]):
        parts = spans(data, item[2], item[3])
        if item[0] != der.SEQUENCE or len(parts) != 2:
            raise MalformedRequest("an enrollment name-value pair is not a SEQUENCE of two strings")
        name, value = (decode_string(tag, data[body:end]) for tag, _, body, end in parts)
        pairs.setdefault(name.lower(), value)


def _template_name(value: bytes | None, pairs: dict[str, str]) -> str | None:
    """Name from the V1 template extension, else from the pair CertificateTemplate; None when unreadable."""
    if value is None:
        return pairs.get("certificatetemplate")
    try:
        tag, _, body, end = span(value, 0, len(value))
        return decode_string(tag, value[body:end]) if end == len(value) else None
    except (MalformedDer, InvalidName):
        return None


def _requested_validity(pairs: dict[str, str]) -> timedelta | None:
    unit, count = pairs.get("validityperiod", "").lower(), pairs.get("validityperiodunits", "")
    if unit.isdecimal():  # Android clients swap the two
        unit, count = count.lower(), unit
    if unit not in _UNITS or not (count.isascii() and count.isdecimal() and len(count) <= 6):
        return None
    validity = _UNITS[unit] * int(count)
    return validity if timedelta(0) < validity <= _MAX_VALIDITY else None
