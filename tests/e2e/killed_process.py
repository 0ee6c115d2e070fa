# SPDX-License-Identifier: Apache-2.0
"""Issues, revokes and publishes in a loop, and kills itself with SIGKILL at a named step. Run by test_killed.

One parent that holds nothing forks a child for each round; a child settles what the one before it left, checks it,
and works on until it is killed. Whatever is signed is first written, on disk, to a side file.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import sqlite3
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from privyseal import bootstrap
from privyseal.adapters.keys import FileSigner
from privyseal.bootstrap import Application
from privyseal.ca.issuer import Issuer
from privyseal.config import load_settings
from privyseal.model.certificate import CertificateKind
from privyseal.model.crl import CrlScope
from privyseal.model.entity import EndEntity, EntityKind
from privyseal.model.revocation import CrlReason
from privyseal.store.certificates import CertificateLedger
from privyseal.store.crls import CrlBook
from privyseal.store.status import StatusBook
from privyseal.worker import work_once
from privyseal.x509.csr import parse_request
from privyseal.x509.tbs import assemble
from tests.device import build_csr
from tests.installation import ISSUING_CA, PASSPHRASE, PROFILE

STEPS: Final = (
    "before reserve", "after reserve", "before sign", "after sign", "before record", "after record",
    "before revoke", "after revoke", "before number", "after number", "before CRL record", "after CRL record",
    "before BEGIN", "after BEGIN", "before COMMIT", "during COMMIT", "after COMMIT", "while settling", "at any moment",
)  # fmt: skip
T = TypeVar("T")


def die() -> NoReturn:
    """No farewell."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("SIGKILL came back")


class Bomb:
    """Goes off when its step has been passed a number of times."""

    def __init__(self, step: str, passes: int) -> None:
        self._step = step
        self._left = passes

    def passing(self, step: str) -> None:
        """Called at every step."""
        if step == self._step:
            self._left -= 1
            if self._left <= 0:
                die()

    def is_for(self, step: str) -> bool:
        """Whether this is the step that it waits for, for the last time."""
        return step == self._step and self._left <= 1


def around(bomb: Bomb, owner: type, name: str, *, before: str, after: str) -> None:
    """Puts the steps around a coroutine method."""
    inner: Callable[..., Awaitable[Any]] = getattr(owner, name)

    async def stepped(*arguments: Any, **named: Any) -> Any:
        bomb.passing(before)
        found = await inner(*arguments, **named)
        bomb.passing(after)
        return found

    setattr(owner, name, stepped)


class SteppedConnection:
    """The writer, with steps around BEGIN and COMMIT."""

    def __init__(self, inner: sqlite3.Connection, bomb: Bomb) -> None:
        self._inner = inner
        self._bomb = bomb

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        """As the connection does."""
        word = sql.partition(" ")[0]
        if word not in ("BEGIN", "COMMIT"):
            return self._inner.execute(sql, *parameters)
        self._bomb.passing(f"before {word}")
        if word == "COMMIT" and self._bomb.is_for("during COMMIT"):
            threading.Timer(random.random() * 0.001, die).start()
        found = self._inner.execute(sql, *parameters)
        self._bomb.passing(f"after {word}")
        if word == "COMMIT":
            self._bomb.passing("during COMMIT")
        return found


