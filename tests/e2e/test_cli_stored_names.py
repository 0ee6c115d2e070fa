# SPDX-License-Identifier: Apache-2.0
"""On the command line as well, a stored name that a CA in NTAuth certifies for log-on takes two people."""

from __future__ import annotations

from privyseal.cli.exits import Exit
from tests.command_line import CommandLine
from tests.installation import Installation, fixture_installation, fixture_installations
from tests.unit.administration.test_tier0 import in_ntauth

__all__ = ["fixture_installation", "fixture_installations"]

ADMINISTRATOR = "S-1-5-21-1004336348-1177238915-682003330-500"


def test_the_command_line_waits_for_a_second_person_where_a_name_decides(installation: Installation) -> None:
    (installation.home.parent / "home").symlink_to(installation.home)
    line = CommandLine(installation.home.parent)
    installation.profile("logon", san=["dns:{{device.dns_name}}"], sid_extension=True)
    line.works("device", "create", "PC-0", "--sid", ADMINISTRATOR)
    in_ntauth(installation)
    line.works("device", "create", "PC-1", "--model", "X1")
    for command in (("create", "PC-2"), ("set", "PC-1")):
        answer = line("device", *command, "--sid", ADMINISTRATOR, "-o", "json")
        assert answer.code == Exit.PENDING and answer.data["approval"], command
    line.works("device", "set", "PC-1", "--disable", "--model", "X2")
    item = line.json("device", "get", "PC-1")
    assert (item["model"], item["sid"], item["enabled"]) == ("X2", None, False)
    assert line("device", "get", "PC-2").code != 0
