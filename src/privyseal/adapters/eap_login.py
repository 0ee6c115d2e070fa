# SPDX-License-Identifier: Apache-2.0
"""One EAP-TLS log-in at a RADIUS server, by eapol_test; and what client and server said, as an error of ours.

A RADIUS server tells a refused client nothing, so the reason comes from the server's log where that can be read.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cryptography import x509

from privyseal import errors
from privyseal.errors import (
    DoorProgramMissing,
    EapCertificateExpired,
    EapClockSkew,
    EapRefused,
    PrivysealError,
    RadiusSilent,
)

_SECONDS: Final = 10
_LOG_TAIL: Final = 1 << 20
_SWITCHES: Final = MappingProxyType({"1.2": "tls_disable_tlsv1_3=1", "1.3": "tls_disable_tlsv1_3=0"})
# What eapol_test prints -> what it means. The first that fits counts.
_CLIENT_SAYS: Final[Mapping[str, type[PrivysealError]]] = MappingProxyType(
    {
        r"CTRL-EVENT-EAP-TLS-CERT-ERROR .*err='(\w+[^']*mismatch)'": errors.RadiusServerNameWrong,
        r"CTRL-EVENT-EAP-TLS-CERT-ERROR .*err='(certificate (?:is not yet valid|has expired))'":
            errors.RadiusServerNotValidNow,
        r"CTRL-EVENT-EAP-TLS-CERT-ERROR .*err='([^']*)'": errors.RadiusServerNotTrusted,
        r"TLS alert \(param=(protocol version|unsupported protocol)\)": errors.EapVersionMismatch,
        r"(unsupported protocol|tlsv1 alert protocol version)": errors.EapVersionMismatch,
    }
)  # fmt: skip
# What FreeRADIUS logs -> what it means. OpenSSL's words are those of X509_verify_cert_error_string.
_SERVER_SAYS: Final[Mapping[str, type[PrivysealError]]] = MappingProxyType(
    {
        r"Privyseal: the certificate has no SID": errors.EapSidMissing,
        r"Privyseal: no enabled account": errors.EapAccountRefused,
        r"ocsp: Cert status: revoked|certificate revoked": errors.EapCertificateRevoked,
        r"CRL is not yet valid|certificate is not yet valid": errors.EapClockSkew,
        r"CRL has expired": errors.EapCrlExpired,
        r"unable to get certificate CRL": errors.EapCrlMissing,
        r"certificate has expired": errors.EapCertificateExpired,
        r"unsuitable certificate purpose|unsupported certificate purpose": errors.EapPurposeWrong,
        r"unable to get (?:local )?issuer certificate|self.signed certificate": errors.EapClientCaUnknown,
        r"Couldn't verify OCSP basic response": errors.EapOcspSignerUnknown,
        r"Couldn't get OCSP response|ocsp: .*[Uu]nable to check": errors.EapOcspUnanswered,
        # It says nothing else when the answer's own times do not fit its clock; "revoked" it names as such, above.
        r"ocsp: Certificate has been expired/revoked": errors.EapClockSkew,
        r"unsupported protocol|protocol version|no protocols available": errors.EapVersionMismatch,
        r"Alert read:fatal:unknown CA": errors.RadiusServerNotTrusted,
        r"Alert read:fatal:certificate expired": errors.RadiusServerNotValidNow,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RadiusServer:
    """Where to log in, and whom to trust there. ``log`` is the server's log, when it is on this machine."""

    address: str
    port: int
    secret: str
    name: str
    roots: Path
    log: Path | None = None


def require_program(name: str) -> str:
    """Its path. Raises DoorProgramMissing."""
    found = shutil.which(name)
    if found is None:
        raise DoorProgramMissing(f"{name} was not found on this machine")
    return found


def log_in(server: RadiusServer, *, certificate: Path, key: Path, tls: str, seconds: int = _SECONDS) -> str:
    """The TLS version that was used. Raises RadiusSilent, EapRefused and the errors of the two tables above."""
    program = require_program("eapol_test")
    begin = _size(server.log)
    with tempfile.TemporaryDirectory(prefix="privyseal-eap-") as place:
        network = Path(place) / "network"
        network.write_text(_network(server, certificate=certificate, key=key, tls=tls))
        command = [program, "-c", str(network), "-a", server.address, "-p", str(server.port), "-s", server.secret]
        try:
            ended = subprocess.run(
                [*command, "-t", str(seconds)], capture_output=True, timeout=seconds + 5, check=False, text=True,
                errors="replace", stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise RadiusSilent(f"{server.address}:{server.port} did not finish within {seconds} s") from error
    if ended.returncode == 0:
        versions = re.findall(r"Using TLS version TLSv([0-9.]+)", ended.stdout)
        return versions[-1] if versions else tls
    found = refusal(server, client_said=ended.stdout, server_said=_since(server.log, begin))
    if isinstance(found, EapCertificateExpired) and _is_valid_here(certificate):
        raise EapClockSkew(f"{found.what}; here {certificate.name} is valid")
    raise found


def refusal(server: RadiusServer, *, client_said: str, server_said: str) -> PrivysealError:
    """Why a log-in failed, from what both sides said; the server's log counts where the client knows nothing."""
    where = f"{server.address}:{server.port}"
    for pattern, kind in _CLIENT_SAYS.items():
        if found := re.search(pattern, client_said):
            return kind(f"the client ended the log-in at {where}: {found.group(1).lower()}")
    if "accept proposed method (param=TLS)" not in client_said and "timed out" in client_said:
        return RadiusSilent(f"{where} sent no answer to the request")
    reasons = re.findall(r"Login incorrect \((.*?)\): \[", server_said)
    text = reasons[-1] if reasons else server_said
    for pattern, kind in _SERVER_SAYS.items():
        if re.search(pattern, text):
            return kind(f"{where} refused the log-in" + (f": {reasons[-1][:200]}" if reasons else ""))
    return EapRefused(f"{where} refused the log-in" + (f": {reasons[-1][:200]}" if reasons else " without a reason"))


def _network(server: RadiusServer, *, certificate: Path, key: Path, tls: str) -> str:
    # Strings as hexadecimal: nothing in a path or name can end them.
    texts = {
        "identity": "anonymous",
        "ca_cert": str(server.roots.absolute()),
        "client_cert": str(certificate.absolute()),
        "private_key": str(key.absolute()),
        "domain_match": server.name,
        "phase1": _SWITCHES[tls],
    }
    lines = [f"  {name}={text.encode().hex()}" for name, text in texts.items()]
    return "\n".join(["network={", "  key_mgmt=WPA-EAP", "  eap=TLS", *lines, "}", ""])


def _is_valid_here(certificate: Path) -> bool:
    leaf = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    return leaf.not_valid_before_utc <= datetime.now(UTC) <= leaf.not_valid_after_utc


def _size(log: Path | None) -> int:
    return log.stat().st_size if log is not None and log.exists() else 0


def _since(log: Path | None, begin: int) -> str:
    if log is None or not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(begin, _size(log) - _LOG_TAIL))
        return file.read(_LOG_TAIL).decode("utf-8", "replace")
