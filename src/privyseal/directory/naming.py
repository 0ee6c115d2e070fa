# SPDX-License-Identifier: Apache-2.0
"""Names as Active Directory writes them: sanitized CNs, parts of DNs, values in filters, SIDs.

Every value that comes from outside passes through here before it becomes part of a DN or a filter.
"""

from __future__ import annotations

from typing import Final

from privyseal.errors import InvalidName
from privyseal.x509.general_names import GeneralName, NameKind
from privyseal.x509.names import escape_value
from privyseal.x509.sid import Sid

MAX_SANITIZED: Final = 57
_KEPT: Final = 51
_ESCAPE: Final = 5
_DISALLOWED: Final = frozenset("!\"#%&'()*+,/:;<=>?[\\]^`{|}")
_MAX_VALUE: Final = 8192


def sanitized_name(common_name: str) -> str:
    """The CN that Windows gives to an object named after a CA (MS-WCCE 3.1.1.4.1.1): at most 57 characters.

    A disallowed character becomes ``!`` and four hexadecimal digits of each of its UTF-16 units. What does not
    fit in 51 characters is cut off, never inside such an escape, and a 16-bit hash of it follows.
    """
    if not common_name:
        raise InvalidName("a CA without a common name has no place in the directory")
    if len(common_name) > _MAX_VALUE:
        raise InvalidName(f"a common name of {len(common_name)} characters; at most {_MAX_VALUE} are read")
    whole = "".join(_sanitized(character) for character in common_name)
    if len(whole) <= _KEPT:
        return whole
    # `!` stands only at the beginning of an escape: when one begins this late it would be cut.
    begins = whole.find("!", _KEPT - _ESCAPE + 1, _KEPT)
    kept = _KEPT if begins < 0 else begins
    return f"{whole[:kept]}-{_hash(whole[kept:]):05d}"


def _sanitized(character: str) -> str:
    if " " <= character <= "~" and character not in _DISALLOWED:
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"!{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def _hash(text: str) -> int:
    """Rotate left by one and add, in 16 bits (MS-WCCE 3.1.1.4.1.1.1)."""
    value = 0
    for character in text:
        value = ((value << 1 | value >> 15) + ord(character)) & 0xFFFF
    return value


def child_dn(common_name: str, parent: str) -> str:
    """The DN of the object ``common_name`` directly below ``parent``; the name is escaped, the parent is a DN."""
    return f"CN={escape_value(common_name)},{parent}"


def split_dn(dn: str) -> tuple[str, str]:
    """The first RDN, and the DN of what holds the object; that is empty at the top."""
    at = 0
    while at < len(dn) and dn[at] != ",":
        at += 2 if dn[at] == "\\" else 1
    return dn[:at], dn[at + 1 :].lstrip(" ")


def parent_dn(dn: str) -> str:
    """The DN of what holds this object; empty at the top."""
    return split_dn(dn)[1]


def dns_domain(naming_context: str) -> str:
    """The DNS name of a domain from its DN: DC=ad,DC=example becomes ad.example. Raises InvalidName."""
    labels: list[str] = []
    rest = naming_context
    while rest:
        rdn, rest = split_dn(rest)
        kind, _, label = rdn.partition("=")
        if kind.strip().upper() != "DC" or not label or len(labels) > 126:
            raise InvalidName(f"{naming_context[:200]!r} is not the DN of a domain; one is like DC=ad,DC=example")
        labels.append(label)
    name = ".".join(labels)
    GeneralName(NameKind.DNS, name).to_der()
    return name.lower()


def dn_key(dn: str) -> str:
    """What two spellings of our own DNs have in common: AD compares them without case.

    Hex pairs of printable characters are read, spaces after a comma do not count. Not a general normal form: it is
    for DNs of the configuration partition, which AD and we both write in the short form.
    """
    out: list[str] = []
    at = 0
    while at < len(dn):
        pair = dn[at + 1 : at + 3]
        if dn[at] == "\\" and len(pair) == 2 and all(digit in "0123456789abcdefABCDEF" for digit in pair):
            octet = int(pair, 16)
            out.append(f"\\{chr(octet)}" if 0x20 <= octet < 0x7F else f"\\{octet:02x}")
            at += 3
        elif dn[at] == "\\":
            out.append(dn[at : at + 2])
            at += 2
        else:
            out.append(dn[at])
            at += 1
            if dn[at - 1] == ",":
                while dn.startswith(" ", at):
                    at += 1
    return "".join(out).casefold()


def escape_filter(value: str | bytes) -> str:
    """``value`` as an assertion value of a search filter (RFC 4515 section 3): nothing in it can become a filter."""
    if isinstance(value, str):
        try:
            value = value.encode("utf-8")
        except UnicodeEncodeError as fault:
            raise InvalidName("a name holds half of a surrogate pair") from fault
    if len(value) > _MAX_VALUE:
        raise InvalidName(f"a value of {len(value)} octets; at most {_MAX_VALUE} are searched for")
    return "".join(
        chr(octet) if 0x20 <= octet < 0x7F and octet not in b"*()\\" else f"\\{octet:02x}" for octet in value
    )


def sid_from_binary(value: bytes) -> Sid:
    """The SID of an objectSid value. Raises InvalidSid."""
    return Sid.from_binary(value)
