# SPDX-License-Identifier: Apache-2.0
"""A TCP relay in front of a server: passes everything, until a test takes answers away or cuts the line."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_PIECE = 65536


class Relay:
    """Listens on a free port of the server's own address, so that its name and certificate still fit."""

    def __init__(self, address: str, port: int) -> None:
        self._target = (address, port)
        self._listener = socket.create_server((address, 0))
        self.port: int = self._listener.getsockname()[1]
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._answers_left: int | None = None
        self.round_trips = 0
        """Questions that were answered so far."""
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._thread = threading.Thread(target=self._accept, name="relay", daemon=True)
        self._thread.start()

    def pass_answers(self, number: int | None) -> None:
        """So many answers still reach the client; the next is lost with its connection. None: all reach it."""
        with self._lock:
            self._answers_left = number

    def cut(self) -> None:
        """Ends every connection at once; new ones are taken."""
        with self._lock:
            for pair in self._pairs:
                for end in pair:
                    end.shutdown(socket.SHUT_RDWR)
            self._pairs.clear()

    def close(self) -> None:
        """Ends everything."""
        self._closing.set()
        self._thread.join(5)
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            if not select.select([self._listener], [], [], 0.1)[0]:
                continue
            near, _ = self._listener.accept()
            far = socket.create_connection(self._target)
            with self._lock:
                self._pairs.append((near, far))
            threading.Thread(target=self._carry, args=(near, far), name="relayed", daemon=True).start()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        asked = True
        with near, far:
            while True:
                ready = select.select([near, far], [], [])[0]
                try:
                    piece = (near if near in ready else far).recv(_PIECE)
                    if not piece:
                        break
                    if near in ready:
                        asked = True
                        far.sendall(piece)
                        continue
                    # Answers are counted by turns: what follows a question until the next one is one answer.
                    if asked and self._is_lost():
                        break
                    self.round_trips += asked
                    asked = False
                    near.sendall(piece)
                except OSError:
                    break
            with self._lock:
                self._pairs = [pair for pair in self._pairs if pair[0] is not near]

    def _is_lost(self) -> bool:
        with self._lock:
            if self._answers_left is None:
                return False
            self._answers_left -= 1
            return self._answers_left < 0


@contextmanager
def relayed(address: str, port: int) -> Iterator[Relay]:
    """A relay for one block."""
    relay = Relay(address, port)
    try:
        yield relay
    finally:
        relay.close()
