# SPDX-License-Identifier: Apache-2.0
"""Reading a certificate's fields as the bytes they are, without decoding what nobody asked for.

Names and keys stay DER because issuer and subject must match byte for byte (RFC 5280 section 6.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType

from privyseal.errors import MalformedDer
from privyseal.x509 import der, oids
from privyseal.x509.span import Span, dotted, spans, within

_TRUE = der.boolean(True)
_LONGEST_KEPT = 512


@dataclass(frozen=True, slots=True)
class CertificateView:
    """The fields of one certificate. ``extensions`` maps OID to (critical, value octets)."""

    encoded: bytes
    tbs: bytes
    serial: int
    algorithm: bytes
    issuer: bytes
    not_before: datetime
    not_after: datetime
    subject: bytes
    spki: bytes
    extensions: Mapping[str, tuple[bool, bytes]]
    signature: bytes

    def extension(self, dotted: str) -> bytes | None:
        """The value of an extension, or None when absent."""
        found = self.extensions.get(dotted)
        return None if found is None else found[1]

    @property
    def is_ca(self) -> bool:
        """basicConstraints cA (RFC 5280 section 4.2.1.9)."""
        value = self.extension(oids.BASIC_CONSTRAINTS)
        return value is not None and _is_ca(value)

    @property
    def path_length(self) -> int | None:
        """pathLenConstraint, or None when there is no limit."""
        value = self.extension(oids.BASIC_CONSTRAINTS)
        if value is None:
            return None
        for element in der.read_only(value, der.SEQUENCE, "basicConstraints").children():
            if element.tag == der.INTEGER:
                return element.as_int()
        return None

    @property
    def ext_key_usage(self) -> frozenset[str] | None:
        """The purposes, or None when the extension is absent (any purpose)."""
        value = self.extension(oids.EXT_KEY_USAGE)
        return None if value is None else _purposes(value)

    @property
    def key_usage(self) -> frozenset[int] | None:
        """Bit numbers set in KeyUsage, or None when the extension is absent."""
        value = self.extension(oids.KEY_USAGE)
        return None if value is None else _usages(value)

    @property
    def subject_key_identifier(self) -> bytes | None:
        """keyIdentifier of the subject, or None."""
        value = self.extension(oids.SUBJECT_KEY_IDENTIFIER)
        return None if value is None else der.read_only(value, der.OCTET_STRING, "subjectKeyIdentifier").contents

    @property
    def authority_key_identifier(self) -> bytes | None:
        """keyIdentifier of the authority, or None."""
        value = self.extension(oids.AUTHORITY_KEY_IDENTIFIER)
        return None if value is None else _authority(value)


# These hold the same octets in nearly every certificate of a profile, so each is decoded once.


@lru_cache(maxsize=64)
def _is_ca(value: bytes) -> bool:
    fields = within(value, 0, len(value), tag=der.SEQUENCE, what="basicConstraints")
    return bool(fields) and value[fields[0][1] : fields[0][3]] == _TRUE


@lru_cache(maxsize=64)
def _purposes(value: bytes) -> frozenset[str]:
    purposes = within(value, 0, len(value), tag=der.SEQUENCE, what="extKeyUsage")
    return frozenset([dotted(value, purpose) for purpose in purposes])


@lru_cache(maxsize=64)
def _usages(value: bytes) -> frozenset[int]:
    octets = der.read_only(value, der.BIT_STRING, "keyUsage").contents[1:]
    return frozenset(bit for bit in range(8 * len(octets)) if octets[bit // 8] & 0x80 >> bit % 8)


@lru_cache(maxsize=64)
def _authority(value: bytes) -> bytes | None:
    for tag, _, body, end in within(value, 0, len(value), tag=der.SEQUENCE, what="authorityKeyIdentifier"):
        if tag == 0x80:
            return value[body:end]
    return None


def read_certificate(encoded: bytes) -> CertificateView:
    """A certificate's fields. Raises MalformedDer."""
    fields = within(encoded, 0, len(encoded), tag=der.SEQUENCE, what="certificate")
    if len(fields) != 3:
        raise MalformedDer("a certificate has three fields")
    tbs, algorithm, signature = fields
    inside = within(encoded, tbs[1], tbs[3], tag=der.SEQUENCE, what="tbsCertificate")
    if len(inside) < 7 or inside[0][0] != 0xA0:
        raise MalformedDer("only version 3 certificates are read")
    serial, inner_algorithm, issuer, validity, subject, spki = inside[1:7]
    times = spans(encoded, validity[2], validity[3])
    if len(times) != 2:
        raise MalformedDer("validity has two times")
    algorithm_der = encoded[algorithm[1] : algorithm[3]]
    if encoded[inner_algorithm[1] : inner_algorithm[3]] != algorithm_der:
        raise MalformedDer("the two signature algorithms differ (RFC 5280 section 4.1.1.2)")
    if signature[0] != der.BIT_STRING:
        raise MalformedDer(f"signature: expected tag 0x{der.BIT_STRING:02x}, found 0x{signature[0]:02x}")
    return CertificateView(
        encoded=encoded,
        tbs=encoded[tbs[1] : tbs[3]],
        serial=der.read(encoded, serial[1], serial[3]).as_int(),
        algorithm=algorithm_der,
        issuer=encoded[issuer[1] : issuer[3]],
        not_before=_time(times[0][0], encoded[times[0][2] : times[0][3]]),
        not_after=_time(times[1][0], encoded[times[1][2] : times[1][3]]),
        subject=encoded[subject[1] : subject[3]],
        spki=encoded[spki[1] : spki[3]],
        extensions=_read_extensions(encoded, inside[7:]),
        signature=encoded[signature[2] + 1 : signature[3]],
    )


