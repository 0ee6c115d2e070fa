# SPDX-License-Identifier: Apache-2.0
"""What goes wrong between a plan and its end, and certificates that are no good: commands against a real Samba."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from privyseal.directory.containers import PLACEHOLDER
from tests.command_line import CommandLine
from tests.interop.directory_bed import as_administrator, installation
from tests.outside.samba import BASE, CONFIGURATION, PKS, DomainController, domain_controller
from tests.outside.tools import require_python_ldap

NTAUTH = f"CN=NTAuthCertificates,{PKS}"
CERTIFICATE = "cACertificate"
# The example of MS-WCCE 3.1.1.4.1.1, and what it must become.
MICROSOFTS = "LongCAName(WithSpeci@#$%^Characters"
SANITIZED = "LongCAName!0028WithSpeci@!0023$!0025!005eCharacters"


@pytest.fixture(scope="module")
def controller() -> Iterator[DomainController]:
    """One controller for the module; tests leave nothing that another one looks at."""
    require_python_ldap()
    with domain_controller() as running, mock.patch.dict(os.environ, running.environment):
        yield running


@pytest.fixture(scope="module")
def privyseal(tmp_path_factory: pytest.TempPathFactory, controller: DomainController) -> CommandLine:
    """An installation that knows the controller; each test takes out what it published."""
    return installation(tmp_path_factory.mktemp("privyseal"), controller)


def self_signed(
    place: Path, name: str, *, ca: bool = True, days: int = 900, padding: int = 0, weak: bool = False
) -> Path:
    """A certificate that nobody here has issued."""
    key = rsa.generate_private_key(65537, 1024) if weak else ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name, _validate=False)])
    builder = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1000))
        .not_valid_after(now + timedelta(days=days)).add_extension(x509.BasicConstraints(ca, None), True)
    )  # fmt: skip
    if padding:
        oid = x509.ObjectIdentifier("1.3.6.1.4.1.55555.1")
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, bytes(padding)), False)
    file = place / "given.cer"
    file.write_bytes(builder.sign(key, SHA256()).public_bytes(Encoding.DER))
    return file


def meanwhile(happens: Callable[[], None]) -> mock._patch[mock.MagicMock]:
    """While somebody is asked whether the plan that is shown shall be carried out, this happens."""
    return mock.patch("privyseal.cli.directory_publish.confirm", side_effect=lambda *_, **__: happens())


def aia_of(privyseal: CommandLine, name: str) -> str:
    subject = privyseal.json("ca", "get", name)["subject"]
    return f"CN={subject.partition(',')[0].partition('=')[2]},CN=AIA,{PKS}"


def test_a_container_that_is_deleted_between_plan_and_yes_stops_it_with_nothing_written(
    privyseal: CommandLine, controller: DomainController
) -> None:
    place = f"CN=Certification Authorities,{PKS}"
    words = ("directory", "publish", "--ca", "root", "RootCA", "--yes")
    try:
        with meanwhile(lambda: controller.change(f"dn: {place}\nchangetype: delete\n")):
            answer = privyseal(*words)
        assert "error[7011]" in answer.err, answer.err
        assert not controller.values(aia_of(privyseal, "root"), CERTIFICATE)
        again = privyseal(*words)
        assert "error[7015]" in again.err and place in again.err, again.err
    finally:
        controller.add(f"dn: {place}\nobjectClass: container\n")
    assert len(privyseal.json(*words)["changes"]) == 2
    privyseal.works("directory", "remove", "--ca", "root", "RootCA", "--yes")


def test_what_others_change_between_plan_and_yes_makes_the_plan_stale(
    privyseal: CommandLine, controller: DomainController
) -> None:
    dn, theirs = aia_of(privyseal, "issuing"), b"\x30\x03\x02\x01\x09"
    agreed = privyseal.json("directory", "plan", "--ca", "issuing", "SubCA")["fingerprint"]
    lines = [f"dn: {dn}", "objectClass: certificationAuthority", f"cACertificate:: {base64.b64encode(theirs).decode()}"]
    lines += ["authorityRevocationList:: AA==", "certificateRevocationList:: AA==", ""]
    words = ("directory", "publish", "--ca", "issuing", "SubCA", "--yes")
    with meanwhile(lambda: controller.add("\n".join(lines))):
        assert "error[7011]" in privyseal(*words).err
    assert controller.values(dn, CERTIFICATE) == [theirs]
    assert "error[7011]" in privyseal(*words, "--plan", agreed).err, "nor is the plan of before accepted by its name"
    privyseal.works(*words)
    assert len(controller.values(dn, CERTIFICATE)) == 2, "theirs stays"
    privyseal.works("directory", "remove", "--ca", "issuing", "SubCA", "--yes")
    assert controller.values(dn, CERTIFICATE) == [theirs]
    controller.change(f"dn: {dn}\nchangetype: delete\n")


def test_two_cas_of_one_name_share_an_object_and_each_leaves_alone(
    privyseal: CommandLine, controller: DomainController
) -> None:
    subjects = {"one": "CN=Same Name,O=One", "two": "CN=Same Name,O=Two"}
    for name, subject in subjects.items():
        privyseal.works("ca", "create", name, "--parent", "root", "--key", "ec:p256", "--subject", subject)
    held = {name: privyseal.works("ca", "export", name, "-o", "der").raw for name in subjects}
    privyseal.works("directory", "publish", "--ca", "one", "--ca", "two", "SubCA", "--yes")
    dn = f"CN=Same Name,CN=AIA,{PKS}"
    assert set(controller.values(dn, CERTIFICATE)) == set(held.values())
    privyseal.works("directory", "remove", "--ca", "one", "SubCA", "--yes")
    assert controller.values(dn, CERTIFICATE) == [held["two"]]
    assert privyseal("directory", "verify").code == 0
    privyseal.works("directory", "remove", "--ca", "two", "SubCA", "--yes")
    assert not controller.values(dn, "cn"), "the object goes with its last certificate"


def test_microsofts_example_of_a_name_stands_where_microsofts_tools_look(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    file = str(self_signed(tmp_path, MICROSOFTS))
    privyseal.works("directory", "publish", "--cert", file, "RootCA", "--yes")
    dn = f"CN={SANITIZED},CN=Certification Authorities,{PKS}"
    assert controller.values(dn, "cn") == [SANITIZED.encode()]
    assert controller.values(dn, CERTIFICATE) == [Path(file).read_bytes()]
    privyseal.works("directory", "remove", "--cert", file, "RootCA", "--yes")


@pytest.mark.parametrize(
    "name", ["a+b,CN=x", 'q"u\\o<t>e;=#', " leading", "#hash", "trailing ", "nul\0byte", "x" * 64, "\u202eover", "🔒"]
)
def test_a_hostile_name_of_a_ca_becomes_one_object_in_its_place_and_goes_again(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path, name: str
) -> None:
    file = str(self_signed(tmp_path, name))
    before = controller.look(f"CN=Services,{CONFIGURATION}", "dn")
    done = privyseal("directory", "publish", "--cert", file, "RootCA", "--yes", "-o", "json")
    if done.code:
        assert "error[70" in done.err and controller.look(f"CN=Services,{CONFIGURATION}", "dn") == before
        return
    dns = [change["dn"] for change in done.data["changes"]]
    assert [dn.partition(",CN=")[2] for dn in dns] == [f"Certification Authorities,{PKS}", f"AIA,{PKS}"]
    assert all(controller.values(dn, CERTIFICATE) == [Path(file).read_bytes()] for dn in dns)
    assert privyseal("directory", "verify").code == 0
    privyseal.works("directory", "remove", "--cert", file, "RootCA", "--yes")
    assert not any(controller.values(dn, "cn") for dn in dns)


def test_the_name_in_a_certificate_of_others_cannot_write_over_the_plan(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    file = str(self_signed(tmp_path, "\x1b[1A\x1b[2K\r2. nothing else\n"))
    for words in (("plan",), ("publish", "--yes"), ("status",), ("remove", "--yes")):
        given = () if words == ("status",) else ("--cert", file, "RootCA")
        answer = privyseal("directory", *words, *given)
        assert answer.code == 0, answer.err
        assert "\x1b" not in answer.out + answer.err and "\r" not in answer.out + answer.err
        assert "\\x1b[1A" in answer.out + answer.err, "it is shown as what it is"


@pytest.mark.parametrize("target", ["RootCA", "SubCA", "NTAuthCA"])
def test_what_is_no_ca_or_too_large_or_over_is_refused_for_every_target(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path, target: str
) -> None:
    def refused(file: Path) -> str:
        before = controller.values(NTAUTH, CERTIFICATE)
        answer = privyseal("directory", "publish", "--cert", str(file), target, "--yes")
        assert answer.code != 0 and controller.values(NTAUTH, CERTIFICATE) == before
        return answer.err

    assert "error[7012]" in refused(self_signed(tmp_path, "Leaf", ca=False))
    large = self_signed(tmp_path, "Large", padding=33 * 1024)
    assert large.stat().st_size > 33 * 1024
    assert "error[7013]" in refused(large)
    assert "error[7014]" in refused(self_signed(tmp_path, "Over", days=-1))
    (tmp_path / "text").write_text("not a certificate")
    assert "error[7012]" in refused(tmp_path / "text")


def test_status_shows_what_is_expired_or_weak_with_usn_and_time(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    files = []
    for name, made in (("Past CA", {"days": -1}), ("Weak CA", {"weak": True})):
        (tmp_path / name).mkdir()
        files.append(str(self_signed(tmp_path / name, name, **made)))
        privyseal.works("directory", "publish", "--cert", files[-1], "SubCA", "--allow-expired", "--yes")
    rows = {row["name"]: row for row in privyseal.json("directory", "status")["certificates"]}
    assert "expired on" in rows["Past CA"]["problems"][0]
    assert rows["Weak CA"]["problems"] == ["weak key: RSA-1024"]
    for row in (rows["Past CA"], rows["Weak CA"]):
        assert (row["owner"], row["container"], row["receipted"]) == ("foreign", "AIA", True)
        found = controller.look(row["dn"], "uSNChanged")
        assert f"uSNChanged: {row['usn_changed']}" in found and row["when_changed"].endswith("Z")
    table = privyseal.works("directory", "status").out
    assert "USN CHANGED" in table and "WHEN CHANGED" in table and "weak key: RSA-1024" in table
    for file in files:
        privyseal.works("directory", "remove", "--cert", file, "SubCA", "--yes")


def test_an_undo_file_from_elsewhere_writes_nothing_that_no_publication_writes(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    """Whoever gets an Enterprise Admin to undo a file must not become one, nor put a CA of theirs into NTAuth."""
    controller.add_user("mallory")
    admins = f"CN=Domain Admins,CN=Users,{BASE}"
    members = controller.values(admins, "member")
    leaf = self_signed(tmp_path, "Mallory", ca=False).read_bytes()

    def undone(dn: str, attribute: str, value: bytes) -> str:
        file = tmp_path / "undo.json"
        change = {"change": "remove-value", "dn": dn, "attribute": attribute, "value": base64.b64encode(value).decode()}
        head = {"format": "privyseal directory undo 1", "forest": "ad.example.test", "controller": "dc1"}
        file.write_text(json.dumps({**head, "at": "2026-11-22T12:00:00+00:00", "changes": [change]}))
        answer = privyseal("directory", "undo", str(file), "--yes")
        assert answer.code != 0
        return answer.err

    assert "'member' of" in undone(admins, "member", f"CN=mallory,CN=Users,{BASE}".encode())
    assert "is not below CN=Public Key Services" in undone(admins, CERTIFICATE, leaf)
    privyseal.works("directory", "publish", "--ca", "issuing", "NTAuthCA", "--yes")
    assert "error[7012]" in undone(NTAUTH, CERTIFICATE, leaf)
    good = self_signed(tmp_path, "Mallory CA").read_bytes()
    assert "takes a second person" in undone(NTAUTH, CERTIFICATE, good), "ours stands there, so four eyes are on"
    assert controller.values(admins, "member") == members
    assert not {leaf, good} & set(controller.values(NTAUTH, CERTIFICATE))
    privyseal.works("directory", "remove", "--ca", "issuing", "NTAuthCA", "--keep-empty", "--yes")
    assert controller.values(NTAUTH, CERTIFICATE) == [PLACEHOLDER]


def test_what_was_taken_out_of_ntauth_comes_back_by_undo_while_one_person_may_decide(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    file, undo = str(self_signed(tmp_path, "Partner CA")), str(tmp_path / "undo.json")
    privyseal.works("directory", "publish", "--cert", file, "NTAuthCA", "--yes")
    privyseal.works("directory", "remove", "--cert", file, "NTAuthCA", "--keep-empty", "--yes", "--undo-file", undo)
    assert Path(file).read_bytes() not in controller.values(NTAUTH, CERTIFICATE)
    privyseal.works("directory", "undo", undo, "--yes")
    assert Path(file).read_bytes() in controller.values(NTAUTH, CERTIFICATE)
    privyseal.works("directory", "remove", "--cert", file, "NTAuthCA", "--keep-empty", "--yes")


def test_a_controller_that_may_only_read_sends_nobody_elsewhere(
    privyseal: CommandLine, controller: DomainController
) -> None:
    """It answers a change with a referral, which is said and not followed. The last test: it changes the controller."""
    settings = f"CN=NTDS Settings,CN=DC1,CN=Servers,CN=Default-First-Site-Name,CN=Sites,{CONFIGURATION}"
    category = f"CN=NTDS-DSA-RO,CN=Schema,{CONFIGURATION}"
    controller.stop()
    controller.change(
        f"dn: {settings}\nchangetype: modify\nreplace: objectCategory\nobjectCategory: {category}\n", relaxed=True
    )
    controller.configure("  server services = ldap, cldap", ports=(389, 636))
    controller.start()
    privyseal.works("directory", "add", "samba", "--replace", *as_administrator(controller))
    answer = privyseal("directory", "publish", "--ca", "issuing", "SubCA", "--yes")
    assert "error[7023]" in answer.err and "not done" in answer.err, answer.err
    assert not controller.values(aia_of(privyseal, "issuing"), CERTIFICATE)
    assert privyseal.json("directory", "status")["gone"] == [], "nothing was made, so nothing is gone"
