# SPDX-License-Identifier: Apache-2.0
"""CAs that are signed outside, and roots whose keys are elsewhere: by the command line, with real OpenSSL."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from privyseal.adapters.ceremony_files import open_ledger
from privyseal.adapters.clock import SystemClock
from privyseal.errors import (
    ActBlocked,
    CeremonyInvalid,
    CrlRefused,
    GatesNotPassed,
    InstallRefused,
    KeyNotHere,
    NameTaken,
)
from tests.command_line import CommandLine, run_line
from tests.outside.looking import look_at_certificate, look_at_crl, verify_with_openssl
from tests.outside.tools import Ran, openssl

URL = "http://127.0.0.1:9"  # nothing answers there
OFFLINE = (
    "root", "--name", "offline", "--subject", "CN=Offline Root,O=Contoso", "--url", URL, "--key", "ec:p384",
)  # fmt: skip
CA_EXTENSIONS = "keyUsage=critical,keyCertSign,cRLSign,digitalSignature\nsubjectKeyIdentifier=hash\n"


@pytest.fixture(name="line")
def fixture_line(tmp_path: Path) -> CommandLine:
    """A new installation without any CA."""
    line = CommandLine(tmp_path)
    line.works("init", "--organization", "Contoso", "--url", URL)
    return line


def in_place(line: CommandLine, *arguments: str) -> Ran:
    """OpenSSL on files of the test's directory."""
    files = (".req", ".crt", ".key", ".ext", ".p7b", ".der", ".crl")
    ran = openssl(*(str(line.place / word) if word.endswith(files) else word for word in arguments))
    assert ran.code == 0, ran.text
    return ran


def outside_root(line: CommandLine, name: str = "root") -> Path:
    """A root of others, made by OpenSSL."""
    in_place(
        line, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-days", "3650",
        "-subj", f"/O=Contoso/CN=Contoso {name}", "-keyout", f"{name}.key", "-out", f"{name}.crt",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-addext", "basicConstraints=critical,CA:TRUE",
    )  # fmt: skip
    return line.place / f"{name}.crt"


def signed_outside(line: CommandLine, *, root: str = "root", request: str = "sub.req", extensions: str = "") -> Path:
    """The request, signed by OpenSSL as the recipe of ``ca csr`` says."""
    text = extensions or f"basicConstraints=critical,CA:TRUE,pathlen:0\n{CA_EXTENSIONS}authorityKeyIdentifier=keyid\n"
    (line.place / "sub.ext").write_text(text)
    in_place(
        line, "x509", "-req", "-in", request, "-CA", f"{root}.crt", "-CAkey", f"{root}.key", "-CAcreateserial",
        "-days", "1825", "-sha256", "-extfile", "sub.ext", "-out", "sub.crt",
    )  # fmt: skip
    return line.place / "sub.crt"


def requested(line: CommandLine, *options: str) -> Path:
    """A CA that waits for its certificate, and its request in a file."""
    made = line.json("ca", "create", "sub", "--external-root", "--key", "ec:p256", *options)
    assert made["state"] == "signing-required"
    out = line.place / "sub.req"
    said = line.works("ca", "csr", "sub", "--out", str(out)).err
    assert 'certreq -submit -attrib "CertificateTemplate:SubCA" sub.req sub.crt' in said
    assert "step certificate sign" in said
    return out


