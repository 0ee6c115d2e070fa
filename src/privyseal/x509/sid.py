# SPDX-License-Identifier: Apache-2.0
"""Windows security identifiers (MS-DTYP 2.4.2) and the two forms in which a certificate carries one.

A Sid is always canonical. Where it comes from is the caller's duty: never from a request.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from privyseal.errors import InvalidSid, MalformedDer
from privyseal.x509 import der, oids
from privyseal.x509.span import dotted, within

_OBJECTSID = der.oid(oids.NTDS_OBJECTSID)
URI_PREFIX = "tag:microsoft.com,2022-09-14:sid:"

# At least one and at most 15 subauthorities; no leading zeros, so each SID has one text only.
_TEXT = re.compile(r"S-1-(0|[1-9][0-9]{0,14})((?:-(?:0|[1-9][0-9]{0,9})){1,15})")


@dataclass(frozen=True, slots=True)
class Sid:
    """One security identifier, revision 1. Its text is checked when it is made. Raises InvalidSid."""

    text: str

    def __post_init__(self) -> None:
        found = _TEXT.fullmatch(self.text)
        if found is None:
            raise InvalidSid(f"{self.text[:200]!r} does not look like S-1-<authority>-<1 to 15 numbers>")
        if int(found[1]) >= 1 << 48:
            raise InvalidSid(f"the authority {found[1]} of {self.text} does not fit in 48 bits")
        if max(map(int, found[2][1:].split("-"))) >= 1 << 32:
            raise InvalidSid(f"a subauthority of {self.text} does not fit in 32 bits")

    @classmethod
    def parse(cls, text: str) -> Sid:
        """The SID that ``text`` writes, in canonical decimal form only. Raises InvalidSid."""
        return cls(text)

    @classmethod
    def from_binary(cls, data: bytes) -> Sid:
        """The SID in the packet form of MS-DTYP 2.4.2.2, as LDAP returns objectSid. Raises InvalidSid."""
        if len(data) < 12 or data[0] != 1 or len(data) != 8 + 4 * data[1]:
            raise InvalidSid(f"{len(data)} octets are not a revision 1 SID with the count they state")
        numbers = [int.from_bytes(data[at : at + 4], "little") for at in range(8, len(data), 4)]
        return cls("-".join(["S-1", str(int.from_bytes(data[2:8], "big")), *map(str, numbers)]))

    @classmethod
    def from_extension_value(cls, value: bytes) -> Sid:
        """The SID in the value of szOID_NTDS_CA_SECURITY_EXT (MS-WCCE 2.2.2.7.7.4). Raises InvalidSid."""
        what = "SID extension"
        try:
            names = within(value, 0, len(value), tag=der.SEQUENCE, what=what)
            if len(names) != 1:
                raise InvalidSid(f"the SID extension holds {len(names)} names; exactly 1 is allowed")
            fields = within(value, names[0][1], names[0][3], tag=0xA0, what=what)
            if len(fields) != 2 or dotted(value, fields[0]) != oids.NTDS_OBJECTSID:
                raise InvalidSid("the SID extension holds another name than szOID_NTDS_OBJECTSID")
            inner = within(value, fields[1][1], fields[1][3], tag=0xA0, what=what)
        except MalformedDer as fault:
            raise InvalidSid(f"the SID extension is not DER: {fault.what}") from fault
        if len(inner) != 1 or inner[0][0] != der.OCTET_STRING:
            raise InvalidSid("the SID extension does not hold one OCTET STRING")
        return cls(value[inner[0][2] : inner[0][3]].decode("latin-1"))

    @property
    def uri(self) -> str:
        """The subjectAltName URI that says the same (Windows Server 2019 and newer read it)."""
        return URI_PREFIX + self.text

    def extension_value(self) -> bytes:
        """Value of szOID_NTDS_CA_SECURITY_EXT, byte for byte as AD CS writes it: the SID as ASCII text."""
        text = self.text.encode("ascii")
        return _value_head(len(text)) + text


@lru_cache(maxsize=256)
def _value_head(size: int) -> bytes:
    value = der.explicit(0, der.octet_string(bytes(size)))
    encoded = der.sequence(der.tlv(0xA0, _OBJECTSID, value))
    return encoded[: len(encoded) - size]
