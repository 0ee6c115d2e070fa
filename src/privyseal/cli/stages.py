# SPDX-License-Identifier: Apache-2.0
"""Stages of a walk, one line each with a tick and its seconds; the stage that fails is named. Talk, no result."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from privyseal.cli.session import printable, tick
from privyseal.errors import PrivysealError


class Stages:
    """Prints as it goes and keeps the seconds of each stage."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self.seconds: dict[str, float] = {}
        self._told = ""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Run a stage; on success print what ``tell`` was given, on failure a cross, and raise on."""
        begun = time.perf_counter()
        self._told = ""
        try:
            yield
        except PrivysealError as error:
            self._print(name, error.title.lower(), good=False)
            raise
        self.seconds[name] = round(time.perf_counter() - begun, 3)
        self._print(name, self._told, good=True)

    def tell(self, text: str) -> None:
        """What the line of the running stage says behind its name."""
        self._told = text

    def _print(self, name: str, text: str, *, good: bool) -> None:
        print(f"  {tick(self._stream, good=good)} {name:<13} {printable(text)}", file=self._stream, flush=True)
