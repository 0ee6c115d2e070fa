# SPDX-License-Identifier: Apache-2.0
"""Starting: fast, nothing heavy for help, init that can be repeated, faults that do not show a stack."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import stat
import sys
import time
from pathlib import Path
from unittest import mock

import pytest

from privyseal.config import load_settings
from tests.command_line import CommandLine, run_line
from tests.outside.tools import run

INIT = ("init", "--organization", "Contoso, Inc.", "--url", "http://127.0.0.1:9")


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


def test_help_comes_in_under_a_quarter_of_a_second() -> None:
    def seconds() -> float:
        begin = time.perf_counter()
        assert run([sys.executable, "-P", "-m", "privyseal", "--help"]).code == 0
        return time.perf_counter() - begin

    assert min(seconds() for _ in range(5)) < 0.25


@pytest.mark.parametrize("words", ["--help", "ca --help", "--version"])
def test_help_imports_nothing_heavy(words: str) -> None:
    code = (
        "import sys; from privyseal.cli.main import run; run(sys.argv[1:]); "
        "print(sorted({'sqlalchemy','cryptography','rich','asyncio','uvicorn','typer','sqlite3'} & set(sys.modules)))"
    )
    seen = run([sys.executable, "-P", "-c", code, *words.split()]).must_work()
    assert seen.out.decode().splitlines()[-1] == "[]"


def test_init_makes_home_passphrase_and_configuration_for_one_user_only(line: CommandLine) -> None:
    answer = line.works(*INIT, "-o", "json")
    assert answer.data["created"] is True
    assert "keep a copy" in answer.err
    assert stat.S_IMODE(line.home.stat().st_mode) == 0o700
    assert stat.S_IMODE(line.passphrase.stat().st_mode) == 0o600
    assert len(line.passphrase.read_text().strip()) == 32
    assert load_settings(line.home).organization == "Contoso, Inc."
    secret = line.passphrase.read_text().strip()
    assert secret not in answer.out + answer.err


def test_init_again_changes_nothing_and_says_so(line: CommandLine) -> None:
    line.works(*INIT)
    line.works("ca", "create", "root", "--root", "--key", "ec:p256")
    before = {path: path.read_bytes() for path in line.place.rglob("*") if path.is_file() and path.suffix != ".lock"}
    answer = line.works(*INIT, "-o", "json")
    assert answer.data["created"] is False
    assert "already so" in answer.err
    assert "already so" in run_line("--home", str(line.home), "init").err  # also without a passphrase file
    after = {path: path.read_bytes() for path in before}
    assert {path.name for path in before if before[path] != after[path]} <= {"privyseal.db-shm", "privyseal.db-wal"}


def test_init_refuses_to_change_a_configuration(line: CommandLine) -> None:
    line.works(*INIT)
    answer = line("-o", "json", "init", "--organization", "Other")
    assert (answer.code, answer.error["code"]) == (6, 9008)
    assert load_settings(line.home).organization == "Contoso, Inc."


def test_init_without_passphrase_file_or_terminal_says_how(line: CommandLine) -> None:
    with mock.patch.dict(os.environ):
        os.environ.pop("PRIVYSEAL_PASSPHRASE_FILE", None)
        answer = run_line("-o", "json", "--home", str(line.home), *INIT)
    assert (answer.code, answer.error["code"]) == (4, 9003)
    assert not (line.home / "privyseal.toml").exists()


def test_init_with_https_is_refused_and_makes_nothing(line: CommandLine) -> None:
    answer = line("init", "--organization", "X", "--url", "https://pki.example.com", "-o", "json")
    assert (answer.code, answer.error["code"]) == (1, 9002)
    assert not line.home.exists()


def test_init_does_not_take_over_an_open_directory_that_holds_something(line: CommandLine) -> None:
    line.home.mkdir(mode=0o755)
    line.home.chmod(0o755)
    (line.home / "somebody's").write_text("x")
    answer = line(*INIT, "-o", "json")
    assert answer.error["code"] == 9013
    assert f"chmod 700 {line.home}" in answer.error["mend"]


def test_without_installation_it_says_so(line: CommandLine) -> None:
    answer = line("ca", "list", "-o", "json")
    assert (answer.code, answer.error["code"]) == (6, 9001)
    assert set(answer.error) == {"code", "title", "what", "why", "mend"}


def test_an_error_has_what_why_mend_and_more(line: CommandLine) -> None:
    line.works(*INIT)
    answer = line("ca", "get", "nobody")
    assert answer.code == 3
    assert answer.out == ""
    lines = answer.err.splitlines()
    assert lines[0] == "error[9007] There is no such object"
    assert [text[:8] for text in lines[1:]] == ["  what  ", "  why   ", "  mend  ", "  more  "]
    assert lines[-1] == "  more  privyseal explain 9007"


def test_a_wrong_or_missing_passphrase_is_exit_4(line: CommandLine) -> None:
    line.works(*INIT)
    line.passphrase.write_text("wrong")
    answer = line("ca", "create", "root", "--root", "-o", "json")
    assert (answer.code, answer.error["code"]) == (4, 9004)
    line.passphrase.unlink()
    assert line("ca", "create", "root", "--root", "-o", "json").error["code"] == 9003
    assert line.works("ca", "list", "-o", "json").data == []


@pytest.mark.parametrize("words", ["nonsense", "ca create", "ca create x", "ca list -o pem", "ca list --nonsense"])
def test_wrong_usage_is_exit_2(line: CommandLine, words: str) -> None:
    line.works(*INIT)
    answer = line(*words.split())
    assert answer.code == 2
    assert answer.out == ""
    assert "Error" in answer.err


def test_what_nobody_expected_becomes_an_incident_and_a_trace_in_the_log_only(line: CommandLine) -> None:
    line.works(*INIT)
    with mock.patch("privyseal.cli.authorities._in_order", side_effect=RuntimeError("the secret detail")):
        answer = line("ca", "list", "-o", "json")
    assert (answer.code, answer.error["code"]) == (1, 9000)
    assert "secret detail" not in answer.out + answer.err
    assert "Traceback" not in answer.err
    log = line.home / "privyseal.log"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert answer.error["incident"] in log.read_text()
    assert "the secret detail" in log.read_text()


def test_ctrl_c_is_exit_130(line: CommandLine) -> None:
    line.works(*INIT)
    with mock.patch("privyseal.cli.authorities._in_order", side_effect=KeyboardInterrupt):
        assert line("ca", "list").code == 130


def test_quiet_says_nothing_but_the_result(line: CommandLine) -> None:
    assert line.works("-q", *INIT).err == ""
    assert line.works("device", "create", "a", "-q").err == ""


@pytest.mark.parametrize("form", ["table", "json"])
def test_a_name_that_the_terminal_cannot_show_is_no_fault(line: CommandLine, form: str) -> None:
    line.works(*INIT)
    line.works("user", "create", "ada", "--display-name", "Ädä")
    words = ["--home", str(line.home), "user", "get", "ada", "-o", form]
    environment = {"PYTHONIOENCODING": "ascii"}
    seen = run([sys.executable, "-P", "-m", "privyseal", *words], environment=environment).must_work()
    shown = json.loads(seen.out)["display_name"] if form == "json" else seen.out.decode("ascii")
    assert ("Ädä" if form == "json" else "\\xc4d\\xe4") in shown


def test_on_a_terminal_init_asks_twice_for_the_passphrase(line: CommandLine) -> None:
    words = [sys.executable, "-P", "-m", "privyseal", "--home", str(line.home), "init"]
    environment = {name: value for name, value in os.environ.items() if name != "PRIVYSEAL_PASSPHRASE_FILE"}
    child, terminal = pty.fork()
    if child == 0:  # pragma: no cover - the other process
        os.execve(sys.executable, words, environment)
    seen = b""
    for question, answer in (
        (b"Organization", b"T"),
        (b"URL", b"http://127.0.0.1:9"),
        (b"keys:", b"a b c"),
        (b":", b"a b c"),
    ):
        while question not in seen:
            seen += os.read(terminal, 1024)
        seen = b""
        os.write(terminal, answer + b"\n")
    with contextlib.suppress(OSError):  # how a terminal ends on Linux
        while more := os.read(terminal, 1024):
            seen += more
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, seen
    assert b"a b c" not in seen
    line.passphrase.write_text("a b c\n")
    line.passphrase.chmod(0o600)
    seen_by = run([*words[:-1], "--passphrase-file", line.passphrase, "doctor"])  # as a program: tests stretch less
    assert "the passphrase opens the keys" in seen_by.text, seen_by.text