def test_a_ca_below_a_root_of_others_is_requested_signed_installed_and_issues(line: CommandLine) -> None:
    root, request = outside_root(line), requested(line)
    seen = in_place(line, "req", "-in", str(request), "-noout", "-verify", "-text").text
    assert "CA:TRUE, pathlen:0" in seen
    assert [item["state"] for item in line.json("ca", "list")] == ["signing-required"]
    with_key = signed_outside(line)
    in_place(line, "crl2pkcs7", "-nocrl", "-certfile", "root.crt", "-outform", "DER", "-out", "chain.p7b")
    in_place(line, "x509", "-in", "sub.crt", "-outform", "DER", "-out", "sub.der")
    rows = line.json("audit", "verify")["rows"]
    checks = line.json("ca", "install", "sub", str(line.place / "chain.p7b"), str(line.place / "sub.der"), "--dry-run")
    assert {check["verdict"] for check in checks} == {"passed"}
    assert line.json("audit", "verify")["rows"] == rows
    made = line.json("ca", "install", "sub", str(root), str(with_key))
    assert (made["version"], made["state"]) == (1, "active")
    assert [(item["name"], item["key_here"]) for item in line.json("ca", "list")] == [
        ("contoso-root", False), ("sub", True),
    ]  # fmt: skip
    line.works("device", "create", "LAPTOP")
    line.works("profile", "create", "wifi", "--issuer", "sub", "--subject", "CN={{device.name}}")
    out = line.place / "out"
    line.works("certificate", "issue", "--profile", "wifi", "--device", "LAPTOP", "--out", str(out))
    leaf = x509.load_pem_x509_certificate(next(out.glob("*.pem")).read_bytes()) if out.is_dir() else None
    chain = x509.load_pem_x509_certificates(line.works("ca", "export", "sub", "--chain").raw)
    assert [found.subject.rfc4514_string() for found in chain] == ["CN=Sub,O=Contoso", "CN=Contoso root,O=Contoso"]
    if leaf is not None:
        verify_with_openssl([der(leaf)], [der(found) for found in chain])
    answer = line("ca", "create", "other", "--parent", "contoso-root", "-o", "json")
    assert (answer.code, answer.data["state"]) == (0, "signing-required")  # its key is not here


def der(certificate: x509.Certificate) -> bytes:
    """The octets."""
    return certificate.public_bytes(Encoding.DER)


def test_the_checklist_tells_every_fault_at_once_and_nothing_is_installed(line: CommandLine) -> None:
    outside_root(line)
    requested(line)
    wrong = signed_outside(
        line, extensions="basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=clientAuth\n"
    )
    answer = line("ca", "install", "sub", str(wrong), "--dry-run", "-o", "json")
    assert answer.code == 1
    failed = {check["check"] for check in answer.data if check["verdict"] == "failed"}
    assert failed == {"key-usage", "eku", "ca", "chain"}
    answer = line("ca", "install", "sub", str(wrong), "-o", "json")
    assert (answer.code, answer.error["code"]) == (5, InstallRefused.code)
    assert answer.error["what"].count(": ") > 3
    assert [item["state"] for item in line.json("ca", "list")] == ["signing-required"]


def test_a_certificate_for_another_request_and_files_that_are_none_are_refused(line: CommandLine) -> None:
    root = outside_root(line)
    requested(line)
    answer = line("ca", "install", "sub", str(root), "-o", "json")
    assert (answer.code, answer.error["code"]) == (5, InstallRefused.code)
    nonsense = line.place / "nonsense"
    nonsense.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert line("ca", "install", "sub", str(nonsense), "-o", "json").error["code"] == 6001
    assert line("ca", "install", "nobody", str(root), "-o", "json").error["code"] == 9007
    assert line("ca", "create", "sub", "--external-root", "-o", "json").error["code"] == NameTaken.code


def test_the_next_version_of_a_ca_that_is_signed_outside_is_a_request_as_well(line: CommandLine) -> None:
    root = outside_root(line)
    requested(line)
    line.works("ca", "install", "sub", str(signed_outside(line)), str(root))
    made = line.json("ca", "renew", "sub")
    assert (made["version"], made["state"]) == (2, "signing-required")
    line.works("ca", "csr", "sub", "--out", str(line.place / "sub.req"))
    installed = line.json("ca", "install", "sub", str(signed_outside(line)))  # the root is known by now
    assert (installed["version"], installed["state"]) == (2, "staged")
    answer = line("ca", "activate", "sub", "-o", "json")
    assert (answer.code, answer.error["code"]) == (6, GatesNotPassed.code)
    gates = line("ca", "rollover", "sub", "-o", "json")
    assert gates.code == 1
    assert {gate["gate"]: gate["passed"] for gate in gates.data} == {
        "chain": True, "crl": False, "ocsp": False, "aia": False, "directory": True, "test": False,
    }  # fmt: skip
    accepted = [word for gate in ("crl", "ocsp", "aia", "test") for word in ("--accept", gate)]
    assert line.json("ca", "activate", "sub", "--version", "2", *accepted)["state"] == "active"
    (event,) = [item for item in line.json("audit", "list") if item["event"] == "ca.activated"]
    assert "crl" in str(event)
    answer = line("ca", "revoke", "sub", "-o", "json")
    assert (answer.code, answer.error["code"]) == (6, KeyNotHere.code)
    assert line.json("ca", "rollback", "sub")["version"] == 1


