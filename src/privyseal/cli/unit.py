# SPDX-License-Identifier: Apache-2.0
"""The systemd unit of an installation, from the one that is packaged: paths and user change, confinement stays."""

from __future__ import annotations

import re
import sys
from importlib.resources import files
from pathlib import Path
from typing import Final

_STATE: Final = Path("/var/lib")
_HOMES: Final = frozenset({"home", "root"})
DEFAULT_PASSPHRASE: Final = Path("/etc/privyseal/passphrase")


def unit_text(home: Path, passphrase: Path | None, *, user: str) -> str:
    """The unit. Below /var/lib systemd makes the directory and a user for it; elsewhere it is ``user``'s."""
    text = (files("privyseal") / "units" / "privyseal.service").read_text("utf-8")
    program = f"{sys.executable} -P -m privyseal --home {_quoted(home)} serve"
    text = _set(text, "ExecStart", program)
    text = _set(text, "LoadCredential", f"privyseal-passphrase:{passphrase or DEFAULT_PASSPHRASE}")
    text = re.sub(r"^Environment=.*\n", "", text, flags=re.MULTILINE)
    if home.parent == _STATE:
        return _set(text, "StateDirectory", home.name)
    text = re.sub(r"^StateDirectory.*\n", "", text, flags=re.MULTILINE)
    text = text.replace("DynamicUser=yes\n", f"User={user}\nReadWritePaths={_quoted(home)}\n")
    # What lies in somebody's home directory cannot be hidden from the service as well.
    return _set(text, "ProtectHome", "no") if home.parts[1:2] and home.parts[1] in _HOMES else text


def _set(text: str, name: str, value: str) -> str:
    return re.sub(rf"^{name}=.*$", lambda _: f"{name}={value}", text, count=1, flags=re.MULTILINE)


def _quoted(path: Path) -> str:
    text = str(path).replace("%", "%%")
    return f'"{text}"' if " " in text else text
