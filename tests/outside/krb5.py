# SPDX-License-Identifier: Apache-2.0
"""Kerberos for tests: a krb5.conf that asks one KDC and no DNS, and tickets in a directory of the test's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.outside.tools import Ran, require_tool, run


def write_krb5_conf(path: Path, *, realm: str, kdc: str, options: Mapping[str, str] | None = None) -> Path:
    """A configuration whose realm has one KDC; ``options`` go to [libdefaults]."""
    defaults = {
        "default_realm": realm,
        "dns_lookup_realm": "false",
        "dns_lookup_kdc": "false",
        "dns_canonicalize_hostname": "false",
        "rdns": "false",
        "udp_preference_limit": "1",  # TCP: a KDC that is away is noticed at once
        **(options or {}),
    }
    lines = ["[libdefaults]", *(f"  {name} = {value}" for name, value in defaults.items())]
    lines += ["[realms]", f"  {realm} = {{", f"    kdc = {kdc}", "  }"]
    lines += ["[domain_realm]", f"  .{realm.lower()} = {realm}", f"  {realm.lower()} = {realm}", ""]
    path.write_text("\n".join(lines))
    return path


def kinit(principal: str, *, cache: Path, environment: Mapping[str, str], keytab: Path | None = None) -> Ran:
    """Gets a ticket into ``cache``, by ``keytab``. The caller says whether that must work."""
    source: list[str | Path] = ["-k", "-t", keytab] if keytab is not None else []
    return run([require_tool("kinit"), "-c", f"FILE:{cache}", *source, principal], environment=environment, seconds=20)
