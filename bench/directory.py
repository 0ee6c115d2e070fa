# SPDX-License-Identifier: Apache-2.0
"""A real domain controller: LDAP round trips of publishing, proving and looking up, counted on the wire; ten thousand
users read in pages, beside the same by python-ldap alone.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

# The domain controller is that of the tests.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pytest
from installation import found, opened
from processes import verdict

from privyseal.adapters.ldap import LdapDirectory, connect, ldap_library
from privyseal.adapters.ldap_binds import SimpleBind
from privyseal.bootstrap import Application
from privyseal.directory.containers import Target
from privyseal.repository.accounts import look_up_account
from privyseal.repository.proof import expected, prove
from privyseal.repository.service import PublicationService, Wanted
from privyseal.x509.algorithms import KeyType
from tests.outside.relay import Relay, relayed
from tests.outside.samba import ADMIN, BASE, DNS_DOMAIN, DomainController, account_ldif, domain_controller
from tests.outside.tools import require_python_ldap

_UNIT: Final = f"OU=Many,{BASE}"
_FILTER: Final = "(objectClass=user)"
_WANTED: Final = ("sAMAccountName", "userPrincipalName", "objectSid")
_GROWTH_MB: Final = 8.0
# Of one CA for each of three targets, four objects: two for the root, one for the issuing CA, and NTAuthCertificates.
_PUBLISH_TRIPS: Final = 28
_NOTHING_TRIPS: Final = 10
_VERIFY_TRIPS: Final = 5
_LOOK_UP_TRIPS: Final = 4
_SLOWDOWN: Final = 1.5
_IN_ONE_TRANSACTION: Final = 500


def resident_mb() -> float:
    """Memory of this process that is in use."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


@contextmanager
def counted(relay: Relay) -> Iterator[Callable[[], int]]:
    """How many questions were answered since the block began."""
    before = relay.round_trips
    yield lambda: relay.round_trips - before


def publishing(application: Application, port: LdapDirectory, relay: Relay) -> list[bool]:
    """Publish two CAs as RootCA, SubCA and NTAuthCA, publish again, and prove it."""
    service = PublicationService(application.receipts, application.clock.now)
    root, issuing = (application.authorities.get(name).certificate for name in ("root", "issuing"))
    wanted = [
        Wanted(target=Target.ROOT_CA, certificate=root),
        Wanted(target=Target.SUB_CA, certificate=issuing),
        Wanted(target=Target.NTAUTH_CA, certificate=issuing),
    ]
    met = []
    for what, bar in (("publish 4 objects", _PUBLISH_TRIPS), ("publish again", _NOTHING_TRIPS)):
        with counted(relay) as trips:
            planned = service.plan(port, wanted)
            applied = asyncio.run(service.apply(port, planned, actor="bench"))
        if applied.fault is not None:
            raise applied.fault
        met.append(verdict(f"directory round trips, {what}", trips(), f"at most {bar}", ok=trips() <= bar))

    class Kept:
        """The open connection, so that the log-in is not counted."""

        def __getattr__(self, name: str) -> Any:
            return (lambda: None) if name == "close" else getattr(port, name)

    with counted(relay) as trips:
        changes = expected(planned.desired)
        (proof,) = prove(["dc"], changes, connect=lambda _: Kept(), now=application.clock.now)
    if proof.missing or proof.fault:
        raise SystemExit("the controller does not show what was published")
    met.append(
        verdict("directory round trips, verify", trips(), f"at most {_VERIFY_TRIPS}", ok=trips() <= _VERIFY_TRIPS)
    )
    return met


def looking_up(port: LdapDirectory, relay: Relay) -> bool:
    """One principal in each way to name it; the worst counts."""
    worst = 0
    names = (f"many00000@{DNS_DOMAIN}", "many00000", "ADTEST\\many00000")
    for name in names:
        with counted(relay) as trips:
            look_up_account(port, name)
        worst = max(worst, trips())
    return verdict("directory round trips, look-up", worst, f"at most {_LOOK_UP_TRIPS}", ok=worst <= _LOOK_UP_TRIPS)


