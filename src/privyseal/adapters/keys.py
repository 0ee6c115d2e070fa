# SPDX-License-Identifier: Apache-2.0
"""Private keys in encrypted PKCS#8 files (``ca.ports.KeyStore``). A key leaves this module as a signer only.

The passphrase is stretched with scrypt; the result, not the passphrase, encrypts the files.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import platform
from hashlib import scrypt, sha256
from hmac import compare_digest
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from privyseal.adapters.files import sync_directory, write_atomically
from privyseal.adapters.sealing import Sealing
from privyseal.errors import FileNotAccessible, InvalidValue, NotFound, PassphraseWrong
from privyseal.x509.algorithms import (
    LARGE,
    KeyType,
    PublicKey,
    SignatureAlgorithm,
    hashed_first,
    signature_algorithm,
    verify_signature,
)

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

# About 100 ms and 64 MiB once per start (RFC 7914); an attacker pays it for every guess.
_SCRYPT_N: Final = 2**16
_SCRYPT_R: Final = 8
_SCRYPT_MOST: Final = 2**23  # of n * r: 1 GiB
_SLOW_BITS: Final = 4096
# Where OpenSSL's RSA checks its own results with the public exponent (decision 21); by hardware on s390x it does not.
_CHECKED_ON: Final = frozenset({"x86_64", "aarch64"})
_CURVES: Final[dict[KeyType, ec.EllipticCurve]] = {
    KeyType.P256: ec.SECP256R1(),
    KeyType.P384: ec.SECP384R1(),
    KeyType.P521: ec.SECP521R1(),
}
_RSA_BITS: Final = {KeyType.RSA_2048: 2048, KeyType.RSA_3072: 3072, KeyType.RSA_4096: 4096}
# SHA-1 only ever answers a client that signed with it, under a profile for legacy devices.
_REPLY_HASHES: Final[dict[str, HashAlgorithm]] = {
    "sha1": SHA1(),
    "sha256": SHA256(),
    "sha384": SHA384(),
    "sha512": SHA512(),
}


class FileKeyStore:
    """Keys in one directory, all under one passphrase. Raises PassphraseWrong when it does not fit."""

    def __init__(self, directory: Path, passphrase: str) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._password = _unlock(directory / "protection.json", passphrase)
        self._loaded: dict[str, PrivateKey] = {}

    async def create(self, key_type: KeyType) -> tuple[str, PublicKey]:
        """See ``KeyStore.create``."""
        key = await asyncio.get_running_loop().run_in_executor(None, _generate, key_type)
        key_ref = f"k{os.urandom(8).hex()}"
        write_atomically(self._path(key_ref), _encode(key, self._password), mode=0o600)
        self._loaded[key_ref] = key
        return key_ref, key.public_key()

    def signer(self, key_ref: str, hash_name: str | None) -> FileSigner:
        """See ``KeyStore.signer``."""
        key = self._load(key_ref)
        return FileSigner(key, signature_algorithm(key.public_key(), hash_name))

    def destroy(self, key_ref: str) -> None:
        """See ``KeyStore.destroy``. On flash memory and in backups older copies may remain: they stay encrypted."""
        path = self._path(key_ref)
        self._loaded.pop(key_ref, None)
        try:
            with path.open("r+b") as file:
                file.write(os.urandom(path.stat().st_size))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()
        except FileNotFoundError:
            return
        except OSError as error:
            raise FileNotAccessible(f"the key file {path} cannot be removed: {error.strerror}") from error
        sync_directory(path.parent)

    def transport_key(self, key_ref: str) -> rsa.RSAPrivateKey:
        """An RA's key, which both signs replies and unwraps content keys. Raises InvalidValue if not RSA."""
        key = self._load(key_ref)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise InvalidValue(f"key {key_ref} is not RSA")
        return key

    def sealing(self, purpose: str) -> Sealing:
        """For secrets in the store that have to be read again."""
        return Sealing(self._password, purpose)

    def _path(self, key_ref: str) -> Path:
        return self._directory / f"{key_ref}.pem"

    def _load(self, key_ref: str) -> PrivateKey:
        if key_ref not in self._loaded:
            path = self._path(key_ref)
            if not path.exists():
                raise NotFound(f"the key file {path} is missing", mend=("restore it from a backup",))
            try:
                # Our own sealed file: checking the primes again would cost 30 ms a key.
                key = load_pem_private_key(path.read_bytes(), self._password, unsafe_skip_rsa_key_validation=True)
            except ValueError as error:
                raise PassphraseWrong(f"the key file {path} cannot be opened") from error
            except OSError as error:
                raise FileNotAccessible(f"the key file {path} cannot be read: {error.strerror}") from error
            if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
                raise InvalidValue(f"the key file {path} holds a key of an unsupported kind")
            self._loaded[key_ref] = key
        return self._loaded[key_ref]


