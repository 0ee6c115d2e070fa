# SPDX-License-Identifier: Apache-2.0
"""``python -m privyseal``, and what the installed command ``privyseal`` calls. Nothing is decided here."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    from privyseal.cli.main import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
