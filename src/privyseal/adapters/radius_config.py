# SPDX-License-Identifier: Apache-2.0
"""The files of a FreeRADIUS server (3.2) that lets in who holds a certificate of ours: text out of values, no I/O.

They stand by themselves in one directory and touch nothing of the distribution's configuration.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final
from urllib.parse import quote

from privyseal.errors import InvalidValue

SERVER_CERTIFICATE: Final = "certs/server.pem"
SERVER_KEY: Final = "certs/server.key"
ISSUERS: Final = "certs/issuers.pem"
DIRECTORY_CA: Final = "certs/directory-ca.pem"
CRLS: Final = "certs/crls"
REFRESH: Final = "refresh-crls"
SID_ATTRIBUTES: Final = ("TLS-Client-Cert-1.3.6.1.4.1.311.25.2", "TLS-Client-Cert-Microsoft-NTDS-CA-Extension")
"""What FreeRADIUS calls the SID extension: by its OID, or by its long name where OpenSSL has one (3.2 on)."""


class Revocation(Enum):
    """How the server learns that a certificate was revoked. There is no way to leave it out."""

    OCSP = "ocsp"
    CRL = "crl"
    BOTH = "both"

    @property
    def uses_crl(self) -> bool:
        """CRLs must be fetched and kept fresh."""
        return self is not Revocation.OCSP

    @property
    def uses_ocsp(self) -> bool:
        """Each log-in asks our responder."""
        return self is not Revocation.CRL


@dataclass(frozen=True, slots=True)
class RadiusClient:
    """An access point, switch or VPN gateway, or a network of them. Raises InvalidValue."""

    name: str
    network: str
    secret: str

    def __post_init__(self) -> None:
        """Refuse what would change the meaning of the file."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", self.name):
            raise InvalidValue(f"RADIUS client name {self.name!r} is not 1 to 63 letters, digits, dots and hyphens")
        try:
            if "%" in self.network:  # what follows it, a zone, Python takes as it comes
                raise ValueError(self.network)
            ipaddress.ip_network(self.network)
        except ValueError as error:
            raise InvalidValue(f"RADIUS client {self.name}: {self.network!r} is no address or network") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRule:
    """The account of the certificate must be enabled in this directory, and in ``group`` if one is named."""

    uris: tuple[str, ...]
    base: str
    user: str
    password: str
    group: str = ""
    trusted: str = ""
    """PEM of the CA of the controllers' LDAPS certificates."""

    def __post_init__(self) -> None:
        """Refuse a password over an open line. Raises InvalidValue."""
        for uri in self.uris:
            if not re.fullmatch(r"ldaps://[A-Za-z0-9.:\[\]-]+", uri):
                raise InvalidValue(
                    f"{uri!r} is not like ldaps://dc1.contoso.com",
                    why="FreeRADIUS binds with a password, which may not travel in clear",
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class RadiusSite:
    """All that the files depend on. ``directory`` is where they will stand on the RADIUS server."""

    directory: str
    clients: tuple[RadiusClient, ...]
    issuers: tuple[str, ...]
    """PEM of the issuing CAs whose certificates are let in; no other CA below the same root is."""
    revocation: Revocation
    crl_urls: Mapping[str, str]
    """Name of each CA -> where its CRL is."""
    address: str = "*"
    port: int = 1812
    libraries: str = "/usr/lib/freeradius"
    accounts: AccountRule | None = None


def render_freeradius(site: RadiusSite) -> dict[str, str]:
    """Relative path -> content. Raises InvalidValue for a value that no configuration file can carry."""
    files = {
        "radiusd.conf": _radiusd(site),
        "clients.conf": "\n".join(_client(client) for client in site.clients),
        "mods-enabled/eap": _eap(site),
        "sites-enabled/wifi": _wifi(site),
        "dictionary": "".join(f"ATTRIBUTE\t{name}\t{3000 + at}\tstring\n" for at, name in enumerate(SID_ATTRIBUTES)),
        ISSUERS: "".join(site.issuers),
    }
    if site.accounts is not None:
        files["mods-enabled/ldap"] = _ldap(site.accounts)
        files["sites-enabled/check-account"] = _check_account(site.accounts)
        if site.accounts.trusted:
            files[DIRECTORY_CA] = site.accounts.trusted
    if site.revocation.uses_crl:
        files[REFRESH] = _refresh(site)
    return files


def _literal(text: str) -> str:
    """A value between quotes. FreeRADIUS takes a backslash there as it is, so that a quote cannot be escaped.

    Raises InvalidValue without showing the value: it may be a password.
    """
    fits = text.isprintable() and "${" not in text and "$ENV{" not in text and not text.endswith("\\")
    if fits and "'" not in text:
        return f"'{text}'"
    if fits and '"' not in text and "\\" not in text:
        return f'"{text}"'
    raise InvalidValue(
        "a password or name cannot be written into a FreeRADIUS file",
        why="it holds control characters, ${, both kinds of quotes, or a backslash beside a quote or at its end",
        mend=("choose another one",),
    )


def _bare(text: str, what: str) -> str:
    """A value without quotes: only what cannot end it or be expanded."""
    if not re.fullmatch(r"[A-Za-z0-9_./:*-]+", text):
        raise InvalidValue(f"{what} {text!r} holds characters other than letters, digits and _ . / : * -")
    return text


def _radiusd(site: RadiusSite) -> str:
    place = _bare(site.directory, "directory")
    return f"""# Written by `privyseal radius config freeradius`. Start: freeradius -d {place} -n radiusd
prefix = /usr
raddbdir = {place}
confdir = ${{raddbdir}}
certdir = ${{confdir}}/certs
logdir = ${{confdir}}/log
run_dir = ${{confdir}}/run
libdir = {_bare(site.libraries, "library directory")}
pidfile = ${{run_dir}}/radiusd.pid
correct_escapes = true
max_request_time = 30
max_requests = 16384
log {{
  destination = files
  file = ${{logdir}}/radius.log
  auth = yes
}}
security {{
  max_attributes = 200
  # There is no password to guess, so a refusal need not wait.
  reject_delay = 0
  status_server = yes
}}
$INCLUDE clients.conf
modules {{
  expr {{
  }}
  $INCLUDE mods-enabled/
}}
$INCLUDE sites-enabled/
"""


def _client(client: RadiusClient) -> str:
    return f"""client {client.name} {{
  ipaddr = {client.network}
  secret = {_literal(client.secret)}
  require_message_authenticator = yes
}}
"""


def _eap(site: RadiusSite) -> str:
    crl = f"  ca_path = ${{confdir}}/{CRLS}\n    ca_path_reload_interval = 300\n  " if site.revocation.uses_crl else ""
    ask = "  virtual_server = check-account\n    " if site.accounts else ""
    return f"""eap {{
  default_eap_type = tls
  timer_expire = 60
  max_sessions = ${{max_requests}}
  tls-config common {{
    certificate_file = ${{confdir}}/{SERVER_CERTIFICATE}
    private_key_file = ${{confdir}}/{SERVER_KEY}
    auto_chain = no
    # The issuing CAs themselves, not their root: other CAs below that root are not let in.
    ca_file = ${{confdir}}/{ISSUERS}
  {crl}  check_crl = {"yes" if site.revocation.uses_crl else "no"}
    check_all_crl = no
    tls_min_version = "1.2"
    tls_max_version = "1.3"
    cipher_list = "DEFAULT"
    ecdh_curve = ""
    # Nobody resumes a session: each log-in is checked again.
    cache {{
      enable = no
    }}
    ocsp {{
      enable = {"yes" if site.revocation.uses_ocsp else "no"}
      override_cert_url = no
      use_nonce = yes
      timeout = 5
      softfail = no
    }}
  }}
  tls {{
    tls = common
  {ask}}}
}}
"""


def _wifi(site: RadiusSite) -> str:
    if not 0 < site.port < 65536:
        raise InvalidValue(f"port {site.port} is outside 1 to 65535")
    return f"""server wifi {{
  listen {{
    type = auth
    ipaddr = {_bare(site.address, "address")}
    port = {site.port}
  }}
  authorize {{
    eap {{
      ok = return
    }}
  }}
  authenticate {{
    eap
  }}
}}
"""


def _ldap(rule: AccountRule) -> str:
    servers = "\n".join(f"  server = {_literal(uri)}" for uri in rule.uris)
    trusted = f"    ca_file = ${{confdir}}/{DIRECTORY_CA}\n" if rule.trusted else ""
    return f"""ldap {{
{servers}
  identity = {_literal(rule.user)}
  password = {_literal(rule.password)}
  base_dn = {_literal(rule.base)}
  tls {{
{trusted}    require_cert = 'demand'
  }}
  options {{
    chase_referrals = no
    rebind = no
    res_timeout = 5
    srv_timelimit = 3
    net_timeout = 3
  }}
  # It starts while no controller answers; log-ins are refused until one does.
  pool {{
    start = 0
    min = 0
    max = 16
    spare = 2
    uses = 0
    lifetime = 0
    idle_timeout = 60
    retry_delay = 1
  }}
}}
"""


def _in_url(text: str) -> str:
    """Part of an LDAP URL that FreeRADIUS expands: percent-encoded, and each per cent sign doubled for FreeRADIUS."""
    return quote(text, safe="=,.").replace("%", "%%")


def _filter_value(text: str) -> str:
    """A value in a search filter (RFC 4515 section 3)."""
    return "".join(f"\\{ord(one):02x}" if one in "\\*()\x00" else one for one in text)


def _check_account(rule: AccountRule) -> str:
    # Nested groups count: 1.2.840.113556.1.4.1941 is LDAP_MATCHING_RULE_IN_CHAIN. ...803 is a bitwise and; bit 2 of
    # userAccountControl is ACCOUNTDISABLE (MS-ADTS 2.2.16).
    member = f"(memberOf:1.2.840.113556.1.4.1941:={_filter_value(rule.group)})" if rule.group else ""
    rest = f"(objectSid=%{{Tmp-String-1}})(!(userAccountControl:1.2.840.113556.1.4.803:=2)){_in_url_keep(member)}"
    search = f"ldap:///{_in_url(rule.base)}?sAMAccountName?sub?"
    user = f"(&(userPrincipalName=%{{TLS-Client-Cert-Subject-Alt-Name-Upn}}){rest})"
    computer = f"(&(objectCategory=computer)(dNSHostName=%{{TLS-Client-Cert-Subject-Alt-Name-Dns}}){rest})"
    read_sid = "\n".join(
        f"""    if (&{name}) {{
      update request {{
        Tmp-Octets-0 := "%{{{name}}}"
      }}
    }}"""
        for name in SID_ATTRIBUTES
    )
    inside = " in the group" if member else ""
    return f"""# One search: an enabled account{inside} has the name and the SID of the certificate.
server check-account {{
  authorize {{
    update control {{
      Auth-Type := Reject
    }}
{read_sid}
    if (&Tmp-Octets-0 && "%{{string:Tmp-Octets-0}}" =~ /(S-1-5-21(-[0-9]+){{4}})$/) {{
      update request {{
        Tmp-String-1 := "%{{1}}"
      }}
    }}
    if (!&Tmp-String-1) {{
      update outer.request {{
        Module-Failure-Message += "Privyseal: the certificate has no SID"
      }}
    }}
    elsif (&TLS-Client-Cert-Subject-Alt-Name-Upn) {{
      update request {{
        Tmp-String-0 := "%{{ldap:{search}{user}}}"
      }}
    }}
    elsif (&TLS-Client-Cert-Subject-Alt-Name-Dns) {{
      update request {{
        Tmp-String-0 := "%{{ldap:{search}{computer}}}"
      }}
    }}
    if (&Tmp-String-0 && &Tmp-String-0 != "") {{
      update control {{
        Auth-Type := Accept
      }}
    }}
    elsif (&Tmp-String-1) {{
      update outer.request {{
        Module-Failure-Message += "Privyseal: no enabled account with this name and SID{inside}"
      }}
    }}
  }}
}}
"""


def _in_url_keep(member: str) -> str:
    """The filter's own signs stay readable; all else of a group's name is encoded."""
    return quote(member, safe="=,.:()").replace("%", "%%")


def _refresh(site: RadiusSite) -> str:
    calls = "\n".join(f"fetch {_bare(name, 'CA')} '{_url(url)}'" for name, url in sorted(site.crl_urls.items()))
    return f"""#!/bin/sh
# Written by `privyseal radius config freeradius`. Fetches the CRLs; run it from cron every hour:
#   7 * * * *  freerad  {_bare(site.directory, "directory")}/{REFRESH}
# FreeRADIUS reads the directory anew every 300 seconds. Needs curl and openssl. A CRL that does not verify, or that
# cannot be fetched, leaves the old one in its place; the exit code says so.
set -eu
cd "$(dirname "$0")/{CRLS}"
failed=0
fetch() {{
  if curl --fail --silent --show-error --max-time 30 --output ".$1.der" "$2" &&
    openssl crl -inform DER -in ".$1.der" -CAfile ../issuers.pem -noout 2>&1 | grep -q '^verify OK' &&
    openssl crl -inform DER -in ".$1.der" -out ".$1.pem"; then
    mv ".$1.pem" "$1.crl.pem"
  else
    echo "{REFRESH}: no good CRL of $1 at $2" >&2
    failed=1
  fi
  rm -f ".$1.der" ".$1.pem"
}}
{calls}
openssl rehash .
exit $failed
"""


def _url(text: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9._~:/?&=%@+,;\[\]-]+", text):
        raise InvalidValue(f"{text!r} is not a URL that a script can carry")
    return text
