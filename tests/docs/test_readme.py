# SPDX-License-Identifier: Apache-2.0
"""The README's commands are run word for word, in a copy of the checkout. A promise that breaks fails here."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.outside.tools import ROOT

README: Final = ROOT / "README.md"
SECONDS: Final = 120
WAIT: Final = "for i in $(seq 100); do curl -sf http://127.0.0.1:8080/readyz && break; sleep .1; done"


def _blocks() -> list[list[str]]:
    """The commands of each console block, in order."""
    found = re.findall(r"```console\n(.*?)```", README.read_text(), re.DOTALL)
    return [[line[2:] for line in block.splitlines() if line.startswith("$ ")] for block in found]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What a new user has: the tracked files. The environment is the one that runs these tests."""
    place = tmp_path_factory.mktemp("readme") / "privyseal"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in listed.decode().split("\0"):
        if name and (ROOT / name).is_file():
            target = place / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    for name in ("run",):
        (place / name).write_text(f'#!/bin/sh\nexec "{ROOT / name}" "$@"\n')
    yield place


def test_the_first_screen_is_at_most_forty_lines_and_begins_with_a_session() -> None:
    lines = README.read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("## "))
    assert first <= 40
    assert any(line == "```console" for line in lines[:8])


def test_the_first_block_shows_what_run_really_prints(checkout: Path) -> None:
    process = subprocess.Popen(
        ["./run"], cwd=checkout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    seen = ""
    try:
        assert process.stdout is not None
        for line in process.stdout:
            seen += line
            if "Ctrl-C ends the demo" in line:
                break
        process.send_signal(signal.SIGINT)
        seen += process.communicate(timeout=20)[0]
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, seen
    promised = re.search(r"```console\n(.*?)```", README.read_text(), re.DOTALL)
    assert promised is not None
    for line in promised[1].splitlines():
        if line.startswith("  ✔"):
            words = " ".join(line.split()[:3])
            assert words in " ".join(seen.split()), f"not printed: {words}\n{seen}"


def test_the_other_blocks_run_word_for_word(checkout: Path) -> None:
    blocks = [block for block in _blocks()[1:] if not block[0].startswith("./test")]
    assert blocks, "the README shows no commands"
    script = "set -euo pipefail\n"
    for line in (line for block in blocks for line in block):
        if line.endswith("&"):
            script += f"{line}\nserver=$!\n{WAIT}\n"
        else:
            script += line + "\n"
    script += "kill $server; wait $server || test $? -ge 128\n"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PRIVYSEAL_")}
    begun = time.monotonic()
    done = subprocess.run(
        ["bash", "-c", script], cwd=checkout, env=environment, capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert time.monotonic() - begun < 60
    assert (checkout / "laptop-042").is_dir()
