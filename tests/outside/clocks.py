# SPDX-License-Identifier: Apache-2.0
"""Programs that believe another time, by libfaketime; this process itself does not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.outside.tools import require_tool


def faketime_library() -> Path:
    """What is preloaded."""
    require_tool("faketime")
    return next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


@contextmanager
def clock_off(by: str) -> Iterator[None]:
    """Whatever is started in this block with our environment lives ``by`` earlier or later: -2h, +10d."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("LD_PRELOAD", str(faketime_library()))
        patched.setenv("FAKETIME", by)
        yield


@contextmanager
def program_off(name: str, place: Path, *, by: str) -> Iterator[None]:
    """Who looks for the program ``name`` in this block finds one that lives ``by`` earlier or later."""
    wrapper = place / name
    wrapper.write_text(f'#!/bin/sh\nexec {require_tool("faketime")} -f {by} {require_tool(name)} "$@"\n')
    wrapper.chmod(0o755)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PATH", f"{place}:{os.environ['PATH']}")
        yield
