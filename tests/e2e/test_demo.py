# SPDX-License-Identifier: Apache-2.0
"""``privyseal demo --once``: what it leaves behind is what an outsider can check with OpenSSL alone."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.outside.looking import look_at_certificate, look_at_crl, look_at_ocsp_response
from tests.outside.tools import ROOT, openssl, run

FILES = {
    "root-ca.pem", "issuing-ca.pem", "chain.pem", "device.pem", "device.key", "issuing-ca.crl",
    "ocsp-response.der", "summary.json",
}  # fmt: skip


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("demo") / "files"
    command = [sys.executable, "-P", "-m", "privyseal", "demo", "--once", str(directory)]
    said = run(command, seconds=60, environment={"LC_ALL": "C.UTF-8"}).must_work()
    assert said.text.count("✔") == 6, said.text
    assert "DEMO Root CA" in said.text
    return directory


def _der(path: Path) -> bytes:
    return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)


def test_it_leaves_exactly_the_promised_files_and_only_the_key_is_private(left: Path) -> None:
    assert {path.name for path in left.iterdir()} == FILES
    assert stat.S_IMODE((left / "device.key").stat().st_mode) == 0o600


def test_openssl_verifies_the_device_against_chain_and_crl(left: Path) -> None:
    crl = left / "crl.pem"
    openssl("crl", "-inform", "der", "-in", str(left / "issuing-ca.crl"), "-out", str(crl)).must_work()
    openssl(
        "verify", "-crl_check", "-CAfile", str(left / "root-ca.pem"), "-untrusted", str(left / "issuing-ca.pem"),
        "-CRLfile", str(crl), str(left / "device.pem"),
    ).must_work()  # fmt: skip
    crl.unlink()
    certificate = openssl("x509", "-in", str(left / "device.pem"), "-noout", "-pubkey").must_work()
    assert certificate.text == openssl("pkey", "-in", str(left / "device.key"), "-pubout").must_work().text


def test_every_file_passes_the_linters(left: Path) -> None:
    root, issuing, device = (_der(left / name) for name in ("root-ca.pem", "issuing-ca.pem", "device.pem"))
    look_at_certificate(root)
    look_at_certificate(issuing, (root,))
    look_at_certificate(device, (issuing, root))
    look_at_crl((left / "issuing-ca.crl").read_bytes(), issuing)
    answer = (left / "ocsp-response.der").read_bytes()
    look_at_ocsp_response(answer, chain=(issuing, root), certificate=device, digest="sha256")


def test_every_subject_carries_demo(left: Path) -> None:
    for name in ("root-ca.pem", "issuing-ca.pem", "device.pem"):
        assert "DEMO" in x509.load_pem_x509_certificate((left / name).read_bytes()).subject.rfc4514_string()


def test_the_summary_tells_urls_fingerprints_serials_and_seconds(left: Path) -> None:
    summary = json.loads((left / "summary.json").read_text())
    assert set(summary["urls"]) == {"scep", "crl", "ocsp", "ca_issuers"}
    device = x509.load_pem_x509_certificate((left / "device.pem").read_bytes())
    assert int(summary["serials"]["device"], 16) == device.serial_number
    fingerprint = openssl("x509", "-in", str(left / "device.pem"), "-noout", "-fingerprint", "-sha256").must_work().text
    assert (
        summary["fingerprints_sha256"]["device"]
        == "sha256:" + fingerprint.partition("=")[2].strip().replace(":", "").lower()
    )
    assert set(summary["seconds"]) == {"Root CA", "Issuing CA", "Profile", "Certificate", "CRL", "OCSP"}


def test_nothing_of_the_demo_stays(left: Path, tmp_path: Path) -> None:
    said = run(
        [sys.executable, "-P", "-m", "privyseal", "demo", "--once", str(tmp_path / "again")],
        seconds=60,
        environment={"TMPDIR": str(tmp_path)},
    ).must_work()
    assert str(tmp_path) in said.text
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


def test_run_passes_its_arguments_on() -> None:
    assert "privyseal" in run([str(ROOT / "run"), "--version"], seconds=120).must_work().text
