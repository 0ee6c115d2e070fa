# SPDX-License-Identifier: Apache-2.0
"""Webhooks of a real server: made at the command line, sent by the worker, and not lost when the server is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.command_line import CommandLine
from tests.e2e.test_api_server import free_port
from tests.outside.receiver import Receiver, receiver
from tests.outside.tools import ROOT


@pytest.fixture(name="line", scope="module")
def fixture_line(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    line = CommandLine(tmp_path_factory.mktemp("hooks") / "pki")
    line.works("init", "--organization", "Contoso", "--url", "http://127.0.0.1:9")
    line.works("ca", "create", "top", "--root", "--key", "ec:p256")
    return line


@contextmanager
def serving(line: CommandLine, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-P", "-m", "privyseal", "--home", str(line.home), "serve", "--listen"]
    command += [f"127.0.0.1:{free_port()}", "--passphrase-file", str(line.passphrase)]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stderr=file, env={**os.environ, "PYTHONPATH": str(ROOT / "src")})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(there: Callable[[], bool]) -> None:
    for _ in range(300):
        if there():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come")


def subjects(into: Receiver) -> list[str]:
    return [event["subject"] for event in into.events()]


def test_the_command_line_makes_tests_lists_and_deletes(line: CommandLine, tmp_path: Path) -> None:
    with receiver() as into:
        into.secret = line.works("webhook", "create", "siem", into.url, "--event", "device.*").out.strip()
        assert into.secret.startswith("whsec_")
        shown = line.json("webhook", "list")
        assert [(item["name"], item["events"]) for item in shown] == [("siem", ["device.*"])]
        assert "key=k" not in line.works("webhook", "list", "-o", "json").out
        line.works("webhook", "test", "siem")
        line.works("device", "create", "PC-1")
        with serving(line, tmp_path / "log") as process:
            wait_for(lambda: len(into.got) == 2)
            wait_for(lambda: len(line.json("webhook", "deliveries", "siem", "--state", "delivered")) == 2)
            assert {event["type"] for event in into.events()} == {
                "privyseal.webhook.tested",
                "privyseal.device.created",
            }
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) in (0, -signal.SIGTERM)
        assert line("webhook", "create", "siem", into.url).code != 0
        line.works("webhook", "replay", "siem", "--delivery", str(line.json("webhook", "deliveries", "siem")[0]["id"]))
        assert len(line.json("webhook", "deliveries", "siem", "--state", "waiting")) == 1
        line.works("webhook", "delete", "siem")
        assert line.json("webhook", "list") == []
        assert into.secret not in (tmp_path / "log").read_text()


def test_what_happened_before_a_kill_arrives_after_the_restart(line: CommandLine, tmp_path: Path) -> None:
    with receiver() as into:
        into.secret = line.works("webhook", "create", "ops", into.url, "--event", "device.*").out.strip()
        into.answers = [500]
        wanted = [f"device:KILL-{number}" for number in range(20)]
        with serving(line, tmp_path / "log") as process:
            for number in range(10):
                line.works("device", "create", f"KILL-{number}")
            process.kill()
            process.wait()
        for number in range(10, 20):
            line.works("device", "create", f"KILL-{number}")
        with serving(line, tmp_path / "log2"):
            wait_for(lambda: set(subjects(into)) >= set(wanted))
        assert sorted(set(subjects(into))) == sorted(wanted)
        by_id = {headers["webhook-id"]: body for headers, body in into.got}
        assert len(by_id) == 20, "what came twice came under one id, with one content"