def watch_signatures(bomb: Bomb, side_file: Path) -> None:
    """Every signature is on disk in the side file before anybody else has it."""
    inner = FileSigner.sign
    descriptor = os.open(side_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def sign(self: FileSigner, tbs: bytes) -> bytes:
        bomb.passing("before sign")
        signature = await inner(self, tbs)
        os.write(descriptor, f"{tbs.hex()} {signature.hex()}\n".encode())
        os.fsync(descriptor)
        bomb.passing("after sign")
        return signature

    FileSigner.sign = sign  # type: ignore[method-assign] # that is the point


def signed_objects(side_file: Path, issuer: Issuer) -> tuple[list[int], list[int]]:
    """Serials and CRL numbers of everything that a CA signed, in order."""
    serials, numbers = [], []
    for line in side_file.read_text().splitlines() if side_file.exists() else []:
        tbs, signature = (bytes.fromhex(part) for part in line.split())
        encoded = assemble(tbs, issuer.algorithm.identifier, signature)
        if issuer.view.subject not in encoded[:300]:
            continue
        try:
            serials.append(x509.load_der_x509_certificate(encoded).serial_number)
        except ValueError:
            crl = x509.load_der_x509_crl(encoded)
            numbers.append(crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number)
    return serials, numbers


def check(application: Application, side_file: Path) -> None:
    """What must hold after a start, whatever happened before it."""
    issuer = application.catalog.issuer(ISSUING_CA)
    serials, numbers = signed_objects(side_file, issuer)
    assert len(set(serials)) == len(serials), "a serial was used twice"
    assert numbers == sorted(set(numbers)), f"CRL numbers repeat or fall: {numbers}"
    revoked = set()
    for serial in serials:
        record = application.certificates.by_serial(issuer.id, serial)
        assert record is not None, f"certificate {serial:x} was signed and nobody knows it"
        assert record.status.value in ("issued", "revoked"), f"{serial:x} is {record.status.value}"
        if record.status.value == "issued":
            application.certificates.encoded(record.id)
    rows = application.database.read("SELECT serial FROM certificates WHERE status = 'revoked' AND issuer_id = ?",
                                     (issuer.id,))  # fmt: skip
    revoked = {int.from_bytes(row[0], "big") for row in rows}
    latest = application.crls.in_force(issuer.id, CrlScope())
    assert latest is not None
    in_force = x509.load_der_x509_crl(application.crls.encoded(issuer.id, latest.number))
    listed = {entry.serial_number for entry in in_force}
    assert listed == revoked, f"the CRL in force lacks {len(revoked - listed)} and has {len(listed - revoked)} too many"
    assert latest.number >= max(numbers, default=0), "a CRL that went out has a higher number than the one in force"
    assert application.database.read("SELECT count(*) FROM certificates WHERE status = 'reserved'") == [(0,)]
    application.audit.verify()


async def work(application: Application, entity: EndEntity) -> None:
    """Issues, and revokes every third."""
    csr = parse_request(build_csr(ec.generate_private_key(ec.SECP256R1())))
    issuer = application.catalog.issuer(ISSUING_CA)
    signer = application.catalog.signer(issuer.id)
    for number in itertools.count(1):
        granted = await application.registration.issue_for(entity, PROFILE, csr, requester="test")
        if number % 3 == 0:
            serial = x509.load_der_x509_certificate(granted.certificate).serial_number
            await application.status.revoke(
                issuer, serial, signer=signer, reason=CrlReason.SUPERSEDED, invalid_since=None, actor="test"
            )


def arm(bomb: Bomb, side_file: Path) -> None:
    """Puts every step in place."""
    around(bomb, CertificateLedger, "reserve", before="before reserve", after="after reserve")
    around(bomb, CertificateLedger, "record", before="before record", after="after record")
    around(bomb, StatusBook, "revoke", before="before revoke", after="after revoke")
    around(bomb, CrlBook, "reserve_crl", before="before number", after="after number")
    around(bomb, CrlBook, "record_crl", before="before CRL record", after="after CRL record")
    watch_signatures(bomb, side_file)


def child(home: Path, side_file: Path, step: str, passes: int) -> None:
    """One life."""
    random.seed(passes)
    bomb = Bomb(step, passes)
    arm(bomb, side_file)
    application = bootstrap.build(load_settings(home), passphrase=PASSPHRASE)
    application.database.writer = SteppedConnection(application.database.writer, bomb)  # type: ignore[assignment] # it acts like one
    if step == "while settling":
        threading.Timer(random.random() * 0.02, die).start()
    entity = application.entities.named(EntityKind.DEVICE, "killed")

    async def live() -> None:
        await work_once(application)
        check(application, side_file)
        if step == "at any moment":
            threading.Timer(random.random() * 0.1, die).start()
        if step:
            await work(application, entity)

    asyncio.run(live())
    assert application.catalog.services(application.catalog.issuer(ISSUING_CA).id, CertificateKind.RA)
    application.close()


def main(home: Path, side_file: Path, rounds: int) -> int:
    """Every step, several times; then a last life in which all must be well."""
    plan = [(STEPS[number % len(STEPS)], 1 + number // len(STEPS) * 2) for number in range(rounds)]
    for step, passes in [*plan, ("", 0)]:
        process = os.fork()
        if process == 0:
            try:
                child(home, side_file, step, passes)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _, how = os.waitpid(process, 0)
        if os.waitstatus_to_exitcode(how) not in ((0,) if not step else (-signal.SIGKILL,)):
            print(f"a life that was to end {step or 'well'} ended with {how}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
