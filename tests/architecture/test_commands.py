# SPDX-License-Identifier: Apache-2.0
"""./run and ./test on machines that lack something: they say what, and one command; a half-made environment is seen."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from tests.outside.tools import ROOT, Ran, run

NEEDED = ("bash", "env", "dirname", "sha256sum", "mkdir", "rm", "mv", "cat", "flock")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A directory for PATH that holds the few programs which every Debian has, and no Python."""
    place = tmp_path / "bin"
    place.mkdir()
    for name in NEEDED:
        found = shutil.which(name)
        if found:
            (place / name).symlink_to(found)
    return place


def python(place: Path, name: str, script: str) -> None:
    (place / name).write_text(f"#!/bin/bash\n{script}\n")
    (place / name).chmod(0o755)


def start(place: Path, venv: Path, *arguments: str) -> Ran:
    return run([str(ROOT / "run"), *arguments], environment={"PATH": str(place), "PRIVYSEAL_VENV": str(venv)})


def bash(code: str, venv: Path) -> Ran:
    source = f'source "{ROOT}/tools/environment.sh"; cd "{ROOT}"; {code}'
    return run(["bash", "-c", source], environment={"PRIVYSEAL_VENV": str(venv)})


def test_without_python_it_says_which_is_needed_and_the_one_command(programs: Path, tmp_path: Path) -> None:
    python(programs, "python3", "exit 1  # too old")
    python(programs, "python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    seen = start(programs, tmp_path / "venv")
    assert seen.code == 1
    assert "Python 3.11 or newer" in seen.text
    assert seen.text.count("mend  sudo apt-get install -y python3 python3-venv") == 1


def test_without_venv_and_pip_it_says_the_one_command(programs: Path, tmp_path: Path) -> None:
    # Debian's python3 alone: no ensurepip, no pip.
    python(programs, "python3", f'[[ $* != *ensurepip* && $* != *"-m pip"* ]] && exec {sys.executable} "$@"; exit 1')
    seen = start(programs, tmp_path / "venv")
    assert seen.code == 1
    assert seen.text.count("mend  sudo apt-get install -y python3-venv") == 1
    assert "Traceback" not in seen.text


def test_the_distributions_python_comes_first_and_any_other_where_it_is_not_on_the_path(programs: Path) -> None:
    python(programs, "python3.13", f'exec {sys.executable} "$@"')
    look = ["bash", "-c", f'source "{ROOT}/tools/environment.sh"; find_python']
    assert run(look, environment={"PATH": str(programs)}).text.strip() == "python3.13"
    own = Path("/usr/bin/python3")
    if not own.exists() or run([str(own), "-c", "import ensurepip, sys; sys.exit(sys.version_info < (3, 11))"]).code:
        pytest.skip("the distribution's Python is older than 3.11, or cannot make an environment")
    assert run(look, environment={"PATH": f"{programs}:/usr/bin"}).text.strip() == str(own)


def test_a_failed_installation_is_not_believed_the_next_time(programs: Path, tmp_path: Path) -> None:
    script = f'[[ $* == *"-m pip"* || $* == *ensurepip* ]] && exit 1; exec {sys.executable} "$@"'
    python(programs, "python3", script.replace("== *ensurepip*", "== *never*"))
    # The environment is made, but its own pip has nowhere to install from.
    seen = run(
        [str(ROOT / "run")],
        environment={
            "PATH": str(programs),
            "PRIVYSEAL_VENV": str(tmp_path / "venv"),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(tmp_path),
            "PIP_CONFIG_FILE": os.devnull,
        },
    )
    assert seen.code == 1, seen.text
    assert "the packages could not be installed" in seen.text
    assert bash("environment_ready requirements.lock", tmp_path / "venv").code == 1


def test_a_directory_without_stamp_or_of_another_lock_is_not_ready(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    assert bash("environment_ready requirements.lock", tmp_path).code == 1
    (tmp_path / "privyseal.stamp").write_text("something else")
    assert bash("environment_ready requirements.lock", tmp_path).code == 1
    made = bash(f'environment_stamp requirements.lock > "{tmp_path}/privyseal.stamp"', tmp_path)
    assert made.code == 0, made.text
    assert bash("environment_ready requirements.lock requirements-dev.lock", tmp_path).code == 0
    assert bash("environment_ready requirements-dev.lock", tmp_path).code == 1


def test_a_second_start_adds_less_than_a_fifth_of_a_second(tmp_path: Path) -> None:
    bash_alone = min(_seconds("true", tmp_path) for _ in range(3))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    bash(f'environment_stamp requirements.lock > "{tmp_path}/privyseal.stamp"', tmp_path)
    look = "environment_ready requirements.lock requirements-dev.lock"
    assert min(_seconds(look, tmp_path) for _ in range(3)) - bash_alone < 0.2


def _seconds(code: str, venv: Path) -> float:
    begin = time.perf_counter()
    assert bash(code, venv).code == 0
    return time.perf_counter() - begin


@pytest.mark.parametrize(
    "name", ["run", "test", ".ci/run", "tools/environment.sh", "tools/lock", "tools/trixie-chroot"]
)
def test_the_scripts_are_valid_bash(name: str) -> None:
    assert run(["bash", "-n", str(ROOT / name)]).code == 0
    assert name.endswith(".sh") or os.access(ROOT / name, os.X_OK)
