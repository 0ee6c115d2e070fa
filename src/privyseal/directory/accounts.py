# SPDX-License-Identifier: Apache-2.0
"""Accounts of a directory as values, for names and SIDs in certificates. What fits no name is refused, never mended.

Filters are built by escaping; what somebody typed can become a value in one, never a part of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from privyseal.directory.changes import Entry
from privyseal.directory.naming import escape_filter, sid_from_binary
from privyseal.errors import (
    AccountAmbiguous,
    AccountDisabled,
    AccountLacksAttribute,
    AccountNotFound,
    InvalidName,
    InvalidSid,
    InvalidValue,
)
from privyseal.x509.general_names import GeneralName, NameKind
from privyseal.x509.sid import Sid

ACCOUNT_ATTRIBUTES: Final = (
    "objectClass", "objectSid", "userPrincipalName", "sAMAccountName", "dNSHostName", "mail", "distinguishedName",
    "userAccountControl", "memberOf", "servicePrincipalName", "isDeleted",
)  # fmt: skip

_ACCOUNT_DISABLED: Final = 0x2  # userAccountControl, MS-ADTS 2.2.16
_IN_CHAIN: Final = "1.2.840.113556.1.4.1941"  # LDAP_MATCHING_RULE_IN_CHAIN, MS-ADTS 3.1.1.3.4.4.3
_LONGEST_NAME: Final = 256
_LONGEST_DN: Final = 4096
_MOST_VALUES: Final = 5000
_LOOKS_LIKE_DN: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*\s*=|[0-9]+(\.[0-9]+)+\s*=")


class AccountKind(Enum):
    """What kind of account it is. Managed service accounts are computers, as their class says."""

    USER = "user"
    COMPUTER = "computer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user or computer of a domain, with every value checked for use in a certificate."""

    kind: AccountKind
    sid: Sid
    principal_name: str
    """userPrincipalName; where there is none the implicit one, sAMAccountName@domain."""
    dns_name: str
    mail: str
    distinguished_name: str
    enabled: bool
    sam_account_name: str
    groups: tuple[str, ...]
    """DNs of the groups that list it; never the primary group, and none that holds it through another."""
    service_principal_names: tuple[str, ...]


def principal_filter(text: str, *, dns_domain: str = "", kind: AccountKind | None = None) -> str:
    """A filter for whoever is meant by a UPN, sAMAccountName, DOMAIN\\name, DNS host name, SID or DN.

    The caller compares the domain of ``DOMAIN\\name`` (`netbios_domain_of`). With ``dns_domain`` the implicit UPN is
    found as well. Raises InvalidValue.
    """
    _check_typed(text)
    if text.upper().startswith("S-1-"):
        try:
            found = f"(objectSid={Sid.parse(text.upper()).text})"
        except InvalidSid as fault:
            raise InvalidValue(fault.what) from fault
    elif _LOOKS_LIKE_DN.match(text):
        found = _equals("distinguishedName", text)
    elif "\\" in text:
        found = _sam(text.partition("\\")[2], kind)
    elif "@" in text:
        found = _principal_name(text, dns_domain)
    elif "." in text:
        found = f"(|{_equals('dNSHostName', text)}{_sam(text, kind)})"
    else:
        found = _sam(text, kind)
    # A computer's class is derived from user; contacts and groups are neither.
    classes = {
        None: "(objectClass=user)",
        AccountKind.USER: "(objectClass=user)(!(objectClass=computer))",
        AccountKind.COMPUTER: "(objectClass=computer)",
    }
    return f"(&{classes[kind]}{found})"


def netbios_domain_of(text: str) -> str | None:
    """The domain in ``DOMAIN\\name``, or None for every other way to write a name."""
    before, backslash, _ = text.partition("\\")
    return before if backslash and not _LOOKS_LIKE_DN.match(text) else None


