# SPDX-License-Identifier: Apache-2.0
"""Secrets that have to be read again, encrypted for the store. Whoever has only the store cannot open them."""

from __future__ import annotations

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from privyseal.errors import SealBroken

_NONCE: Final = 12


class Sealing:
    """Seals and opens with a key that is derived for one purpose (RFC 5869) from what protects the key files."""

    def __init__(self, protection: bytes, purpose: str) -> None:
        key = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"privyseal {purpose}".encode()).derive(protection)
        self._cipher = AESGCM(key)

    def seal(self, secret: bytes, *, owner: str) -> bytes:
        """``owner`` is bound to it: what is sealed for one object cannot be passed off as another's."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, secret, owner.encode())

    def open(self, sealed: bytes, *, owner: str) -> bytes:
        """Raises SealBroken."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], owner.encode())
        except (InvalidTag, ValueError) as error:
            raise SealBroken(f"the stored secret of {owner} cannot be opened with this key store") from error
