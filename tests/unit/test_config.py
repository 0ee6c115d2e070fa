# SPDX-License-Identifier: Apache-2.0
"""Where the passphrase comes from, in which order, and what a configuration may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from privyseal.config import check_settings, default_home, parse_listen, passphrase_file
from privyseal.errors import ConfigurationInvalid


def test_the_flag_goes_before_the_variable_and_that_before_the_systemd_credential(tmp_path: Path) -> None:
    credential = tmp_path / "privyseal-passphrase"
    credential.write_text("secret\n")
    systemd = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    named = systemd | {"PRIVYSEAL_PASSPHRASE_FILE": "/etc/privyseal/passphrase"}
    assert passphrase_file(Path("/given"), named) == Path("/given")
    assert passphrase_file(None, named) == Path("/etc/privyseal/passphrase")
    assert passphrase_file(None, systemd) == credential
    credential.unlink()
    assert passphrase_file(None, systemd) is None
    assert passphrase_file(None, {}) is None


def test_home_is_the_variable_or_the_users_data_directory() -> None:
    assert default_home({"PRIVYSEAL_HOME": "/srv/pki", "XDG_DATA_HOME": "/data"}) == Path("/srv/pki")
    assert default_home({"XDG_DATA_HOME": "/data"}) == Path("/data/privyseal")


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:8080", ("127.0.0.1", 8080)), ("[::1]:80", ("::1", 80)), (":8080", ("0.0.0.0", 8080))],
)
def test_an_address_to_listen_on_is_read(text: str, address: tuple[str, int]) -> None:
    assert parse_listen(text) == address


@pytest.mark.parametrize("text", ["", "8080", "host", "::1:80", "host:65536", "host:-1", "host:80:80"])
def test_another_text_is_no_address(text: str) -> None:
    with pytest.raises(ConfigurationInvalid):
        parse_listen(text)


def test_every_fault_of_a_configuration_is_told_at_once() -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        check_settings(Path("/srv"), {"public_url": "https://pki.example.com", "listen": "x", "colour": 1})
    assert all(word in caught.value.what for word in ("colour", "organization", "plain http", "HOST:PORT"))
