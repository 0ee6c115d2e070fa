# SPDX-License-Identifier: Apache-2.0
"""The command line, run in this process: the same top loop as the program, with both outputs caught."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from privyseal.cli.main import run


@dataclass(frozen=True, slots=True)
class Answer:
    """How one command line ended."""

    code: int
    raw: bytes
    err: str

    @property
    def out(self) -> str:
        """Standard output as text."""
        return self.raw.decode("utf-8")

    @property
    def data(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.raw)

    @property
    def error(self) -> Any:
        """Standard error as the one JSON object that it must be."""
        return json.loads(self.err)


@dataclass(frozen=True, slots=True)
class CommandLine:
    """Commands against one installation below ``place``."""

    place: Path

    @property
    def home(self) -> Path:
        """The installation."""
        return self.place / "home"

    @property
    def passphrase(self) -> Path:
        """Its passphrase file."""
        return self.place / "passphrase"

    def __call__(self, *arguments: str, given: bytes = b"") -> Answer:
        """Run a command with home and passphrase file named."""
        return run_line("--home", str(self.home), "--passphrase-file", str(self.passphrase), *arguments, given=given)

    def works(self, *arguments: str, given: bytes = b"") -> Answer:
        """Run a command that must end with 0."""
        answer = self(*arguments, given=given)
        assert answer.code == 0, f"{arguments} ended with {answer.code}:\n{answer.out}{answer.err}"
        return answer

    def json(self, *arguments: str) -> Any:
        """The JSON that a command prints."""
        return self.works(*arguments, "-o", "json").data


def run_line(*arguments: str, given: bytes = b"") -> Answer:
    """Run one command line."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    stdin = io.TextIOWrapper(io.BytesIO(given), "utf-8")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), mock.patch.object(sys, "stdin", stdin):
        code = run(arguments)
        out.flush()
        err.flush()
        return Answer(code, out.buffer.getvalue(), err.buffer.getvalue().decode("utf-8"))