class FileSigner:
    """Signs with one key and one algorithm (``ca.ports.Signer``)."""

    def __init__(self, key: PrivateKey, algorithm: SignatureAlgorithm) -> None:
        self._key = key
        self._algorithm = algorithm
        self.public_key: PublicKey = key.public_key()
        self.results_are_checked = isinstance(key, rsa.RSAPrivateKey) and platform.machine() in _CHECKED_ON
        """See ``Signer.results_are_checked``."""
        self._proved = not self.results_are_checked
        self._slow = isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _SLOW_BITS

    async def sign(self, tbs: bytes) -> bytes:
        """See ``Signer.sign``. Large keys and large objects take milliseconds, so they leave the event loop."""
        if self._slow or len(tbs) >= LARGE:
            return await asyncio.get_running_loop().run_in_executor(None, self._sign, tbs)
        return self._sign(tbs)

    def _sign(self, tbs: bytes) -> bytes:
        signature = self._operate(tbs)
        if not self._proved:
            # The first one shows that the parts of the key in the file belong together.
            verify_signature(self.public_key, self._algorithm, signature, data=tbs)
            self._proved = True
        return signature

    def _operate(self, tbs: bytes) -> bytes:
        if isinstance(self._key, rsa.RSAPrivateKey):
            data, chosen = hashed_first(tbs, self._algorithm)
            return self._key.sign(data, padding.PKCS1v15(), chosen)
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(tbs)
        data, chosen = hashed_first(tbs, self._algorithm)
        return self._key.sign(data, ec.ECDSA(chosen))


def _generate(key_type: KeyType) -> PrivateKey:
    if key_type in _RSA_BITS:
        return rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS[key_type])
    if key_type in _CURVES:
        return ec.generate_private_key(_CURVES[key_type])
    return ed25519.Ed25519PrivateKey.generate()


def _encode(key: PrivateKey, password: bytes) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))


def _unlock(path: Path, passphrase: str) -> bytes:
    """The file password; on first use the salt is drawn and a check value stored beside it."""
    if not path.exists():
        if any(path.parent.glob("*.pem")):
            # A new salt would lock the keys that are there away for good.
            raise PassphraseWrong(f"{path} is missing beside the keys", mend=("restore it from a backup",))
        salt = os.urandom(16)
        password = _stretch(passphrase, salt, _SCRYPT_N, _SCRYPT_R)
        body = {"kdf": "scrypt", "n": _SCRYPT_N, "r": _SCRYPT_R, "p": 1, "salt": salt.hex(), "check": _check(password)}
        try:
            write_atomically(path, json.dumps(body, indent=1).encode(), replace=False)
        except FileExistsError:
            return _unlock(path, passphrase)  # another process was faster: its salt counts
        return password
    try:
        stored = json.loads(path.read_text())
        salt, check, n, r = bytes.fromhex(stored["salt"]), str(stored["check"]), int(stored["n"]), int(stored["r"])
        # As they were when the directory was made, but never so large that opening it would take the machine down.
        if n * r > _SCRYPT_MOST or stored["p"] != 1:
            raise ValueError("scrypt parameters out of bounds")
        password = _stretch(passphrase, salt, n, r)
    except (ValueError, KeyError, TypeError) as error:
        raise PassphraseWrong(f"{path} is damaged", mend=("restore it from a backup",)) from error
    except OSError as error:
        raise FileNotAccessible(f"{path} cannot be read: {error.strerror}") from error
    if not compare_digest(_check(password), check):
        raise PassphraseWrong(f"the passphrase does not fit the keys in {path.parent}")
    return password


def _stretch(passphrase: str, salt: bytes, n: int, r: int) -> bytes:
    derived = scrypt(passphrase.encode(), salt=salt, n=n, r=r, p=1, maxmem=128 * n * r * 2 + 2**20, dklen=32)
    return base64.b64encode(derived)


def _check(password: bytes) -> str:
    return sha256(b"privyseal key check" + password).hexdigest()


def reply_signature(key: rsa.RSAPrivateKey, data: bytes, hash_name: str) -> bytes:
    """An RA's signature over a reply (RSA PKCS #1 v1.5, as SCEP has it)."""
    return key.sign(data, padding.PKCS1v15(), _REPLY_HASHES[hash_name])