def _check_typed(text: str) -> None:
    if not 0 < len(text) <= _LONGEST_DN or not text.isprintable() or text != text.strip():
        raise InvalidValue(
            f"an account is named by 1 to {_LONGEST_DN} printable characters without spaces around them; "
            f"this has {len(text)}: {text[:80]!r}"
        )
    before, backslash, after = text.partition("\\")
    if backslash and not _LOOKS_LIKE_DN.match(text) and (not before or not after or "\\" in after):
        raise InvalidValue(f"{text[:80]!r} is not of the form DOMAIN\\name")


def _equals(attribute: str, value: str) -> str:
    return f"({attribute}={escape_filter(value)})"


def _sam(name: str, kind: AccountKind | None) -> str:
    if kind is AccountKind.COMPUTER and not name.endswith("$"):
        return _equals("sAMAccountName", f"{name}$")
    return _equals("sAMAccountName", name)


def _principal_name(name: str, dns_domain: str) -> str:
    local, _, suffix = name.rpartition("@")
    if local and dns_domain and suffix.casefold() == dns_domain.casefold():
        # The implicit UPN always works for a logon, also next to an explicit one.
        return f"(|{_equals('userPrincipalName', name)}{_equals('sAMAccountName', local)})"
    return _equals("userPrincipalName", name)


def same_name_filter(account: Account, *, dns_domain: str) -> str:
    """A filter for every account that answers to the principal name, or for a computer to the DNS name, of this one."""
    names = _principal_name(account.principal_name, dns_domain)
    if account.dns_name:
        names = f"(|{names}{_equals('dNSHostName', account.dns_name)})"
    return f"(&(objectClass=user){names})"


def nested_group_filter(account: Account, group_dn: str) -> str:
    """A filter that finds the account only when it is in the group, directly or through other groups."""
    return f"(&(objectSid={account.sid.text})(memberOf:{_IN_CHAIN}:={escape_filter(group_dn)}))"


def the_account(entries: Sequence[Entry], asked: str, *, dns_domain: str) -> Account:
    """The one account that was found, fit for a certificate.

    Raises AccountNotFound, AccountAmbiguous, AccountDisabled, AccountLacksAttribute.
    """
    alive = [entry for entry in entries if not _deleted(entry)]
    if not alive:
        raise AccountNotFound(f"no user or computer of {dns_domain} answers to {asked[:200]!r}")
    if len(alive) > 1:
        shown = "; ".join(_shown(entry) for entry in alive[:3])
        raise AccountAmbiguous(f"{len(alive)} accounts of {dns_domain} answer to {asked[:200]!r}: {shown}")
    account = read_account(alive[0], dns_domain=dns_domain)
    if not account.enabled:
        raise AccountDisabled(f"{account.kind.value} {account.principal_name} ({account.sid.text}) is disabled")
    if account.kind is AccountKind.COMPUTER and not account.dns_name:
        raise AccountLacksAttribute(
            f"computer {account.sam_account_name} has no dNSHostName, and a computer is found by it",
            mend=("join the computer to the domain, or set dNSHostName to its full name",),
        )
    return account


def check_only_one(account: Account, entries: Sequence[Entry]) -> None:
    """Raise AccountAmbiguous when another account answers to one of its names. ``entries``: of `same_name_filter`."""
    for entry in entries:
        if not _deleted(entry) and _sid(entry) != account.sid:
            raise AccountAmbiguous(
                f"{account.principal_name} is also answered to by {_shown(entry)}, "
                f"whose userPrincipalName, sAMAccountName or dNSHostName is the same"
            )


def _deleted(entry: Entry) -> bool:
    return entry.attributes.get("isdeleted", ()) == (b"TRUE",) or "\\0adel:" in entry.dn.casefold()


def _shown(entry: Entry) -> str:
    return repr(entry.dn[:200])


