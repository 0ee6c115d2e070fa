# SPDX-License-Identifier: Apache-2.0
"""The contract in .importlinter holds for the tree as it is, and catches what is planted against it."""

from __future__ import annotations

import configparser
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.outside.tools import ROOT, Ran, run

CONTRACT = ROOT / ".importlinter"
STUB = '# SPDX-License-Identifier: Apache-2.0\n"""Named in the contract, not yet written."""\n'

# File, line that is added to it, and what the report must say.
PLANTED = [
    ("ca/planted.py", "import os", "privyseal.ca.planted -> os"),
    ("ra/planted.py", "from privyseal.protocols import scep", "privyseal.ra.planted -> privyseal.protocols.scep"),
    ("endpoints/planted.py", "from privyseal import store", "privyseal.endpoints.planted -> privyseal.store"),
    ("x509/planted.py", "from privyseal import model", "privyseal.x509.planted -> privyseal.model"),
    ("errors/planted.py", "from privyseal import x509", "privyseal.errors.planted -> privyseal.x509"),
    ("protocols/scep/planted.py", "def f():\n    import time", "privyseal.protocols.scep.planted -> time"),
    ("adapters/planted.py", "from privyseal import store", "privyseal.adapters.planted -> privyseal.store"),
    ("status/planted.py", "from privyseal import ra", "privyseal.status.planted -> privyseal.ra"),
    ("audit/planted.py", "import sqlalchemy.engine", "privyseal.audit.planted -> sqlalchemy"),
    ("utils/__init__.py", "", "not listed as layers: - privyseal.utils"),
]


def _copy_of_the_tree(place: Path) -> Path:
    package = place / "privyseal"
    shutil.copytree(ROOT / "src" / "privyseal", package, ignore=shutil.ignore_patterns("__pycache__"))
    contract = configparser.ConfigParser()
    contract.read(CONTRACT)
    for name in re.findall(r"\w+", contract["importlinter:contract:layers"]["layers"]):
        if not (package / name).is_dir() and not (package / f"{name}.py").exists():
            (package / name).mkdir()
            (package / name / "__init__.py").write_text(STUB)
    return package


def _lint(package: Path) -> Ran:
    # Our own process reads the package by its place, not by what is installed.
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); from importlinter.cli import lint_imports_command as c; c()"
    )
    arguments = ["--config", str(CONTRACT), "--no-cache"]
    return run([sys.executable, "-P", "-c", code, str(package.parent), *arguments], directory=package.parent)


def test_the_contract_holds(tmp_path: Path) -> None:
    seen = _lint(_copy_of_the_tree(tmp_path))
    assert seen.code == 0, seen.text
    assert "3 kept, 0 broken" in seen.text


def test_every_planted_violation_is_caught(tmp_path: Path) -> None:
    package = _copy_of_the_tree(tmp_path)
    for name, line, _ in PLANTED:
        path = package / name
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as file:
            file.write(f"\n{line}\n")
    seen = _lint(package)
    assert seen.code != 0
    unseen = [expected for _, _, expected in PLANTED if expected not in re.sub(r"\s+", " ", seen.text)]
    assert not unseen, f"not caught: {unseen}\n{seen.text}"


@pytest.mark.parametrize("section", ["layers", "neutral", "pure"])
def test_the_contract_names_its_rules(section: str) -> None:
    contract = configparser.ConfigParser()
    contract.read(CONTRACT)
    assert contract[f"importlinter:contract:{section}"]["name"]
