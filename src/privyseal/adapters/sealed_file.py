# SPDX-License-Identifier: Apache-2.0
"""A stream of bytes in an encrypted, authenticated file that is written and read in bounded memory.

One line of JSON says how the passphrase is stretched; then pieces of AES-256-GCM, each bound to the header, to its
place and to whether it is the last (the STREAM construction), so that cutting, swapping and joining files show.
"""

from __future__ import annotations

import json
import os
from hashlib import scrypt, sha256
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from privyseal.errors import BackupDamaged, BackupUnreadable

MAGIC: Final = b"privyseal sealed file 1\n"
PIECE: Final = 1 << 20
"""Bytes of content in a piece."""
_TAG: Final = 16
_LONGEST_HEADER: Final = 1024
# About 0.2 s and 128 MiB (RFC 7914). A header that asks for more than the bound was not written by us.
_N, _R, _P = 2**17, 8, 1
_MOST: Final = 2**20  # of n * r
_MOST_P: Final = 4


class SealedWriter:
    """Give it the content in any portions, then ``close``. A file without its last piece is refused on reading."""

    def __init__(self, target: BinaryIO, passphrase: str) -> None:
        salt = os.urandom(32)
        header = json.dumps({"kdf": "scrypt", "n": _N, "r": _R, "p": _P, "salt": salt.hex()}).encode() + b"\n"
        self._target = target
        self._cipher, self._binding = _open(header, passphrase)
        self._held = bytearray()
        self._place = 0
        target.write(MAGIC + header)

    def write(self, content: bytes) -> int:
        """Take some content; it reaches the target in whole pieces."""
        self._held += content
        # The last piece is written by ``close`` only, so one byte more than a piece must be there.
        while len(self._held) > PIECE:
            self._seal(bytes(self._held[:PIECE]), last=False)
            del self._held[:PIECE]
        return len(content)

    def close(self) -> None:
        """Write the last piece. The target stays open: syncing and naming it is its owner's work."""
        self._seal(bytes(self._held), last=True)
        self._held.clear()

    def _seal(self, piece: bytes, *, last: bool) -> None:
        self._target.write(self._cipher.encrypt(_nonce(self._place, last=last), piece, self._binding))
        self._place += 1


class SealedReader:
    """Content of a sealed file, each piece authenticated before any of it is given out.

    Raises BackupUnreadable when the passphrase does not fit or the file is no sealed file, BackupDamaged later on.
    """

    def __init__(self, source: BinaryIO, passphrase: str) -> None:
        if source.read(len(MAGIC)) != MAGIC:
            raise BackupUnreadable("the file does not begin like a backup of Privyseal")
        header = source.readline(_LONGEST_HEADER)
        self._cipher, self._binding = _open(header, passphrase)
        self._source = source
        self._place = 0
        self._ended = False
        self._next = source.read(PIECE + _TAG)
        self._open: bytes = b""
        self._advance()

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; empty at the authenticated end."""
        parts = []
        while size > 0 and (self._open or not self._ended):
            if not self._open:
                self._advance()
                continue
            part, self._open = self._open[:size], self._open[size:]
            size -= len(part)
            parts.append(part)
        return b"".join(parts)

    def _advance(self) -> None:
        sealed, self._next = self._next, self._source.read(PIECE + _TAG)
        last = not self._next
        try:
            self._open = self._cipher.decrypt(_nonce(self._place, last=last), sealed, self._binding)
        except InvalidTag as error:
            if self._place == 0:
                raise BackupUnreadable("its first piece does not open with this passphrase") from error
            raise BackupDamaged(f"piece {self._place + 1} was changed, or the file ends too early") from error
        self._place += 1
        self._ended = last


def _nonce(place: int, *, last: bool) -> bytes:
    # The key is new for each file, since its salt is: a counter never meets the same key twice.
    return place.to_bytes(11, "big") + bytes([last])


def _open(header: bytes, passphrase: str) -> tuple[AESGCM, bytes]:
    """The cipher, and what binds each piece to this header."""
    try:
        fields = json.loads(header)
        kdf, n, r, p = fields["kdf"], int(fields["n"]), int(fields["r"]), int(fields["p"])
        salt = bytes.fromhex(fields["salt"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise BackupUnreadable("its header is not one of a backup") from error
    if kdf != "scrypt" or n & (n - 1) or n < 2**14 or n * r > _MOST or r < 1 or not 1 <= p <= _MOST_P:
        raise BackupUnreadable(f"its header asks for {str(kdf)[:16]} with n={n}, r={r}, p={p}, which is out of bounds")
    if len(salt) != 32:
        raise BackupUnreadable("its salt is not 32 bytes long")
    key = scrypt(passphrase.encode(), salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=32)
    return AESGCM(key), sha256(MAGIC + header).digest()
