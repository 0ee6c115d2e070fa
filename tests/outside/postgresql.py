# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server of the tests' own: a fresh cluster on a Unix socket, run by a user that is not root."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from tests.outside.tools import NEEDS_PACKAGES, PACKAGES, missing

_PLACES: Final = Path("/usr/lib/postgresql")
_START_SECONDS: Final = 60.0
_SETTINGS: Final = (
    "listen_addresses=", "max_connections=200", "shared_buffers=64MB", "timezone=UTC", "log_min_messages=fatal",
)  # fmt: skip


def programs() -> Path:
    """Where initdb and postgres of the newest version are; skips the test where there are none."""
    found = sorted(
        _PLACES.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]) if path.parts[-3].isdigit() else 0
    )
    if not found:
        missing(NEEDS_PACKAGES + " ".join(PACKAGES["initdb"]))
    return found[-1].parent


class PostgresServer:
    """One cluster. ``kill`` and ``start`` are what a crash and its end are."""

    def __init__(self, place: Path | None = None) -> None:
        self._bin = programs()
        self._own = place is None
        # A path of its own: those of pytest are too long for a socket, and closed to other users.
        self.place = Path(tempfile.mkdtemp(prefix="privyseal-pg-")) if place is None else place
        self.data = self.place / "data"
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:
            account = pwd.getpwnam(self._user)
            os.chown(self.place, account.pw_uid, account.pw_gid)
        self._run("initdb", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username=privyseal", "--no-sync",
                  f"--pgdata={self.data}")  # fmt: skip

    @property
    def pid(self) -> int:
        """The server's first process."""
        assert self._process is not None
        return self._process.pid

    def url(self, database: str) -> str:
        """Of one database."""
        return f"postgresql://privyseal@/{database}?host={self.place}"

    def start(self) -> None:
        """Starts it and waits until it answers."""
        options = [f"-c{setting}" for setting in (*_SETTINGS, f"unix_socket_directories={self.place}")]
        with (self.place / "log").open("ab") as log:
            # It goes when these tests are killed and cannot stop it.
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "INT", "--", self._bin / "postgres", "-D", self.data, *options],
                stdout=log, stderr=log, cwd=self.place, start_new_session=True, **self._as_user(),
            )  # fmt: skip
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=2).close()
                return
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    pytest.fail(f"PostgreSQL did not start: {error}\n{(self.place / 'log').read_text()}")
                time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Ends it: SIGINT is what administrators call a fast shutdown, SIGQUIT a crash."""
        if self._process is None:
            return
        self.thaw()
        self._process.send_signal(how)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def freeze(self) -> None:
        """Stops it and everything that it started, as a machine that hangs."""
        for pid in self._processes():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets it go on."""
        for pid in self._processes():
            os.kill(pid, signal.SIGCONT)

    def _processes(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [self.pid, *(int(child) for child in children)]

    def new(self, template: str = "template1") -> str:
        """A fresh database; its URL."""
        name = f"d{os.getpid()}_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def execute(self, sql: str, *, database: str = "postgres") -> list[tuple[object, ...]]:
        """A statement of the administrator."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            found = connection.execute(sql.encode())
            return found.fetchall() if found.description else []

    def close(self) -> None:
        """Ends it and removes everything."""
        self.stop()
        if self._own:
            shutil.rmtree(self.place, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._bin / program, *arguments], capture_output=True, timeout=_START_SECONDS, cwd=self.place,
            check=False, **self._as_user(),
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def _as_user(self) -> dict[str, Any]:
        return {"user": self._user, "group": self._user} if os.geteuid() == 0 else {}


_servers: list[PostgresServer] = []


def shared_server() -> PostgresServer:
    """One for all tests of this process that do not hurt it."""
    if not _servers:
        server = PostgresServer()
        server.start()
        _servers.append(server)
    return _servers[0]


def end_shared_server() -> None:
    """After the last test."""
    while _servers:
        _servers.pop().close()


@contextlib.contextmanager
def own_server() -> Iterator[PostgresServer]:
    """One that a test may stop, kill and fill."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.close()
