# SPDX-License-Identifier: Apache-2.0
"""A missing program skips with the way to get it; as root in CI it fails; a program that hangs is ended."""

from __future__ import annotations

import pytest

from tests.outside import tools


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)


def test_a_missing_program_skips_and_names_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs Debian packages: scep"):
        tools.require_tool("scepclient")


def test_in_ci_as_root_a_missing_program_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(pytest.fail.Exception, match="nothing is skipped"):
        tools.require_tool("scepclient")


def test_in_ci_without_root_it_still_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(pytest.skip.Exception):
        tools.require_chroot()


def test_a_program_that_hangs_is_ended_and_reported() -> None:
    ran = tools.run(["/bin/sleep", "60"], seconds=0.1)
    assert ran.code == 124
    with pytest.raises(pytest.fail.Exception, match="not done in"):
        ran.must_work()
