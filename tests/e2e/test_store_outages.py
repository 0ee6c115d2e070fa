# SPDX-License-Identifier: Apache-2.0
"""A database that restarts, crashes, is full or read-only: clear errors, nothing acknowledged is lost, it recovers."""

from __future__ import annotations

import contextlib
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from privyseal.bootstrap import store_place
from privyseal.config import load_settings
from privyseal.errors import StoreUnavailable
from privyseal.store.opening import open_store
from tests.command_line import run_line
from tests.device import Device
from tests.e2e.test_killed import Load, check_store
from tests.installation import Installation, Installations, new_home
from tests.outside.postgresql import PostgresServer, own_server
from tests.outside.tools import require_root, require_tool, run
from tests.server_process import ServerProcess

WORKERS = 2


@contextlib.contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A file system of its own."""
    require_root("a small file system is mounted")
    place = Path(tempfile.mkdtemp(prefix="privyseal-disk-"))
    run([require_tool("mount"), "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs", place]).must_work()
    try:
        yield place
    finally:
        run([require_tool("umount"), "--lazy", place]).must_work()
        place.rmdir()


def fill(place: Path) -> Path:
    """Leaves no room; the file that took it."""
    path = place / "ballast"
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size) == size:
                    pass
    return path


def moved_to(home: Path, server: PostgresServer) -> None:
    answer = run_line("--home", str(home), "store", "move", "--to", server.new())
    assert answer.code == 0, answer.err


def eventually_enrolls(device: Device, *, seconds: float = 30.0) -> bytes:
    """A certificate, as soon as the store is back."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return device.enroll()
        except (StoreUnavailable, AssertionError):
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_a_server_that_restarts_under_load_loses_nothing_that_was_acknowledged(
    installations: Installations, tmp_path: Path, how: signal.Signals
) -> None:
    home = new_home(tmp_path)
    with own_server() as database:
        moved_to(home, database)
        made = installations.open(home)
        load = Load(device := Device(made), [device.request() for _ in range(500)])
        with ServerProcess(home, workers=WORKERS) as server:
            threads = [threading.Thread(target=load.run_on, args=(server.port,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for _ in range(3):
                time.sleep(0.2)
                database.stop(how)
                time.sleep(0.2)
                database.start()
            for thread in threads:
                thread.join(60)
        assert (load.faults, load.left) == ([], 0)
        assert len(load.granted) > 400
        eventually_enrolls(device)
        check_store(made, load)
        installations.end(made)


def nothing_is_lost(made: Installation, granted: list[bytes]) -> None:
    """What was granted is there, and what was not left no half."""
    made.app.audit.verify()
    assert made.rows("SELECT count(*) FROM certificates WHERE kind = 'end-entity' AND status = 'issued'") == [
        (len(granted),)
    ]


def test_a_full_disk_under_sqlite(installations: Installations) -> None:
    with small_disk(24) as place:
        made = installations.open(new_home(place))
        made.work()
        device = Device(made)
        granted = [device.enroll() for _ in range(5)]
        ballast = fill(place)
        with pytest.raises(StoreUnavailable, match="full"):
            for number in range(2000):
                made.device(f"FILLER-{number}", model="x" * 60)
        nothing_is_lost(made, granted)
        ballast.unlink()
        granted.append(device.enroll())
        nothing_is_lost(made, granted)
        installations.end(made)


def test_a_full_disk_under_postgresql(installations: Installations, tmp_path: Path) -> None:
    home = new_home(tmp_path)
    with small_disk(160) as place:
        server = PostgresServer(place)
        server.start()
        try:
            moved_to(home, server)
            made = installations.open(home)
            device = Device(made)
            granted = [device.enroll() for _ in range(5)]
            ballast = fill(place)
            with pytest.raises(StoreUnavailable):
                for number in range(20000):
                    made.device(f"FILLER-{number}")
            ballast.unlink()
            server.stop()  # some versions end by themselves when the log cannot be written
            server.start()
            granted.append(eventually_enrolls(device))
            nothing_is_lost(made, granted)
            installations.end(made)
        finally:
            server.stop()


def test_a_read_only_disk_under_sqlite(installations: Installations) -> None:
    with small_disk(24) as place:
        made = installations.open(new_home(place))
        made.work()
        device = Device(made)
        granted, sent = [device.enroll()], device.request()
        mount = require_tool("mount")
        # Files that are open for writing keep a file system from becoming read-only, so it is looked at afresh.
        installations.end(made)
        run([mount, "-o", "remount,ro", place]).must_work()
        with pytest.raises(StoreUnavailable, match="cannot be opened"):
            open_store(store_place(load_settings(made.home)))
        run([mount, "-o", "remount,rw", place]).must_work()
        again = installations.open(made.home)
        answer = again.post(f"{device.path}?operation=PKIOperation", sent.message)
        assert answer.status == 200
        assert len(granted) == 1
        again.app.audit.verify()
        installations.end(again)
