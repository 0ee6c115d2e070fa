# SPDX-License-Identifier: Apache-2.0
"""Project files agree with each other and with the code: dependencies, locks, programs, and what is in the wheel."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hatchling.build import build_wheel

from tests.architecture.sources import Source, all_sources
from tests.outside.tools import PACKAGES, ROOT

MARKED_BROKEN_AT_MOST = 12


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def distribution(requirement: str) -> str:
    """Name of the distribution at the start of a requirement."""
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower()


def third_party(sources: list[Source]) -> set[str]:
    """Top-level packages that are imported, or named as a plug-in of uvicorn, and are neither ours nor Python's."""
    found: set[str] = set()
    for source in sources:
        for node in source.nodes():
            if isinstance(node, ast.Import):
                found.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module.partition(".")[0])
                found.update({"httptools"} & {node.module.rpartition(".")[2].removesuffix("_impl")})
            elif isinstance(node, ast.Constant) and node.value in {"uvloop", "httptools"}:
                found.add(str(node.value))
    return found - set(sys.stdlib_module_names) - {"privyseal"}


def test_declared_dependencies_are_those_that_are_imported(project: dict[str, Any]) -> None:
    declared = {distribution(line) for line in project["project"]["dependencies"]}
    # The extra `ad` is imported late, by name, and by one program of its own, so that nothing else needs it; the
    # extra `postgresql` by modules that only an installation with such a store imports.
    extras = project["project"]["optional-dependencies"]
    assert {distribution(line) for line in extras["ad"]} == {"python-ldap"}
    apart = re.compile(r"adapters/ldap_ticket\.py|store/postgresql(_line)?\.py")
    sources = [source for source in all_sources() if source.in_package]
    assert third_party([source for source in sources if not apart.fullmatch(source.in_package)]) == declared
    late = third_party([source for source in sources if source.in_package.startswith("store/postgresql")])
    assert late - declared == {distribution(line) for line in extras["postgresql"]} == {"psycopg"}


def test_an_undeclared_import_would_be_found() -> None:
    text = "import os, json\nfrom requests.auth import X\nfrom . import y\nimport privyseal\nloop = 'uvloop'\n"
    assert third_party([Source("src/privyseal/planted.py", text)]) == {"requests", "uvloop"}


def test_every_dependency_has_an_upper_bound(project: dict[str, Any]) -> None:
    lines = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    lines += [line for extra in project["project"]["optional-dependencies"].values() for line in extra]
    assert [line for line in lines if "<" not in line or ">=" not in line] == []


def pins(name: str) -> dict[str, str]:
    """Distribution -> version of a lock file."""
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / name).read_text(), re.MULTILINE))


def test_the_locks_agree_and_hold_every_dependency(project: dict[str, Any]) -> None:
    shipped, tested = pins("requirements.lock"), pins("requirements-dev.lock")
    assert shipped.items() <= tested.items()
    for name, lines in project["project"]["optional-dependencies"].items():
        extra = pins(f"requirements-{name}.lock")
        assert shipped.items() <= extra.items()
        assert [one for one in extra.keys() & tested.keys() if extra[one] != tested[one]] == []
        assert {distribution(line) for line in lines} <= extra.keys()
    assert {distribution(line) for line in project["project"]["dependencies"]} <= shipped.keys()
    assert {distribution(line) for line in project["dependency-groups"]["dev"]} <= tested.keys()


@pytest.mark.parametrize("name", sorted(path.name for path in ROOT.glob("requirements*.lock")))
def test_every_locked_package_has_hashes_and_no_place(name: str) -> None:
    text = (ROOT / name).read_text()
    assert not re.search(r"://|--index|--find-links|--trusted", text)
    for entry in re.split(r"^(?=\w)", text, flags=re.MULTILINE):
        assert entry.startswith("#") or "--hash=sha256:" in entry, entry


def test_the_test_command_installs_every_program_that_a_test_may_ask_for() -> None:
    listed = re.search(r"^packages=\(([^)]*)\)", (ROOT / "test").read_text(), re.MULTILINE)
    assert listed
    assert {package for packages in PACKAGES.values() for package in packages} == set(listed[1].split())


def test_few_tests_are_marked_as_broken_on_purpose_and_all_say_why() -> None:
    marks = [
        (source.path, node)
        for source in all_sources()
        if source.path.startswith("tests/") and not source.path.startswith("tests/architecture/")
        for node in source.nodes()
        if isinstance(node, ast.Attribute) and node.attr == "broken_on_purpose"
    ]
    assert len(marks) <= MARKED_BROKEN_AT_MOST, f"{len(marks)} marks: objects that nobody looks at"


def test_the_wheel_holds_the_package_with_its_texts_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    wheel = tmp_path / build_wheel(str(tmp_path))
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        information = next(name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(information).decode()
        entry_points = archive.read(information.replace("METADATA", "entry_points.txt")).decode()
    package = ROOT / "src" / "privyseal"
    wanted = {
        f"privyseal/{path.relative_to(package)}"
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == wanted
    assert "License-Expression: Apache-2.0" in metadata
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "privyseal = privyseal.__main__:main" in entry_points
