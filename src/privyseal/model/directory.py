# SPDX-License-Identifier: Apache-2.0
"""Directories that this installation knows, and the account that an end entity is bound to. No secret is held:
passwords and keytabs stay in the files that are named here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from privyseal.errors import ParameterNotFitting
from privyseal.x509.sid import Sid

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:]{2,45}\]")
_URI: Final = re.compile(rf"(?P<scheme>ldaps?)://(?P<host>{_HOST.pattern})(?::(?P<port>[0-9]{{1,5}}))?/?")
_MOST_CONTROLLERS: Final = 64


class BindKind(Enum):
    """How we log on to a controller."""

    KERBEROS = "kerberos"
    """GSSAPI, signed and sealed, on ldap:// (port 389)."""
    PASSWORD = "password"
    """A simple bind inside TLS, on ldaps:// (port 636)."""


@dataclass(frozen=True, slots=True)
class DirectoryBinding:
    """Which account of which directory an end entity is. The SID survives renaming and moving."""

    directory: str
    sid: Sid


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryConfig:
    """One directory and how it is reached. Raises ParameterNotFitting when that cannot work."""

    name: str
    uris: tuple[str, ...]
    bind: BindKind
    account: str = ""
    """Kerberos: the principal, empty for the one of the ticket cache. Password: the user, account@domain."""
    secret_file: str = ""
    """Kerberos: the keytab, empty for the ticket cache. Password: the file that holds it."""
    ca_file: str = ""
    hosts: tuple[str, ...] = ()
    """Further controllers that are read when it is proved that all of them hold the same."""

    def __post_init__(self) -> None:
        """Check what can be checked without a network."""
        if not _NAME.fullmatch(self.name):
            raise ParameterNotFitting(f"directory name {self.name!r} is not 1 to 64 ASCII letters, digits and hyphens")
        if not self.uris or len(self.uris) + len(self.hosts) > _MOST_CONTROLLERS:
            raise ParameterNotFitting(f"directory {self.name} has no URI, or more than {_MOST_CONTROLLERS} controllers")
        for host in self.hosts:
            if not _HOST.fullmatch(host):
                raise ParameterNotFitting(f"{host[:80]!r} is not the name of a host")
        for uri in self.uris:
            self._check_uri(uri)
        if self.bind is BindKind.PASSWORD and not (self.account and self.secret_file):
            raise ParameterNotFitting(
                f"directory {self.name}: a password log-in needs the user and the file that holds the password",
                mend=("--user account@contoso.com --password-file FILE",),
            )

    def _check_uri(self, uri: str) -> None:
        found = _URI.fullmatch(uri)
        if found is None or int(found["port"] or 1) > 65535:
            raise ParameterNotFitting(f"{uri[:200]!r} is not like ldap://dc1.contoso.com or ldaps://dc1.contoso.com")
        if self.bind is BindKind.PASSWORD and found["scheme"] == "ldap":
            raise ParameterNotFitting(
                f"{uri} would carry the password in clear, and controllers refuse that",
                mend=(f"--uri ldaps://{found['host']} --ca-file FILE", "--bind kerberos"),
            )
        if self.bind is BindKind.KERBEROS and found["scheme"] == "ldaps":
            raise ParameterNotFitting(
                f"{uri} is LDAP inside TLS, where controllers want Kerberos tied to the channel",
                mend=(f"--uri ldap://{found['host']}: on port 389 Kerberos seals by itself",),
            )

    def by_ticket_cache(self) -> DirectoryConfig:
        """The same directory, reached with the Kerberos tickets of whoever runs the command."""
        hosts = [found["host"] for uri in self.uris if (found := _URI.fullmatch(uri)) is not None]
        uris = tuple(f"ldap://{host}" for host in hosts) if self.bind is BindKind.PASSWORD else self.uris
        return replace(self, uris=uris, bind=BindKind.KERBEROS, account="", secret_file="", ca_file="")

    def controller_uris(self) -> tuple[str, ...]:
        """Every controller that was named, each once: the URIs, then the further hosts by the same scheme."""
        scheme = self.uris[0].partition("://")[0]
        return tuple(dict.fromkeys([uri.rstrip("/") for uri in self.uris] + [f"{scheme}://{h}" for h in self.hosts]))
