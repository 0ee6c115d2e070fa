# SPDX-License-Identifier: Apache-2.0
"""Every error of the LDAP and Kerberos tables is provoked on a real server."""

from __future__ import annotations

import re
from typing import Final

from tests.architecture.sources import all_sources
from tests.architecture.test_errors import error_classes

TABLES: Final = range(7001, 7040)


def provoked() -> dict[int, list[str]]:
    """Code -> the modules under tests/doors and tests/interop that name its class, or the code as it is printed."""
    texts = {
        source.path: source.text
        for source in all_sources()
        if source.path.startswith(("tests/doors/", "tests/interop/"))
    }
    return {
        item.code: [
            path
            for path, text in texts.items()
            if re.search(rf"raises\(\(?{item.__name__}\b|failure\({item.__name__}\b|is {item.__name__}\b", text)
            or re.search(rf"error\[{item.code}\]|\b{item.code}\b", text)
        ]
        for item in error_classes()
        if item.code in TABLES
    }


def test_every_error_of_directories_is_provoked_on_a_real_server() -> None:
    missing = [code for code, paths in sorted(provoked().items()) if not paths]
    assert not missing, f"no test under tests/doors or tests/interop provokes {missing}"
