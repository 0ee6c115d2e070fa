# SPDX-License-Identifier: Apache-2.0
"""One table from what libldap, SASL and Kerberos say to the 7000s. Works on names and texts; imports no LDAP library.

No password ever reaches this module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from privyseal.errors import (
    BindRefused,
    ChannelBindingMissing,
    ClockSkew,
    ContainerMissing,
    DirectoryBusy,
    DirectoryRefused,
    DirectoryTimeout,
    DirectoryUnreachable,
    ExtraMissing,
    InsufficientAccess,
    KdcUnreachable,
    KerberosCredentialsMissing,
    PrivysealError,
    ReferralReturned,
    SchemaViolation,
    ServerNotInKerberosDatabase,
    StrongAuthRequired,
)


@dataclass(frozen=True, slots=True)
class Conversation:
    """Who talks to whom and how, for the first line of every error."""

    controller: str
    method: str
    who: str

    def __str__(self) -> str:
        return f"{self.controller} ({self.method}{f' as {self.who}' if self.who else ''})"


@dataclass(frozen=True, slots=True)
class _Known:
    """A text to be recognised, and what it means here."""

    text: re.Pattern[str]
    error: type[PrivysealError]
    why: str = ""
    mend: tuple[str, ...] = ()


def _known(text: str, error: type[PrivysealError], *, why: str = "", mend: tuple[str, ...] = ()) -> _Known:
    return _Known(re.compile(text, re.IGNORECASE), error, why, mend)


_NEW_KEYTAB: Final = "make a new keytab and give it to Privyseal: ktpass, or samba-tool domain exportkeytab"
_SEE_TICKETS: Final = "see what is there: klist"

# Texts come first: LDAP result codes are coarse where Kerberos and Windows say more. The order matters.
_TEXTS: Final = (
    _known(r"data 35b|80090346", ChannelBindingMissing),
    _known(r"no mechanism available|no worthy mechs", ExtraMissing,
           why="the SASL library has no GSSAPI mechanism, which Kerberos needs",
           mend=("apt install libsasl2-modules-gssapi-mit",)),
    _known(r"clock skew too great|not yet valid", ClockSkew),
    # Before "Server not found ...": that one is about the service, this one about the account.
    _known(r"client not found in kerberos database|client '.*' not found", BindRefused,
           why="the realm has no such account, or the keytab's principal is a service name, which may not log on",
           mend=("name the account: --principal ACCOUNT@REALM", _NEW_KEYTAB)),
    _known(r"server not found in kerberos database|server .* not found in", ServerNotInKerberosDatabase),
    _known(r"credentials have been revoked", BindRefused,
           why="the account is disabled, locked or expired",
           mend=("enable or unlock the account, if that is meant",)),
    _known(r"password has expired|password must be changed", BindRefused,
           why="the account's password has expired",
           mend=("set a new password, then make a new keytab or password file",)),
    _known(r"preauthentication failed|decrypt integrity check failed", BindRefused,
           why="the key is not the account's current one: its password was changed after the keytab was made",
           mend=(_NEW_KEYTAB,)),
    _known(r"no supported encryption types|no support for encryption type|\betype\b", BindRefused,
           why="keytab and account have no encryption type in common",
           mend=("allow AES for the account (msDS-SupportedEncryptionTypes 24) and make a new keytab",)),
    _known(r"ticket expired|ticket has expired", KerberosCredentialsMissing,
           why="the ticket in the cache has expired",
           mend=("get a new one: kinit", "use a keytab, which needs no renewal: --keytab FILE")),
    _known(r"cannot (find|contact|resolve).*kdc|unable to reach any kdc", KdcUnreachable),
    _known(r"no kerberos credentials available|no credentials (were|cache)|credentials? cache|key ?table|ccache",
           KerberosCredentialsMissing, mend=("name a keytab: --keytab FILE", "get a ticket: kinit", _SEE_TICKETS)),
    _known(r"sign or seal are required", StrongAuthRequired),
    _known(r"unavailable without authentication|successful bind must be completed", BindRefused,
           why="it answers nobody who is not logged on"),
)  # fmt: skip

# Class of python-ldap, which is the name of the LDAP result code -> ours.
_CODES: Final[Mapping[str, type[PrivysealError]]] = {
    "STRONG_AUTH_REQUIRED": StrongAuthRequired,
    "CONFIDENTIALITY_REQUIRED": StrongAuthRequired,
    "INVALID_CREDENTIALS": BindRefused,
    "INAPPROPRIATE_AUTH": BindRefused,
    "AUTH_UNKNOWN": BindRefused,
    "INSUFFICIENT_ACCESS": InsufficientAccess,
    "OBJECT_CLASS_VIOLATION": SchemaViolation,
    "CONSTRAINT_VIOLATION": SchemaViolation,
    "UNDEFINED_TYPE": SchemaViolation,
    "NO_SUCH_ATTRIBUTE": SchemaViolation,
    "INVALID_SYNTAX": SchemaViolation,
    "NAMING_VIOLATION": SchemaViolation,
    "NO_SUCH_OBJECT": ContainerMissing,
    "REFERRAL": ReferralReturned,
    "BUSY": DirectoryBusy,
    "UNAVAILABLE": DirectoryBusy,
    "ADMINLIMIT_EXCEEDED": DirectoryBusy,
    "SERVER_DOWN": DirectoryUnreachable,
    "CONNECT_ERROR": DirectoryUnreachable,
    "TIMEOUT": DirectoryTimeout,
    "TIMELIMIT_EXCEEDED": DirectoryTimeout,
}

# The connection ended without an answer; what libldap adds then is left over from an earlier one.
_BROKEN: Final = frozenset({"SERVER_DOWN", "CONNECT_ERROR", "TIMEOUT"})

# The Windows error in hexadecimal after "data" in a refused bind: what it means, and what to do.
_LOGON_DATA: Final[Mapping[str, tuple[str, str]]] = {
    "525": ("there is no such account", "write the user as account@domain"),
    "52e": ("the password is wrong, or there is no such account", "check the user and the password file"),
    "52f": ("the account is restricted, for example by an empty password", "give the account a password"),
    "530": ("the account may not log on at this hour", "widen its logon hours"),
    "531": ("the account may not log on from this machine", "widen its list of workstations"),
    "532": ("the password has expired", "set a new password and write it to the password file"),
    "533": ("the account is disabled", "enable it, if that is meant"),
    "568": ("the account is in too many groups", "use a service account with few groups"),
    "701": ("the account has expired", "give it a later end, if that is meant"),
    "773": ("the password must be changed at the first logon", "change it once, and clear that flag"),
    "775": ("the account is locked", "unlock it, and look for what tried wrong passwords"),
}


def explained(error: Exception, conversation: Conversation, doing: str) -> PrivysealError:
    """The error of ours for an exception of python-ldap that was raised while ``doing`` something."""
    first = error.args[0] if error.args else ""
    details = first if isinstance(first, Mapping) else {"desc": str(first)}
    return translated(type(error).__name__, details, conversation=conversation, doing=doing)


def translated(kind: str, details: Mapping[str, object], *, conversation: Conversation, doing: str) -> PrivysealError:
    """The same from the name of the exception's class and its details."""
    if kind in _BROKEN:
        details = {"desc": details.get("desc", "")}
    text = _text(details) or kind.lower().replace("_", " ")
    what = f"{conversation}: {doing}: {text}"
    for known in _TEXTS:
        if known.text.search(text):
            return known.error(what, why=known.why, mend=known.mend)
    ours = _CODES.get(kind, DirectoryRefused)
    if ours is BindRefused and (data := re.search(r"\bdata ([0-9a-f]{2,8})\b", text)) and data[1] in _LOGON_DATA:
        why, mend = _LOGON_DATA[data[1]]
        return BindRefused(what, why=f"{why} (data {data[1]})", mend=(mend,))
    return ours(what)


def _text(details: Mapping[str, object]) -> str:
    """Description and detail on one line, without control characters; not more than a screenful."""
    parts = [str(details[key]) for key in ("desc", "info") if details.get(key)]
    if matched := details.get("matched"):
        parts.append(f"found as far as {matched}")
    text = re.sub(r"[\x00-\x20\x7f]+", " ", ": ".join(parts)).strip()
    return text if len(text) <= 500 else text[:500] + " ..."
