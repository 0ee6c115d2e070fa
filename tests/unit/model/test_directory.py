# SPDX-License-Identifier: Apache-2.0
"""How a directory is reached: what cannot work, or would send a password in clear, is refused when it is said."""

from __future__ import annotations

from typing import Any

import pytest

from privyseal.errors import ParameterNotFitting
from privyseal.model.directory import BindKind, DirectoryConfig


def config(**fields: Any) -> DirectoryConfig:
    given = {"name": "contoso", "uris": ("ldap://dc1.contoso.com",), "bind": BindKind.KERBEROS}
    return DirectoryConfig(**(given | fields))


PASSWORD = {"bind": BindKind.PASSWORD, "account": "svc@contoso.com", "secret_file": "/etc/svc.pass"}


def test_further_hosts_are_reached_as_the_first_one_is() -> None:
    found = config(uris=("ldaps://dc1.contoso.com/", "ldaps://dc2:6360"), hosts=("dc3", "dc1.contoso.com"), **PASSWORD)
    assert found.controller_uris() == (
        "ldaps://dc1.contoso.com", "ldaps://dc2:6360", "ldaps://dc3",
    )  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "con toso"},
        {"uris": ()},
        {"uris": ("http://dc1",)},
        {"uris": ("ldap://dc1:70000",)},
        {"uris": ("ldap://user@dc1",)},
        {"uris": ("ldap://dc1/DC=x",)},
        {"hosts": ("dc 2",)},
        {"hosts": ("x",) * 64},
        {"uris": ("ldaps://dc1",)},
        PASSWORD,
        {**PASSWORD, "uris": ("ldaps://dc1",), "account": ""},
        {**PASSWORD, "uris": ("ldaps://dc1",), "secret_file": ""},
    ],
)
def test_what_cannot_work_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ParameterNotFitting):
        config(**fields)
