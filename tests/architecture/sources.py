# SPDX-License-Identifier: Apache-2.0
"""The files of the project as the rules see them: path, text and, for Python, the syntax tree."""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from tests.outside.tools import ROOT


@dataclass(frozen=True, slots=True)
class Source:
    """One text file; ``path`` is relative to the checkout, with slashes."""

    path: str
    text: str

    @property
    def is_python(self) -> bool:
        """Whether it is a Python module."""
        return self.path.endswith(".py")

    @property
    def is_shell(self) -> bool:
        """Whether it is a shell script, by its name or its first line."""
        first = self.text.partition("\n")[0]
        return self.path.endswith((".sh", ".bash")) or (first.startswith("#!") and first.endswith("sh"))

    @property
    def in_package(self) -> str:
        """Path below src/privyseal, or empty for everything else."""
        return self.path.removeprefix("src/privyseal/") if self.path.startswith("src/privyseal/") else ""

    @property
    def tree(self) -> ast.Module:
        """The module's syntax tree."""
        return _parse(self.text)

    def nodes(self) -> Iterator[ast.AST]:
        """Every node of a Python module; none of other files."""
        if self.is_python:
            yield from ast.walk(self.tree)


@functools.cache
def _parse(text: str) -> ast.Module:
    return ast.parse(text)


@functools.cache
def all_sources() -> tuple[Source, ...]:
    """Every text file that git tracks or would track; outside a git checkout, every file below the usual places."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        names = listed.stdout.decode().split("\0")
    else:
        places = [ROOT / name for name in ("src", "tests", "docs", "tools", "bench")]
        found = [path for place in places for path in place.rglob("*") if "__pycache__" not in path.parts]
        names = [str(path.relative_to(ROOT)) for path in (*found, *ROOT.iterdir())]
    return tuple(source for name in sorted(set(names)) if name for source in _read(name))


def _read(name: str) -> Iterator[Source]:
    path = ROOT / name
    if not path.is_file() or path.is_symlink():
        return
    raw = path.read_bytes()
    if b"\0" not in raw:
        yield Source(name, raw.decode("utf-8"))
