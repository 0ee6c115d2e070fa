# SPDX-License-Identifier: Apache-2.0
"""Named members in one sealed file: a tar archive inside the encryption, written and read as a stream."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator
from typing import IO, BinaryIO, Final, cast

from privyseal.adapters.sealed_file import SealedReader, SealedWriter
from privyseal.errors import BackupDamaged

_NAME: Final = re.compile(r"[a-z0-9_][a-z0-9_.-]*(?:/[a-z0-9_][a-z0-9_.-]*){0,2}")
_LARGEST: Final = 256 << 20


class BackupWriter:
    """Adds members in order; only ``close`` makes the file complete."""

    def __init__(self, target: BinaryIO, passphrase: str) -> None:
        self._sealed = SealedWriter(target, passphrase)
        target_stream = cast(IO[bytes], self._sealed)
        self._archive = tarfile.TarFile.open(fileobj=target_stream, mode="w|", format=tarfile.PAX_FORMAT)

    def add(self, name: str, content: bytes) -> None:
        """One member."""
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        entry.mode = 0o600
        self._archive.addfile(entry, io.BytesIO(content))

    def close(self) -> None:
        """End archive and encryption."""
        self._archive.close()
        self._sealed.close()


def read_backup(source: BinaryIO, passphrase: str) -> Iterator[tuple[str, bytes]]:
    """Name and content of each member, in order. Raises BackupUnreadable, BackupDamaged.

    Nobody but the holder of the passphrase made it, and still no name leads out of its place.
    """
    sealed = SealedReader(source, passphrase)
    try:
        with tarfile.open(fileobj=cast(IO[bytes], sealed), mode="r|") as archive:
            for entry in archive:
                content = archive.extractfile(entry) if entry.isreg() else None
                if content is None or not _NAME.fullmatch(entry.name) or entry.size > _LARGEST:
                    raise BackupDamaged(f"it holds {entry.name[:80]!r}, which no backup does")
                yield entry.name, content.read()
    except tarfile.TarError as error:
        raise BackupDamaged(f"its archive is not well formed: {error}") from error
    # What follows the archive is authenticated as well: a file that was cut there is no backup.
    while sealed.read(1 << 20):
        pass
