# SPDX-License-Identifier: Apache-2.0
"""Versions of CAs in a real directory: staged, superseded and revoked ones, cross certificates, roots of others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from tests.command_line import CommandLine
from tests.interop.directory_bed import application, installation
from tests.outside.samba import DNS_DOMAIN, PKS, DomainController, domain_controller
from tests.outside.tools import require_python_ldap

NTAUTH = f"CN=NTAuthCertificates,{PKS}"
CERTIFICATE = "cACertificate"
GATES = ("chain", "cross", "crl", "ocsp", "aia", "directory", "test")


@pytest.fixture(scope="module")
def controller() -> Iterator[DomainController]:
    """One controller for the module; every test has CAs with names of its own."""
    require_python_ldap()
    with domain_controller() as running, mock.patch.dict(os.environ, running.environment):
        yield running


@pytest.fixture
def privyseal(tmp_path: Path, controller: DomainController) -> Iterator[CommandLine]:
    """An installation whose names no other test uses; NTAuth is left as it was found."""
    command = installation(tmp_path, controller)
    command.works("ca", "create", "below", "--parent", "root", "--key", "ec:p256", "--subject", f"CN={cn(tmp_path)}")
    yield command
    for value in controller.values(NTAUTH, CERTIFICATE):
        if len(value) > 1:
            file = tmp_path / "left.der"
            file.write_bytes(value)
            command.works("directory", "remove", "--cert", str(file), "NTAuthCA", "--keep-empty", "--yes")


def cn(place: Path) -> str:
    return f"Below {place.name[-24:]}"


def version(privyseal: CommandLine, name: str, number: int) -> bytes:
    return privyseal.works("ca", "export", name, "--version", str(number), "-o", "der").raw


def activate(privyseal: CommandLine, name: str) -> None:
    accepted = [word for gate in GATES for word in ("--accept", gate)]
    privyseal.works("ca", "activate", name, "--version", "2", *accepted)


def test_a_staged_version_is_published_beside_the_one_in_force_and_then_each_goes_alone(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    place = f"CN={cn(tmp_path)},CN=AIA,{PKS}"
    privyseal.works("directory", "publish", "--ca", "below", "SubCA", "NTAuthCA", "--yes")
    first = version(privyseal, "below", 1)
    # From here on a CA of ours stands in NTAuth: renewing it, and publishing there, takes two people.
    assert privyseal("ca", "renew", "below").code == 8
    privyseal.works("access", "recover", "--reason", "one person is left")
    privyseal.works("ca", "renew", "below")
    second = version(privyseal, "below", 2)
    privyseal.works("directory", "publish", "--ca", "below", "SubCA", "NTAuthCA", "--yes")
    assert set(controller.values(place, CERTIFICATE)) == {first, second}
    assert set(controller.values(NTAUTH, CERTIFICATE)) >= {first, second}
    assert privyseal.json("directory", "publish", "--ca", "below", "SubCA", "NTAuthCA", "--yes")["changes"] == []
    with application(privyseal) as served:
        issuer = served.catalog.issuer("below", 2)
        import asyncio

        from privyseal.bootstrap.gates import _in_directory

        shown = asyncio.run(_in_directory(served, issuer, served.directories.get("samba")))
    assert "2 value(s) shown by 1 controller(s)" in shown, "the gate of the rollover is passed by what publish did"
    activate(privyseal, "below")
    answer = privyseal("directory", "remove", "--ca", "below", "NTAuthCA", "--yes")
    assert answer.code == 2 and "1 (superseded), 2 (active): say --ca-version N" in answer.err
    privyseal.works("directory", "remove", "--ca", "below", "--ca-version", "1", "NTAuthCA", "--yes")
    assert first not in controller.values(NTAUTH, CERTIFICATE) and second in controller.values(NTAUTH, CERTIFICATE)
    # What was taken out of NTAuth on purpose does not come back by itself; chains still need the old version.
    assert privyseal.json("directory", "plan", "--ca", "below", "SubCA", "NTAuthCA")["changes"] == []
    again = privyseal.json("directory", "plan", "--ca", "below", "--ca-version", "1", "NTAuthCA")
    assert len(again["changes"]) == 1
    rows = {
        item["name"]: item for item in privyseal.json("directory", "status")["certificates"] if "below" in item["name"]
    }
    assert {name: row["owner"] for name, row in rows.items()} == {"below v1": "ours", "below v2": "ours"}
    assert privyseal("directory", "verify").code == 0


def test_a_revoked_version_is_not_published_and_status_says_to_take_it_out(
    privyseal: CommandLine, controller: DomainController
) -> None:
    privyseal.works("directory", "publish", "--ca", "below", "NTAuthCA", "--yes")
    privyseal.works("access", "recover", "--reason", "one person is left")
    privyseal.works("ca", "revoke", "below", "--reason", "ca-compromise", "--with-live-certificates")
    rows = [item for item in privyseal.json("directory", "status")["certificates"] if item["name"] == "below v1"]
    assert ["this version is revoked: take it out"] in [row["problems"] for row in rows]
    for words in (("--ca", "below", "SubCA"), ("--ca", "below", "--ca-version", "1", "NTAuthCA")):
        assert "error[6020]" in privyseal("directory", "publish", *words, "--yes").err
    plan = privyseal.json("directory", "plan")
    assert all("Below" not in change["dn"] for change in plan["changes"]), "nor is it among those that nobody names"
    privyseal.works("directory", "remove", "--ca", "below", "NTAuthCA", "--keep-empty", "--yes")
    assert version(privyseal, "below", 1) not in controller.values(NTAUTH, CERTIFICATE)


def test_both_roots_are_published_and_their_cross_certificates_are_no_roots(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    privyseal.works("ca", "create", "top", "--root", "--key", "ec:p256", "--subject", f"CN=Top {cn(tmp_path)}")
    privyseal.works("ca", "renew", "top")
    privyseal.works("directory", "publish", "--ca", "top", "--yes")
    roots = {version(privyseal, "top", number) for number in (1, 2)}
    for container in ("Certification Authorities", "AIA"):
        assert set(controller.values(f"CN=Top {cn(tmp_path)},CN={container},{PKS}", CERTIFICATE)) == roots
    with application(privyseal) as served:
        (cross,) = served.catalog.crosses(served.catalog.issuer("top", 2))
    file = tmp_path / "cross.der"
    file.write_bytes(cross)
    refused = privyseal("directory", "publish", "--cert", str(file), "RootCA", "--yes")
    assert "error[7012]" in refused.err and "cross certificate" in refused.err
    privyseal.works("directory", "publish", "--cert", str(file), "SubCA", "--yes")
    assert set(controller.values(f"CN=Top {cn(tmp_path)},CN=AIA,{PKS}", CERTIFICATE)) == roots | {cross}
    rows = privyseal.json("directory", "status")["certificates"]
    (row,) = (item for item in rows if "signed by another version" in item["name"])
    assert (row["container"], row["owner"], row["problems"]) == ("AIA", "ours", [])


def authority(
    name: str, issuer: tuple[str, ec.EllipticCurvePrivateKey] | None
) -> tuple[bytes, ec.EllipticCurvePrivateKey]:
    """A CA of others, in PEM, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    by_name, by_key = issuer or (name, key)
    now = datetime.now(UTC)

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    made = (
        x509.CertificateBuilder().subject_name(named(name)).issuer_name(named(by_name)).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=900)).add_extension(x509.BasicConstraints(True, None), True)
        .add_extension(usage, True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by_key.public_key()), False)
    ).sign(by_key, SHA256())  # fmt: skip
    return made.public_bytes(Encoding.PEM), key


