# SPDX-License-Identifier: Apache-2.0
"""One log-on at a Kerberos KDC with a certificate (PKINIT, RFC 4556), by MIT's kinit; failures as errors of ours.

The ticket is thrown away; no file and no variable of the caller is touched.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from privyseal import errors
from privyseal.adapters.eap_login import require_program
from privyseal.errors import InvalidValue, PkinitRefused, PrivysealError

_SECONDS: Final = 20
# What kinit, or its trace, says -> what it means. The first that fits counts, and kinit's own words come first.
_SAYS: Final[Mapping[str, type[PrivysealError]]] = MappingProxyType(
    {
        r"Certificate mismatch": errors.KdcCertificateMismatch,
        r"Client not trusted": errors.KdcClientNotTrusted,
        r"Client name mismatch": errors.KdcNameMismatch,
        r"credentials have been revoked": errors.KdcAccountLocked,
        r"Clock skew too great": errors.ClockSkew,
        r"Server .*not found in Kerberos database": errors.ServerNotInKerberosDatabase,
        r"Failed to verify own certificate .*(?:not yet valid|has expired)": errors.PkinitCertificateNotValid,
        r"Client .*not found in Kerberos database": errors.AccountNotFound,
        r"[Cc]annot (?:contact|find|resolve).* (?:KDC|realm)": errors.KdcUnreachable,
        r"no acceptable EKU in KDC cert|KDC certificate.*(?:EKU|hostname)|no acceptable SAN": errors.KdcNotTrusted,
        r"could not verify DH reply|Failed to verify received certificate": errors.KdcNotTrusted,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kdc:
    """A controller by address, the name in its certificate, and whom the client trusts. ``pool``: CAs below."""

    realm: str
    address: str
    host: str
    roots: Path
    pool: Path


def get_ticket(kdc: Kdc, principal: str, *, certificate: Path, key: Path, service: str = "") -> None:
    """Get a ticket for ``principal`` with the certificate, and with that one a ticket to ``service``, if one is named.

    Raises PkinitRefused and the errors of the table.
    """
    for what, text in (("realm", kdc.realm), ("KDC address", kdc.address), ("KDC name", kdc.host)):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.:-]{0,253}", text):
            raise InvalidValue(f"{what} {text!r} holds characters other than letters, digits, . : -")
    if not principal or principal.startswith("-") or not principal.isprintable():
        raise InvalidValue(f"{principal!r} is no principal")
    if service and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/@:-]{0,253}", service):
        raise InvalidValue(f"{service!r} is no service like ldap/dc1.contoso.com")
    with tempfile.TemporaryDirectory(prefix="privyseal-kinit-") as name:
        place = Path(name)
        # Under names of our own: MIT splits an identity at commas.
        for link, target in (("cert", certificate), ("key", key), ("roots", kdc.roots), ("pool", kdc.pool)):
            (place / f"{link}.pem").symlink_to(target.absolute())
        (place / "krb5.conf").write_text(_configuration(kdc, place))
        identity = ("-X", f"X509_user_identity=FILE:{place}/cert.pem,{place}/key.pem")
        enterprise = ("-E",) if "@" in principal else ()
        _run(("kinit", *enterprise, *identity, principal), place, kdc=kdc, wanted=f"for {principal}")
        if service:
            _run(("kvno", "-q", service), place, kdc=kdc, wanted=f"to {service} for {principal}")


def _run(command: tuple[str, ...], place: Path, *, kdc: Kdc, wanted: str) -> None:
    trace = place / f"{command[0]}.trace"
    try:
        ended = subprocess.run(
            [require_program(command[0]), *command[1:]],
            env={
                "PATH": "/usr/bin:/bin",
                "LC_ALL": "C",
                "KRB5_CONFIG": str(place / "krb5.conf"),
                "KRB5CCNAME": f"FILE:{place}/cache",
                "KRB5_TRACE": str(trace),
            },
            stdin=subprocess.DEVNULL,  # on failure it would ask for a password
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise errors.KdcUnreachable(f"{kdc.address} did not finish within {_SECONDS} s") from error
    if ended.returncode != 0:
        said = ended.stderr.decode("utf-8", "replace")
        raise refusal(wanted, said=said, traced=trace.read_text("utf-8", "replace") if trace.exists() else "")


def refusal(wanted: str, *, said: str, traced: str) -> PrivysealError:
    """Why there was no ticket ``wanted``. What the KDC says last often hides what it answered to the certificate."""
    words = re.sub(r"^(?:kinit|kvno): ", "", (said.strip().splitlines() or ["it said nothing"])[-1])
    for text in (said, traced):
        for pattern, kind in _SAYS.items():
            if found := re.search(rf".*{pattern}.*", text):
                line = re.sub(r"^(kinit: |kvno: |\[\d+\] [\d.]+: )", "", found.group().strip())
                return kind(f"no ticket {wanted}: {line[:200]}")
    return PkinitRefused(f"no ticket {wanted}: {words[:200]}")


def _configuration(kdc: Kdc, place: Path) -> str:
    return f"""[libdefaults]
  default_realm = {kdc.realm}
  dns_lookup_kdc = false
  dns_lookup_realm = false
  rdns = false
  dns_canonicalize_hostname = false
  udp_preference_limit = 1
[realms]
  {kdc.realm} = {{
    kdc = {kdc.address}
    pkinit_anchors = FILE:{place}/roots.pem
    pkinit_pool = FILE:{place}/pool.pem
    pkinit_kdc_hostname = {kdc.host}
    pkinit_eku_checking = kpKDC
  }}
"""