def read_issuer(encoded: bytes) -> bytes:
    """The issuer's name alone: enough to tell that a certificate is not ours. Raises MalformedDer."""
    fields = within(encoded, 0, len(encoded), tag=der.SEQUENCE, what="certificate")
    inside = spans(encoded, fields[0][2], fields[0][3]) if fields else []
    if len(inside) < 7 or inside[0][0] != 0xA0:
        raise MalformedDer("only version 3 certificates are read")
    return encoded[inside[3][1] : inside[3][3]]


def read_public_key_info(encoded: bytes) -> bytes:
    """SubjectPublicKeyInfo alone, also of a version 1 certificate, as some clients sign with. Raises MalformedDer."""
    fields = within(encoded, 0, len(encoded), tag=der.SEQUENCE, what="certificate")
    inside = spans(encoded, fields[0][2], fields[0][3]) if fields else []
    place = 6 if inside and inside[0][0] == 0xA0 else 5
    if len(inside) <= place:
        raise MalformedDer("the certificate holds no public key")
    return encoded[inside[place][1] : inside[place][3]]


def _read_extensions(data: bytes, trailing: list[Span]) -> Mapping[str, tuple[bool, bytes]]:
    found: dict[str, tuple[bool, bytes]] = {}
    for tag, _, body, end in trailing:
        if tag != 0xA3:
            continue
        for _, _, start, stop in within(data, body, end, tag=der.SEQUENCE, what="extensions"):
            read = _extension if stop - start <= _LONGEST_KEPT else _extension.__wrapped__
            name, critical, value = read(data[start:stop])
            if name in found:
                raise MalformedDer(f"extension {name} appears twice (RFC 5280 section 4.2)")
            found[name] = (critical, value)
    return MappingProxyType(found)


@lru_cache(maxsize=256)
def _extension(fields: bytes) -> tuple[str, bool, bytes]:
    # Most extensions of a certificate hold the same octets as those of the one before.
    parts = spans(fields, 0, len(fields))
    if not 2 <= len(parts) <= 3:
        raise MalformedDer("an extension has two or three fields")
    value = parts[-1]
    if value[0] != der.OCTET_STRING:
        raise MalformedDer(f"extnValue: expected tag 0x{der.OCTET_STRING:02x}, found 0x{value[0]:02x}")
    critical = len(parts) == 3 and fields[parts[1][1] : parts[1][3]] == _TRUE
    return dotted(fields, parts[0]), critical, fields[value[2] : value[3]]


def read_time(element: der.Element) -> datetime:
    """UTCTime or GeneralizedTime in the DER forms of RFC 5280 section 4.1.2.5. Raises MalformedDer."""
    return _time(element.tag, element.contents)


@lru_cache(maxsize=64)
def _time(tag: int, raw: bytes) -> datetime:
    digits = raw[:-1]
    if raw[-1:] != b"Z" or not digits.isdigit() or not digits.isascii():
        raise MalformedDer("a time is not digits followed by Z")
    if tag == der.UTC_TIME and len(digits) == 12:
        digits = (b"19" if digits >= b"50" else b"20") + digits
    elif tag != der.GENERALIZED_TIME or len(digits) != 14:
        raise MalformedDer("a time is neither UTCTime nor GeneralizedTime with seconds")
    try:
        return datetime(
            int(digits[:4]), int(digits[4:6]), int(digits[6:8]), int(digits[8:10]), int(digits[10:12]),
            int(digits[12:]), tzinfo=UTC,
        )  # fmt: skip
    except ValueError as error:
        raise MalformedDer("a time is not a date of the calendar") from error
