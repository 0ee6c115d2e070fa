# SPDX-License-Identifier: Apache-2.0
"""schemathesis over the OpenAPI document of a real server: no 5xx, and no answer that is not documented."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from privyseal.bootstrap.client import connect
from tests.command_line import CommandLine
from tests.e2e.test_api_server import free_port
from tests.outside.tools import ROOT, run

# What would end the run's own token, or make every act wait; each has a run of its own.
ENDS_THE_RUN = ("revoke_token", "revoke_role", "set_four_eyes")
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "response_headers_conformance"
)


class Target:
    """A server with its API on the loopback, and tokens."""

    def __init__(self, place: Path) -> None:
        self.line, self.port, self.log = CommandLine(place / "pki"), free_port(), place / "log"
        self.line.works("init", "--organization", "Contoso", "--url", "http://127.0.0.1:9")
        for name, more in (("contoso-root", ("--root",)), ("contoso-issuing", ("--parent", "contoso-root"))):
            self.line.works("ca", "create", name, "--key", "ec:p256", *more)
        self.line.works("profile", "create", "wifi-device", "--san", "dns:{{device.dns_name}}")
        self.line.works("device", "create", "LAPTOP-042", "--dns-name", "laptop.contoso.com")
        with (self.line.home / "privyseal.toml").open("a") as file:
            file.write(f'api_listen = "127.0.0.1:{self.port}"\n')
        self.tokens = [self._token(person) for person in ("ada", "bob")]

    def _token(self, person: str) -> str:
        self.line.works("role", "grant", person, "owner")
        return self.line.works("token", "create", f"{person}-1", "--owner", person, "--role", "owner").out.strip()

    def fuzz(self, token: str, *more: str, under: str = "/api/v1") -> str:
        """Run schemathesis; what it says."""
        command = [
            str(Path(sys.executable).parent / "schemathesis"), "run",
            f"http://127.0.0.1:{self.port}{under}/openapi.json", "-H", f"Authorization: Bearer {token}",
            "--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "-n", "8", "--seed", "1", "--no-color", *more,
        ]  # fmt: skip
        seen = run(command, environment={"PATH": os.environ["PATH"]}, seconds=120)
        assert seen.code == 0, seen.text[-6000:]
        return seen.text


@pytest.fixture(name="target", scope="module")
def fixture_target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    target = Target(tmp_path_factory.mktemp("fuzz"))
    command = [sys.executable, "-P", "-m", "privyseal", "--home", str(target.line.home)]
    command += ["serve", "--listen", f"127.0.0.1:{free_port()}", "--passphrase-file", str(target.line.passphrase)]
    with target.log.open("wb") as log:
        process = subprocess.Popen(command, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT / "src")})
    try:
        for _ in range(300):
            assert process.poll() is None, target.log.read_text()
            if b"  api   " in target.log.read_bytes():
                break
            time.sleep(0.1)
        yield target
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        process.wait()


def test_no_request_meets_a_5xx_or_an_answer_that_is_not_documented(target: Target) -> None:
    excluded = [word for name in ENDS_THE_RUN for word in ("--exclude-operation-id", name)]
    said = target.fuzz(target.tokens[0], *excluded)
    cases = re.search(r"(\d+) generated, (\d+) passed", said)
    assert cases is not None and int(cases[1]) > 1000 and cases[1] == cases[2]
    log = target.log.read_text()
    assert "[9000]" not in log and "Traceback" not in log
    # The run got as far as the logic: most refusals are about content and objects, not about signing in.
    assert log.count("[8302]") + log.count("[8307]") < log.count("[8340]")


def test_the_facade_in_the_form_of_graph_is_no_exception(target: Target) -> None:
    said = target.fuzz(target.tokens[1], "-n", "3", under="/beta")
    cases = re.search(r"(\d+) generated, (\d+) passed", said)
    assert cases is not None and int(cases[1]) > 500 and cases[1] == cases[2]
    log = target.log.read_text()
    assert "[9000]" not in log and "Traceback" not in log


def test_operations_that_end_the_run_are_no_exception(target: Target) -> None:
    included = [word for name in ENDS_THE_RUN for word in ("--include-operation-id", name)]
    target.fuzz(target.tokens[1], *included)
    assert "[9000]" not in target.log.read_text()


def test_the_audit_trail_holds_after_all_that(target: Target) -> None:
    target.line.works("audit", "verify")
    answer = target.line.json("whoami")
    assert answer["permissions"]


def test_the_health_page_is_there_without_a_token(target: Target) -> None:
    client = connect(f"http://127.0.0.1:{target.port}", "")
    assert client.health().status == "ok"
    client.close()
