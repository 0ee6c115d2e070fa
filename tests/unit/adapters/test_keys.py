# SPDX-License-Identifier: Apache-2.0
"""Keys on disk: sealed, durable, opened by the right passphrase only; a damaged file is one error of ours."""

from __future__ import annotations

import asyncio
import json
import platform
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from privyseal.adapters import keys
from privyseal.adapters.keys import FileKeyStore
from privyseal.errors import InvalidValue, NotFound, PassphraseWrong, SigningFailed
from privyseal.x509.algorithms import KeyType, signature_algorithm, verify_signature

QUICK = [KeyType.P256, KeyType.P384, KeyType.P521, KeyType.ED25519, KeyType.RSA_2048]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_SCRYPT_N", 2)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "keys"


@pytest.mark.parametrize("kind", QUICK)
def test_a_key_signs_again_after_the_store_was_opened_anew(directory: Path, kind: KeyType) -> None:
    key_ref, public_key = asyncio.run(FileKeyStore(directory, "secret").create(kind))
    signer = FileKeyStore(directory, "secret").signer(key_ref, None)
    signature = asyncio.run(signer.sign(b"data"))
    verify_signature(public_key, signature_algorithm(public_key), signature, data=b"data")


@pytest.mark.parametrize("kind", QUICK)
def test_only_the_rsa_operation_is_trusted_to_check_its_results(directory: Path, kind: KeyType) -> None:
    store = FileKeyStore(directory, "secret")
    key_ref, _ = asyncio.run(store.create(kind))
    known = platform.machine() in {"x86_64", "aarch64"}
    assert store.signer(key_ref, None).results_are_checked is (known and kind is KeyType.RSA_2048)


def test_a_key_whose_parts_do_not_belong_together_gives_no_signature_out(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL's check leads to a second way of computing it; with a wrong exponent in the file that is wrong too."""
    monkeypatch.setattr(keys, "_CHECKED_ON", {platform.machine()})
    store = FileKeyStore(directory, "secret")
    key_ref, _ = asyncio.run(store.create(KeyType.RSA_2048))
    path = directory / f"{key_ref}.pem"
    password = keys._unlock(directory / "protection.json", "secret")
    good = load_pem_private_key(path.read_bytes(), password)
    assert isinstance(good, rsa.RSAPrivateKey)
    parts = good.private_numbers()
    bad = rsa.RSAPrivateNumbers(
        p=parts.p, q=parts.q, d=parts.d ^ 8, dmp1=parts.dmp1 ^ 8, dmq1=parts.dmq1, iqmp=parts.iqmp,
        public_numbers=parts.public_numbers,
    ).private_key(unsafe_skip_rsa_key_validation=True)  # fmt: skip
    path.write_bytes(bad.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password)))
    with pytest.raises(SigningFailed):
        asyncio.run(FileKeyStore(directory, "secret").signer(key_ref, None).sign(b"data"))


@pytest.mark.skipif(
    platform.machine() not in keys._CHECKED_ON,
    reason="OpenSSL does RSA by hardware here; decision 21 does not rely on it",
)
def test_a_wrong_result_of_the_fast_way_is_seen_by_openssl_and_never_given_out() -> None:
    """What decision 21 relies on: a fault in one half of the computation, and the signature is right all the same."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    parts = key.private_numbers()
    faulty = rsa.RSAPrivateNumbers(
        p=parts.p, q=parts.q, d=parts.d, dmp1=parts.dmp1 ^ 8, dmq1=parts.dmq1, iqmp=parts.iqmp,
        public_numbers=parts.public_numbers,
    ).private_key(unsafe_skip_rsa_key_validation=True)  # fmt: skip
    for data in (b"one", b"two", b"three"):
        signature = faulty.sign(data, padding.PKCS1v15(), hashes.SHA256())
        key.public_key().verify(signature, data, padding.PKCS1v15(), hashes.SHA256())


def test_files_are_sealed_and_for_one_user(directory: Path) -> None:
    key_ref, _ = asyncio.run(FileKeyStore(directory, "secret").create(KeyType.P256))
    path = directory / f"{key_ref}.pem"
    assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    for made in (path, directory / "protection.json"):
        assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert [found.name for found in directory.iterdir() if found.name.startswith(".")] == []


def test_another_passphrase_does_not_open_it_and_changes_nothing(directory: Path) -> None:
    FileKeyStore(directory, "secret")
    before = (directory / "protection.json").read_bytes()
    with pytest.raises(PassphraseWrong):
        FileKeyStore(directory, "Secret")
    assert (directory / "protection.json").read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [{"n": 2**40}, {"r": 2**30}, {"n": 3}, {"n": -2}, {"n": "many"}, {"p": 7}, {"salt": "xx"}, {"salt": None}, None],
)
def test_a_damaged_protection_file_is_an_error_and_costs_no_memory(
    directory: Path, change: dict[str, object] | None
) -> None:
    FileKeyStore(directory, "secret")
    path = directory / "protection.json"
    path.write_text("not JSON" if change is None else json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(PassphraseWrong):
        FileKeyStore(directory, "secret")


def test_a_directory_made_with_other_parameters_still_opens(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FileKeyStore(directory, "secret")
    monkeypatch.setattr(keys, "_SCRYPT_N", 16)
    FileKeyStore(directory, "secret")


def test_the_default_is_costly() -> None:
    """RFC 7914 section 2: 2**14 was for logins in 2009; a CA key is worth a tenth of a second."""
    source = Path(keys.__file__).read_text()
    assert "_SCRYPT_N: Final = 2**16" in source


def test_a_missing_or_damaged_key_is_named(directory: Path) -> None:
    store = FileKeyStore(directory, "secret")
    with pytest.raises(NotFound, match=r"kmissing\.pem"):
        store.signer("kmissing", None)
    (directory / "kbroken.pem").write_bytes(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n")
    with pytest.raises(PassphraseWrong, match=r"kbroken\.pem"):
        store.signer("kbroken", None)


def test_only_an_rsa_key_can_be_an_ras(directory: Path) -> None:
    store = FileKeyStore(directory, "secret")
    key_ref, _ = asyncio.run(store.create(KeyType.P256))
    with pytest.raises(InvalidValue):
        store.transport_key(key_ref)
