# SPDX-License-Identifier: Apache-2.0
"""A day at the command line: CAs, profile, device, certificate, revocation, enrollment, audit, doctor."""

from __future__ import annotations

import json
import re
import shutil
import socket
import sqlite3
import stat
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from privyseal.cli.session import Session
from tests.command_line import CommandLine
from tests.outside.looking import look_at_certificate, look_at_crl

SID = "S-1-5-21-1004336348-1177238915-682003330-1104"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """An installation with two CAs, two profiles, a device and a user; copied for every test."""
    line = CommandLine(tmp_path_factory.mktemp("made"))
    line.works("init", "--organization", "Contoso, Inc.", "--url", "http://127.0.0.1:9")
    line.works("ca", "create", "top", "--root", "--key", "ec:p256")
    line.works("ca", "create", "sub", "--parent", "top", "--key", "ec:p256", "--eku", "client-auth")
    san = ("--san", "dns:{{device.dns_name}}")
    line.works("profile", "create", "wifi", *san, "--sid-extension", "--rsa-maximum", "0")
    line.works("profile", "create", "person", "--for", "user", "--san", "upn:{{user.principal_name}}")
    line.works("device", "create", "LAPTOP", "--dns-name", "Laptop.Contoso.com", "--sid", SID)
    line.works("user", "create", "ada", "--principal-name", "ada@contoso.com")
    return line


@pytest.fixture
def line(made: CommandLine, tmp_path: Path) -> CommandLine:
    shutil.copytree(made.place, tmp_path / "pki")
    return CommandLine(tmp_path / "pki")


def csr(place: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, SHA256())
    path = place / "device.csr"
    path.write_bytes(request.public_bytes(Encoding.PEM))
    return path


def issued(line: CommandLine, name: str = "out") -> tuple[str, Path]:
    """Issue to the device; serial and directory."""
    out = line.place / name
    found = line.json("certificate", "issue", "--profile", "wifi", "--device", "LAPTOP", "--out", str(out))
    return found["serial"], out


