# SPDX-License-Identifier: Apache-2.0
"""The directory commands against a real Samba domain controller; `ldbsearch` on its database is the second opinion."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from cryptography import x509

from privyseal.directory.containers import PLACEHOLDER
from tests.command_line import CommandLine
from tests.installation import PASSPHRASE, new_home
from tests.outside.samba import ADMIN, BASE, DNS_DOMAIN, PASSWORD, PKS, DomainController, domain_controller
from tests.outside.tools import require_python_ldap, require_tool, run

NTAUTH = f"CN=NTAuthCertificates,{PKS}"


@pytest.fixture(scope="module")
def controller() -> Iterator[DomainController]:
    """One controller for the module; tests clean up after themselves."""
    require_python_ldap()
    with domain_controller() as running, mock.patch.dict(os.environ, running.environment):
        yield running


@pytest.fixture
def privyseal(tmp_path: Path, controller: DomainController) -> Iterator[CommandLine]:
    """An installation with a root, an issuing CA and the controller's directory."""
    home = new_home(tmp_path, "rsa:2048")
    home.rename(tmp_path / "home")
    (tmp_path / "passphrase").touch(mode=0o600)
    (tmp_path / "passphrase").write_text(PASSPHRASE)
    command = CommandLine(tmp_path)
    password = ("--bind", "password", "--user", ADMIN, "--password-file", str(controller.password_file))
    command.works(
        "directory", "add", "samba", "--uri", controller.ldaps, *password, "--ca-file", str(controller.ca_file)
    )
    yield command
    for target, ca in (("RootCA", "root"), ("SubCA", "issuing"), ("NTAuthCA", "issuing")):
        command("directory", "remove", "--ca", ca, target, "--yes")


def certificate(privyseal: CommandLine, name: str) -> bytes:
    return privyseal.works("ca", "export", name, "-o", "der").raw


def dn_of(privyseal: CommandLine, name: str, container: str) -> str:
    subject = privyseal.json("ca", "get", name)["subject"]
    return f"CN={subject.partition(',')[0].partition('=')[2]},CN={container},{PKS}"


def test_a_plan_names_the_exact_objects_and_writes_nothing(
    privyseal: CommandLine, controller: DomainController
) -> None:
    plan = privyseal.json("directory", "plan")
    root, issuing = dn_of(privyseal, "root", "Certification Authorities"), dn_of(privyseal, "issuing", "AIA")
    assert [change["dn"] for change in plan["changes"]] == [root, dn_of(privyseal, "root", "AIA"), issuing]
    assert all("create CN=" in change["change"] for change in plan["changes"])
    assert not controller.values(root, "cACertificate")
    assert privyseal.json("directory", "plan")["fingerprint"] == plan["fingerprint"]


def test_publish_verify_remove_and_the_controllers_database_agrees(
    privyseal: CommandLine, controller: DomainController
) -> None:
    said = privyseal.works("directory", "publish", "--yes")
    assert "gpupdate" in said.err
    assert "privyseal directory undo" in said.err
    root, issuing = certificate(privyseal, "root"), certificate(privyseal, "issuing")
    assert controller.values(dn_of(privyseal, "root", "Certification Authorities"), "cACertificate") == [root]
    assert controller.values(dn_of(privyseal, "root", "AIA"), "cACertificate") == [root]
    assert controller.values(dn_of(privyseal, "issuing", "AIA"), "cACertificate") == [issuing]
    assert privyseal.json("directory", "publish", "--yes")["changes"] == []
    proofs = privyseal.json("directory", "verify")
    assert len(proofs) == 3
    assert all(item["shown"] and item["usn"] for item in proofs)
    privyseal.works("directory", "remove", "--ca", "root", "RootCA", "--yes")
    assert not controller.look(dn_of(privyseal, "root", "AIA"), "cn").count("dn: CN=DEMO")
    assert privyseal.json("directory", "verify")[0]["dn"] == dn_of(privyseal, "issuing", "AIA")


def test_ntauth_is_written_on_demand_only_and_who_needs_it_is_said_first(
    privyseal: CommandLine, controller: DomainController
) -> None:
    said = privyseal.works("directory", "publish", "--ca", "issuing", "NTAuthCA", "--yes")
    assert said.err.index("Tier 0") < said.err.index("1. ")
    issuing = certificate(privyseal, "issuing")
    assert issuing in controller.values(NTAUTH, "cACertificate")
    privyseal.works("directory", "remove", "--ca", "issuing", "NTAuthCA", "--keep-empty", "--yes")
    assert controller.values(NTAUTH, "cACertificate") == [PLACEHOLDER]
    privyseal.works("directory", "publish", "--ca", "issuing", "NTAuthCA", "--yes")
    assert controller.values(NTAUTH, "cACertificate") == [issuing]


