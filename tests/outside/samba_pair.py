# SPDX-License-Identifier: Apache-2.0
"""Two domain controllers of one domain: the second really joins the first, and replicates when a test says so only."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.outside.hosts import names
from tests.outside.samba import (
    BASE,
    CONFIGURATION,
    DIRECTORIES,
    DNS_DOMAIN,
    HOST,
    PASSWORD,
    SECOND_HOST,
    DomainController,
    new_controller,
)
from tests.outside.tools import require_root

_ADMINISTRATOR: Final = f"--user=Administrator%{PASSWORD}"
# Joining and replicating go by RPC, which the usual controller of the tests does not serve.
_WITH_RPC: Final = (
    "  server services = rpc, ldap, cldap, kdc\n  dcerpc endpoint servers = epmapper, drsuapi, lsarpc, netlogon, samr"
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Both run. What is written to one does not reach the other by itself."""

    first: DomainController
    second: DomainController

    def replicate(self) -> None:
        """The second pulls what the first has, as replication would."""
        for partition in (CONFIGURATION, BASE):
            self.second.samba_tool(
                *("drs", "replicate", "dc2", HOST, partition, "--local", _ADMINISTRATOR),
                environment=self.first.environment,
            )


@contextmanager
def two_controllers() -> Iterator[Pair]:
    """A fresh domain with two running controllers, which know each other and are known to this process by name."""
    require_root("Samba serves LDAP and Kerberos on their own ports")
    first = new_controller()
    directory = Path(tempfile.mkdtemp(prefix="privyseal-dc-"))
    directory.chmod(0o755)
    for name in DIRECTORIES:
        (directory / name).mkdir()
    second = DomainController(directory, host=SECOND_HOST, netbios="DC2")
    try:
        first.configure(_WITH_RPC, ports=(389, 636, 88, 135))
        with names({HOST: first.address, SECOND_HOST: second.address, DNS_DOMAIN: first.address}):
            first.start()
            join = ["domain", "join", DNS_DOMAIN, "DC", _ADMINISTRATOR, f"--server={HOST}", "--dns-backend=NONE"]
            second.samba_tool(*join, "--site=Default-First-Site-Name", environment=first.environment)
            second.start()
            yield Pair(first, second)
    finally:
        for one in (first, second):
            one.stop()
            shutil.rmtree(one.directory)
