# SPDX-License-Identifier: Apache-2.0
"""Where an outside program runs: on this machine, or in the Debian 13 root directory with newer versions."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.outside.tools import SECONDS, Ran, require_chroot, require_tool, run

HOST, TRIXIE = "host", "trixie"
PLACES: Final = (HOST, TRIXIE)


class Place:
    """A fresh directory, and programs that run in it; paths in commands are relative to it."""

    def __init__(self, name: str, scratch: Path) -> None:
        self.name = name
        self._root: Path | None = None
        self.directory = scratch
        if name == TRIXIE:
            self._root = require_chroot()
            self.directory = Path(tempfile.mkdtemp(prefix="privyseal-", dir=self._root / "tmp"))
            self.directory.chmod(0o755)

    def run(
        self, command: Sequence[str], *, seconds: float = SECONDS, environment: Mapping[str, str] | None = None
    ) -> Ran:
        """Runs ``command``; skips the test where the program is missing."""
        if self._root is None:
            program = str(require_tool(command[0])) if command[0] != "sh" else "/bin/sh"
            return run([program, *command[1:]], seconds=seconds, directory=self.directory, environment=environment)
        inside = "/" + str(self.directory.relative_to(self._root))
        # `exec`, so that a program that is stopped for its time limit is the one that was started.
        words = ["chroot", str(self._root), "/bin/sh", "-c", 'cd "$0" && exec "$@"', inside, *command]
        return run(words, seconds=seconds, environment=environment)

    def write(self, name: str, content: bytes) -> str:
        """Puts a file there; its name, for commands."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return name

    def read(self, name: str) -> bytes:
        """A file from there, or nothing if it is not there."""
        path = self.directory / name
        return path.read_bytes() if path.is_file() else b""

    def close(self) -> None:
        """Removes what was made inside the chroot; the rest belongs to pytest."""
        if self._root is not None:
            shutil.rmtree(self.directory)