def ceremony(line: CommandLine, *words: str) -> Any:
    """A command at the machine without a network."""
    place = str(line.place / "ceremony")
    answer = run_line("--passphrase-file", str(line.passphrase), "ceremony", *words, "--dir", place, "-o", "json")
    assert answer.code == 0, answer.err
    return answer.data


def test_an_offline_root_signs_revokes_and_publishes_by_files(line: CommandLine) -> None:
    place = line.place / "ceremony"
    made = ceremony(line, *OFFLINE, "--path-length", "1")
    assert made["crl_number"] == 1
    root, first_crl = (place / "root.crt").read_bytes(), (place / "root.crl").read_bytes()
    look_at_certificate(root)
    look_at_crl(first_crl)
    assert line.json("ca", "import-root", str(place / "root.crt"), "--name", "offline")["state"] == "active"
    assert line.json("ca", "import-crl", str(place / "root.crl"))["crl_number"] == 1
    answer = line("ca", "import-crl", str(place / "root.crl"), "-o", "json")
    assert (answer.code, answer.error["code"]) == (5, CrlRefused.code)
    made = line.json("ca", "create", "sub", "--parent", "offline", "--key", "ec:p256")
    assert made["state"] == "signing-required"
    request = line.place / "sub.req"
    line.works("ca", "csr", "sub", "--out", str(request))
    lines = len((place / "ledger.jsonl").read_text().splitlines())
    seen = ceremony(line, "sign", str(request), "--dry-run")
    assert seen["path_length"] == 0
    assert len((place / "ledger.jsonl").read_text().splitlines()) == lines
    signed = ceremony(line, "sign", str(request))
    certificate = line.place / "sub.crt"
    encoded = der(x509.load_pem_x509_certificate(certificate.read_bytes()))
    verify_with_openssl([encoded], [root], crls=[first_crl])
    assert f"{URL}/crl/offline/v1.crl".encode() in encoded
    assert line.json("ca", "install", "sub", str(certificate))["state"] == "active"
    revoked = ceremony(line, "revoke", signed["serial"], "--reason", "ca-compromise")
    assert revoked["crl_number"] == 2
    look_at_crl((place / "root.crl").read_bytes())
    line.works("ca", "import-crl", str(place / "root.crl"))
    states = {item["name"]: item["state"] for item in line.json("ca", "list")}
    assert states == {"offline": "active", "sub": "revoked"}
    assert line("ca", "revoke", "offline", "-o", "json").code == 6


def test_a_ceremony_directory_that_was_changed_or_cut_is_refused(line: CommandLine) -> None:
    place = line.place / "ceremony"
    ceremony(
        line, "root", "--name", "offline", "--subject", "CN=Offline Root,O=Contoso", "--url", URL, "--key", "ec:p384"
    )
    ledger = place / "ledger.jsonl"
    whole = ledger.read_bytes()
    rows = whole.splitlines(keepends=True)
    for broken in (b"".join(rows[1:]), whole.replace(b'"number": 1', b'"number": 9'), b"{}\n", b"", b"\xff\n"):
        ledger.write_bytes(broken)
        answer = run_line(
            "--passphrase-file", str(line.passphrase), "ceremony", "crl", "--dir", str(place), "-o", "json"
        )
        assert answer.error["code"] == CeremonyInvalid.code
    # Half a line at the end is what a power cut leaves.
    ledger.write_bytes(whole + b'{"what": "crl-res')
    assert ceremony(line, "crl")["crl_number"] == 2
    answer = run_line("ceremony", "list", "--dir", str(line.place / "nowhere"), "-o", "json")
    assert answer.error["code"] == CeremonyInvalid.code