def test_cas_are_made_listed_shown_and_exported(line: CommandLine) -> None:
    listed = line.json("ca", "list")
    assert [(item["name"], item["kind"], item["parent"]) for item in listed] == [
        ("top", "root", None),
        ("sub", "issuing", "top"),
    ]
    shown = line.json("ca", "get", "sub")
    assert shown["subject"] == "CN=Sub,O=Contoso\\, Inc."
    assert shown["ext_key_usage"] == ["certificate-request-agent", "client-auth", "ocsp-signing"]
    assert re.fullmatch(r"[0-9a-f]{32}", shown["serial"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", shown["not_after"])
    der = line.works("ca", "export", "top", "-o", "der").raw
    assert sha256(der).hexdigest() == listed[0]["fingerprint_sha256"]
    chain = x509.load_pem_x509_certificates(line.works("ca", "export", "sub", "--chain").raw)
    look_at_certificate(chain[0].public_bytes(Encoding.DER), [chain[1].public_bytes(Encoding.DER)])
    line.works("ca", "export", "top", "--out", str(line.place / "top.pem"))
    assert (line.place / "top.pem").read_bytes() == line.works("ca", "get", "top", "-o", "pem").raw


@pytest.mark.parametrize(
    ("words", "exit_code", "error"),
    [
        ("ca create sub --parent top", 6, 9008),
        ("ca create other --parent nobody", 3, 9007),
        ("ca create other --parent sub --key ec:p256", 5, 6104),
        ("ca create other --parent top --validity 30y --key ec:p256", 5, 6102),
        ("ca create bad_name --root", 5, 6107),
        ("ca create other --root --crl-validity 1d --crl-interval 2d", 5, 6107),
        ("ca create other --root --subject CN=a,nonsense", 2, 6009),
        ("profile create other --eku server-auth", 5, 6103),
        ("profile create other --eku any", 5, 6201),
        ("profile create other --subject CN={{device.nonsense}}", 2, 6203),
        ("profile create wifi", 6, 9008),
        ("device create LAPTOP", 6, 9008),
        ("device create other --sid nonsense", 2, 6010),
        ("device get nobody", 3, 9007),
        ("scep challenge create --profile wifi --user ada", 5, 6202),
        ("scep challenge create --profile wifi --device LAPTOP --ttl 91d", 2, 9009),
        ("certificate get 0a", 3, 6302),
        ("certificate revoke xyz", 2, 9009),
        ("certificate revoke xyz --invalid-since 0001-01-01T00:00:00+14:00", 2, 9009),
        ("certificate revoke 0a --invalid-since 2999-01-01", 2, 9009),
        ("enrollment approve 99", 3, 9007),
        ("explain 1234", 3, 9007),
        ("audit verify --expect-head 0123456789abcdef", 1, 9012),
        ("certificate inspect /nonexistent", 2, 9009),
    ],
)
def test_what_cannot_be_done_says_why_and_changes_nothing(
    line: CommandLine, words: str, exit_code: int, error: int
) -> None:
    rows = line.json("audit", "verify")["rows"]
    answer = line(*words.split(), "-o", "json")
    assert (answer.code, answer.error["code"]) == (exit_code, error), answer.err
    assert answer.out == ""
    assert line.json("audit", "verify")["rows"] == rows


def test_a_successor_is_staged_under_the_same_name(line: CommandLine) -> None:
    made = line.json("ca", "renew", "sub")
    assert (made["version"], made["state"]) == (2, "staged")
    assert line.json("ca", "get", "sub", "--version", "2")["subject"] == "CN=Sub,O=Contoso\\, Inc."
    assert line.json("ca", "get", "sub")["version"] == 1


def test_a_profile_round_trips_through_its_json(line: CommandLine) -> None:
    first = line.json("profile", "get", "wifi")
    path = line.place / "wifi.json"
    path.write_text(json.dumps(first))
    again = line.json("profile", "create", "wifi", "--from", str(path), "--renew-at", "50%", "--replace")
    assert again == {**first, "revision": 2, "renew_at_percent": 50}
    path.write_text('issuer = "sub"\nsubject = "CN={{device.id}}"\nvalidity = "30d"\n')
    assert line.json("profile", "create", "toml", "--from", str(path))["validity"] == "30d"
    assert [item["name"] for item in line.json("profile", "list")] == ["person", "toml", "wifi"]


def test_a_preview_shows_what_would_be_issued_and_stores_nothing(line: CommandLine) -> None:
    before = line.json("audit", "verify")["rows"]
    seen = line.json("profile", "preview", "wifi", "--device", "LAPTOP")
    assert (seen["subject"], seen["san"], seen["sid"]) == ("CN=LAPTOP", ["dns:laptop.contoso.com"], SID)
    assert seen["key"].startswith("P-256")
    assert line.json("audit", "verify")["rows"] == before


def test_devices_and_users_are_listed_changed_and_disabled(line: CommandLine) -> None:
    assert [item["name"] for item in line.json("device", "list")] == ["LAPTOP"]
    assert line.json("user", "get", "ada")["principal_name"] == "ada@contoso.com"
    assert line.json("user", "set", "ada", "--mail", "ada@contoso.com")["mail"] == "ada@contoso.com"
    assert line.json("user", "set", "ada", "--mail", "")["mail"] is None
    assert line.json("device", "set", "LAPTOP", "--disable")["enabled"] is False
    answer = line("scep", "challenge", "create", "--profile", "wifi", "--device", "LAPTOP", "-o", "json")
    assert (answer.code, answer.error["code"]) == (5, 8001)
    assert line("user", "set", "ada").code == 2


def test_a_challenge_is_shown_once_and_stored_as_a_hash(line: CommandLine) -> None:
    made = line.json("scep", "challenge", "create", "--profile", "wifi", "--device", "LAPTOP", "--ttl", "2h")
    assert re.fullmatch(r"[a-z2-7]{32}", made["challenge"])
    assert made["scep_url"] == "http://127.0.0.1:9/scep/wifi"
    with sqlite3.connect(line.home / "privyseal.db") as database:
        dump = "\n".join(database.iterdump())
    assert made["challenge"] not in dump
    assert made["challenge"] not in line.works("audit", "list", "-o", "json").out
    plain = line.works("scep", "challenge", "create", "--profile", "person", "--user", "ada")
    assert re.fullmatch(r"[a-z2-7]{32}\n", plain.out)
    assert plain.out.strip() not in plain.err
    urls = line.works("scep", "url", "wifi").out.split()
    assert urls == [made["scep_url"], f"{made['scep_url']}/certsrv/mscep/mscep.dll/pkiclient.exe"]


def test_a_certificate_is_issued_with_a_key_of_its_own(line: CommandLine) -> None:
    serial, out = issued(line)
    key, certificate, chain = out / "LAPTOP.key", out / "LAPTOP.pem", out / "chain.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
    assert load_pem_private_key(key.read_bytes(), None).public_key() == leaf.public_key()
    issuers = [found.public_bytes(Encoding.DER) for found in x509.load_pem_x509_certificates(chain.read_bytes())]
    look_at_certificate(leaf.public_bytes(Encoding.DER), issuers)
    assert line.works("certificate", "get", serial, "-o", "pem").raw == certificate.read_bytes()
    assert line.json("certificate", "get", str(certificate))["decoded"]["sid"] == SID
    again = line("certificate", "issue", "--profile", "wifi", "--device", "LAPTOP", "--out", str(out), "-o", "json")
    assert (again.code, again.error["code"]) == (6, 9008)


def test_a_certificate_is_issued_for_a_request(line: CommandLine) -> None:
    path = csr(line.place)
    words = ("certificate", "issue", "--profile", "wifi", "--device", "LAPTOP")
    found = x509.load_pem_x509_certificates(line.works(*words, "--csr", str(path), "-o", "pem").raw)
    request = x509.load_pem_x509_csr(path.read_bytes())
    assert found[0].public_key() == request.public_key()
    assert len(found) == 3
    line.works(*words, "--csr", "-", given=path.read_bytes())
    assert line(*words).code == 2


def test_lists_filter_and_page(line: CommandLine) -> None:
    serials = [issued(line, name)[0] for name in ("a", "b", "c")]
    found = line.json("certificate", "list", "--device", "LAPTOP", "--status", "valid", "--profile", "wifi")
    assert [item["serial"] for item in found] == serials[::-1]
    search = ("certificate", "list", "--where", "device:LAPTOP profile:wifi -status:revoked")
    first = line.works(*search, "--limit", "2", "-o", "json")
    cursor = first.err.split("--cursor ")[1].split()[0]
    rest = line.json(*search, "--cursor", cursor)
    assert [item["serial"] for item in first.data + rest] == serials[::-1]
    assert line("certificate", "list", "--cursor", cursor).code == 2
    assert line.works(*search, "--count").out.strip() == "3"
    assert line.json(*search, "--columns", "fingerprint,key_type")[0]["key_type"]
    refused = line("certificate", "list", "--where", "stauts:valid")
    assert (refused.code, "did you mean status:?" in refused.err) == (2, True)
    assert len(line.json("certificate", "list", "--text", "LAPTOP.contoso")) == 3
    assert {item["kind"] for item in line.json("certificate", "list")} == {"ca", "ra", "ocsp", "end-entity"}
    assert line.json("certificate", "list", "--user", "ada") == []
    assert line.json("certificate", "list", "--status", "expired") == []


def test_a_revocation_shows_at_once_and_says_until_when_it_may_be_missed(line: CommandLine) -> None:
    serial, _ = issued(line)
    assert line.json("certificate", "status", serial)["status"] == "valid"
    answer = line.works("certificate", "revoke", serial, "--reason", "key-compromise", "-o", "json")
    assert (answer.data["status"], answer.data["reason"]) == ("revoked", "key-compromise")
    assert answer.data["crl_number"] == answer.data["older_crl_number"] + 1
    assert f"accepts it until {answer.data['older_crl_good_until']}" in answer.err
    assert line.json("certificate", "status", serial)["status"] == "revoked"
    again = line("certificate", "revoke", serial, "-o", "json")
    assert (again.code, again.error["code"]) == (6, 6301)
    with sqlite3.connect(line.home / "privyseal.db") as database:
        (crl,) = database.execute(
            "SELECT body FROM crl_parts WHERE number = ?", (answer.data["crl_number"],)
        ).fetchone()
    look_at_crl(crl)
    path = line.place / "sub.crl"
    path.write_bytes(crl)
    seen = line.json("certificate", "inspect", str(path))
    assert (seen["type"], seen["number"], seen["revoked"]) == ("crl", answer.data["crl_number"], 1)
    assert seen["entries"][0] | {"at": ""} == {"serial": serial, "at": "", "reason": "key-compromise"}


def test_inspect_needs_no_installation(line: CommandLine, tmp_path: Path) -> None:
    _, out = issued(line)
    bare = CommandLine(tmp_path / "nowhere")
    seen = bare.json("certificate", "inspect", str(out / "LAPTOP.pem"))
    assert (seen["subject"], seen["issuer"], seen["sid"]) == ("CN=LAPTOP", "CN=Sub,O=Contoso\\, Inc.", SID)
    leaf = x509.load_pem_x509_certificate((out / "LAPTOP.pem").read_bytes())
    assert seen["serial"] == f"{leaf.serial_number:032x}"
    assert seen["fingerprint_sha256"] == leaf.fingerprint(SHA256()).hex()
    assert [item["ca"] for item in bare.json("certificate", "inspect", str(out / "chain.pem"))] == [True, True]
    assert bare.json("certificate", "inspect", str(csr(tmp_path)))["proof_of_possession"] is True
    piped = bare("certificate", "inspect", "-", "-o", "pem", given=leaf.public_bytes(Encoding.DER))
    assert piped.raw == (out / "LAPTOP.pem").read_bytes()
    refused = bare("certificate", "inspect", str(out / "LAPTOP.key"), "-o", "json")
    assert (refused.code, refused.error["code"]) == (2, 9009)
    assert "PRIVATE" not in refused.out + refused.err
    broken = bare("certificate", "inspect", "-", "-o", "json", given=leaf.public_bytes(Encoding.DER)[:-9])
    assert (broken.code, broken.error["code"]) == (1, 6001)


def test_the_audit_trail_tells_who_did_what_and_that_it_was_changed(line: CommandLine) -> None:
    seen = line.works("audit", "verify", "-o", "json").data
    assert seen["intact"] is True
    rows = line.json("audit", "list", "--limit", "1000")
    assert len(rows) == seen["rows"]
    assert rows[0]["digest"] == seen["head"]
    created = line.json("audit", "list", "--event", "device.created")
    assert [(row["target"], row["actor"]) for row in created] == [("device:LAPTOP", Session().actor)]
    assert Session().actor.startswith("cli:")
    line.works("device", "create", "other")
    line.works("audit", "verify", "--expect-head", seen["head"])
    with sqlite3.connect(line.home / "privyseal.db") as database:
        database.execute("UPDATE audit SET actor = 'cli:somebody' WHERE seq = 2")
    database.close()
    broken = line("audit", "verify", "-o", "json")
    assert (broken.code, broken.error["code"]) == (1, 9012)
    assert "row 2" in broken.error["what"]


def test_an_operator_decides_about_what_waits(line: CommandLine) -> None:
    with sqlite3.connect(line.home / "privyseal.db") as database:
        for number in (1, 2):
            database.execute(
                "INSERT INTO enrollments (at, state, profile, protocol, transaction_id, key_hash, evidence, code, "
                "what, request) VALUES (0, 'waiting', 'wifi', 'scep', ?, x'00', x'00', 0, '', x'00')",
                (f"t{number}",),
            )
    database.close()
    waiting = line.json("enrollment", "list", "--state", "waiting")
    assert [item["transaction_id"] for item in waiting] == ["t2", "t1"]
    first, second = str(waiting[1]["id"]), str(waiting[0]["id"])
    assert line.json("enrollment", "approve", first)["state"] == "approved"
    assert "already so" in line.works("enrollment", "approve", first).err
    assert line.json("enrollment", "reject", second) | {"what": ""} == line.json("enrollment", "get", second) | {
        "what": ""
    }
    assert line.json("enrollment", "get", second)["code"] == 8010
    assert line("enrollment", "approve", second).code == 3
    assert line.json("enrollment", "list", "--state", "waiting") == []


def test_explain_knows_every_code_and_its_runbook() -> None:
    bare = CommandLine(Path("/nonexistent"))
    text = bare.works("explain", "8004").out
    assert text.startswith("error[8004] The challenge has already been used\n")
    assert "## Mend it" in text
    assert "## Mended when" in bare.json("explain", "error[6103]")["runbook"]
    assert 8004 in [item["code"] for item in bare.json("explain")]


def test_doctor_finds_what_is_wrong(line: CommandLine) -> None:
    def levels(*more: str) -> dict[str, str]:
        answer = line("doctor", "-o", "json", *more)
        return {item["check"]: item["level"] for item in answer.data if item["level"] != "ok"}

    assert levels() == {"public-url": "warning"}
    assert line("doctor").code == 0
    assert line("doctor", "--fail-on", "warning").code == 1
    next(line.home.glob("keys/k*.pem")).chmod(0o644)
    assert levels() == {"permissions": "critical", "public-url": "warning"}
    assert line("doctor").code == 1
    keys = sorted(line.home.glob("keys/k*.pem"))
    for path in keys:
        path.chmod(0o600)
    first, second = keys[0].read_bytes(), keys[1].read_bytes()
    keys[0].write_bytes(second)
    keys[1].write_bytes(first)
    assert levels() == {"keys": "critical", "public-url": "warning"}
    with sqlite3.connect(line.home / "privyseal.db") as database:
        database.execute("DELETE FROM audit WHERE seq = 3")
        database.execute("UPDATE crls SET next_update = 1 WHERE issuer_id = 2")
        database.execute("UPDATE certificates SET status = 'reserved' WHERE id = 2")
    database.close()
    assert levels() == {
        "keys": "critical", "crl": "critical", "audit": "critical", "reservations": "warning", "public-url": "warning",
    }  # fmt: skip
    line.passphrase.unlink()
    assert levels()["passphrase"] == "warning"
    assert "audit" in line.works("doctor", "--list").out


def change_store(line: CommandLine, statement: str) -> None:
    """Do to the store what the command line never does."""
    with sqlite3.connect(line.home / "privyseal.db") as database:
        database.execute(statement)
    database.close()


def test_a_ca_that_is_retired_issues_nothing(line: CommandLine) -> None:
    change_store(line, "UPDATE authorities SET state = 'retired' WHERE name = 'sub'")
    answer = line("profile", "preview", "wifi", "--device", "LAPTOP", "-o", "json")
    assert (answer.code, answer.error["code"]) == (6, 6101)


def test_a_key_of_another_ca_signs_nothing_that_leaves(line: CommandLine) -> None:
    by_name = {name: line.home / "keys" / f"{ref}.pem" for name, ref in key_refs(line).items()}
    by_name["sub"].write_bytes(by_name["top"].read_bytes())
    out = str(line.place / "out")
    answer = line("certificate", "issue", "--profile", "wifi", "--device", "LAPTOP", "--out", out, "-o", "json")
    assert (answer.code, answer.error["code"]) == (1, 6106)
    # It is refused before a serial is spent, so there is nothing that would have to be settled.
    assert line.json("certificate", "list", "--device", "LAPTOP") == []


def key_refs(line: CommandLine) -> dict[str, str]:
    """CA name -> name of its key."""
    with sqlite3.connect(line.home / "privyseal.db") as database:
        found = dict(database.execute("SELECT name, key_ref FROM authorities").fetchall())
    database.close()
    return found


def test_a_store_of_a_newer_program_is_left_alone(line: CommandLine) -> None:
    change_store(line, "UPDATE meta SET value = '999' WHERE key = 'schema_version'")
    answer = line("ca", "list", "-o", "json")
    assert (answer.code, answer.error["code"]) == (1, 9006)


def test_serve_says_when_its_address_is_taken(line: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        answer = line("serve", "--listen", listen, "-o", "json")
    assert (answer.code, answer.error["code"]) == (1, 9010)
    assert listen in answer.error["what"]