def test_without_a_terminal_nothing_is_written_unless_yes_is_said(
    privyseal: CommandLine, controller: DomainController
) -> None:
    refused = privyseal("directory", "publish")
    assert refused.code == 5
    assert "error[7025]" in refused.err
    assert not controller.values(dn_of(privyseal, "issuing", "AIA"), "cACertificate")


def test_another_plan_than_the_agreed_one_is_refused(privyseal: CommandLine) -> None:
    refused = privyseal("directory", "publish", "--yes", "--plan", "0" * 16)
    assert "error[7011]" in refused.err


def test_certutils_spelling_publishes_a_certificate_of_anybody(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    file = tmp_path / "root.pem"
    privyseal.works("ca", "export", "root", "--out", str(file))
    privyseal.works("directory", "publish", "--cert", str(file), "rootca", "--yes")
    dn = dn_of(privyseal, "root", "Certification Authorities")
    assert controller.values(dn, "cACertificate") == [certificate(privyseal, "root")]
    refused = privyseal("directory", "publish", "--cert", str(controller.directory / "tls" / "cert.pem"), "NTAuthCA")
    assert "error[7012]" in refused.err


def test_an_undo_file_takes_back_exactly_what_was_done(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    undo = tmp_path / "undo.json"
    privyseal.works("directory", "publish", "--ca", "issuing", "SubCA", "--yes", "--undo-file", str(undo))
    assert len(json.loads(undo.read_text())["changes"]) == 1
    assert privyseal.json("directory", "undo", str(undo), "--yes")["done"] == ["done"]
    assert not controller.values(dn_of(privyseal, "issuing", "AIA"), "cACertificate")


def test_what_others_published_is_not_removed(privyseal: CommandLine, controller: DomainController) -> None:
    dn, value = dn_of(privyseal, "issuing", "AIA"), certificate(privyseal, "issuing")
    encoded = base64.b64encode(value).decode()
    controller.add(
        f"dn: {dn}\nobjectClass: certificationAuthority\ncACertificate:: {encoded}\n"
        "authorityRevocationList:: AA==\ncertificateRevocationList:: AA==\n"
    )
    refused = privyseal("directory", "remove", "--ca", "issuing", "SubCA", "--yes")
    assert "error[7022]" in refused.err
    assert controller.values(dn, "cACertificate") == [value]
    controller.change(f"dn: {dn}\nchangetype: delete\n")


def test_verify_ends_with_1_when_a_published_certificate_is_gone_and_status_says_so(
    privyseal: CommandLine, controller: DomainController
) -> None:
    privyseal.works("directory", "publish", "--ca", "issuing", "SubCA", "--yes")
    dn = dn_of(privyseal, "issuing", "AIA")
    status = privyseal.json("directory", "status")
    row = next(item for item in status["certificates"] if item["dn"] == dn)
    assert (row["owner"], row["receipted"], row["problems"]) == ("ours", True, [])
    assert row["usn_changed"] and row["when_changed"]
    controller.change(f"dn: {dn}\nchangetype: delete\n")
    assert privyseal("directory", "verify").code == 1
    assert [item["dn"].lower() for item in privyseal.json("directory", "status")["gone"]] == [dn.lower()]
    privyseal.works("directory", "publish", "--ca", "issuing", "SubCA", "--yes")
    assert privyseal("directory", "verify").code == 0


def test_a_stranger_in_the_containers_is_foreign_until_it_is_imported(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    theirs = controller.ca_file
    privyseal.works("directory", "publish", "--cert", str(theirs), "RootCA", "--yes")
    assert {item["owner"] for item in privyseal.json("directory", "status")["certificates"]} == {"foreign"}
    assert [item["name"] for item in privyseal.json("directory", "import")] == ["Throwaway DC Authority"]
    assert {item["owner"] for item in privyseal.json("directory", "status")["certificates"]} == {"external"}
    watched = [point for point in privyseal("doctor", "-o", "json").data if point["check"] == "external-cas"]
    assert [(point["level"], "Throwaway DC Authority" in point["what"]) for point in watched] == [("warning", True)]
    privyseal.works("directory", "remove", "--cert", str(theirs), "RootCA", "--yes")


def test_enrollment_services_asks_for_its_flag_and_goes_again(
    privyseal: CommandLine, controller: DomainController
) -> None:
    words = ("--ca", "issuing", "EnrollmentServices", "--enrollment-host", "pki.ad.example.test")
    refused = privyseal("directory", "publish", *words, "--yes")
    assert "error[7025]" in refused.err
    privyseal.works("directory", "publish", *words, "--i-understand-enrollment-services", "--yes")
    dn = dn_of(privyseal, "issuing", "Enrollment Services")
    assert controller.values(dn, "dNSHostName") == [b"pki.ad.example.test"]
    privyseal.works("directory", "remove", "--ca", "issuing", "EnrollmentServices", "--yes")
    assert not controller.values(dn, "cn")


def apply_ldif(controller: DomainController, text: str) -> None:
    """As an administrator would: over the network, with a tool that is not ours."""
    login = ["-x", "-D", ADMIN, "-w", PASSWORD, "-H", controller.ldaps]
    environment = {**controller.environment, "LDAPTLS_CACERT": str(controller.ca_file)}
    run([require_tool("ldapmodify"), *login], given=text.encode(), environment=environment).must_work()


@pytest.mark.parametrize("form", ["ldif", "powershell", "certutil"])
def test_a_script_needs_no_directory_and_its_ldif_does_the_same(
    privyseal: CommandLine, controller: DomainController, form: str
) -> None:
    with mock.patch("privyseal.adapters.ldap.ldap_library", side_effect=AssertionError("no library is needed")):
        text = privyseal.works("directory", "script", "--forest", DNS_DOMAIN, "--format", form).out
    assert dn_of(privyseal, "issuing", "AIA") in text.replace("\n ", "") or form == "ldif"
    if form == "ldif":
        apply_ldif(controller, text)
        assert controller.values(dn_of(privyseal, "issuing", "AIA"), "cACertificate")
        assert privyseal("directory", "verify").code == 0
        removal = privyseal.works("directory", "script", "--forest", DNS_DOMAIN, "--format", form, "--remove").out
        apply_ldif(controller, removal)
        assert not controller.values(dn_of(privyseal, "issuing", "AIA"), "cACertificate")


def test_an_account_with_just_the_delegated_rights_publishes_and_a_plain_user_may_not(
    privyseal: CommandLine, controller: DomainController
) -> None:
    dn = controller.add_user("svc-pki")
    keytab = controller.keytab("svc-pki")
    privyseal.works("directory", "add", "samba", "--replace", "--uri", controller.ldap, "--keytab", str(keytab))
    refused = privyseal("directory", "publish", "--yes")
    assert "error[7008]" in refused.err
    account = controller.sid(dn)
    commands = privyseal.works("directory", "delegate", "--account", f"svc-pki@{DNS_DOMAIN}", "--format", "samba").out
    assert account in commands
    for line in commands.splitlines():
        if line.startswith("samba-tool"):
            target, sddl = line.split("'")[1], line.split("'")[3]
            controller.allow(target, sddl)
    privyseal.works("directory", "publish", "--yes")
    refused = privyseal("directory", "publish", "--ca", "issuing", "NTAuthCA", "--yes")
    assert "error[7008]" in refused.err
    for ca, target in (("root", "RootCA"), ("issuing", "SubCA")):
        privyseal.works("directory", "remove", "--ca", ca, target, "--keep-empty", "--yes")
    assert controller.values(dn_of(privyseal, "issuing", "AIA"), "cACertificate") == [PLACEHOLDER]
    for place in (("root", "Certification Authorities"), ("root", "AIA"), ("issuing", "AIA")):
        controller.change(f"dn: {dn_of(privyseal, *place)}\nchangetype: delete\n")


def test_a_crl_is_published_for_ldap_and_taken_back(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    undo = tmp_path / "undo.json"
    privyseal.works("directory", "publish-crl", "--ca", "issuing", "--host", "pki", "--yes", "--undo-file", str(undo))
    name = dn_of(privyseal, "issuing", "CDP").partition(",")[0]
    (crl,) = controller.values(f"{name},CN=pki,CN=CDP,{PKS}", "certificateRevocationList")
    assert x509.load_der_x509_crl(crl).issuer.rfc4514_string()
    assert privyseal.json("directory", "publish-crl", "--ca", "issuing", "--host", "pki", "--yes")["changes"] == []
    privyseal.works("directory", "undo", str(undo), "--yes")
    assert not controller.values(f"CN=pki,CN=CDP,{PKS}", "cn")


def test_base_and_delta_are_published_together_and_newer_ones_take_their_places(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    privyseal.works("ca", "create", "deltas", "--parent", "root", "--key", "ec:p256", "--delta-crl", "1d")
    publish = ("directory", "publish-crl", "--ca", "deltas", "--host", "pki", "--yes")
    undo = tmp_path / "undo.json"
    privyseal.works(*publish, "--undo-file", str(undo))
    dn = f"{dn_of(privyseal, 'deltas', 'CDP').partition(',')[0]},CN=pki,CN=CDP,{PKS}"

    def numbers() -> list[int]:
        found = [controller.values(dn, name) for name in ("certificateRevocationList", "deltaRevocationList")]
        assert [len(values) for values in found] == [1, 1]
        crls = [x509.load_der_x509_crl(values[0]) for values in found]
        assert crls[1].extensions.get_extension_for_class(x509.DeltaCRLIndicator).critical
        return [crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number for crl in crls]

    assert numbers() == [1, 2]
    privyseal.works("directory", "verify")
    made = privyseal.works("certificate", "list", "--kind", "ocsp", "-o", "json").out
    responder = re.findall(r'"serial": "([0-9a-f]+)",\s+"ca": "deltas"', made)[0]
    privyseal.works("certificate", "revoke", responder, "--reason", "superseded")
    shown = privyseal.json("directory", "status")["crls"]
    assert [(item["owner"], item["kind"], item["number"]) for item in shown] == [("deltas", "base", 1),
                                                                                ("deltas", "delta", 2)]  # fmt: skip
    assert [item["problems"] for item in shown] == [[], ["stale: 3 is in force"]]
    privyseal.works(*publish, "--undo-file", str(tmp_path / "newer.json"))
    assert numbers() == [1, 3]
    assert privyseal.json(*publish)["changes"] == []
    for name in ("newer.json", "undo.json"):
        privyseal.works("directory", "undo", str(tmp_path / name), "--yes")
    assert not controller.values(f"CN=pki,CN=CDP,{PKS}", "cn")


def test_a_script_for_crls_needs_no_directory_and_does_the_same(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    privyseal.works("ca", "create", "scripted", "--parent", "root", "--key", "ec:p256", "--delta-crl", "1d")
    dn = f"{dn_of(privyseal, 'scripted', 'CDP').partition(',')[0]},CN=pki,CN=CDP,{PKS}"
    script = ("directory", "script-crl", "--ca", "scripted", "--host", "pki", "--format")
    apply_ldif(controller, privyseal.works(*script, "ldif", "--forest", DNS_DOMAIN).out)
    for name in ("certificateRevocationList", "deltaRevocationList"):
        assert len(controller.values(dn, name)) == 1
    # Asked, the directory needs nothing more, whatever the form.
    assert privyseal.works(*script, "ldif").out.strip() == "version: 1"
    assert dn not in privyseal.works(*script, "powershell").out
    privyseal.works(*script, "certutil", "--out", str(tmp_path))
    lines = (tmp_path / "publish-crl.cmd").read_text().splitlines()
    files = [line.split('"')[1] for line in lines if line.startswith("certutil -f -dspublish")]
    assert [line.split('"')[3] for line in lines if line.startswith("certutil")] == ["pki", "pki"]
    assert [(tmp_path / file).read_bytes() for file in files] == [
        controller.values(dn, name)[0] for name in ("certificateRevocationList", "deltaRevocationList")
    ]
    controller.change(f"dn: {dn}\nchangetype: delete\n")
    controller.change(f"dn: {dn.partition(',')[2]}\nchangetype: delete\n")


def test_every_change_is_in_the_audit_trail(privyseal: CommandLine, controller: DomainController) -> None:
    privyseal.works("directory", "publish", "--ca", "issuing", "SubCA", "--yes")
    events = privyseal.json("audit", "list", "--event", "directory.")
    assert "directory.changed" in {event["event"] for event in events}
    assert any(dn_of(privyseal, "issuing", "AIA") in event["target"] for event in events)
    privyseal.works("audit", "verify")


# --- names from the directory ------------------------------------------------------------------------


def computer(controller: DomainController, name: str, *more: str) -> str:
    dn = f"CN={name},CN=Computers,{BASE}"
    lines = [f"dn: {dn}", "objectClass: computer", f"sAMAccountName: {name}$", "userAccountControl: 4096", *more, ""]
    controller.add("\n".join(lines))
    return dn


def issue(privyseal: CommandLine, profile: str, kind: str, name: str, place: Path) -> str:
    privyseal.works("certificate", "issue", "--profile", profile, f"--{kind}", name, "--out", str(place))
    return privyseal.works("certificate", "inspect", str(place / f"{name}.pem"), "-o", "json").out


def test_a_users_names_and_sid_come_from_the_account_at_each_issuance(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    dn = controller.add_user("ada")
    sid = controller.sid(dn)
    privyseal.works("profile", "create", "logon", "--preset", "user-logon")
    bound = privyseal.json("user", "create", "ada", "--principal", f"ada@{DNS_DOMAIN}")
    assert (bound["sid"], bound["object_sid"], bound["directory"]) == (sid, sid, "samba")
    text = issue(privyseal, "logon", "user", "ada", tmp_path / "1")
    assert sid in text and f"ada@{DNS_DOMAIN}" in text
    controller.change(
        f"dn: {dn}\nchangetype: modify\nreplace: userPrincipalName\nuserPrincipalName: countess@{DNS_DOMAIN}\n"
    )
    assert f"countess@{DNS_DOMAIN}" in issue(privyseal, "logon", "user", "ada", tmp_path / "2")
    controller.change(f"dn: {dn}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 514\n")
    refused = privyseal("certificate", "issue", "--profile", "logon", "--user", "ada", "--out", str(tmp_path / "3"))
    assert "error[7018]" in refused.err
    controller.change(f"dn: {dn}\nchangetype: delete\n")
    refused = privyseal("certificate", "issue", "--profile", "logon", "--user", "ada", "--out", str(tmp_path / "4"))
    assert "error[7017]" in refused.err


def test_a_name_that_two_accounts_have_and_a_computer_without_one_are_refused(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    # Samba itself keeps principal names unique, explicit and implicit ones; DNS names it does not.
    computer(controller, "pc8", f"dNSHostName: pc8.{DNS_DOMAIN}")
    privyseal.works("profile", "create", "wifi", "--preset", "computer-wifi")
    privyseal.works("device", "create", "PC8", "--principal", f"pc8.{DNS_DOMAIN}")
    computer(controller, "pc9", f"dNSHostName: PC8.{DNS_DOMAIN}")
    refused = privyseal("certificate", "issue", "--profile", "wifi", "--device", "PC8", "--out", str(tmp_path / "1"))
    assert "error[7019]" in refused.err
    assert "error[7019]" in privyseal("device", "lookup", f"pc8.{DNS_DOMAIN}").err
    computer(controller, "bare")
    assert "error[7020]" in privyseal("device", "lookup", "bare").err
    assert "error[7017]" in privyseal("user", "lookup", f"nobody@{DNS_DOMAIN}").err


def test_a_computers_certificate_carries_its_dns_name_and_sid(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    dn = computer(controller, "pc7", f"dNSHostName: pc7.{DNS_DOMAIN}")
    privyseal.works("profile", "create", "wifi", "--preset", "computer-wifi")
    privyseal.works("device", "create", "PC7", "--principal", f"pc7.{DNS_DOMAIN}")
    text = issue(privyseal, "wifi", "device", "PC7", tmp_path / "pc7")
    assert f"pc7.{DNS_DOMAIN}" in text and controller.sid(dn) in text


def test_a_silent_directory_is_told_apart_from_a_refusal(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path
) -> None:
    controller.add_user("grace")
    privyseal.works("profile", "create", "logon", "--preset", "user-logon")
    privyseal.works("user", "create", "grace", "--principal", f"grace@{DNS_DOMAIN}")
    privyseal.works("directory", "add", "samba", "--replace", "--uri", "ldap://127.77.0.1:1")
    refused = privyseal("certificate", "issue", "--profile", "logon", "--user", "grace", "--out", str(tmp_path / "g"))
    assert "error[7001]" in refused.err
    password = ("--bind", "password", "--user", ADMIN, "--password-file", str(tmp_path / "wrong"))
    (tmp_path / "wrong").touch(mode=0o600)
    (tmp_path / "wrong").write_text("not it")
    tls = ("--ca-file", str(controller.ca_file))
    privyseal.works("directory", "add", "samba", "--replace", "--uri", controller.ldaps, *password, *tls)
    refused = privyseal("certificate", "issue", "--profile", "logon", "--user", "grace", "--out", str(tmp_path / "h"))
    assert "error[7026]" in refused.err
