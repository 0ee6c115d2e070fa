# SPDX-License-Identifier: Apache-2.0
"""Lines of eapol_test, FreeRADIUS and kinit, as they really are -> the error that says what they mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from privyseal import errors
from privyseal.adapters import kinit
from privyseal.adapters.eap_login import RadiusServer, refusal

SERVER = RadiusServer(address="10.0.0.5", port=1812, secret="s3cret", name="radius.example.com", roots=Path("roots"))
SHAKEN = "EAP: Status notification: accept proposed method (param=TLS)\nEAP: Status notification: completion (failure)"


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("Privyseal: the certificate has no SID", errors.EapSidMissing),
        ("Privyseal: no enabled account with this name and SID in the group", errors.EapAccountRefused),
        ("eap_tls: ocsp: Cert status: revoked", errors.EapCertificateRevoked),
        ("eap_tls: (TLS) OpenSSL says error 23 : certificate revoked", errors.EapCertificateRevoked),
        ("eap_tls: (TLS) OpenSSL says error 12 : CRL has expired", errors.EapCrlExpired),
        ("eap_tls: (TLS) OpenSSL says error 11 : CRL is not yet valid", errors.EapClockSkew),
        ("eap_tls: (TLS) OpenSSL says error 9 : certificate is not yet valid", errors.EapClockSkew),
        ("eap_tls: (TLS) Alert read:fatal:certificate expired", errors.RadiusServerNotValidNow),
        ("eap_tls: (TLS) OpenSSL says error 3 : unable to get certificate CRL", errors.EapCrlMissing),
        ("eap_tls: (TLS) OpenSSL says error 10 : certificate has expired", errors.EapCertificateExpired),
        ("eap_tls: (TLS) OpenSSL says error 26 : unsuitable certificate purpose", errors.EapPurposeWrong),
        ("eap_tls: (TLS) OpenSSL says error 20 : unable to get local issuer certificate", errors.EapClientCaUnknown),
        ("eap_tls: (TLS) OpenSSL says error 19 : self-signed certificate in certificate chain",
         errors.EapClientCaUnknown),
        ("eap_tls: ocsp: Couldn't get OCSP response", errors.EapOcspUnanswered),
        ("eap_tls: ocsp: Couldn't verify OCSP basic response", errors.EapOcspSignerUnknown),
        ("eap: Failed continuing EAP TLS (13) session.  EAP sub-module failed", errors.EapRefused),
    ],
)  # fmt: skip
def test_the_last_refusal_in_the_servers_log_counts(reason: str, kind: type[errors.PrivysealError]) -> None:
    log = (
        "(1) Login incorrect (eap_tls: (TLS) OpenSSL says error 23 : certificate revoked): [old] (from client lo)\n"
        f"(2) Login incorrect ({reason}): [anonymous] (from client lo port 0)\n"
    )
    found = refusal(SERVER, client_said=SHAKEN, server_said=log)
    assert type(found) is kind and reason in found.what and "s3cret" not in f"{found.what}{found.why}{found.mend}"


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("CTRL-EVENT-EAP-TLS-CERT-ERROR reason=10 depth=0 subject='/CN=r' err='Domain mismatch'",
         errors.RadiusServerNameWrong),
        ("CTRL-EVENT-EAP-TLS-CERT-ERROR reason=1 depth=1 subject='/CN=r' err='unable to get issuer certificate'",
         errors.RadiusServerNotTrusted),
        ("CTRL-EVENT-EAP-TLS-CERT-ERROR reason=3 depth=2 subject='/CN=r' err='certificate is not yet valid'",
         errors.RadiusServerNotValidNow),
        ("EAP: Status notification: remote TLS alert (param=protocol version)", errors.EapVersionMismatch),
        ("EAPOL test timed out", errors.RadiusSilent),
        (SHAKEN, errors.EapRefused),
        ("", errors.EapRefused),
    ],
)  # fmt: skip
def test_what_the_client_saw_is_told_without_any_log(said: str, kind: type[errors.PrivysealError]) -> None:
    assert type(refusal(SERVER, client_said=said, server_said="")) is kind


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("kinit: Certificate mismatch while getting initial credentials", errors.KdcCertificateMismatch),
        ("kinit: Client not trusted while getting initial credentials", errors.KdcClientNotTrusted),
        ("kinit: Client name mismatch while getting initial credentials", errors.KdcNameMismatch),
        ("kinit: Client's credentials have been revoked while getting initial credentials", errors.KdcAccountLocked),
        ("kinit: Pre-authentication failed: Failed to verify own certificate (depth 1): certificate has expired while "
         "getting initial credentials", errors.PkinitCertificateNotValid),
        ("kvno: Server not found in Kerberos database while getting credentials for x@R",
         errors.ServerNotInKerberosDatabase),
        ("kinit: Clock skew too great while getting initial credentials", errors.ClockSkew),
        ("kinit: Client 'x@R' not found in Kerberos database while getting initial credentials",
         errors.AccountNotFound),
        ("kinit: Cannot contact any KDC for realm 'R' while getting initial credentials", errors.KdcUnreachable),
        ("kinit: Pre-authentication failed: Password read interrupted", errors.PkinitRefused),
        ("", errors.PkinitRefused),
    ],
)  # fmt: skip
def test_what_kinit_says_is_told(said: str, kind: type[errors.PrivysealError]) -> None:
    assert type(kinit.refusal("alice", said=said, traced="")) is kind


def test_the_trace_counts_where_kinit_only_asks_for_a_password() -> None:
    found = kinit.refusal(
        "alice",
        said="kinit: Password incorrect while getting initial credentials",
        traced="[42] 1795365023.1: PKINIT client found no acceptable EKU in KDC cert\n",
    )
    assert type(found) is errors.KdcNotTrusted and "PKINIT client found no acceptable EKU" in found.what
