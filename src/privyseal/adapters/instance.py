# SPDX-License-Identifier: Apache-2.0
"""Which processes of this installation are alive, told by locks that the kernel drops when one dies.

A reservation names the process that made it; when its lock can be taken, the process is gone.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Instance:
    """This process's identity, held as long as it lives."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
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
            return True
        except PermissionError:
            return False  # another user's process: nobody can tell, so time settles what it left
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        path.unlink(missing_ok=True)
        return True

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.lock"
