# SPDX-License-Identifier: Apache-2.0
"""The command tree: everything in it loads, teaches, and its examples are command lines that parse."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib.resources import files

import click
import pytest

from privyseal.cli.explain import all_codes, runbook
from privyseal.cli.session import Session
from privyseal.cli.tree import TREE, Branch, Leaf, load, root
from privyseal.cli.verb import Verb
from tests.command_line import run_line


def leaves(branch: Branch, *path: str) -> Iterator[tuple[str, Leaf]]:
    """Every command with the words that lead to it."""
    for name, item in branch.verbs.items():
        if isinstance(item, Leaf):
            yield " ".join([*path, name]), item
        else:
            yield from leaves(item, *path, name)


LEAVES = dict(leaves(TREE))


def parse(line: str) -> None:
    """Parse a command line down to its last option, without running it."""
    words = shlex.split(line.partition(" | ")[0].partition(" < ")[0])
    assert words.pop(0) == "privyseal"
    command: click.Command = root()
    if words == ["--version"]:
        return
    parent = command.make_context("privyseal", words, obj=Session())
    while isinstance(command, click.Group):
        rest = [*parent._protected_args, *parent.args]
        if not rest:
            return
        name, found, rest = command.resolve_command(parent, rest)
        assert found is not None, line
        if "--help" in rest:
            return
        parent = found.make_context(name, rest, parent=parent)
        command = found


@pytest.mark.parametrize("path", LEAVES)
def test_every_command_loads_and_its_help_teaches(path: str) -> None:
    command = load(LEAVES[path])
    assert isinstance(command, Verb)
    assert command.name == path.split()[-1]
    answer = run_line(*path.split(), "--help")
    assert answer.code == 0
    assert "Examples:\n  privyseal " in answer.out
    assert len((command.help or "").split()) >= 8


@pytest.mark.parametrize("path", LEAVES)
def test_every_example_is_a_command_line_that_parses(path: str) -> None:
    command = load(LEAVES[path])
    assert isinstance(command, Verb)
    assert any(line.startswith(f"privyseal {path}") for line in command.examples)
    for line in command.examples:
        parse(line)


@pytest.mark.parametrize("code", all_codes())
def test_the_commands_of_a_runbook_parse(code: int) -> None:
    found = re.findall(r"^    (privyseal .*)$", runbook(code), re.MULTILINE)
    for line in found:
        parse(line.replace("SERIAL", "0a1b").replace("HEAD", "0a1b"))


@pytest.mark.parametrize("code", all_codes())
def test_a_runbook_says_meaning_cause_mend_and_proof(code: int) -> None:
    text = runbook(code)
    assert text.startswith(f"# {code} {all_codes()[code].title}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["What it means", "Find the cause", "Mend it", "Mended when"]
    assert 15 <= text.count("\n") <= 60


def test_the_texts_that_errors_give_name_commands_that_exist() -> None:
    for kind in all_codes().values():
        for way in kind.default_mend:
            for line in re.findall(r"privyseal (?:[a-z]+ )+", way):
                words = [word for word in line.split()[1:] if word in TREE.verbs or word in " ".join(LEAVES)]
                assert words, f"{kind.__name__}: {way}"


def test_a_noun_is_known_by_its_plural() -> None:
    assert run_line("profiles", "--help").code == 0
    assert run_line("cas", "--help").code == 0


def test_the_runbooks_are_in_the_package() -> None:
    names = {item.name for item in (files("privyseal") / "runbooks").iterdir()}
    assert names == {f"{code}.md" for code in all_codes()}
