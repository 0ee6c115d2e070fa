# SPDX-License-Identifier: Apache-2.0
"""Reading a certificate's fields as the bytes they are, without decoding what nobody asked for.

Names and keys stay DER because issuer and subject must match byte for byte (RFC 5280 section 6.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from privyseal.errors import MalformedDer
from privyseal.x509 import der, oids


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
        if value is None:
            return False
        fields = list(der.read_only(value, der.SEQUENCE, "basicConstraints").children())
        return bool(fields) and fields[0].encoded == der.boolean(True)

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
        if value is None:
            return None
        return frozenset(
            element.as_oid() for element in der.read_only(value, der.SEQUENCE, "extKeyUsage").children()
        )

    @property
    def key_usage(self) -> frozenset[int] | None:
        """Bit numbers set in KeyUsage, or None when the extension is absent."""
        value = self.extension(oids.KEY_USAGE)
        if value is None:
            return None
        octets = der.read_only(value, der.BIT_STRING, "keyUsage").contents[1:]
        return frozenset(bit for bit in range(8 * len(octets)) if octets[bit // 8] & 0x80 >> bit % 8)

    @property
    def subject_key_identifier(self) -> bytes | None:
        """keyIdentifier of the subject, or None."""
        value = self.extension(oids.SUBJECT_KEY_IDENTIFIER)
        return None if value is None else der.read_only(value, der.OCTET_STRING, "subjectKeyIdentifier").contents

    @property
    def authority_key_identifier(self) -> bytes | None:
        """keyIdentifier of the authority, or None."""
        value = self.extension(oids.AUTHORITY_KEY_IDENTIFIER)
        if value is None:
            return None
        for element in der.read_only(value, der.SEQUENCE, "authorityKeyIdentifier").children():
            if element.tag == 0x80:
                return element.contents
        return None


def read_certificate(encoded: bytes) -> CertificateView:
    """A certificate's fields. Raises MalformedDer."""
    fields = list(der.read_only(encoded, der.SEQUENCE, "certificate").children())
    if len(fields) != 3:
        raise MalformedDer("a certificate has three fields")
    tbs, algorithm, signature = fields
    inside = list(tbs.expect(der.SEQUENCE, "tbsCertificate").children())
    if len(inside) < 7 or inside[0].tag != 0xA0:
        raise MalformedDer("only version 3 certificates are read")
    validity = list(inside[4].children())
    if len(validity) != 2:
        raise MalformedDer("validity has two times")
    if inside[2].encoded != algorithm.encoded:
        raise MalformedDer("the two signature algorithms differ (RFC 5280 section 4.1.1.2)")
    return CertificateView(
        encoded=encoded,
        tbs=tbs.encoded,
        serial=inside[1].as_int(),
        algorithm=algorithm.encoded,
        issuer=inside[3].encoded,
        not_before=read_time(validity[0]),
        not_after=read_time(validity[1]),
        subject=inside[5].encoded,
        spki=inside[6].encoded,
        extensions=_read_extensions(inside[7:]),
        signature=signature.expect(der.BIT_STRING, "signature").contents[1:],
    )


def _read_extensions(trailing: list[der.Element]) -> Mapping[str, tuple[bool, bytes]]:
    found: dict[str, tuple[bool, bytes]] = {}
    for wrapper in trailing:
        if wrapper.tag != 0xA3:
            continue
        for entry in der.read_only(wrapper.contents, der.SEQUENCE, "extensions").children():
            parts = list(entry.children())
            if not 2 <= len(parts) <= 3:
                raise MalformedDer("an extension has two or three fields")
            dotted = parts[0].as_oid()
            if dotted in found:
                raise MalformedDer(f"extension {dotted} appears twice (RFC 5280 section 4.2)")
            critical = len(parts) == 3 and parts[1].encoded == der.boolean(True)
            found[dotted] = (critical, parts[-1].expect(der.OCTET_STRING, "extnValue").contents)
    return MappingProxyType(found)


def read_time(element: der.Element) -> datetime:
    """UTCTime or GeneralizedTime in the DER forms of RFC 5280 section 4.1.2.5. Raises MalformedDer."""
    raw = element.contents
    digits = raw[:-1]
    if raw[-1:] != b"Z" or not digits.isdigit() or not digits.isascii():
        raise MalformedDer("a time is not digits followed by Z")
    text = digits.decode("ascii")
    if element.tag == der.UTC_TIME and len(text) == 12:
        text = ("19" if text >= "50" else "20") + text
    elif element.tag != der.GENERALIZED_TIME or len(text) != 14:
        raise MalformedDer("a time is neither UTCTime nor GeneralizedTime with seconds")
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise MalformedDer("a time is not a date of the calendar") from error