def test_a_root_of_others_is_published_as_root_and_no_ca_of_theirs_gets_into_ntauth_by_itself(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    (root, key), place = authority("Their Root", None), tmp_path / "theirs.pem"
    policy, _ = authority("Their Policy", ("Their Root", key))
    place.write_bytes(policy + root)
    privyseal.works("ca", "import-root", str(place), "--name", "theirs")
    theirs = x509.load_pem_x509_certificate(policy).public_bytes(Encoding.DER)
    plan = {change["dn"] for change in privyseal.json("directory", "plan")["changes"]}
    assert {f"CN=Their Root,CN=Certification Authorities,{PKS}", f"CN=Their Policy,CN=AIA,{PKS}"} <= plan
    privyseal.works("directory", "publish", "NTAuthCA", "--yes")
    assert version(privyseal, "below", 1) in controller.values(NTAUTH, CERTIFICATE)
    assert theirs not in controller.values(NTAUTH, CERTIFICATE)


def test_each_key_of_a_ca_has_its_own_place_for_crls(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    def shown(index: str) -> list[bytes]:
        return controller.values(f"CN={cn(tmp_path)}{index},CN=keys,CN=CDP,{PKS}", "certificateRevocationList")

    words = ("directory", "publish-crl", "--ca", "below", "--host", "keys", "--yes")
    privyseal.works(*words)
    privyseal.works("ca", "renew", "below")
    activate(privyseal, "below")
    privyseal.works(*words)
    keys = set()
    for index, number in (("", 1), ("(1)", 2)):
        (crl,) = map(x509.load_der_x509_crl, shown(index))
        issuer = x509.load_der_x509_certificate(version(privyseal, "below", number))
        assert crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]  # an EC key
        keys.add(crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier)
    assert len(keys) == 2
    rows = [row for row in privyseal.json("directory", "status")["crls"] if "CN=keys," in row["dn"]]
    assert [(row["owner"], row["problems"]) for row in rows] == [("below", []), ("below", [])]
    script = ("directory", "script-crl", "--ca", "below", "--host", "keys", "--format", "certutil")
    privyseal.works(*script, "--forest", DNS_DOMAIN, "--out", str(tmp_path / "out"))
    lines = [line for line in (tmp_path / "out" / "publish-crl.cmd").read_text().splitlines() if "dspublish" in line]
    assert [line.split('"')[3] for line in lines] == ["keys", "keys"]
    assert [line.split('"')[5] for line in lines] == [cn(tmp_path), f"{cn(tmp_path)}(1)"]
    for line, index in zip(lines, ("", "(1)"), strict=True):
        assert (tmp_path / "out" / line.split('"')[1]).read_bytes() == shown(index)[0]


def test_the_script_for_two_versions_has_a_file_for_each(privyseal: CommandLine, tmp_path: Path) -> None:
    privyseal.works("ca", "renew", "below")
    words = ("--forest", DNS_DOMAIN, "--format", "certutil", "--ca", "below", "--out", str(tmp_path / "out"))
    privyseal.works("directory", "script", *words)
    files = {file.name: file.read_bytes() for file in (tmp_path / "out").glob("*.cer")}
    assert files == {f"below-v{number}.cer": version(privyseal, "below", number) for number in (1, 2)}
    text = (tmp_path / "out" / "publish.cmd").read_text()
    assert all(f'certutil -f -dspublish "{name}" SubCA' in text for name in files)
