# SPDX-License-Identifier: Apache-2.0
"""The API on its own TLS listener of the real server, used by the command line: tokens, four eyes, exit codes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from privyseal.bootstrap.client import connect
from privyseal.config import Settings, check_settings
from privyseal.errors import ApiNotEncrypted, ConfigurationInvalid, InvalidValue, ServerUnreachable, TokenRefused
from privyseal.model.api.shapes import IssueWish
from privyseal.serve.api import check_api_listener
from tests.command_line import CommandLine
from tests.outside.tools import ROOT, Ran, run


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def server_certificate(place: Path) -> tuple[Path, Path]:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "api")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
        .not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )  # fmt: skip
    (place / "api.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (place / "api.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (place / "api.key").chmod(0o600)
    return place / "api.pem", place / "api.key"


class Service:
    """The server with its API on TLS, and the command line that speaks to it."""

    def __init__(self, place: Path) -> None:
        self.line = CommandLine(place / "pki")
        self.line.works("init", "--organization", "Contoso", "--url", "http://127.0.0.1:9")
        self.line.works("ca", "create", "top", "--root", "--key", "ec:p256")
        self.line.works("ca", "create", "sub", "--parent", "top", "--key", "ec:p256")
        self.line.works("profile", "create", "wifi", "--san", "dns:{{device.dns_name}}")
        self.line.works("device", "create", "LAPTOP", "--dns-name", "laptop.contoso.com")
        self.place, self.port, self.public = place, free_port(), free_port()
        self.certificate, key = server_certificate(place)
        with (self.line.home / "privyseal.toml").open("a") as file:
            file.write(f'api_listen = "127.0.0.1:{self.port}"\n')
            file.write(f'api_certificate = "{self.certificate}"\napi_key = "{key}"\n')
        self.url = f"https://127.0.0.1:{self.port}"

    def token(self, person: str, role: str) -> Path:
        file = self.place / f"{person}.token"
        self.line.works("role", "grant", person, role)
        self.line.works("token", "create", f"{person}-1", "--owner", person, "--role", role, "--out", str(file))
        return file

    def remote(self, token: Path, *arguments: str) -> Ran:
        environment = {
            **os.environ, "PRIVYSEAL_URL": self.url, "PRIVYSEAL_TOKEN_FILE": str(token),
            "PRIVYSEAL_CA_FILE": str(self.certificate), "PYTHONPATH": str(ROOT / "src"),
        }  # fmt: skip
        return run([sys.executable, "-P", "-m", "privyseal", *arguments], environment=environment)


@pytest.fixture(name="service", scope="module")
def fixture_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("api"))
    command = [sys.executable, "-P", "-m", "privyseal", "--home", str(service.line.home)]
    command += ["serve", "--listen", f"127.0.0.1:{service.public}", "--passphrase-file", str(service.line.passphrase)]
    log = (service.place / "log").open("wb")
    process = subprocess.Popen(command, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT / "src")})
    try:
        _wait(service, process)
        yield service
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, -signal.SIGTERM), "SIGTERM ends both listeners"
    finally:
        process.kill()
        process.wait()
        log.close()


def _wait(service: Service, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert process.poll() is None, (service.place / "log").read_text()
        try:
            socket.create_connection(("127.0.0.1", service.port), 0.2).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the API does not listen")


def test_a_token_signs_in_over_tls_and_the_client_issues(service: Service) -> None:
    secret = service.token("ada", "operator").read_text().strip()
    client = connect(service.url, secret, ca_file=str(service.certificate))
    assert client.whoami().name == "token:ada-1"
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    csr = request.sign(ec.generate_private_key(ec.SECP256R1()), SHA256()).public_bytes(Encoding.PEM).decode()
    made = client.issue(IssueWish(profile="wifi", device="LAPTOP", csr=csr))
    found = [item.serial for item in client.certificates("profile:wifi")]
    assert found == [made.serial] and client.certificate(made.serial).certificate == made.certificate
    assert {item.name for item in client.authorities()} == {"top", "sub"}
    client.close()
    wrong = secret[:-1] + ("y" if secret.endswith("x") else "x")
    with (
        contextlib.closing(connect(service.url, wrong, ca_file=str(service.certificate))) as stranger,
        pytest.raises(TokenRefused),
    ):
        stranger.whoami()
    # Nobody vouches for that certificate.
    with contextlib.closing(connect(service.url, secret)) as careful, pytest.raises(ServerUnreachable):
        careful.whoami()


def test_a_head_without_end_does_not_hold_the_listener_of_the_api(service: Service) -> None:
    context = ssl.create_default_context(cafile=str(service.certificate))
    with (
        socket.create_connection(("127.0.0.1", service.port), 10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as line,
    ):
        line.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n")
        answer = b""
        with contextlib.suppress(ConnectionError):  # it may hang up before all of it is sent
            for number in range(300):
                line.sendall(b"X-%d: %s\r\n" % (number, b"a" * 1000))
            answer = line.recv(100)
    assert b"200" not in answer, "300 KB of headers are refused"
    with contextlib.closing(connect(service.url, "", ca_file=str(service.certificate))) as other:
        assert other.health().status == "ok"


def test_commands_speak_to_the_server_and_leave_with_its_verdict(service: Service) -> None:
    viewer = service.token("kim", "viewer")
    who = service.remote(viewer, "whoami", "-o", "json")
    assert who.code == 0 and json.loads(who.out)["person"] == "kim"
    refused = service.remote(viewer, "token", "list")
    assert refused.code == 5 and "error[8304]" in refused.text
    viewer.write_text("pvs_nonsense")
    assert service.remote(viewer, "whoami").code == 4
    viewer.chmod(0o644)
    assert "error[9013]" in service.remote(viewer, "whoami").text
    missing = service.remote(service.place / "nothing", "whoami")
    assert missing.code == 4 and "error[8301]" in missing.text


def test_cas_and_certificates_are_listed_shown_and_revoked_at_the_server(service: Service) -> None:
    token = service.token("rita", "operator")
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    csr = request.sign(ec.generate_private_key(ec.SECP256R1()), SHA256()).public_bytes(Encoding.PEM).decode()
    with contextlib.closing(
        connect(service.url, token.read_text().strip(), ca_file=str(service.certificate))
    ) as client:
        serial = client.issue(IssueWish(profile="wifi", device="LAPTOP", csr=csr)).serial
    assert {row["name"] for row in json.loads(service.remote(token, "ca", "list", "-o", "json").out)} == {"top", "sub"}
    assert json.loads(service.remote(token, "ca", "get", "sub", "-o", "json").out)["state"] == "active"
    assert service.remote(token, "ca", "get", "sub", "-o", "pem").out.startswith(b"-----BEGIN")
    listed = json.loads(service.remote(token, "certificate", "list", "--where", "kind:end-entity", "-o", "json").out)
    assert serial in {row["serial"] for row in listed}
    revoked = service.remote(token, "certificate", "revoke", serial, "--reason", "superseded", "-o", "json")
    assert revoked.code == 0 and json.loads(revoked.out)["status"] == "revoked"
    shown = json.loads(service.remote(token, "certificate", "get", serial, "-o", "json").out)
    assert shown["reason"] == "superseded"
    assert service.remote(token, "certificate", "revoke", serial).code == 6


def test_with_four_eyes_a_command_leaves_with_8_until_somebody_else_approves(service: Service) -> None:
    owner, approver = service.token("olga", "owner"), service.token("bob", "approver")
    service.line.works("access", "four-eyes", "on", "--reason", "a test")
    try:
        asked = service.remote(owner, "role", "grant", "eve", "viewer", "-o", "json")
        assert asked.code == 8 and "8320" in asked.text
        number = str(json.loads(asked.out)["id"])
        assert service.remote(owner, "approval", "approve", number).code == 5
        shown = service.remote(approver, "approval", "get", number)
        assert "grant eve the role viewer" in shown.text
        assert service.remote(approver, "approval", "approve", number).code == 0
        assert "eve" in service.remote(owner, "role", "list").text
        assert service.remote(approver, "approval", "deny", number, "--reason", "late").code == 6
        switched = service.remote(owner, "access", "four-eyes", "off")
        assert switched.code == 8
    finally:
        recovered = service.line.works("access", "recover", "--reason", "the test is over and must clean up")
    assert "four eyes are off until" in recovered.err
    assert service.line.json("audit", "list", "--event", "access.")[0]["event"] == "access.recovered"
    assert service.remote(owner, "role", "revoke", "eve", "viewer").code == 0


def test_contexts_are_remembered_and_home_still_means_this_machine(service: Service, tmp_path: Path) -> None:
    token = service.token("ctx", "viewer")
    environment = {
        "XDG_CONFIG_HOME": str(tmp_path), "PYTHONPATH": str(ROOT / "src"), "PATH": os.environ["PATH"],
    }  # fmt: skip

    def line(*arguments: str) -> Ran:
        return run([sys.executable, "-P", "-m", "privyseal", *arguments], environment=environment)

    options = ("--url", service.url, "--token-file", str(token), "--ca-file", str(service.certificate))
    assert line("config", "set-context", "prod", *options).code == 0
    assert line("config", "use-context", "prod").code == 0
    assert json.loads(line("whoami", "-o", "json").out)["name"] == "token:ctx-1"
    local = json.loads(line("--home", str(service.line.home), "whoami", "-o", "json").out)
    assert local["name"].startswith("cli:")
    assert line("config", "use-context", "nowhere").code == 3
    plain = line("config", "set-context", "odd", "--url", "http://pki.example.com", "--token-file", str(token))
    assert plain.code == 2 and "clear" in plain.text
    assert "prod" in line("config", "list-contexts").text
    assert token.read_text().strip() not in (tmp_path / "privyseal" / "contexts.toml").read_text()


def test_the_public_listener_knows_nothing_of_the_api(service: Service) -> None:
    log = (service.place / "log").read_text()
    public = next(
        word for word in log.split() if word.startswith("127.0.0.1:") and not word.endswith(str(service.port))
    )
    with socket.create_connection(("127.0.0.1", int(public.rpartition(":")[2])), 5) as line:
        line.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert line.recv(64).startswith(b"HTTP/1.1 404")


def test_old_tls_is_refused(service: Service) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", service.port), 5) as line, pytest.raises((ssl.SSLError, OSError)):
        context.wrap_socket(line)


@pytest.mark.parametrize("address", ["0.0.0.0:8443", ":8443", "[::]:8443", "192.0.2.1:8443", "pki.example.com:8443"])
def test_beyond_the_loopback_there_is_no_api_without_tls(tmp_path: Path, address: str) -> None:
    settings = Settings(home=tmp_path, organization="X", public_url="http://x", api_listen=address)
    with pytest.raises(ApiNotEncrypted):
        check_api_listener(settings)
    for loopback in ("127.0.0.1:1", "[::1]:1", "localhost:1"):
        check_api_listener(Settings(home=tmp_path, organization="X", public_url="http://x", api_listen=loopback))


def test_a_certificate_without_its_key_is_told_before_anything_listens(tmp_path: Path) -> None:
    certificate, key = server_certificate(tmp_path)
    right = {"organization": "X", "public_url": "http://x", "api_listen": "0.0.0.0:8443"}
    check_api_listener(check_settings(tmp_path, {**right, "api_certificate": str(certificate), "api_key": str(key)}))
    for wrong in (
        {"api_certificate": str(certificate)},
        {"api_certificate": str(certificate), "api_key": str(certificate)},
        {"api_certificate": str(certificate), "api_key": str(tmp_path / "nothing")},
    ):
        with pytest.raises(ConfigurationInvalid):
            check_api_listener(check_settings(tmp_path, {**right, **wrong}))
    with pytest.raises(ConfigurationInvalid, match="public_limit"):
        check_settings(tmp_path, {**right, "public_limit": -1})


def test_a_token_never_crosses_a_network_in_clear() -> None:
    for url in ("http://pki.example.com", "ftp://127.0.0.1", "https://", "https://user:secret@pki.example.com"):
        with pytest.raises(InvalidValue):
            connect(url, "pvs_x")


def test_profiles_and_devices_are_those_of_the_server_in_use(service: Service) -> None:
    token = service.token("vera", "viewer")
    listed = json.loads(service.remote(token, "profile", "list", "-o", "json").out)
    assert [row["name"] for row in listed] == ["wifi"]
    assert json.loads(service.remote(token, "profile", "get", "wifi", "-o", "json").out)["issuer"] == "sub"
    assert json.loads(service.remote(token, "device", "list", "-o", "json").out)[0]["dns_name"] == "laptop.contoso.com"
    found = service.remote(token, "device", "get", "LAPTOP", "-o", "json")
    assert json.loads(found.out)["enabled"] is True
    assert b"8347" in service.remote(token, "device", "create", "OTHER", "-o", "json").err
