# SPDX-License-Identifier: Apache-2.0
"""Sealed files: what goes in comes out, and whatever was done to the file in between shows."""

from __future__ import annotations

import io
import json

import pytest

from privyseal.adapters import sealed_file
from privyseal.adapters.sealed_file import MAGIC, SealedReader, SealedWriter
from privyseal.errors import BackupDamaged, BackupUnreadable

PASSPHRASE = "correct horse"
PIECE = 64
SEALED = PIECE + 16


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed_file, "PIECE", PIECE)
    monkeypatch.setattr(sealed_file, "_N", 2**14)


def _seal(content: bytes, portion: int = 50) -> bytes:
    target = io.BytesIO()
    writer = SealedWriter(target, PASSPHRASE)
    for start in range(0, len(content), portion):
        writer.write(content[start : start + portion])
    writer.close()
    return target.getvalue()


def _open(sealed: bytes, passphrase: str = PASSPHRASE) -> bytes:
    reader = SealedReader(io.BytesIO(sealed), passphrase)
    return b"".join(iter(lambda: reader.read(37), b""))


def _body(sealed: bytes) -> int:
    return sealed.index(b"\n", len(MAGIC)) + 1


@pytest.mark.parametrize("length", [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 1000])
def test_what_goes_in_comes_out(length: int) -> None:
    content = bytes(range(256)) * 4
    assert _open(_seal(content[:length])) == content[:length]


def test_the_content_is_not_in_the_file_and_two_files_differ() -> None:
    assert b"attack at dawn" not in _seal(b"attack at dawn")
    assert _seal(b"same") != _seal(b"same")


def test_another_passphrase_does_not_open_it() -> None:
    with pytest.raises(BackupUnreadable, match="does not open with this passphrase"):
        _open(_seal(b"x" * 500), "wrong horse")


@pytest.mark.parametrize("cut", [1, 16, SEALED, 3 * SEALED])
def test_a_file_that_ends_too_early_is_damaged(cut: int) -> None:
    with pytest.raises(BackupDamaged):
        _open(_seal(b"x" * 500)[:-cut])


def test_pieces_that_changed_places_are_damage() -> None:
    sealed = _seal(bytes(500))
    at = _body(sealed)
    first, second, third = (sealed[at + n * SEALED : at + (n + 1) * SEALED] for n in range(3))
    with pytest.raises(BackupDamaged, match="piece 2"):
        _open(sealed[:at] + first + third + second + sealed[at + 3 * SEALED :])


def test_a_piece_of_another_file_is_damage() -> None:
    sealed, other = _seal(b"a" * 500), _seal(b"b" * 500)
    at, there = _body(sealed), _body(other)
    with pytest.raises(BackupDamaged, match="piece 2"):
        _open(sealed[: at + SEALED] + other[there + SEALED : there + 2 * SEALED] + sealed[at + 2 * SEALED :])


def test_bytes_after_the_end_are_damage() -> None:
    with pytest.raises(BackupDamaged):
        _open(_seal(b"x" * 500) + b"more")


def test_every_changed_byte_shows() -> None:
    sealed = bytearray(_seal(b"x" * 100))
    for at in range(_body(bytes(sealed)), len(sealed), 7):
        sealed[at] ^= 1
        with pytest.raises((BackupUnreadable, BackupDamaged)):
            _open(bytes(sealed))
        sealed[at] ^= 1


@pytest.mark.parametrize(
    "change",
    [{"n": 2**30}, {"n": 2**14 + 1}, {"n": 1024}, {"r": 0}, {"p": 99}, {"kdf": "none"}, {"salt": "00"}, {"n": "x"}],
)
def test_a_header_cannot_ask_for_more_than_we_would(change: dict[str, object]) -> None:
    sealed = _seal(b"x")
    at = _body(sealed)
    header = json.loads(sealed[len(MAGIC) : at]) | change
    with pytest.raises(BackupUnreadable):
        _open(MAGIC + json.dumps(header).encode() + b"\n" + sealed[at:])


@pytest.mark.parametrize("wrong", [b"", b"PK\x03\x04", MAGIC, MAGIC + b"[" * 900, MAGIC + b"{}\n", MAGIC + b"null\n"])
def test_what_is_no_sealed_file_is_said_to_be_none(wrong: bytes) -> None:
    with pytest.raises(BackupUnreadable):
        _open(wrong)
