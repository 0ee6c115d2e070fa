# SPDX-License-Identifier: Apache-2.0
"""Where the API may listen: with TLS, or on the loopback only. It is never served where strangers fetch CRLs."""

from __future__ import annotations

import ipaddress
import ssl
import stat
from pathlib import Path

from privyseal.config import Settings, parse_listen
from privyseal.errors import ApiNotEncrypted, ConfigurationInvalid, UnsafePermissions


def check_api_listener(settings: Settings) -> None:
    """Raises ApiNotEncrypted, ConfigurationInvalid, UnsafePermissions; nothing when no API is served."""
    if not settings.api_listen:
        return
    host, _ = parse_listen(settings.api_listen)
    if bool(settings.api_certificate) != bool(settings.api_key):
        raise ConfigurationInvalid("api_certificate and api_key are named together, or neither is")
    if settings.api_certificate:
        _check_key(settings)
    elif not _is_loopback(host):
        raise ApiNotEncrypted(f"api_listen {settings.api_listen} is not on the loopback, and api_certificate is empty")


def _check_key(settings: Settings) -> None:
    try:
        mode = Path(settings.api_key).stat().st_mode
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.api_certificate, settings.api_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationInvalid(
            f"api_certificate {settings.api_certificate} and api_key {settings.api_key} cannot be used: {error}"
        ) from error
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise UnsafePermissions(f"anybody on this machine can read {settings.api_key}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