def read_ours(port: LdapDirectory, users: int) -> tuple[float, float]:
    """Seconds, and by how much the process grew after the first tenth."""
    began, seen, early = time.perf_counter(), 0, 0.0
    for entry in port.search(_UNIT, _FILTER, attributes=_WANTED):
        seen += bool(entry.attributes["samaccountname"])
        if seen == users // 10:
            early = resident_mb()
    if seen != users:
        raise SystemExit(f"{seen} of {users} users were read")
    return time.perf_counter() - began, resident_mb() - early


def read_raw(port: LdapDirectory, users: int) -> float:
    """The same by python-ldap with nothing around it, on the same connection."""
    ldap, connection = ldap_library(), port._connection
    control = ldap.controls.SimplePagedResultsControl(True, size=1000, cookie=b"")
    began, seen = time.perf_counter(), 0
    while True:
        message = connection.search_ext(_UNIT, ldap.SCOPE_SUBTREE, _FILTER, list(_WANTED), serverctrls=[control])
        _, entries, _, controls = connection.result3(message)
        seen += len(entries)
        control.cookie = controls[0].cookie
        if not control.cookie:
            break
    if seen != users:
        raise SystemExit(f"{seen} of {users} users were read by python-ldap")
    return time.perf_counter() - began


def paging(port: LdapDirectory, users: int, rounds: int) -> list[bool]:
    """Read everybody, by turns."""
    ours, raw, grown = [], [], []
    for _ in range(rounds):
        seconds, growth = read_ours(port, users)
        ours.append(seconds)
        grown.append(growth)
        raw.append(read_raw(port, users))
    print(f"{users} users in pages: {median(ours):.2f} s, {users / median(ours):.0f}/s; "
          f"python-ldap alone: {median(raw):.2f} s, {users / median(raw):.0f}/s")  # fmt: skip
    slowdown = median(ours) / median(raw)
    return [
        verdict("directory paged read, seconds / those of python-ldap alone", slowdown, f"at most {_SLOWDOWN}",
                ok=slowdown <= _SLOWDOWN),
        verdict("directory paged read, MB grown after the first tenth", max(grown), f"less than {_GROWTH_MB:.0f}",
                ok=max(grown) < _GROWTH_MB),
    ]  # fmt: skip


def fill(controller: DomainController, users: int) -> None:
    """Many accounts in one organizational unit; larger transactions take longer for each."""
    began = time.perf_counter()
    controller.add(f"dn: {_UNIT}\nobjectClass: organizationalUnit\n")
    for first in range(0, users, _IN_ONE_TRANSACTION):
        names = [f"many{number:05d}" for number in range(first, min(first + _IN_ONE_TRANSACTION, users))]
        accounts = [account_ldif(f"CN={name},{_UNIT}", name, password="", control=512 + 32) for name in names]
        controller.add("\n\n".join("\n".join(lines) for lines in accounts) + "\n")
    print(f"{users} accounts made in {time.perf_counter() - began:.0f} s")


def main() -> int:
    """0 when every bar is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the users, one round")
    quick = parser.parse_args().quick
    users, rounds = (1000, 1) if quick else (10_000, 5)
    try:
        require_python_ldap()
        return measured(users, rounds)
    except pytest.skip.Exception as missing:
        print(f"nothing measured: {missing}")
        return 0


def measured(users: int, rounds: int) -> int:
    """0 when every bar is met."""
    with tempfile.TemporaryDirectory(prefix="privyseal-bench-") as name, domain_controller() as controller:
        os.environ.update(controller.environment)
        settings = found(Path(name) / "home", KeyType.P256)
        fill(controller, users)
        application = opened(settings)
        try:
            with relayed(controller.address, 636) as relay:
                bind = SimpleBind(ADMIN, controller.password_file, controller.ca_file)
                with connect(f"{controller.ldaps}:{relay.port}", bind) as port:
                    met = [*publishing(application, port, relay), looking_up(port, relay)]
            with connect(controller.ldaps, bind) as port:
                met += paging(port, users, rounds)
        finally:
            application.close()
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
