# SPDX-License-Identifier: Apache-2.0
"""A ceremony directory: an offline root's encrypted key, its certificate, and a ledger that only grows.

Each line of the ledger covers the one before by a digest, so that a line that was lost or changed is noticed.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from privyseal.adapters.files import sync_directory, write_atomically
from privyseal.ca.issuance import LintedTbs
from privyseal.errors import AlreadyRevoked, CeremonyInvalid, NotIssued
from privyseal.model.crl import CrlFacts, CrlScope
from privyseal.model.enrollment import Claim
from privyseal.model.revocation import CrlReason
from privyseal.x509.tbs import revoked_entry

ROOT_NAME: Final = "root.json"
LEDGER_NAME: Final = "ledger.jsonl"
CERTIFICATE_NAME: Final = "root.crt"
CRL_NAME: Final = "root.crl"
_START: Final = "0" * 64
_MOST_LINES: Final = 1_000_000
Line = dict[str, Any]


class LedgerFile:
    """Implements ``ca.ceremony.CeremonyLedger``. One process at a time; every line is on disk when a method returns."""

    def __init__(self, directory: Path, now: Callable[[], datetime]) -> None:
        self._path = directory / LEDGER_NAME
        self._directory = directory
        self._now = now
        self._lines = _read(self._path)
        self._check_not_cut()
        last = datetime.fromisoformat(self._lines[-1]["at"]) if self._lines else None
        if last is not None and now() < last:
            raise CeremonyInvalid(
                f"the clock says {now():%Y-%m-%dT%H:%M:%SZ}, the last line of {self._path} is of "
                f"{last:%Y-%m-%dT%H:%M:%SZ}",
                why="this machine's clock was set back; certificates and CRLs would carry wrong times",
                mend=("set the clock right",),
            )

    @property
    def lines(self) -> tuple[Line, ...]:
        """Everything that was done, oldest first."""
        return tuple(self._lines)

    async def reserve(self, linted: LintedTbs, claim: Claim) -> int:
        """See ``IssuanceLedger.reserve``."""
        if linted.content is None:
            raise CeremonyInvalid("only certificates are reserved in the ledger")
        serial = f"{linted.content.serial:x}"
        if any(line.get("serial") == serial for line in self._of("reserved")):
            raise CeremonyInvalid(f"serial {serial} was used before")
        number = len(self._of("reserved")) + 1
        self._append({
            "what": "reserved", "id": number, "serial": serial, "subject": claim.subject, "by": claim.requester,
            "tbs": linted.tbs.hex(),
        })  # fmt: skip
        return number

    async def record(self, certificate_id: int, signature: bytes) -> None:
        """See ``IssuanceLedger.record``."""
        self._append({"what": "issued", "id": certificate_id, "signature": signature.hex()})

    async def reserve_crl(
        self, issuer_id: int, scope: CrlScope, *, this_update: datetime, next_update: datetime
    ) -> tuple[int, int | None]:
        """See ``CrlLedger.reserve_crl``."""
        number = self._last_crl() + 1
        self._append({
            "what": "crl-reserved", "number": number, "this_update": this_update.isoformat(),
            "next_update": next_update.isoformat(),
        })  # fmt: skip
        return number, None

    async def entries(self, issuer_id: int, shard: int, *, since: int | None) -> bytes:
        """See ``CrlLedger.entries``. A serial whose signature was never recorded is revoked as a precaution."""
        signed = {line["id"] for line in self._of("issued")}
        entries = [
            revoked_entry(
                int(line["serial"], 16),
                datetime.fromisoformat(line["at"]),
                reason=int(CrlReason.CESSATION_OF_OPERATION),
            )
            for line in self._of("reserved")
            if line["id"] not in signed
        ]
        for line in self._of("revoked"):
            entries.append(
                revoked_entry(int(line["serial"], 16), datetime.fromisoformat(line["at"]), reason=line["reason"])
            )
        return b"".join(entries)

    async def record_crl(self, issuer_id: int, number: int, crl: bytes) -> CrlFacts:
        """See ``CrlLedger.record_crl``; the file is replaced first, so that what is recorded is there."""
        write_atomically(self._directory / CRL_NAME, crl, mode=0o644)
        digest = sha256(crl).digest()
        self._append({"what": "crl-published", "number": number, "sha256": digest.hex()})
        reserved = next(line for line in self._of("crl-reserved") if line["number"] == number)
        return CrlFacts(
            number=number,
            shard=0,
            base_number=None,
            this_update=datetime.fromisoformat(reserved["this_update"]),
            next_update=datetime.fromisoformat(reserved["next_update"]),
            octets=len(crl),
            digest=digest,
        )

    def revoke(self, serial: int, reason: CrlReason, *, actor: str) -> None:
        """Note a revocation; the next CRL tells it. Raises NotIssued, AlreadyRevoked."""
        shown = f"{serial:x}"
        signed = {line["id"] for line in self._of("issued")}
        if not any(line["serial"] == shown and line["id"] in signed for line in self._of("reserved")[1:]):
            raise NotIssued(f"serial {shown} was not issued by this root")
        if any(line["serial"] == shown for line in self._of("revoked")):
            raise AlreadyRevoked(f"certificate {shown} is already revoked")
        self._append({"what": "revoked", "serial": shown, "reason": int(reason), "by": actor})

    def _check_not_cut(self) -> None:
        """Digests show a line that is changed or gone in the middle; that the end is gone shows the CRL beside it."""
        try:
            crl = x509.load_der_x509_crl((self._directory / CRL_NAME).read_bytes())
            number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        except FileNotFoundError:
            return
        except (OSError, ValueError, x509.ExtensionNotFound) as error:
            raise CeremonyInvalid(f"{self._directory / CRL_NAME} cannot be read as a CRL") from error
        last = self._last_crl()
        if number > last:
            raise CeremonyInvalid(
                f"{CRL_NAME} is CRL {number}, the ledger in {self._directory} ends with CRL {last}",
                why="lines at the end of the ledger were taken away, or it is an older copy; "
                "its next CRL would forget what was revoked since",
                mend=("use the newest copy of the whole directory",),
            )

    def _last_crl(self) -> int:
        return max((int(line["number"]) for line in self._of("crl-reserved")), default=0)

    def _of(self, what: str) -> list[Line]:
        return [line for line in self._lines if line["what"] == what]

    def _append(self, line: Line) -> None:
        previous = _digest(self._lines[-1]) if self._lines else _START
        at = self._now().astimezone(UTC).replace(microsecond=0)
        full = {**line, "at": at.isoformat(), "previous": previous}
        with open(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "ab") as file:
            file.write(json.dumps(full, sort_keys=True).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if not self._lines:
            sync_directory(self._directory)
        self._lines.append(full)


@contextmanager
def open_ledger(directory: Path, now: Callable[[], datetime]) -> Iterator[LedgerFile]:
    """The ledger, for this process alone: two that read it at the same moment would use the same numbers.

    Raises CeremonyInvalid.
    """
    lock = _locked(directory)
    try:
        yield LedgerFile(directory, now)
    finally:
        os.close(lock)


def _locked(directory: Path) -> int:
    try:
        lock = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise CeremonyInvalid(f"{directory} cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise CeremonyInvalid(
            f"{directory} cannot be locked: {error.strerror}",
            why="another process works in it, and a ledger has one writer at a time",
            mend=("wait until the other one has ended, then try again",),
        ) from error
    return lock


def _read(path: Path) -> list[Line]:
    if not path.exists():
        return []
    found: list[Line] = []
    try:
        raw = path.read_bytes()
        rows = raw.split(b"\n")
        if len(rows) > _MOST_LINES:
            raise CeremonyInvalid(f"{path} has more than {_MOST_LINES} lines")
        # Half a line at the end is what a power cut leaves of a write that nobody relied on.
        if rows[-1] and raw:
            rows[-1] = b""
            os.truncate(path, raw.rindex(b"\n") + 1 if b"\n" in raw else 0)
        for row in rows:
            if row:
                line = json.loads(row)
                if line["previous"] != (_digest(found[-1]) if found else _START):
                    raise CeremonyInvalid(f"line {len(found) + 1} of {path} does not follow the one before it")
                datetime.fromisoformat(line["at"])
                found.append(line)
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise CeremonyInvalid(f"line {len(found) + 1} of {path} cannot be read") from error
    return found


def _digest(line: Line) -> str:
    return sha256(json.dumps(line, sort_keys=True).encode()).hexdigest()


def read_root(directory: Path) -> Line:
    """What root.json says. Raises CeremonyInvalid."""
    path = directory / ROOT_NAME
    try:
        found = json.loads(path.read_text("utf-8"))
        wanted = {"name": str, "url": str, "key": str, "crl_seconds": int}
        if any(not isinstance(found[key], kind) for key, kind in wanted.items()):
            raise ValueError("a field is of another kind")
    except FileNotFoundError as error:
        raise CeremonyInvalid(f"there is no {ROOT_NAME} in {directory}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CeremonyInvalid(f"{path} cannot be read: {error}") from error
    return dict(found)


def write_root(directory: Path, content: Line, certificate: bytes) -> None:
    """The certificate, then root.json, which makes the directory complete."""
    write_atomically(directory / CERTIFICATE_NAME, certificate, mode=0o644)
    write_atomically(directory / ROOT_NAME, json.dumps(content, indent=1, sort_keys=True).encode() + b"\n")
