# SPDX-License-Identifier: Apache-2.0
"""Where the store is, as the configuration says it: no password in it, no server that could be anybody."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from privyseal.config import check_settings, check_store_url, render_settings, store_password, with_store
from privyseal.errors import ConfigurationInvalid, InvalidValue, UnsafePermissions

LOCAL = "postgresql://privyseal@/privyseal?host=/run/postgresql"
REMOTE = "postgresql://privyseal@db.example.com:5433/pki?sslmode=verify-full&sslrootcert=/etc/ssl/db.pem"


def settings(home: Path = Path("/h"), **more: Any) -> Any:
    return check_settings(home, {"organization": "Example", "public_url": "http://pki.example.com", **more})


@pytest.mark.parametrize(
    "url", [LOCAL, REMOTE, "postgresql:///pki", "postgresql://u@localhost/pki", "postgres://[::1]/x"]
)
def test_a_good_url_is_kept_and_written_again(url: str) -> None:
    found = settings(store_url=url, store_password_file="db.pass", workers=4)
    assert settings(**tomllib.loads(render_settings(found)) | {}) == found
    assert check_store_url(url) == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://u:hush@localhost/pki", "holds a password"),
        ("postgresql://u@localhost/pki?password=hush", "holds a password"),
        ("postgresql://u@db.example.com/pki", "without .sslmode=verify-full"),
        ("postgresql://u@db.example.com/pki?sslmode=require", "without .sslmode=verify-full"),
        ("postgresql:///pki?host=db.example.com", "without .sslmode=verify-full"),
        ("postgresql:///pki?service=hush", "has the option service"),
        ("postgresql:///pki?options=-chush", "has the option options"),
        ("mysql://u@localhost/pki", "is not postgresql://"),
        ("postgresql://[hush/pki", "is not a URL"),
        ("postgresql://u@localhost/pki#hush", "is not postgresql://"),
        (5, "is not a text"),
    ],
)
def test_a_bad_url_is_refused_and_never_shown(url: Any, why: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=f"store_url .*{why}") as caught:
        settings(store_url=url)
    assert "hush" not in caught.value.what
    if isinstance(url, str):
        with pytest.raises(InvalidValue, match=why):
            check_store_url(url)


@pytest.mark.parametrize("workers", [0, 65, -1, True, "4", 2.0])
def test_workers_are_a_bounded_whole_number(workers: Any) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"workers .* is not a whole number from 1 to 64"):
        settings(workers=workers)


def test_the_password_is_read_from_a_file_that_others_cannot_read(tmp_path: Path) -> None:
    file = tmp_path / "db.pass"
    file.write_text("hush\n")
    file.chmod(0o600)
    found = settings(tmp_path, store_url=LOCAL, store_password_file="db.pass")
    assert store_password(found) == "hush"
    assert store_password(settings(tmp_path, store_password_file="db.pass")) == ""
    file.chmod(0o644)
    with pytest.raises(UnsafePermissions):
        store_password(found)


def test_another_store_changes_nothing_else_in_the_file() -> None:
    text = '# ours\norganization = "Example"\nstore_url = "postgresql:///old"\npublic_url = "http://pki.example.com"\n'
    moved = with_store(text, url=LOCAL, password_file="db.pass")
    assert moved.startswith('# ours\norganization = "Example"\npublic_url')
    assert tomllib.loads(moved)["store_url"] == LOCAL
    assert "store" not in with_store(moved, url="", password_file="")
