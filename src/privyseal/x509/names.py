# SPDX-License-Identifier: Apache-2.0
"""Distinguished names as values: from and to DER and RFC 4514 text, and templates of them.

A template is parsed before anything is put in, so a substituted value can never become structure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from privyseal.errors import InvalidName, MalformedDer
from privyseal.x509 import der, oids
from privyseal.x509.rfc4514 import (
    MAX_ATTRIBUTES,
    MAX_TEXT,
    SHORT_NAMES,
    Parts,
    Variable,
    check_oid,
    escape_value,
    read_name,
    read_variable,
)
from privyseal.x509.span import Span, dotted, span, within
from privyseal.x509.strings import decode_string

__all__ = ["DistinguishedName", "NameTemplate", "Rdn", "ValueTemplate", "Variable", "escape_value"]

Rdn: TypeAlias = tuple[tuple[str, str], ...]

_MAX_DER = 65536
_DEFAULT_BOUND = 32768

# RFC 5280 appendix A.1; street is ub-street-address of X.520, UID RFC 4519 2.39 (256), DC one label of RFC 1034.
_UPPER_BOUNDS = {
    oids.COMMON_NAME: 64,
    oids.SERIAL_NUMBER: 64,
    oids.COUNTRY: 2,
    oids.LOCALITY: 128,
    oids.STATE: 128,
    oids.STREET: 128,
    oids.ORGANIZATION: 64,
    oids.ORGANIZATIONAL_UNIT: 64,
    oids.TITLE: 64,
    oids.USER_ID: 256,
    oids.DOMAIN_COMPONENT: 63,
    oids.EMAIL_ADDRESS: 255,
}
_PRINTABLE = re.compile(r"[A-Za-z0-9 '()+,\-./:=?]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class DistinguishedName:
    """A name as RDNs in DER order, each one or more (type, value) pairs; types are dotted."""

    rdns: tuple[Rdn, ...]

    @classmethod
    def parse(cls, text: str) -> DistinguishedName:
        """The name that RFC 4514 ``text`` writes, whose first RDN is the last of the DER. Raises InvalidName."""
        return _name(read_name(text, templated=False), str)

    @classmethod
    def from_der(cls, encoded: bytes) -> DistinguishedName:
        """The name in a DER Name, with any string type and any length of value. Raises InvalidName."""
        if len(encoded) > _MAX_DER:
            raise InvalidName(f"a name of {len(encoded)} octets; at most {_MAX_DER} are read")
        try:
            rdns = within(encoded, 0, len(encoded), tag=der.SEQUENCE, what="Name")
            if len(rdns) > MAX_ATTRIBUTES:
                raise InvalidName(f"a name of {len(rdns)} RDNs; at most {MAX_ATTRIBUTES} are read")
            return cls(tuple([_read_rdn(encoded, rdn) for rdn in rdns]))
        except MalformedDer as fault:
            raise InvalidName(f"the name is not DER: {fault.what}") from fault

    def to_der(self) -> bytes:
        """DER Name, each value checked against its type and upper bound. Raises InvalidName."""
        return der.sequence(*[der.set_of(*[_attribute(oid, value) for oid, value in rdn]) for rdn in self.rdns])

    def to_text(self) -> str:
        """RFC 4514 text; a type without a short name has its value as #hex (section 2.4)."""
        return ",".join("+".join(_attribute_text(oid, value) for oid, value in rdn) for rdn in reversed(self.rdns))

    @property
    def common_name(self) -> str | None:
        """The most specific common name, if there is one."""
        for rdn in reversed(self.rdns):
            for oid, value in rdn:
                if oid == oids.COMMON_NAME:
                    return value
        return None


@dataclass(frozen=True, slots=True)
class NameTemplate:
    """A distinguished name with variables in its values: ``CN={{device.dns_name}},O=Contoso\\, Inc.``."""

    text: str
    rdns: tuple[tuple[tuple[str, Parts], ...], ...]

    @classmethod
    def parse(cls, text: str) -> NameTemplate:
        """Parse once; ``{{name}}`` stands for a value, a single brace for itself. Raises InvalidName."""
        return cls(text, tuple(tuple(rdn) for rdn in read_name(text, templated=True)))

    @property
    def variables(self) -> frozenset[str]:
        """Names of all variables used."""
        return _variables(part for rdn in self.rdns for _, parts in rdn for part in parts)

    def fill(self, lookup: Callable[[str], str]) -> DistinguishedName:
        """The name with ``lookup(variable)`` put in verbatim. Raises InvalidName and what ``lookup`` raises."""
        return _name(self.rdns, lookup)


