# SPDX-License-Identifier: Apache-2.0
"""The directory gate of a rollover at a real Samba controller: where the old version stands, the new one must stand."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

from privyseal.errors import GatesNotPassed
from tests.command_line import CommandLine
from tests.interop.directory_bed import installation
from tests.outside.samba import PKS, DomainController

NTAUTH = f"CN=NTAuthCertificates,{PKS}"


def gate(privyseal: CommandLine, name: str) -> dict[str, Any]:
    """One gate of the staged version."""
    gates = privyseal("ca", "rollover", "issuing", "-o", "json").data
    return next(dict(item) for item in gates if item["gate"] == name)


def test_a_version_is_active_only_when_it_stands_wherever_the_one_before_stands(
    tmp_path: Path, controller: DomainController
) -> None:
    privyseal = installation(tmp_path, controller)
    privyseal.works("access", "four-eyes", "off", "--reason", "one person tests")
    privyseal.works("directory", "publish", "--ca", "issuing", "SubCA", "NTAuthCA", "--yes")
    privyseal.works("ca", "renew", "issuing")
    shut = gate(privyseal, "directory")
    assert shut["passed"] is False
    others = ("chain", "crl", "ocsp", "aia", "test")  # nobody serves in this test
    accepted = [word for name in others for word in ("--accept", name)]
    refused = privyseal("ca", "activate", "issuing", *accepted, "-o", "json")
    assert refused.error["code"] == GatesNotPassed.code
    assert "directory:" in refused.error["what"]

    privyseal.works("ca", "export", "issuing", "--version", "2", "--out", str(tmp_path / "v2.pem"))
    privyseal.works("directory", "publish", "--cert", str(tmp_path / "v2.pem"), "SubCA", "--yes")
    shut = gate(privyseal, "directory")
    assert (shut["passed"], "NTAuthCertificates" in shut["evidence"]) == (False, True), shut
    privyseal.works("directory", "publish", "--cert", str(tmp_path / "v2.pem"), "NTAuthCA", "--yes")
    assert len(controller.values(NTAUTH, "cACertificate")) == 2
    opened = gate(privyseal, "directory")
    assert (opened["passed"], opened["evidence"]) == (True, "samba: 2 value(s) shown by 1 controller(s)")

    # What another administrator takes away shuts it again, whatever the receipts say.
    v1 = privyseal.works("ca", "export", "issuing", "--version", "1", "-o", "der").raw
    v2 = next(value for value in controller.values(NTAUTH, "cACertificate") if value != v1)
    controller.change(_removal(v2))
    assert gate(privyseal, "directory")["passed"] is False
    assert privyseal("ca", "activate", "issuing", *accepted).code != 0


def _removal(value: bytes) -> str:
    return f"dn: {NTAUTH}\nchangetype: modify\ndelete: cACertificate\ncACertificate:: {b64encode(value).decode()}\n"
