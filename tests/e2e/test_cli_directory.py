# SPDX-License-Identifier: Apache-2.0
"""The directory commands as far as no directory is needed: settings, choices, scripts, and what is said without one."""

from __future__ import annotations

import json
from pathlib import Path
from unittest import mock

import pytest

from privyseal.adapters import ldap
from privyseal.errors import ExtraMissing, InvalidValue, NameTaken, ParameterNotFitting
from privyseal.model.presets import PRESET_NAMES
from tests.command_line import Answer, CommandLine
from tests.installation import PASSPHRASE, new_home

KERBEROS = ("--uri", "ldap://dc1.contoso.com", "--keytab", "svc.keytab", "--principal", "svc-pki")


@pytest.fixture
def privyseal(tmp_path: Path) -> CommandLine:
    """An installation with a root and an issuing CA."""
    new_home(tmp_path).rename(tmp_path / "home")
    (tmp_path / "passphrase").touch(mode=0o600)
    (tmp_path / "passphrase").write_text(PASSPHRASE)
    return CommandLine(tmp_path)


def refused(answer: Answer, code: int) -> None:
    assert answer.code != 0
    assert f"error[{code:04}]" in answer.err, answer.err


def test_a_directory_is_added_shown_replaced_and_forgotten(privyseal: CommandLine) -> None:
    made = privyseal.json("directory", "add", "contoso", *KERBEROS, "--host", "dc2.contoso.com")
    assert made["secret_file"].startswith("/") and made["secret_file"].endswith("svc.keytab")
    assert privyseal.json("directory", "get", "contoso") == made
    refused(privyseal("directory", "add", "contoso", *KERBEROS), NameTaken.code)
    privyseal.works("directory", "add", "contoso", "--replace", "--uri", "ldap://dc3.contoso.com")
    assert [item["uris"] for item in privyseal.json("directory", "list")] == [["ldap://dc3.contoso.com"]]
    privyseal.works("directory", "remove-config", "contoso")
    assert privyseal.json("directory", "list") == []
    assert privyseal("directory", "status").code == 3


@pytest.mark.parametrize(
    "options",
    [
        ("--uri", "ldap://dc1", "--bind", "password", "--user", "a@b", "--password-file", "p"),
        ("--uri", "ldaps://dc1"),
        ("--uri", "ldaps://dc1", "--bind", "password"),
        ("--uri", "dc1"),
    ],
)
def test_a_way_that_cannot_work_or_tells_the_password_is_refused(
    privyseal: CommandLine, options: tuple[str, ...]
) -> None:
    refused(privyseal("directory", "add", "contoso", *options), ParameterNotFitting.code)


def test_options_of_the_other_log_in_are_wrong_usage(privyseal: CommandLine) -> None:
    assert privyseal("directory", "add", "x", "--uri", "ldap://dc1", "--user", "a@b").code == 2
    assert privyseal("directory", "add", "x", "--uri", "ldaps://dc1", "--bind", "password", "--keytab", "k").code == 2


def test_with_several_directories_one_must_be_named(privyseal: CommandLine) -> None:
    for name in ("contoso", "fabrikam"):
        privyseal.works("directory", "add", name, *KERBEROS)
    answer = privyseal("directory", "plan")
    assert answer.code == 2
    assert "contoso, fabrikam" in answer.err


def test_without_the_library_it_says_what_to_install_and_scripts_work(privyseal: CommandLine, tmp_path: Path) -> None:
    privyseal.works("directory", "add", "contoso", *KERBEROS)
    with mock.patch.object(ldap, "ldap_library", side_effect=ExtraMissing("python-ldap cannot be imported")):
        answer = privyseal("directory", "plan")
        refused(answer, 7021)
        assert "pip install 'privyseal[ad]'" in answer.err
        for form in ("certutil", "powershell", "ldif"):
            privyseal.works(
                "directory", "script", "--forest", "contoso.com", "--format", form, "--out", str(tmp_path / "s"),
                "--ca", "issuing", "SubCA", "NTAuthCA",
            )  # fmt: skip
    written = {item.suffix for item in (tmp_path / "s").iterdir()}
    assert written == {".cmd", ".ps1", ".ldif", ".cer"}
    assert "certutil -f -dspublish" in (tmp_path / "s" / "publish.cmd").read_text()
    ldif = (tmp_path / "s" / "publish.ldif").read_text()
    assert ldif.count("changetype: add") == 1
    assert ldif.count("changetype: modify") == 1


