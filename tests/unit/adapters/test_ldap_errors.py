# SPDX-License-Identifier: Apache-2.0
"""What libldap, SASL and Kerberos say, word for word as they said it, and the code that each gets."""

from __future__ import annotations

import pytest

from privyseal.adapters.ldap_errors import Conversation, translated
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

CONVERSATION = Conversation("ldap://dc1.example.com:389", "Kerberos with a keytab", "svc@EXAMPLE.COM")
GSSAPI = "SASL(-1): generic failure: GSSAPI Error: Unspecified GSS failure.  Minor code may provide more information "
LOGON = "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data {}, v1db1"
SAID: list[tuple[str, str, type[PrivysealError]]] = [
    ("INVALID_CREDENTIALS", "80090346: LdapErr: DSID-0C090597, comment: AcceptSecurityContext error, v4f7",
     ChannelBindingMissing),
    ("INVALID_CREDENTIALS", LOGON.format("35b"), ChannelBindingMissing),
    ("INVALID_CREDENTIALS", LOGON.format("52e"), BindRefused),
    ("STRONG_AUTH_REQUIRED", "BindSimple: Transport encryption required.", StrongAuthRequired),
    ("STRONG_AUTH_REQUIRED", "SASL:[GSSAPI]: Sign or Seal are required.", StrongAuthRequired),
    ("LOCAL_ERROR", GSSAPI + "(Server not found in Kerberos database)", ServerNotInKerberosDatabase),
    ("LOCAL_ERROR", GSSAPI + "(Client 'x@EXAMPLE.COM' not found in Kerberos database)", BindRefused),
    ("LOCAL_ERROR", GSSAPI + "(Clock skew too great)", ClockSkew),
    ("LOCAL_ERROR", GSSAPI + "(Preauthentication failed)", BindRefused),
    ("LOCAL_ERROR", GSSAPI + "(Client's credentials have been revoked)", BindRefused),
    ("LOCAL_ERROR", GSSAPI + "(Password has expired)", BindRefused),
    ("LOCAL_ERROR", GSSAPI + "(KDC has no support for encryption type)", BindRefused),
    ("LOCAL_ERROR", GSSAPI + "(Ticket expired)", KerberosCredentialsMissing),
    ("LOCAL_ERROR", GSSAPI + "(No Kerberos credentials available (default cache: x))", KerberosCredentialsMissing),
    ("LOCAL_ERROR", GSSAPI + "(Cannot find KDC for realm \"EXAMPLE.COM\")", KdcUnreachable),
    ("LOCAL_ERROR", GSSAPI + "(Cannot contact any KDC for realm 'EXAMPLE.COM')", KdcUnreachable),
    ("AUTH_UNKNOWN", "SASL(-4): no mechanism available: No worthy mechs found", ExtraMissing),
    ("OPERATIONS_ERROR", "00002020: Operation unavailable without authentication", BindRefused),
    ("INSUFFICIENT_ACCESS", "00002098: Object CN=x has no write property access", InsufficientAccess),
    ("OBJECT_CLASS_VIOLATION", "objectclass_attrs: at least one mandatory attribute", SchemaViolation),
    ("NO_SUCH_OBJECT", "", ContainerMissing),
    ("REFERRAL", "0000202B: RefErr: DSID-0310083A", ReferralReturned),
    ("BUSY", "", DirectoryBusy),
    ("UNAVAILABLE", "", DirectoryBusy),
    ("SERVER_DOWN", "", DirectoryUnreachable),
    ("TIMEOUT", "", DirectoryTimeout),
    # What is left over from an earlier answer, and a word that is inside another.
    ("SERVER_DOWN", "Preauthentication failed", DirectoryUnreachable),
    ("INSUFFICIENT_ACCESS", "acl_read: Error retrieving instanceType for base", InsufficientAccess),
    ("UNWILLING_TO_PERFORM", "SASL:[GSSAPI]: Sign or Seal are not allowed if TLS is used", DirectoryRefused),
    ("SOMETHING_NEW", "", DirectoryRefused),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "info", "expected"), SAID)
def test_each_text_has_its_code(kind: str, info: str, expected: type[PrivysealError]) -> None:
    error = translated(kind, {"desc": "", "info": info}, conversation=CONVERSATION, doing="logging in")
    assert type(error) is expected
    assert error.what.startswith("ldap://dc1.example.com:389 (Kerberos with a keytab as svc@EXAMPLE.COM): logging in: ")


@pytest.mark.parametrize("data", "525 52e 530 531 532 533 568 701 773 775".split())
def test_the_windows_reason_of_a_refused_bind_is_told_in_words(data: str) -> None:
    error = translated("INVALID_CREDENTIALS", {"info": LOGON.format(data)}, conversation=CONVERSATION, doing="x")
    assert error.why.endswith(f"(data {data})")
    assert len(error.mend) == 1


def test_an_unknown_reason_of_a_refused_bind_is_still_one() -> None:
    error = translated("INVALID_CREDENTIALS", {"info": LOGON.format("999")}, conversation=CONVERSATION, doing="x")
    assert type(error) is BindRefused
    assert "data 999" in error.what


def test_what_a_hostile_server_says_stays_one_short_line() -> None:
    error = translated("OTHER", {"desc": "a\x1b[2J\n\0b", "info": "x" * 9000}, conversation=CONVERSATION, doing="x")
    assert "\x1b" not in error.what and "\n" not in error.what and "\0" not in error.what
    assert len(error.what) < 700
