# SPDX-License-Identifier: Apache-2.0
"""Backup and restore: what comes back, what a restored store refuses, and that no number is ever given twice."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from privyseal.adapters.fetch import fetch
from privyseal.bootstrap import build
from privyseal.config import load_settings
from privyseal.errors import (
    BackupDamaged,
    BackupUnreadable,
    NameTaken,
    PassphraseWrong,
    ResyncUncertain,
    SerialBurnt,
    StoreRestored,
)
from privyseal.model.revocation import CrlReason
from tests.command_line import Answer, run_line
from tests.device import Device
from tests.installation import PASSPHRASE, Installation, Installations, new_home
from tests.server_process import ServerProcess

TABLES = ("entities", "profiles", "authorities", "services", "certificates", "certificate_tbs", "revocations", "crls")


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text(PASSPHRASE)
    path.chmod(0o600)
    return path


class Site:
    """An installation, its backup and what is restored of it."""

    def __init__(self, installations: Installations, place: Path, passphrase: Path) -> None:
        self.installations, self.place, self.passphrase = installations, place, passphrase
        self.home, self.restored = new_home(place), place / "restored"
        self.file = place / "pki.backup"
        self.opened = installations.open(self.home)
        self.opened.work()
        self.device = Device(self.opened)
        self.before = self.device.enroll()

    def line(self, home: Path, *arguments: str) -> Answer:
        return run_line("--home", str(home), "--passphrase-file", str(self.passphrase), *arguments, "-o", "json")

    def works(self, home: Path, *arguments: str) -> Any:
        answer = self.line(home, *arguments)
        assert answer.code == 0, answer.err
        return answer.data

    def backup(self) -> Any:
        return self.works(self.home, "backup", "create", "--to", str(self.file))

    def restore(self, *more: str) -> Any:
        return self.works(self.restored, "backup", "restore", str(self.file), *more)

    def reopened(self) -> Installation:
        return self.installations.open(self.restored)


@pytest.fixture
def site(installations: Installations, tmp_path: Path, passphrase: Path) -> Site:
    return Site(installations, tmp_path, passphrase)


def crl_number(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def status(opened: Installation, leaf: bytes) -> str:
    """What OCSP says."""
    certificate = x509.load_der_x509_certificate(leaf)
    issuer = x509.load_der_x509_certificate(opened.issuer.view.encoded)
    question = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA256()).build()
    answer = opened.post("/ocsp/issuing/v1", question.public_bytes(Encoding.DER))
    return ocsp.load_der_ocsp_response(answer.body).certificate_status.name


def serial(leaf: bytes) -> int:
    return x509.load_der_x509_certificate(leaf).serial_number


def contents(opened: Installation) -> dict[str, list[tuple[Any, ...]]]:
    return {table: opened.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES}


def test_what_goes_in_comes_out_while_the_server_goes_on(site: Site) -> None:
    told = site.backup()
    expected = contents(site.opened)
    assert told["certificates"] == len(expected["certificates"])
    Device(site.opened).enroll()  # it was not held up, and is not in the copy
    assert site.opened.events()[-3:].count("backup.made") <= 1
    site.restore()
    site.works(site.restored, "backup", "resync", "--accept")
    back = site.reopened()
    found = contents(back)
    for table in set(TABLES) - {"crls"}:
        assert found[table] == expected[table]
    assert {"store.restored", "store.resynced"} <= set(back.events())
    Device(back).enroll()


def test_an_older_copy_signs_nothing_until_it_is_in_step_and_then_no_number_falls(site: Site) -> None:
    site.backup()
    later = site.device.enroll()
    site.opened.revoke(site.before, CrlReason.SUPERSEDED)
    lost_and_revoked = site.device.enroll()
    site.opened.revoke(lost_and_revoked, CrlReason.CESSATION_OF_OPERATION)
    last_crl = site.opened.crl()
    root_crl = site.opened.crl("root")
    site.installations.end(site.opened)
    site.restore()

    with pytest.raises(StoreRestored, match="is a copy of"):
        build(load_settings(site.restored), passphrase=PASSPHRASE)
    answer = site.line(site.restored, "serve")
    assert (answer.code, answer.error["code"]) == (6, StoreRestored.code)
    assert site.works(site.restored, "certificate", "list")  # what signs nothing still answers

    answer = site.line(site.restored, "backup", "resync")
    assert answer.error["code"] == ResyncUncertain.code
    assert "issuing v1" in answer.error["what"]
    files = []
    for name, crl in (("issuing", last_crl), ("root", root_crl)):
        files += ["--crl", str(site.place / f"{name}.crl")]
        Path(files[-1]).write_bytes(crl.public_bytes(Encoding.DER))
    told = site.works(site.restored, "backup", "resync", *files)
    assert told["cas"]["issuing v1"]["seen"] == crl_number(last_crl)
    assert told["cas"]["issuing v1"]["revocations"] == 2

    back = site.reopened()
    back.work()
    assert crl_number(back.crl()) > told["cas"]["issuing v1"]["goes_on_at"] > crl_number(last_crl)
    listed = {entry.serial_number for entry in back.crl()}
    assert {entry.serial_number for entry in last_crl} <= listed
    assert serial(later) not in listed
    assert status(back, later) == "UNKNOWN"
    assert status(back, site.before) == "REVOKED"
    assert status(back, lost_and_revoked) == "REVOKED"
    assert site.works(site.restored, "backup", "resync")["changed"] is False


def test_a_serial_of_the_lost_time_is_never_given(site: Site) -> None:
    site.backup()
    site.restore()
    site.works(site.restored, "backup", "resync", "--accept")
    back = site.reopened()
    back.clock.moved = -timedelta(seconds=5)
    device = Device(back)
    device.send(device.request())
    assert back.rows("SELECT code FROM enrollments ORDER BY id DESC LIMIT 1") == [(SerialBurnt.code,)]


def test_a_crl_from_before_the_backup_or_of_a_stranger_tells_nothing(site: Site, installations: Installations) -> None:
    old = site.opened.crl()
    for _ in range(2):
        site.opened.revoke(site.device.enroll())
    site.backup()
    site.restore()
    given = site.place / "old.crl"
    given.write_bytes(old.public_bytes(Encoding.DER))
    answer = site.line(site.restored, "backup", "resync", "--crl", str(given))
    assert answer.error["code"] == ResyncUncertain.code
    given.write_bytes(installations("rsa:2048").get("/crl/issuing/v1.crl").body or b"")
    assert site.line(site.restored, "backup", "resync", "--crl", str(given)).code == 2


def test_the_drill_proves_keys_trail_and_numbers_and_is_noted(site: Site) -> None:
    site.backup()
    told = site.works(site.home, "backup", "verify", str(site.file))
    assert told["keys_opened"] >= 5
    assert told["highest_crl_numbers"]["issuing v1"] == crl_number(site.opened.crl())
    assert site.opened.events()[-1] == "backup.tried"
    other = site.place / "other"
    other.write_text("another passphrase")
    other.chmod(0o600)
    answer = site.line(site.home, "backup", "verify", str(site.file), "--backup-passphrase-file", str(other))
    assert answer.error["code"] == BackupUnreadable.code


def test_a_backup_with_its_own_passphrase_still_needs_that_of_the_keys(site: Site) -> None:
    own = site.place / "own"
    own.write_text("only for backups")
    own.chmod(0o600)
    options = ("--backup-passphrase-file", str(own))
    site.works(site.home, "backup", "create", "--to", str(site.file), *options)
    site.passphrase.write_text("not that of the keys")
    answer = site.line(site.home, "backup", "verify", str(site.file), *options)
    assert answer.error["code"] == PassphraseWrong.code


@pytest.mark.parametrize("where", [0.3, 0.6, 0.99])
def test_a_damaged_backup_leaves_no_installation(site: Site, where: float) -> None:
    site.backup()
    content = bytearray(site.file.read_bytes())
    content[int(len(content) * where)] ^= 1
    site.file.write_bytes(content)
    answer = site.line(site.restored, "backup", "restore", str(site.file))
    assert answer.error["code"] in (BackupDamaged.code, BackupUnreadable.code)
    assert not (site.restored / "privyseal.toml").exists()


def test_nothing_is_overwritten(site: Site) -> None:
    site.backup()
    assert site.line(site.home, "backup", "create", "--to", str(site.file)).error["code"] == NameTaken.code
    assert site.line(site.home, "backup", "restore", str(site.file)).error["code"] == NameTaken.code


def test_a_backup_holds_no_secret_in_clear_and_is_for_one_user(site: Site) -> None:
    site.backup()
    content = site.file.read_bytes()
    assert site.file.stat().st_mode & 0o777 == 0o600
    for secret in (PASSPHRASE.encode(), b"PRIVATE KEY", b"LAPTOP-", b"issuing"):
        assert secret not in content


def test_a_backup_of_sqlite_becomes_a_store_in_postgresql_and_back(site: Site, installations: Installations) -> None:
    from tests.outside.postgresql import shared_server

    url = shared_server().new()
    site.backup()
    expected = contents(site.opened)
    site.restore("--store", url)
    site.works(site.restored, "backup", "resync", "--accept")
    there = site.reopened()
    assert there.app.database.label.startswith("postgresql://")
    assert contents(there)["certificates"] == expected["certificates"]
    Device(there).enroll()
    site.file = site.place / "second.backup"
    site.works(site.restored, "backup", "create", "--to", str(site.file))
    rows = contents(there)["certificates"]
    installations.end(there)
    site.restored = site.place / "back"
    site.restore()
    store = sqlite3.connect(site.restored / "privyseal.db")
    assert store.execute("SELECT count(*) FROM certificates").fetchone() == (len(rows),)
    store.close()


def test_a_backup_that_is_made_under_load_is_of_one_moment(site: Site, installations: Installations) -> None:
    requests = [site.device.request() for _ in range(150)]
    installations.end(site.opened)
    enough = Event()
    with ServerProcess(site.home) as server, ThreadPoolExecutor(1) as pool:

        def enroll() -> int:
            url = f"{server.base}/scep/{site.device.profile}?operation=PKIOperation"
            return sum(len(fetch(url, body=sent.message).body) > 0 for sent in requests if not enough.is_set())

        running = pool.submit(enroll)
        files = []
        for number in range(3):
            site.file = site.place / f"{number}.backup"
            files.append(site.backup()["certificates"])
        enough.set()
        assert running.result() > 0
    assert files == sorted(files)
    for number in (0, 2):
        told = site.works(site.home, "backup", "verify", str(site.place / f"{number}.backup"))
        assert told["certificates"] == files[number]
