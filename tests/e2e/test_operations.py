# SPDX-License-Identifier: Apache-2.0
"""The real server as operators see it: readiness told to systemd, metrics for Prometheus, log lines without secrets."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from privyseal.bootstrap.metrics import collect
from privyseal.config import load_settings
from privyseal.endpoints.metrics import exposition
from privyseal.errors import ConfigurationInvalid
from privyseal.model.access import Role
from privyseal.serve.logs import JsonLines
from tests.api import ApiHouse, fixture_api
from tests.command_line import run_line
from tests.device import Device
from tests.installation import PASSPHRASE, Installation, Installations, new_home
from tests.outside.tools import ROOT, require_tool, run

__all__ = ["fixture_api"]


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Served:
    """A server process started as a unit would start it."""

    home: Path
    log: Path
    port: int
    metrics: int
    told: list[str]

    def get(self, port: int, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return str(answer.read().decode())


@contextmanager
def served(place: Path, *, workers: int = 1) -> Iterator[Served]:
    """`privyseal serve` with a socket of a service manager, JSON log lines and metrics."""
    home, log, socket_path = new_home(place), place / "stderr", place / "notify"
    secret = place / "passphrase"
    secret.write_text(PASSPHRASE)
    secret.chmod(0o600)
    found = Served(home, log, free_port(), free_port(), [])
    settings = f'\nmetrics_listen = "127.0.0.1:{found.metrics}"\nlog_format = "json"\n'
    path = home / "privyseal.toml"
    path.write_text(path.read_text() + settings)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, log.open("wb") as stderr:
        manager.bind(str(socket_path))
        manager.settimeout(40)
        command = [sys.executable, "-P", "-m", "privyseal", "--home", str(home), "-q", "serve"]
        command += ["--passphrase-file", str(secret), "--listen", f"127.0.0.1:{found.port}", "--workers", str(workers)]
        environment = {**os.environ, "NOTIFY_SOCKET": str(socket_path), "PYTHONPATH": str(ROOT / "src")}
        process = subprocess.Popen(command, stderr=stderr, env=environment, cwd=place)
        try:
            found.told.append(manager.recv(2048).decode())
            yield found
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) in (0, -signal.SIGTERM)
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize("workers", [1, 2])
def test_the_service_manager_is_told_when_every_process_serves(tmp_path: Path, workers: int) -> None:
    with served(tmp_path, workers=workers) as server:
        assert server.told == [f"READY=1\nSTATUS=serving on 127.0.0.1:{server.port}"]
        assert server.get(server.port, "/livez") == "ok\n"
        assert "pki_signer_up 1" in server.get(server.metrics, "/metrics")


def test_metrics_are_read_by_prometheus_and_not_on_the_public_port(tmp_path: Path) -> None:
    promtool = require_tool("promtool")
    with served(tmp_path) as server:
        text = server.get(server.metrics, "/metrics")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            server.get(server.port, "/metrics")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            server.get(server.metrics, "/crl/issuing/v1.crl")
    assert run([promtool, "check", "metrics"], given=text.encode()).must_work().text == ""
    assert re.search(r'^pki_crl_number\{authority="issuing",version="1",form="base"\} \d+$', text, re.MULTILINE)
    assert 'pki_authority_info{authority="root",version="1",type="root",status="active"} 1' in text


def test_counters_count_each_thing_once_and_only_go_up(installation: Installation) -> None:
    device = Device(installation)
    installation.work()
    before = counters(installation)
    device.enroll()
    installation.revoke(device.enroll())
    installation.post(f"/scep/{device.profile}?operation=PKIOperation", b"not a message")
    for _ in range(3):
        installation.work()
    after = counters(installation)
    assert all(after[name] >= value for name, value in before.items())
    issued = 'pki_enrollments_total{"profile":"wifi-device","result":"issued"}'
    assert after[issued] - before.get(issued, 0) == 2
    assert after['pki_revocations_total{"reason":"privilege-withdrawn"}'] == 1
    assert sum(value for name, value in after.items() if name.startswith("pki_enrollment_failures_total")) == 1
    total = sum(value for name, value in after.items() if name.startswith("pki_events_total"))
    assert total == installation.count("audit")


def counters(installation: Installation) -> dict[str, int]:
    found = installation.app.tallies.all()
    return {f"{one.name}{json.dumps(dict(one.labels), separators=(',', ':'))}": one.value for one in found}


def test_metrics_are_served_on_the_loopback_only(tmp_path: Path) -> None:
    home = new_home(tmp_path)
    path = home / "privyseal.toml"
    for wrong in ('metrics_listen = "0.0.0.0:9464"', 'metrics_listen = ":9464"', 'log_format = "xml"'):
        path.write_text(path.read_text().partition("metrics")[0].partition("log_f")[0] + f"\n{wrong}\n")
        with pytest.raises(ConfigurationInvalid):
            load_settings(home)


def test_the_alert_rules_are_good_and_fire_when_they_should() -> None:
    promtool = require_tool("promtool")
    rules = ROOT / "packaging" / "prometheus"
    run([promtool, "check", "rules", rules / "alerts.yml"]).must_work()
    run([promtool, "test", "rules", rules / "alerts_test.yml"]).must_work()


def test_alerts_ask_only_for_metrics_that_there_are(installation: Installation) -> None:
    installation.work()
    known = {metric.name for metric in collect(installation.app)}
    asked = set(re.findall(r"\bpki_[a-z_]+", (ROOT / "packaging/prometheus/alerts.yml").read_text()))
    assert asked - known == set()


def test_log_lines_are_json_with_code_and_incident_and_hold_no_secret(
    tmp_path: Path, installations: Installations
) -> None:
    secrets = [PASSPHRASE]
    with served(tmp_path) as server:
        beside = installations.open(server.home)
        device = Device(beside)
        for _ in range(2):
            secrets.append(device.challenge())
            send(server, device, device.message(device.csr(challenge=secrets[-1])).message)
        send(server, device, device.message(device.csr(challenge=secrets[-1])).message)  # used before
        secrets.append("guess-0123456789abcdef")
        send(server, device, device.message(device.csr(challenge=secrets[-1])).message)
        with pytest.raises(urllib.error.HTTPError, match="400"):
            send(server, device, b"not a message")
        told = server.get(server.metrics, "/metrics")
        rows = repr(beside.rows("SELECT * FROM audit")) + repr(beside.rows("SELECT * FROM enrollments"))
        keys = [path.read_text().splitlines()[3] for path in (server.home / "keys").glob("*.pem")]
    text = server.log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert lines
    for line in lines:
        assert {"time", "level", "event", "message"} <= line.keys()
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    refused = [line for line in lines if line.get("code") == 8003]
    assert refused, text
    assert all(re.fullmatch(r"[0-9a-f]{12}", line["incident"]) for line in refused)
    for secret in (*secrets, *keys, "PRIVATE KEY"):
        assert secret not in text
        assert secret not in rows
        assert secret not in told


def send(server: Served, device: Device, message: bytes) -> None:
    url = f"http://127.0.0.1:{server.port}/scep/{device.profile}?operation=PKIOperation"
    with urllib.request.urlopen(url, data=message, timeout=20) as answer:
        assert answer.status == 200


def test_check_speaks_as_monitoring_plug_ins_do(tmp_path: Path, installations: Installations) -> None:
    home = new_home(tmp_path)
    secret = tmp_path / "passphrase"
    secret.write_text(PASSPHRASE)
    secret.chmod(0o600)
    home.chmod(0o700)
    opened = installations.open(home)
    opened.work()
    line = ("--home", str(home), "--passphrase-file", str(secret), "check", "--format", "nagios")
    answer = run_line(*line)
    assert answer.code == 1  # the public URL of the tests leads nowhere
    assert re.fullmatch(
        r"PRIVYSEAL WARNING - public-url: [^|\n]+ \| ok=\d+;;;0;\d+ warning=1;;;0;\d+ critical=0;;;0;\d+\n", answer.out
    )
    opened.change("UPDATE crls SET next_update = 1, this_update = 0")
    answer = run_line(*line)
    assert answer.code == 2
    assert answer.out.startswith("PRIVYSEAL CRITICAL - crl: ")
    answer = run_line("--home", str(tmp_path / "nothing"), "check", "--format", "nagios")
    assert answer.code == 2
    assert "[9001]" in answer.out


def test_a_token_is_in_no_log_line_trail_metric_or_file(api: ApiHouse, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        token = api.token("olga", Role.OWNER)
        wrong = token[:-6] + "aaaaaa"
        assert api.call("GET", "/certificates", token=token).status == 200
        for bad in (wrong, "guess-0123456789abcdef"):
            assert api.call("GET", "/certificates", token=bad).status == 401
            assert api.call("POST", "/webhooks", token=bad, body={"name": bad}).status == 401
        api.call("POST", "/webhooks", token=token, body={"name": "x", "url": f"ftp://example.com/{wrong}"})
    lines = [JsonLines().format(record) for record in caplog.records]
    house = api.installation
    house.work()
    assert any('"code": 8' in line for line in lines)  # refusals are told at all
    told = [*lines, repr(house.rows("SELECT * FROM audit"))]
    told += [exposition(collect(house.app)).decode()]
    told += [path.read_bytes().decode("latin-1") for path in house.home.rglob("*") if path.is_file()]
    secret = token.rpartition("_")[2]
    for text in told:
        assert token not in text
        assert secret not in text
        assert "guess-0123456789abcdef" not in text