def test_a_crl_of_a_ca_that_is_not_known_or_whose_key_is_here_is_refused(line: CommandLine) -> None:
    ceremony(
        line, "root", "--name", "offline", "--subject", "CN=Offline Root,O=Contoso", "--url", URL, "--key", "ec:p384"
    )
    unknown = line.place / "ceremony" / "root.crl"
    answer = line("ca", "import-crl", str(unknown), "-o", "json")
    assert (answer.code, answer.error["code"]) == (5, CrlRefused.code)
    unknown.write_bytes(b"no CRL")
    assert line("ca", "import-crl", str(unknown), "-o", "json").error["code"] == CrlRefused.code


def test_what_still_stands_in_the_way_is_told_before_anything_is_done(line: CommandLine) -> None:
    line.works("ca", "create", "top", "--root", "--key", "ec:p256")
    line.works("ca", "create", "sub", "--parent", "top", "--key", "ec:p256")
    shown = line.json("ca", "delete", "sub", "--dry-run")
    assert len(shown["blockers"]) == 1
    answer = line("ca", "delete", "sub", "-o", "json")
    assert (answer.code, answer.error["code"]) == (6, ActBlocked.code)
    for words in ("ca pause sub", "ca resume sub", "ca revoke sub", "ca delete sub"):
        line.works(*words.split())
    assert [item["name"] for item in line.json("ca", "list")] == ["top"]


def test_a_ledger_that_lost_its_end_or_is_in_use_makes_no_crl(line: CommandLine) -> None:
    place = line.place / "ceremony"
    ceremony(line, *OFFLINE)
    older = (place / "ledger.jsonl").read_bytes()
    assert ceremony(line, "crl")["crl_number"] == 2
    newer = (place / "ledger.jsonl").read_bytes()
    command = ("--passphrase-file", str(line.passphrase), "ceremony", "crl", "--dir", str(place), "-o", "json")
    (place / "ledger.jsonl").write_bytes(older)
    answer = run_line(*command)
    assert answer.error["code"] == CeremonyInvalid.code
    assert "root.crl is CRL 2, the ledger" in answer.error["what"]
    (place / "ledger.jsonl").write_bytes(newer)
    with open_ledger(place, SystemClock().now):
        assert "cannot be locked" in run_line(*command).error["what"]
    assert ceremony(line, "crl")["crl_number"] == 3


def test_a_crl_from_an_older_copy_of_the_directory_does_not_bring_a_revoked_ca_back(line: CommandLine) -> None:
    place = line.place / "ceremony"
    ceremony(line, *OFFLINE, "--path-length", "1")
    line.works("ca", "import-root", str(place / "root.crt"), "--name", "offline")
    line.works("ca", "create", "sub", "--parent", "offline", "--key", "ec:p256")
    request, certificate = line.place / "sub.req", line.place / "sub.crt"
    line.works("ca", "csr", "sub", "--out", str(request))
    serial = ceremony(line, "sign", str(request))["serial"]
    line.works("ca", "install", "sub", str(certificate))
    copy = line.place / "copy"
    shutil.copytree(place, copy)
    ceremony(line, "revoke", serial)
    line.works("ca", "import-crl", str(place / "root.crl"))
    for _ in range(2):  # number 2 again, then 3, which would be newer
        run_line("--passphrase-file", str(line.passphrase), "ceremony", "crl", "--dir", str(copy))
    answer = line("ca", "import-crl", str(copy / "root.crl"), "-o", "json")
    assert answer.error["code"] == CrlRefused.code
    assert "CRL 3 does not list CA sub v1, which an earlier one revoked" in answer.error["what"]
    ceremony(line, "crl")
    ceremony(line, "crl")
    line.works("ca", "import-crl", str(place / "root.crl"))