def test_the_first_certificate_in_ntauth_creates_the_object_when_that_is_said(privyseal: CommandLine) -> None:
    words = ("directory", "script", "--forest", "contoso.com", "--format", "ldif", "--ca", "issuing", "NTAuthCA")
    assert "changetype: add" not in privyseal.works(*words).out
    assert "changetype: add" in privyseal.works(*words, "--new-ntauth").out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("RootCA", "--ca", "issuing"), 2),
        (("NTAuthCA", "--ca", "root"), 2),
        (("--cert", "root.pem"), 2),
        (("Printers",), 2),
        (("--ca", "nobody"), 3),
        (("RootCA", "--cert", "/nonexistent"), 2),
        (("EnrollmentServices", "--ca", "issuing"), 5),
        (("EnrollmentServices", "--ca", "issuing", "--i-understand-enrollment-services"), 2),
    ],
)
def test_what_does_not_fit_together_is_said(privyseal: CommandLine, words: tuple[str, ...], code: int) -> None:
    assert privyseal("directory", "script", "--forest", "contoso.com", "--format", "ldif", *words).code == code


def test_a_file_that_is_no_certificate_is_refused_for_its_target(privyseal: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\x30\x03abc")
    words = ("directory", "script", "--forest", "contoso.com", "--format", "ldif")
    refused(privyseal(*words, "--cert", str(tmp_path / "x"), "NTAuthCA"), 7012)


def test_rights_are_written_for_a_sid_without_a_directory(privyseal: CommandLine) -> None:
    words = ("directory", "delegate", "--forest", "contoso.com", "--format", "dsacls", "--account")
    text = privyseal.works(*words, "S-1-5-21-1-2-3-1104").out
    assert "dsacls" in text and "NTAuth" not in text
    assert "Tier 0" in privyseal.works(*words, "S-1-5-21-1-2-3-1104", "NTAuthCA").out
    assert privyseal(*words, "svc-pki").code == 2


def test_an_undo_file_that_is_none_is_refused(privyseal: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "undo.json").write_text("{}")
    refused(privyseal("directory", "undo", str(tmp_path / "undo.json")), InvalidValue.code)


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_every_preset_makes_a_profile(privyseal: CommandLine, name: str) -> None:
    more = ("--domain", "contoso.com") if name == "domain-controller" else ()
    made = privyseal.json("profile", "create", f"my-{name}", "--preset", name, *more)
    assert made["name"] == f"my-{name}"
    changed = privyseal.json(
        "profile", "create", f"my-{name}", "--preset", name, *more, "--validity", "30d", "--replace"
    )
    assert changed["validity"] == "30d"


def test_a_domain_controllers_certificate_names_host_domain_and_kdc(privyseal: CommandLine, tmp_path: Path) -> None:
    privyseal.works("profile", "create", "kdc", "--preset", "domain-controller", "--domain", "contoso.com")
    privyseal.works("device", "create", "DC1", "--dns-name", "dc1.contoso.com")
    privyseal.works("certificate", "issue", "--profile", "kdc", "--device", "DC1", "--out", str(tmp_path / "dc1"))
    found = privyseal.json("certificate", "inspect", str(tmp_path / "dc1" / "DC1.pem"))
    text = json.dumps(found)
    for name in ("dc1.contoso.com", "dns:contoso.com", "CONTOSO", "krbtgt/CONTOSO.COM@CONTOSO.COM"):
        assert name in text, text
