# SPDX-License-Identifier: Apache-2.0
"""Documents name only what exists: paths, commands, options, error codes, links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from privyseal.cli.tree import root
from tests.outside.tools import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.md")])


def _commands(text: str) -> Iterator[list[str]]:
    """Every `privyseal ...` or `./run ...` in code, split as a shell would."""
    code = re.findall(r"```(?:console|sh)\n(.*?)```", text, re.DOTALL) + re.findall(r"`(privyseal [a-z][^`\n]*)`", text)
    for block in code:
        for line in block.replace("\\\n", " ").splitlines():
            found = re.match(r"(?:\$ )?(?:privyseal|\./run) ([^#|>&]*)", line.strip())
            if found:
                try:
                    yield shlex.split(found[1])
                except ValueError:
                    continue


def _check(words: list[str]) -> None:
    """The words name a command of the tree, and options that it has."""
    command: click.Command = root()
    context = click.Context(command)
    while isinstance(command, click.Group):
        while words and words[0].startswith("-"):
            words = words[2:] if words[0] in ("--home", "--passphrase-file") else words[1:]
        if not words or words[0].isupper():
            return
        name = words[0]
        found = command.get_command(context, name)
        assert found is not None, f"no command {name!r}"
        command, words = found, words[1:]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        if word.startswith("-") and len(word) > 1:
            assert word.partition("=")[0] in known | {"--help"}, f"{command.name} has no option {word}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_in_documents_exist(document: Path) -> None:
    for words in _commands(document.read_text()):
        _check(list(words))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_cps_map_names_only_paths_that_exist() -> None:
    for path in re.findall(r"`((?:src|tests)/[^`]+)`", (ROOT / "docs" / "cps-map.md").read_text()):
        assert (ROOT / path).exists(), path
