# SPDX-License-Identifier: Apache-2.0
"""Which processes of this installation are alive, told by locks that the kernel drops when one dies.

A reservation names the process that made it; when its lock can be taken, the process is gone.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Final

_KEPT_SECONDS: Final = 24 * 3600
"""How long the lock of a process that is gone tells others of it, where the store is shared."""


class Instance:
    """This process's identity, held as long as it lives.

    ``alone``: every process that uses the store has its lock in this directory. Where machines share a store, one
    that has none here may live elsewhere.
    """

    def __init__(self, directory: Path, *, alone: bool = True) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._alone = alone
        self.name = os.urandom(8).hex()
        self._descriptor = os.open(self._path(self.name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def close(self) -> None:
        """Give the identity up."""
        self._path(self.name).unlink(missing_ok=True)
        os.close(self._descriptor)

    def is_gone(self, name: str) -> bool:
        """True when the process of that name no longer runs."""
        if name == self.name:
            return False
        path = self._path(name)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return self._alone
        except PermissionError:
            return False  # another user's process: nobody can tell, so time settles what it left
        try:
            forgettable = self._alone or os.fstat(descriptor).st_mtime < time.time() - _KEPT_SECONDS
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        if forgettable:
            path.unlink(missing_ok=True)
        return True

    def others(self) -> tuple[str, ...]:
        """Names of the other processes of this directory that are alive."""
        names = [path.stem for path in self._directory.glob("*.lock") if path.stem != self.name]
        return tuple(name for name in names if not self.is_gone(name))

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.lock"
