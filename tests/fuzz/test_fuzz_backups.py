# SPDX-License-Identifier: Apache-2.0
"""Backups from anybody: bytes in, members or one of two errors out; the header cannot ask for more than we would."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privyseal.adapters import sealed_file
from privyseal.adapters.backup_file import BackupWriter, read_backup
from privyseal.adapters.sealed_file import MAGIC, SealedWriter
from privyseal.errors import BackupDamaged, BackupUnreadable

PASSPHRASE = "correct horse"
vars(sealed_file)["_N"] = 2**14  # the least that is accepted, for files made from here on


def read(content: bytes) -> list[tuple[str, bytes]] | None:
    """The members, or None for one of the two errors."""
    try:
        return list(read_backup(io.BytesIO(content), PASSPHRASE))
    except (BackupDamaged, BackupUnreadable):
        return None


def backup(*members: tuple[str, bytes]) -> bytes:
    target = io.BytesIO()
    writer = BackupWriter(target, PASSPHRASE)
    for name, content in members:
        writer.add(name, content)
    writer.close()
    return target.getvalue()


def sealed(content: bytes) -> bytes:
    target = io.BytesIO()
    writer = SealedWriter(target, PASSPHRASE)
    writer.write(content)
    writer.close()
    return target.getvalue()


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(content: bytes) -> None:
    assert read(content) is None
    assert read(MAGIC + content) is None


@given(
    st.sampled_from(["n", "r", "p", "kdf", "salt"]),
    st.sampled_from(["1e999", "Infinity", "NaN", "-1", "true", "null", "[]", '"x"', "1" * 400, "{}"]),
)
def test_a_header_of_anything_is_refused(name: str, value: str) -> None:
    fields = {"kdf": '"scrypt"', "n": "16384", "r": "8", "p": "1", "salt": f'"{"00" * 32}"'} | {name: value}
    header = "{" + ", ".join(f'"{key}": {text}' for key, text in fields.items()) + "}\n"
    assert read(MAGIC + header.encode() + bytes(64)) is None


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 255))
def test_a_changed_octet_is_never_taken(place: int, change: int) -> None:
    content = bytearray(GOOD[0])
    content[place % len(content)] ^= change
    assert read(bytes(content)) is None


@settings(max_examples=40)
@given(st.binary(max_size=2000), st.integers(0, 1024))
def test_what_somebody_with_the_passphrase_sealed_is_members_or_an_error(content: bytes, at: int) -> None:
    for body in (content, GOOD_TAR[0][:at] + content + GOOD_TAR[0][at + len(content) :]):
        found = read(sealed(body))
        assert found is None or all(".." not in name and not name.startswith("/") for name, _ in found)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "keys/../../x", "A", "keys//x", "a/b/c/d", ""])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    assert read(backup((name, b"x"))) is None


def _tar() -> bytes:
    reader = sealed_file.SealedReader(io.BytesIO(GOOD[0]), PASSPHRASE)
    return b"".join(iter(lambda: reader.read(1 << 16), b""))


GOOD = [backup(("manifest.json", b"{}"), ("keys/protection.json", b"secret"), ("store/meta/00000000.json", b"[]"))]
GOOD_TAR = [_tar()]


def test_what_we_write_we_read() -> None:
    assert [name for name, _ in read(GOOD[0]) or []] == [
        "manifest.json",
        "keys/protection.json",
        "store/meta/00000000.json",
    ]