@dataclass(frozen=True, slots=True)
class ValueTemplate:
    """A plain value with variables, as for an alternative name; nothing in it is escaped."""

    text: str
    parts: Parts

    @classmethod
    def parse(cls, text: str) -> ValueTemplate:
        """Parse once. Raises InvalidName for a ``{{`` that does not begin a variable."""
        if not 0 < len(text) <= MAX_TEXT:
            raise InvalidName(f"a value template has {len(text)} characters; 1 to {MAX_TEXT} are allowed")
        parts: list[str | Variable] = []
        at = 0
        while (found := text.find("{{", at)) >= 0:
            variable, end = read_variable(text, found)
            parts += [text[at:found], variable]
            at = end
        return cls(text, tuple(part for part in (*parts, text[at:]) if part))

    @property
    def variables(self) -> frozenset[str]:
        """Names of all variables used."""
        return _variables(self.parts)

    def fill(self, lookup: Callable[[str], str]) -> str:
        """The value with ``lookup(variable)`` put in; an empty value is refused. Raises InvalidName."""
        value = _join(self.parts, lookup)
        if not value:
            raise InvalidName(f"{self.text!r} gives an empty value")
        return value


def _variables(parts: Iterable[str | Variable]) -> frozenset[str]:
    return frozenset(part.name for part in parts if isinstance(part, Variable))


def _join(parts: Parts, lookup: Callable[[str], str]) -> str:
    return "".join([lookup(part.name) if isinstance(part, Variable) else part for part in parts])


def _name(rdns: Iterable[Iterable[tuple[str, Parts]]], lookup: Callable[[str], str]) -> DistinguishedName:
    return DistinguishedName(tuple([_rdn([(oid, _join(parts, lookup)) for oid, parts in rdn]) for rdn in rdns]))


def _rdn(pairs: list[tuple[str, str]]) -> Rdn:
    """Checked pairs of one RDN, in the order in which DER sorts them. Raises InvalidName."""
    if len(pairs) == 1:
        _attribute(*pairs[0])
        return (pairs[0],)
    encoded = sorted((_attribute(oid, value), (oid, value)) for oid, value in pairs)
    if len({oid for oid, _ in pairs}) != len(pairs):
        raise InvalidName("an RDN has the same attribute type twice")
    return tuple([pair for _, pair in encoded])


def _read_rdn(data: bytes, rdn: Span) -> Rdn:
    tag, _, position, limit = rdn
    if tag != der.SET or position == limit:
        raise InvalidName("an RDN of the name is empty or not a SET")
    pairs: list[tuple[str, str]] = []
    while position < limit:
        tag, _, body, position = span(data, position, limit)
        kind = span(data, body, position)
        value = span(data, kind[3], position)
        if tag != der.SEQUENCE or value[3] != position or len(pairs) == MAX_ATTRIBUTES:
            raise InvalidName("an attribute of the name is not one type and one value, or there are too many")
        pairs.append((dotted(data, kind), decode_string(value[0], data[value[2] : value[3]])))
    return tuple(pairs)


@lru_cache(maxsize=1024)
def _attribute(oid: str, value: str) -> bytes:
    """DER AttributeTypeAndValue, checked. Raises InvalidName."""
    name = SHORT_NAMES.get(oid, oid)
    bound = _UPPER_BOUNDS.get(oid, _DEFAULT_BOUND)
    if not 0 < len(value) <= bound:
        raise InvalidName(f"{name} has {len(value)} characters; 1 to {bound} are allowed")
    if _CONTROL.search(value):
        raise InvalidName(f"{name} holds a control character")
    tag = der.UTF8_STRING
    if oid in (oids.COUNTRY, oids.SERIAL_NUMBER):
        tag = der.PRINTABLE_STRING
        if not _PRINTABLE.fullmatch(value):
            raise InvalidName(f"{name} {value!r} holds a character that a PrintableString cannot carry")
        if oid == oids.COUNTRY and not (len(value) == 2 and value.isalpha()):
            raise InvalidName(f"C is {value!r}; two letters are needed (ISO 3166)")
    elif oid in (oids.DOMAIN_COMPONENT, oids.EMAIL_ADDRESS):
        tag = der.IA5_STRING
        if not value.isascii():
            raise InvalidName(f"{name} {value!r} holds a character that is not ASCII")
    if oid not in SHORT_NAMES:
        check_oid(oid)
    try:
        return der.sequence(der.oid(oid), der.tlv(tag, value.encode("utf-8")))
    except UnicodeEncodeError as fault:
        raise InvalidName(f"{name} holds half of a surrogate pair") from fault


def _attribute_text(oid: str, value: str) -> str:
    if oid in SHORT_NAMES:
        return f"{SHORT_NAMES[oid]}={escape_value(value)}"
    return f"{oid}=#{der.tlv(der.UTF8_STRING, value.encode('utf-8')).hex()}"