def read_account(entry: Entry, *, dns_domain: str) -> Account:
    """Every value of the account, checked. Raises AccountNotFound for other objects and AccountLacksAttribute."""
    classes = {value.lower() for value in entry.attributes.get("objectclass", ())}
    if b"user" not in classes:
        raise AccountNotFound(f"{_shown(entry)} is neither a user nor a computer")
    kind = AccountKind.COMPUTER if b"computer" in classes else AccountKind.USER
    sam = _one(entry, "sAMAccountName") or ""
    if not sam:
        raise AccountLacksAttribute(f"{_shown(entry)} has no sAMAccountName")
    principal_name = _one(entry, "userPrincipalName") or f"{sam}@{dns_domain}"
    dns_name = _one(entry, "dNSHostName") or ""
    _check_name(entry, NameKind.UPN, value=principal_name)
    if dns_name:
        _check_name(entry, NameKind.DNS, value=dns_name)
        if not dns_name.isascii() or "*" in dns_name:
            raise AccountLacksAttribute(f"dNSHostName of {_shown(entry)} is {dns_name[:80]!r}, which names no one host")
    return Account(
        kind=kind,
        sid=_sid(entry),
        principal_name=principal_name,
        dns_name=dns_name.lower(),
        mail=_one(entry, "mail") or "",
        distinguished_name=_one(entry, "distinguishedName", longest=_LONGEST_DN) or _text(entry.dn, entry),
        enabled=not _control(entry) & _ACCOUNT_DISABLED,
        sam_account_name=sam,
        groups=_many(entry, "memberOf"),
        service_principal_names=_many(entry, "servicePrincipalName"),
    )


def _check_name(entry: Entry, kind: NameKind, *, value: str) -> None:
    try:
        GeneralName(kind, value).to_der()
    except InvalidName as fault:
        raise AccountLacksAttribute(f"{_shown(entry)} has a name that fits no certificate: {fault.what}") from fault


def _sid(entry: Entry) -> Sid:
    values = entry.attributes.get("objectsid", ())
    if len(values) != 1:
        raise AccountLacksAttribute(f"{_shown(entry)} has {len(values)} values of objectSid; exactly 1 is needed")
    try:
        return sid_from_binary(values[0])
    except InvalidSid as fault:
        raise AccountLacksAttribute(f"objectSid of {_shown(entry)} cannot be read: {fault.what}") from fault


def _control(entry: Entry) -> int:
    text = _one(entry, "userAccountControl") or ""
    if not re.fullmatch(r"-?[0-9]{1,10}", text):
        raise AccountLacksAttribute(
            f"userAccountControl of {_shown(entry)} is {text[:20]!r}, not a number, so it cannot be said that "
            "the account is enabled"
        )
    return int(text)


def _one(entry: Entry, attribute: str, *, longest: int = _LONGEST_NAME) -> str | None:
    values = entry.attributes.get(attribute.lower(), ())
    if len(values) > 1:
        raise AccountLacksAttribute(f"{attribute} of {_shown(entry)} has {len(values)} values; one is expected")
    return _decoded(values[0], attribute, entry=entry, longest=longest) if values else None


def _many(entry: Entry, attribute: str) -> tuple[str, ...]:
    values = entry.attributes.get(attribute.lower(), ())
    if len(values) > _MOST_VALUES:
        raise AccountLacksAttribute(f"{attribute} of {_shown(entry)} has more than {_MOST_VALUES} values")
    return tuple([_decoded(value, attribute, entry=entry, longest=_LONGEST_DN) for value in values])


def _decoded(value: bytes, attribute: str, *, entry: Entry, longest: int) -> str:
    try:
        text = value[: 4 * longest + 4].decode("utf-8")
    except UnicodeDecodeError as fault:
        raise AccountLacksAttribute(f"{attribute} of {_shown(entry)} is not UTF-8") from fault
    if not 0 < len(text) <= longest:
        raise AccountLacksAttribute(
            f"{attribute} of {_shown(entry)} has {len(value)} octets; 1 to {longest} characters fit in a name"
        )
    return _text(text, entry, attribute=attribute)


def _text(text: str, entry: Entry, *, attribute: str = "the DN") -> str:
    if not text.isprintable() or text != text.strip():
        raise AccountLacksAttribute(
            f"{attribute} of {_shown(entry)} holds a control or invisible character, or a space at an end: "
            f"{text[:80]!r}"
        )
    return text
