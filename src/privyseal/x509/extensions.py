# SPDX-License-Identifier: Apache-2.0
"""Certificate extensions as DER, each a complete Extension (RFC 5280 section 4.2). Builders, no policy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from functools import lru_cache
from hashlib import sha1
from typing import Final

from privyseal.errors import InvalidValue
from privyseal.x509 import der, oids
from privyseal.x509.general_names import GeneralName, encode_general_names
from privyseal.x509.span import within

_URI: Final = 0x86
_CONSTRUCTED: Final = 0x20
_MOST_URLS: Final = 16


class KeyUsage(IntEnum):
    """Bit numbers of KeyUsage (RFC 5280 section 4.2.1.3)."""

    DIGITAL_SIGNATURE = 0
    NON_REPUDIATION = 1
    KEY_ENCIPHERMENT = 2
    DATA_ENCIPHERMENT = 3
    KEY_AGREEMENT = 4
    KEY_CERT_SIGN = 5
    CRL_SIGN = 6
    ENCIPHER_ONLY = 7
    DECIPHER_ONLY = 8

    @property
    def label(self) -> str:
        """The name in profiles and on screens, for example ``digital-signature``."""
        return self.name.lower().replace("_", "-")

    @classmethod
    def parse(cls, text: str) -> KeyUsage:
        """From its label. Raises InvalidValue."""
        for member in cls:
            if member.label == text:
                return member
        raise InvalidValue(f"key usage {text!r} is not one of {', '.join(member.label for member in cls)}")


EXT_KEY_USAGE_NAMES: Final = {
    "client-auth": oids.EKU_CLIENT_AUTH,
    "server-auth": oids.EKU_SERVER_AUTH,
    "smartcard-logon": oids.EKU_SMARTCARD_LOGON,
    "kdc": oids.EKU_KDC,
    "pkinit-client": oids.EKU_PKINIT_CLIENT,
    "ipsec-ike": oids.EKU_IPSEC_IKE,
    "ike-intermediate": oids.EKU_IKE_INTERMEDIATE,
    "email-protection": oids.EKU_EMAIL_PROTECTION,
    "ocsp-signing": oids.EKU_OCSP_SIGNING,
    "certificate-request-agent": oids.EKU_CERTIFICATE_REQUEST_AGENT,
    "any": oids.ANY_EXTENDED_KEY_USAGE,
}
_EKU_LABELS: Final = {dotted: name for name, dotted in EXT_KEY_USAGE_NAMES.items()}


def parse_ext_key_usage(text: str) -> str:
    """The dotted OID of an extended key usage given by name (``client-auth``) or dotted. Raises InvalidValue."""
    if text in EXT_KEY_USAGE_NAMES:
        return EXT_KEY_USAGE_NAMES[text]
    arcs = text.split(".")
    if len(arcs) < 3 or not all(arc.isdecimal() and len(arc) < 12 for arc in arcs) or arcs[0] not in "012":
        raise InvalidValue(
            f"extended key usage {text!r} is neither a dotted OID nor one of {', '.join(EXT_KEY_USAGE_NAMES)}"
        )
    return text


def ext_key_usage_label(dotted: str) -> str:
    """The short name of an extended key usage, or the dotted OID when it has none."""
    return _EKU_LABELS.get(dotted, dotted)


def extension(dotted: str, value: bytes, *, critical: bool = False) -> bytes:
    """One Extension: SEQUENCE { extnID, critical (only when TRUE), extnValue }."""
    return _extension_head(dotted, critical, len(value)) + value


@lru_cache(maxsize=256)
def _extension_head(dotted: str, critical: bool, size: int) -> bytes:
    # Made once for each length: most values of a profile's certificates have one of a few.
    flag = der.boolean(True) if critical else b""
    encoded = der.sequence(der.oid(dotted), flag, der.octet_string(bytes(size)))
    return encoded[: len(encoded) - size]


def key_identifier(spki: bytes) -> bytes:
    """Key identifier by method 1 of RFC 5280 section 4.2.1.2: SHA-1 of the subjectPublicKey bits.

    SHA-1 names the key here, it protects nothing; every Windows tool expects these 20 octets.
    """
    bits = within(spki, 0, len(spki), tag=der.SEQUENCE, what="SubjectPublicKeyInfo")[1]
    return sha1(spki[bits[2] + 1 : bits[3]], usedforsecurity=False).digest()


def basic_constraints(ca: bool, path_length: int | None = None) -> bytes:
    """Critical, as RFC 5280 4.2.1.9 demands for CAs; an end entity's is the empty sequence."""
    inner = b"" if not ca else der.boolean(True)
    if path_length is not None:
        inner += der.integer(path_length)
    return extension(oids.BASIC_CONSTRAINTS, der.sequence(inner), critical=True)


