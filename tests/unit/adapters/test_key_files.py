# SPDX-License-Identifier: Apache-2.0
"""Keys on disk: whatever is missing or damaged beside them, nothing is written that would lock them away."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from privyseal.adapters.keys import FileKeyStore
from privyseal.errors import PassphraseWrong
from privyseal.x509.algorithms import KeyType
from tests.installation import quick_passphrases

quick_passphrases()


def _one_key(directory: Path) -> str:
    return asyncio.run(FileKeyStore(directory, "a passphrase").create(KeyType.P256))[0]


def test_a_key_opens_again_with_its_passphrase_only(tmp_path: Path) -> None:
    key_ref = _one_key(tmp_path)
    FileKeyStore(tmp_path, "a passphrase").signer(key_ref, None)
    with pytest.raises(PassphraseWrong):
        FileKeyStore(tmp_path, "another passphrase")


def test_a_lost_protection_file_is_said_and_never_made_anew_beside_keys(tmp_path: Path) -> None:
    _one_key(tmp_path)
    protection = tmp_path / "protection.json"
    protection.unlink()
    with pytest.raises(PassphraseWrong, match="missing beside the keys"):
        FileKeyStore(tmp_path, "a passphrase")
    assert not protection.exists()


def test_the_file_on_disk_is_encrypted_and_nobody_elses(tmp_path: Path) -> None:
    path = tmp_path / f"{_one_key(tmp_path)}.pem"
    assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert path.stat().st_mode & 0o777 == 0o600
