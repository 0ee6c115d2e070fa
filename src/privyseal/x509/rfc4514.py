# SPDX-License-Identifier: Apache-2.0
"""The text form of names, RFC 4514: reading with all escapes, and escaping. Knows nothing of DER but #hex values.

With ``templated`` a ``{{name}}`` in a value is a variable; escaped braces and those of #hex never are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from privyseal.errors import InvalidName, MalformedDer
from privyseal.x509 import der, oids
from privyseal.x509.strings import decode_string

MAX_TEXT = 8192
MAX_ATTRIBUTES = 64

# Short names we write, after RFC 4514 section 3 where it has one; reading ignores case and knows "E" as well.
SHORT_NAMES = {
    oids.COMMON_NAME: "CN",
    oids.SURNAME: "SN",
    oids.SERIAL_NUMBER: "serialNumber",
    oids.COUNTRY: "C",
    oids.LOCALITY: "L",
    oids.STATE: "ST",
    oids.STREET: "street",
    oids.ORGANIZATION: "O",
    oids.ORGANIZATIONAL_UNIT: "OU",
    oids.TITLE: "title",
    oids.GIVEN_NAME: "GN",
    oids.USER_ID: "UID",
    oids.DOMAIN_COMPONENT: "DC",
    oids.EMAIL_ADDRESS: "emailAddress",
}
_OIDS_BY_NAME = {name.lower(): oid for oid, name in SHORT_NAMES.items()} | {"e": oids.EMAIL_ADDRESS}

_DOTTED = re.compile(r"(?:[01]\.(?:[0-9]|[1-3][0-9])|2\.(?:0|[1-9][0-9]{0,5}))(?:\.(?:0|[1-9][0-9]{0,18})){0,30}")
_VARIABLE = re.compile(r"\{\{ *([a-z][a-z0-9_.]{0,63}) *\}\}")
_HEX_STRING = re.compile(r"#((?:[0-9A-Fa-f]{2})+) *(?=[,+]|\Z)")
_HEX_PAIR = re.compile(r"[0-9A-Fa-f]{2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ESCAPABLE = frozenset(' "#+,;<=>\\')
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .:@/_-]*[A-Za-z0-9]")
_SPECIAL = frozenset('"+,;<>\\')


@dataclass(frozen=True, slots=True)
class Variable:
    """The place in a template where the value of ``name`` goes."""

    name: str


Parts: TypeAlias = tuple[str | Variable, ...]


def escape_value(value: str) -> str:
    """``value`` as it stands in RFC 4514 text (section 2.4); control characters become hex pairs."""
    if _PLAIN.fullmatch(value):
        return value
    out = [f"\\{char}" if char in _SPECIAL else char for char in value]
    if out and value[0] in " #":
        out[0] = f"\\{value[0]}"
    if len(out) > 1 and value[-1] == " ":
        out[-1] = "\\ "
    return _CONTROL.sub(lambda found: f"\\{ord(found[0]):02X}", "".join(out))


def check_oid(dotted: str) -> None:
    """Refuse text that is not a dotted object identifier der.oid can write. Raises InvalidName."""
    # 64 contents octets are as much as der reads back.
    if not _DOTTED.fullmatch(dotted) or len(der.oid(dotted)) > 66:
        raise InvalidName(f"{dotted[:80]!r} is not an object identifier")


def read_variable(text: str, at: int) -> tuple[Variable, int]:
    """The variable whose ``{{`` stands at ``at``, and where it ends. Raises InvalidName."""
    found = _VARIABLE.match(text, at)
    if found is None:
        raise InvalidName(
            f"the {{{{ at character {at + 1} of {text[:200]!r} does not begin a variable like {{{{device.dns_name}}}}"
        )
    return Variable(found[1]), found.end()


def read_name(text: str, *, templated: bool) -> list[list[tuple[str, Parts]]]:
    """RDNs in DER order, which is the reverse of the text (RFC 4514 2.1). Raises InvalidName."""
    if len(text) > MAX_TEXT:
        raise InvalidName(f"a name of {len(text)} characters; at most {MAX_TEXT} are read")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as fault:
        raise InvalidName("the name holds half of a surrogate pair") from fault
    if not text.strip(" "):
        return []
    rdns: list[list[tuple[str, Parts]]] = [[]]
    at = 0
    for _ in range(MAX_ATTRIBUTES):
        oid, at = _read_type(text, at)
        parts, at = _read_value(text, at, templated=templated)
        rdns[-1].append((oid, parts))
        if at == len(text):
            return rdns[::-1]
        if text[at] == ",":
            rdns.append([])
        at += 1
    raise InvalidName(f"a name of more than {MAX_ATTRIBUTES} attributes")


def _read_type(text: str, at: int) -> tuple[str, int]:
    equals = text.find("=", at)
    if equals < 0:
        raise InvalidName(f"{text[at : at + 80]!r} at character {at + 1} has no `=`")
    name = text[at:equals].strip(" ")
    if oid := _OIDS_BY_NAME.get(name.lower()):
        return oid, equals + 1
    if not name[:1].isdigit():
        known = ", ".join(SHORT_NAMES.values())
        raise InvalidName(f"{name[:80]!r} is not a known attribute type; known are {known} and dotted numbers")
    check_oid(name)
    return name, equals + 1


def _read_value(text: str, at: int, *, templated: bool) -> tuple[Parts, int]:
    """Parts of the value at ``at``, and the place of the `,` or `+` that ends it (or the end of the text)."""
    while text.startswith(" ", at):
        at += 1
    if text.startswith("#", at):
        return _read_hex(text, at)
    parts: list[str | Variable] = []
    literal = bytearray()
    kept = 0  # how much of the literal stays when unescaped spaces at its end are dropped
    while at < len(text) and (char := text[at]) not in ",+":
        if char == "\\":
            octets, at = _read_escape(text, at)
            literal += octets
            kept = len(literal)
        elif templated and text.startswith("{{", at):
            variable, at = read_variable(text, at)
            parts += [_decode(literal), variable]
            literal.clear()
            kept = 0
        elif char in _SPECIAL or char == "\0":
            raise InvalidName(f"{char!r} at character {at + 1} must be written with a backslash before it")
        else:
            literal += char.encode("utf-8")
            at += 1
            kept = kept if char == " " else len(literal)
    found = tuple(part for part in (*parts, _decode(literal[:kept])) if part)
    if not found:
        raise InvalidName(f"an attribute of {text[:200]!r} has no value")
    return found, at


def _read_escape(text: str, at: int) -> tuple[bytes, int]:
    following = text[at + 1 : at + 2]
    if following in _ESCAPABLE:
        return following.encode("ascii"), at + 2
    pair = _HEX_PAIR.match(text, at + 1)
    if pair is None:
        raise InvalidName(f"the backslash at character {at + 1} escapes nothing that RFC 4514 knows")
    return bytes.fromhex(pair[0]), at + 3


def _decode(octets: bytes | bytearray) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise InvalidName("the hex pairs of a value are not UTF-8") from fault


def _read_hex(text: str, at: int) -> tuple[Parts, int]:
    found = _HEX_STRING.match(text, at)
    if found is None:
        raise InvalidName(f"the #value at character {at + 1} is not hex pairs; a leading # is written \\#")
    encoded = bytes.fromhex(found[1])
    try:
        element = der.read(encoded)
    except MalformedDer as fault:
        raise InvalidName(f"the #value at character {at + 1} is not DER: {fault.what}") from fault
    value = decode_string(element.tag, element.contents)
    if element.end != len(encoded) or not value:
        raise InvalidName(f"the #value at character {at + 1} is empty or has octets after its end")
    return (value,), found.end()
