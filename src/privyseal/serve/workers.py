# SPDX-License-Identifier: Apache-2.0
"""Several processes on one socket. The parent opens no store and no key: it starts, watches and ends the others."""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Final

from privyseal.errors import PrivysealError

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 10.0
_LIVED_WELL: Final = 30.0
"""Seconds after which a worker's end is not counted against the next one."""
_FAREWELL: Final = 20.0
_READY: Final = b"r"
_log: Final = logging.getLogger("privyseal.serve")

Serve = Callable[[Callable[[], None], int], None]
"""What a worker runs: given what to call when it is ready, and a descriptor that ends when the parent does."""


@dataclass(slots=True)
class _Worker:
    pid: int
    ready: int
    started: float
    is_ready: bool = False


class Supervisor:
    """Keeps ``count`` workers running until it is told to stop."""

    def __init__(self, count: int, serve: Serve, *, on_ready: Callable[[], None]) -> None:
        self._count = count
        self._serve = serve
        self._on_ready = on_ready
        self._workers: dict[int, _Worker] = {}
        self._selector = selectors.DefaultSelector()
        self._stopping = False
        self._announced = False
        self._pause = 0.0
        self._start_at = 0.0
        # Its other end is never written: a worker reads the end of file when this process is gone, whatever its end.
        self._alive, self._life_line = os.pipe()

    def run(self) -> None:
        """Returns when all workers have ended after SIGTERM or SIGINT."""
        waking, wake = socket.socketpair()
        waking.setblocking(False)
        wake.setblocking(False)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        self._selector.register(waking, selectors.EVENT_READ)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        while not self._stopping:
            self._start_missing()
            self._wait(waking)
            self._reap()
        self._end_all()

    def _start_missing(self) -> None:
        while len(self._workers) < self._count and time.monotonic() >= self._start_at:
            reading, writing = os.pipe()
            pid = os.fork()
            if pid == 0:
                self._be_a_worker(writing)
            os.close(writing)
            os.set_blocking(reading, False)
            self._workers[pid] = _Worker(pid, reading, time.monotonic())
            self._selector.register(reading, selectors.EVENT_READ, pid)

    def _be_a_worker(self, writing: int) -> None:
        """Never returns."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            self._selector.close()
            os.close(self._life_line)
            for worker in self._workers.values():
                os.close(worker.ready)
            self._serve(lambda: os.close(writing) if os.write(writing, _READY) else None, self._alive)
            code = 0
        except PrivysealError as error:
            _log.error("[%d] %s", error.code, error.what)
        finally:
            if sys.exc_info()[0] is not None:
                traceback.print_exc()
            logging.shutdown()
            os._exit(code)

    def _wait(self, waking: socket.socket) -> None:
        limit = max(0.0, self._start_at - time.monotonic()) if len(self._workers) < self._count else None
        for key, _ in self._selector.select(limit):
            if key.data is None:
                waking.recv(4096)
                continue
            self._selector.unregister(key.fd)
            self._workers[key.data].is_ready = os.read(key.fd, 1) == _READY
        if not self._announced and sum(worker.is_ready for worker in self._workers.values()) == self._count:
            self._announced = True
            self._on_ready()

    def _reap(self) -> None:
        for worker in list(self._workers.values()):
            pid, how = os.waitpid(worker.pid, os.WNOHANG)
            if pid == 0:
                continue
            self._forget(worker)
            if self._stopping:
                continue
            if time.monotonic() - worker.started > _LIVED_WELL:
                self._pause = 0.0
            _log.error(
                "worker %d ended with %d; the next starts in %.1f s", pid, os.waitstatus_to_exitcode(how), self._pause
            )
            self._start_at = time.monotonic() + self._pause
            self._pause = min(max(self._pause * 2, _FIRST_PAUSE), _LONGEST_PAUSE)

    def _forget(self, worker: _Worker) -> None:
        del self._workers[worker.pid]
        if worker.ready in self._selector.get_map():
            self._selector.unregister(worker.ready)
        os.close(worker.ready)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _end_all(self) -> None:
        until = time.monotonic() + _FAREWELL
        for worker in self._workers.values():
            os.kill(worker.pid, signal.SIGTERM)
        while self._workers and time.monotonic() < until:
            self._reap()
            time.sleep(0.02)
        for worker in list(self._workers.values()):
            _log.error("worker %d did not end in %.0f s and is killed", worker.pid, _FAREWELL)
            os.kill(worker.pid, signal.SIGKILL)
            os.waitpid(worker.pid, 0)
            self._forget(worker)