def key_usage(usages: Iterable[KeyUsage]) -> bytes:
    """Critical KeyUsage as a DER named bit list: trailing zero bits removed (X.690 11.2.2)."""
    bits = sorted(set(usages))
    if not bits:
        raise InvalidValue("a key usage extension needs at least one usage (RFC 5280 section 4.2.1.3)")
    octets = bytearray(bits[-1] // 8 + 1)
    for bit in bits:
        octets[bit // 8] |= 0x80 >> bit % 8
    return extension(oids.KEY_USAGE, der.bit_string(bytes(octets), 7 - bits[-1] % 8), critical=True)


def ext_key_usage(dotted: Sequence[str]) -> bytes:
    """Not critical: the relying parties we serve (KDC, NPS, VPN) look for their own purpose in it."""
    return extension(oids.EXT_KEY_USAGE, der.sequence(*(der.oid(purpose) for purpose in dotted)))


_SHA1_OCTETS: Final = 20
_SUBJECT_KEY_IDENTIFIER_HEAD: Final = extension(oids.SUBJECT_KEY_IDENTIFIER, der.octet_string(bytes(_SHA1_OCTETS)))[
    :-_SHA1_OCTETS
]


def subject_key_identifier(identifier: bytes) -> bytes:
    """SubjectKeyIdentifier."""
    if len(identifier) != _SHA1_OCTETS:
        return extension(oids.SUBJECT_KEY_IDENTIFIER, der.octet_string(identifier))
    return _SUBJECT_KEY_IDENTIFIER_HEAD + identifier


def authority_key_identifier(identifier: bytes) -> bytes:
    """AuthorityKeyIdentifier with keyIdentifier only: issuer+serial would tie leaves to one CA certificate."""
    return extension(oids.AUTHORITY_KEY_IDENTIFIER, der.sequence(der.tlv(0x80, identifier)))


def subject_alternative_name(names: Sequence[GeneralName], *, critical: bool = False) -> bytes:
    """SubjectAltName; critical only when the subject is empty (RFC 5280 section 4.2.1.6)."""
    return extension(oids.SUBJECT_ALT_NAME, encode_general_names(names), critical=critical)


def crl_distribution_points(urls: Sequence[str]) -> bytes:
    """One DistributionPoint that lists all URLs of the same CRL (RFC 5280 section 4.2.1.13)."""
    return extension(oids.CRL_DISTRIBUTION_POINTS, der.sequence(der.sequence(_point_name(urls))))


def freshest_crl(urls: Sequence[str]) -> bytes:
    """Where the delta CRL is; in certificates and base CRLs, never critical (RFC 5280 sections 4.2.1.15 and 5.2.6)."""
    return extension(oids.FRESHEST_CRL, der.sequence(der.sequence(_point_name(urls))))


def delta_crl_indicator(base_number: int) -> bytes:
    """BaseCRLNumber; critical, or somebody might take a delta for a complete CRL (RFC 5280 section 5.2.4)."""
    return extension(oids.DELTA_CRL_INDICATOR, der.integer(base_number), critical=True)


def issuing_distribution_point(url: str) -> bytes:
    """The scope of a shard: what names this URL. Critical, or somebody might take it for all (RFC 5280 5.2.5)."""
    return extension(oids.ISSUING_DISTRIBUTION_POINT, der.sequence(_point_name((url,))), critical=True)


def _point_name(urls: Sequence[str]) -> bytes:
    names = b"".join(der.tlv(0x86, url.encode("ascii")) for url in urls)
    return der.tlv(0xA0, der.tlv(0xA0, names))


def authority_information_access(*, ocsp: Sequence[str] = (), ca_issuers: Sequence[str] = ()) -> bytes:
    """OCSP responder and issuer certificate locations (RFC 5280 section 4.2.2.1)."""
    parts = [der.sequence(der.oid(oids.AIA_OCSP), der.tlv(0x86, url.encode("ascii"))) for url in ocsp]
    parts += [der.sequence(der.oid(oids.AIA_CA_ISSUERS), der.tlv(0x86, url.encode("ascii"))) for url in ca_issuers]
    return extension(oids.AUTHORITY_INFO_ACCESS, der.sequence(*parts))


def sid_extension(value: bytes) -> bytes:
    """The SID extension (MS-WCCE 2.2.2.7.7.4) of ``Sid.extension_value``, not critical, as AD CS writes it."""
    return extension(oids.NTDS_CA_SECURITY_EXT, value)


def ocsp_no_check() -> bytes:
    """id-pkix-ocsp-nocheck: the responder's own certificate is not looked up (RFC 6960 section 4.2.2.2.1)."""
    return extension(oids.OCSP_NO_CHECK, der.null())


def crl_number(number: int) -> bytes:
    """CRLNumber (RFC 5280 section 5.2.3)."""
    return extension(oids.CRL_NUMBER, der.integer(number))


def http_urls(value: bytes) -> tuple[str, ...]:
    """The http URLs anywhere in CRLDistributionPoints or AuthorityInfoAccess. Raises MalformedDer."""
    found: list[str] = []
    open_ones = [der.read(value)]
    while open_ones and len(found) < _MOST_URLS:
        element = open_ones.pop(0)
        if element.tag == _URI and element.contents[:7].lower() == b"http://":
            found.append(element.contents.decode("ascii", "backslashreplace"))
        elif element.tag & _CONSTRUCTED:
            open_ones += element.children()
    return tuple(found)
