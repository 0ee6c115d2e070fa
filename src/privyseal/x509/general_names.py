# SPDX-License-Identifier: Apache-2.0
"""GeneralNames (RFC 5280 4.2.1.6): strict when written, tolerant when read. Never guesses a name's kind."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from privyseal.errors import InvalidName, MalformedDer
from privyseal.x509 import der, oids
from privyseal.x509.kerberos_name import decode_principal, encode_principal
from privyseal.x509.names import DistinguishedName
from privyseal.x509.span import Span, dotted, span, spans, within

_MAX_NAMES = 128
_OTHER_NAME, _RFC822_NAME, _DNS_NAME, _DIRECTORY_NAME, _URI, _IP_ADDRESS = 0xA0, 0x81, 0x82, 0xA4, 0x86, 0x87
_TAGS = frozenset({_OTHER_NAME, _RFC822_NAME, _DNS_NAME, 0xA3, _DIRECTORY_NAME, 0xA5, _URI, _IP_ADDRESS, 0x88})

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DNS = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
_ALL_DIGITS = re.compile(r"[0-9.]+")
_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
# A scheme, and after `//` a host (RFC 5280 4.2.1.6).
_ABSOLUTE_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,31}:(?://[^/?#]|(?!//)[^#])")
_URI_CHARACTERS = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
_CONTROL_OR_SPACE = re.compile(r"[\x00-\x20\x7f]")


class NameKind(Enum):
    """The alternatives of GeneralName that we tell apart; UPN and KPN are otherNames, everything else is OTHER."""

    DNS = "dns"
    EMAIL = "email"
    URI = "uri"
    IP = "ip"
    UPN = "upn"
    KPN = "kpn"
    DIRECTORY = "directory"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class GeneralName:
    """One name. The value is text (directory: RFC 4514), or for OTHER the hex of the whole DER element."""

    kind: NameKind
    value: str

    def to_der(self) -> bytes:
        """DER GeneralName; the value is checked against its kind. Raises InvalidName."""
        match self.kind:
            case NameKind.DNS:
                return der.tlv(_DNS_NAME, _dns(self.value))
            case NameKind.EMAIL:
                return der.tlv(_RFC822_NAME, _email(self.value))
            case NameKind.URI:
                return der.tlv(_URI, _uri(self.value))
            case NameKind.IP:
                return der.tlv(_IP_ADDRESS, _ip(self.value))
            case NameKind.UPN:
                value = der.explicit(0, der.tlv(der.UTF8_STRING, _upn(self.value)))
                return der.tlv(_OTHER_NAME, der.oid(oids.UPN), value)
            case NameKind.KPN:
                value = der.explicit(0, encode_principal(self.value))
                return der.tlv(_OTHER_NAME, der.oid(oids.KPN), value)
            case NameKind.DIRECTORY:
                return der.tlv(_DIRECTORY_NAME, DistinguishedName.parse(self.value).to_der())
            case NameKind.OTHER:
                return _other(self.value)


def encode_general_names(names: Iterable[GeneralName]) -> bytes:
    """DER GeneralNames of at least one name, in the given order. Raises InvalidName."""
    encoded = [name.to_der() for name in names]
    if not 0 < len(encoded) <= _MAX_NAMES:
        raise InvalidName(f"{len(encoded)} alternative names; 1 to {_MAX_NAMES} are allowed")
    return der.sequence(*encoded)


def decode_general_names(encoded: bytes) -> tuple[GeneralName, ...]:
    """The names in DER GeneralNames; one whose contents do not fit its kind becomes OTHER. Raises InvalidName."""
    try:
        found = within(encoded, 0, len(encoded), tag=der.SEQUENCE, what="GeneralNames")
    except MalformedDer as fault:
        raise InvalidName(f"the alternative names are not DER: {fault.what}") from fault
    if len(found) > _MAX_NAMES:
        raise InvalidName(f"{len(found)} alternative names; at most {_MAX_NAMES} are read")
    return tuple([_decode(encoded, item) for item in found])


def _decode(data: bytes, item: Span) -> GeneralName:
    tag, start, body, end = item
    if tag not in _TAGS:
        raise InvalidName(f"tag 0x{tag:02x} is not an alternative of GeneralName")
    contents = data[body:end]
    match tag:
        case 0x82 if contents.isascii():
            return GeneralName(NameKind.DNS, contents.decode("ascii"))
        case 0x81 if contents.isascii():
            return GeneralName(NameKind.EMAIL, contents.decode("ascii"))
        case 0x86 if contents.isascii():
            return GeneralName(NameKind.URI, contents.decode("ascii"))
        case 0x87 if len(contents) in (4, 16):
            return GeneralName(NameKind.IP, str(ipaddress.ip_address(contents)))
        case 0xA0 if (known := _decode_other_name(data, body, end)) is not None:
            return known
        case 0xA4:
            try:
                return GeneralName(NameKind.DIRECTORY, DistinguishedName.from_der(contents).to_text())
            except InvalidName:
                pass  # falls through to OTHER: kept as it came
    return GeneralName(NameKind.OTHER, data[start:end].hex())


def _decode_other_name(data: bytes, body: int, end: int) -> GeneralName | None:
    try:
        fields = spans(data, body, end)
        kind = dotted(data, fields[0]) if len(fields) == 2 and fields[1][0] == 0xA0 else ""
        if kind not in (oids.UPN, oids.KPN):
            return None
        tag, start, at, limit = span(data, fields[1][2], end)
        if limit != end:
            return None
        if kind == oids.KPN:
            principal = decode_principal(data[start:limit])
            return None if principal is None else GeneralName(NameKind.KPN, principal)
        return GeneralName(NameKind.UPN, data[at:limit].decode("utf-8")) if tag == der.UTF8_STRING else None
    except (MalformedDer, UnicodeDecodeError):
        return None


def _dns(value: str) -> bytes:
    ascii_form = _a_labels(value) if not value.isascii() and len(value) <= 253 else value
    if len(ascii_form) > 253 or not _DNS.fullmatch(ascii_form):
        raise InvalidName(
            f"{value[:300]!r} is not a DNS name: labels of 1 to 63 letters, digits and hyphens, 253 characters in all"
        )
    if _ALL_DIGITS.fullmatch(ascii_form):
        raise InvalidName(f"{value!r} is a number or an IP address, not a DNS name")
    return ascii_form.encode("ascii")


def _a_labels(value: str) -> str:
    # The codec is IDNA 2003 and maps some letters away (sharp s to ss): such a result is another domain.
    try:
        encoded = value.encode("idna")
        if encoded.decode("idna") != value.lower():
            raise InvalidName(f"{value!r} changes when it is encoded; give the A-label form (xn--...) instead")
    except UnicodeError as fault:
        raise InvalidName(f"{value!r} cannot be encoded as an internationalized DNS name") from fault
    return encoded.decode("ascii")


def _email(value: str) -> bytes:
    local, _, domain = value.rpartition("@")
    if len(value) > 254 or len(local) > 64 or not _LOCAL_PART.fullmatch(local) or domain.startswith("*"):
        raise InvalidName(f"{value[:300]!r} is not an ASCII mail address local@domain")
    return local.encode("ascii") + b"@" + _dns(domain)


def _uri(value: str) -> bytes:
    if len(value) > 2048 or not _ABSOLUTE_URI.match(value) or not _URI_CHARACTERS.fullmatch(value):
        raise InvalidName(f"{value[:300]!r} is not an absolute ASCII URI of at most 2048 characters")
    return value.encode("ascii")


def _ip(value: str) -> bytes:
    try:
        if "%" in value or len(value) > 64:
            raise ValueError("a zone has no place in a certificate")
        return ipaddress.ip_address(value).packed
    except ValueError as fault:
        raise InvalidName(f"{value[:80]!r} is not an IPv4 or IPv6 address") from fault


def _upn(value: str) -> bytes:
    user, _, suffix = value.partition("@")
    if not user or not suffix or "@" in suffix or _CONTROL_OR_SPACE.search(suffix) or len(value) > 1024:
        raise InvalidName(f"{value[:300]!r} is not a user principal name user@suffix")
    if any(ord(char) < 0x20 or ord(char) == 0x7F for char in user):
        raise InvalidName("a user principal name holds a control character")
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError as fault:
        raise InvalidName("a user principal name holds half of a surrogate pair") from fault


def _other(value: str) -> bytes:
    try:
        encoded = bytes.fromhex(value)
        element = der.read(encoded)
    except (ValueError, MalformedDer) as fault:
        raise InvalidName("the value of an other name is not the hex of a DER element") from fault
    if element.tag not in _TAGS or element.end != len(encoded):
        raise InvalidName(f"tag 0x{element.tag:02x} is not an alternative of GeneralName, or octets follow it")
    return encoded
