# SPDX-License-Identifier: Apache-2.0
"""While a server is in use, a command that has no way to it says so, and never acts on what is here instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command_line import run_line


@pytest.mark.parametrize("words", [("directory", "list"), ("device", "create", "A"), ("access", "first-owner")])
def test_a_command_that_cannot_go_remote_refuses(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PRIVYSEAL_URL", "https://pki.example.com:8443")
    monkeypatch.delenv("PRIVYSEAL_HOME", raising=False)
    refused = run_line(*words, "-o", "json")
    assert refused.error["code"] == 8347 and "pki.example.com" in refused.error["what"]
    # Who names an installation means it.
    assert run_line("--home", str(tmp_path), *words, "-o", "json").error["code"] != 8347
