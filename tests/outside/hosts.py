# SPDX-License-Identifier: Apache-2.0
"""Names that only this test process and its children can resolve: a hosts file of its own, in a mount namespace."""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.outside.tools import NEEDS_ROOT, missing, require_root

_CLONE_NEWNS: Final = 0x00020000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_MNT_DETACH: Final = 2
_HOSTS: Final = Path("/etc/hosts")
_own: int | None = None
_original = ""
_known: Final[dict[str, str]] = {}


@contextmanager
def names(added: Mapping[str, str]) -> Iterator[None]:
    """A block in which these names resolve to these addresses, also for its child processes."""
    global _own, _original
    require_root("test names resolve in a mount namespace")
    if _own is None:
        _original = _HOSTS.read_text()
        _own, name = tempfile.mkstemp(prefix="privyseal-hosts-")
        os.fchmod(_own, 0o644)
        try:
            _enter(Path(name))
        finally:
            os.unlink(name)  # the mount keeps the file
    before = dict(_known)
    _known.update(added)
    _write(_own)
    try:
        yield
    finally:
        _known.clear()
        _known.update(before)
        _write(_own)


def _write(own: int) -> None:
    lines = [_original, *(f"{address} {name}" for name, address in _known.items()), ""]
    os.ftruncate(own, 0)
    os.pwrite(own, "\n".join(lines).encode(), 0)


def _enter(own: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    private = libc.unshare(_CLONE_NEWNS) == 0 and libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) == 0
    # A parent of ours may have put its own file there; nothing can be put over a file that has no name any more.
    if private:
        libc.umount2(str(_HOSTS).encode(), _MNT_DETACH)
    if not private or libc.mount(str(own).encode(), str(_HOSTS).encode(), None, _MS_BIND, None) != 0:
        missing(f"{NEEDS_ROOT}a mount namespace for test names: {os.strerror(ctypes.get_errno())}")
