# SPDX-License-Identifier: Apache-2.0
"""Every house rule holds for every file, and each rule bites on a bad example of its own."""

from __future__ import annotations

import pytest

from tests.architecture.rules import RULES
from tests.architecture.sources import Source, all_sources

SPDX = "# SPDX-License-Identifier: Apache-2.0\n"
HEAD = SPDX + '"""Planted."""\n'
CA = "src/privyseal/ca/planted.py"

BAD = [
    ("files_are_short", CA, HEAD + "x = 1\n" * 400),
    ("functions_are_short", CA, HEAD + "def f():\n" + "    x = 1\n" * 60),
    ("modules_say_what_they_are", CA, SPDX + "x = 1\n"),
    ("modules_say_what_they_are", CA, SPDX + '"""' + "more\n" * 6 + '"""\n'),
    ("files_name_their_licence", CA, '"""Planted."""\n'),
    ("files_name_their_licence", "tools/planted", "#!/bin/bash\necho\n"),
    ("names_are_not_vague", "src/privyseal/ca/utils.py", HEAD),
    ("names_are_not_vague", "src/privyseal/common/__init__.py", HEAD),
    ("clock_and_chance_are_passed_in", CA, HEAD + "from datetime import datetime\nx = datetime.now()\n"),
    ("clock_and_chance_are_passed_in", CA, HEAD + "import datetime\nx = datetime.datetime.utcnow()\n"),
    ("clock_and_chance_are_passed_in", CA, HEAD + "import time\nx = time.time()\n"),
    ("clock_and_chance_are_passed_in", CA, HEAD + "from os import urandom as chance\nx = chance(8)\n"),
    ("clock_and_chance_are_passed_in", CA, HEAD + "import secrets\nx = secrets.token_bytes(8)\n"),
    ("clock_and_chance_are_passed_in", CA, HEAD + "import uuid\nx = uuid.uuid4()\n"),
    ("clock_and_chance_are_passed_in", CA, HEAD + "from cryptography import x509\nx = x509.random_serial_number()\n"),
    (
        "clock_and_chance_are_passed_in",
        CA,
        HEAD + "from dataclasses import field\nfrom time import time\nfield(time)\n",
    ),
    ("only_the_road_signs", "src/privyseal/ra/planted.py", HEAD + "x = key.sign(b'')\n"),
    ("environment_is_read_in_one_place", CA, HEAD + "import os\nx = os.environ['HOME']\n"),
    ("environment_is_read_in_one_place", CA, HEAD + "from os import getenv\nx = getenv('HOME')\n"),
    ("faults_are_not_swallowed", CA, HEAD + "try:\n    f()\nexcept Exception:\n    pass\n"),
    ("faults_are_not_swallowed", CA, HEAD + "try:\n    f()\nexcept:\n    pass\n"),
    ("faults_are_not_swallowed", CA, HEAD + "try:\n    f()\nexcept (OSError, BaseException):\n    pass\n"),
    ("faults_are_not_swallowed", CA, HEAD + "with contextlib.suppress(Exception):\n    f()\n"),
    ("trust_is_not_a_boolean", CA, HEAD + "def verify_chain(chain) -> bool: ...\n"),
    ("trust_is_not_a_boolean", CA, HEAD + "class A:\n    async def _check(self) -> bool | None: ...\n"),
    ("scripts_do_not_hide_failures", "tools/planted", "#!/usr/bin/env bash\nfalse || true\n"),
    ("scripts_do_not_hide_failures", "tools/planted.sh", "x=$(false ||:)\n"),
    ("ports_are_small", CA, HEAD + "class P(Protocol):\n" + "".join(f"    def f{n}(self): ...\n" for n in range(7))),
    ("files_name_no_machine_and_no_registry", "docs/planted.md", "see /wo" + "rk/main/run\n"),
    ("files_name_no_machine_and_no_registry", "planted.lock", "--index-url https://pypi" + ".org/simple\n"),
    ("exceptions_to_checks_have_a_reason", CA, HEAD + "x = 1  # noqa" + ": E501\n"),
    ("exceptions_to_checks_have_a_reason", CA, HEAD + "x = 1  # type" + ": ignore[misc]\n"),
    ("errors_live_in_one_tree", CA, HEAD + "class Odd(PolicyError):\n    code = 1\n"),
]
GOOD = [
    ("clock_and_chance_are_passed_in", CA, HEAD + "def f(now, rng):\n    return now.time(), rng.random\n"),
    ("clock_and_chance_are_passed_in", "src/privyseal/adapters/clock.py", HEAD + "import time\nx = time.time()\n"),
    ("only_the_road_signs", "src/privyseal/ca/issuance.py", HEAD + "x = signer.sign(b'')\n"),
    ("environment_is_read_in_one_place", "src/privyseal/config.py", HEAD + "import os\nx = os.environ\n"),
    ("faults_are_not_swallowed", "src/privyseal/worker.py", HEAD + "try:\n    f()\nexcept Exception:\n    pass\n"),
    ("trust_is_not_a_boolean", CA, HEAD + "def verify(chain) -> None: ...\n"),
    ("exceptions_to_checks_have_a_reason", CA, HEAD + "x = 1  # noqa" + ": E501 a URL\n"),
]


@pytest.mark.parametrize("name", RULES)
def test_the_rule_holds_everywhere(name: str) -> None:
    findings = [f"{source.path}: {finding}" for source in all_sources() for finding in RULES[name](source)]
    assert not findings, "\n" + "\n".join(findings)


@pytest.mark.parametrize(("name", "path", "text"), BAD)
def test_the_rule_bites(name: str, path: str, text: str) -> None:
    assert list(RULES[name](Source(path, text)))


@pytest.mark.parametrize(("name", "path", "text"), GOOD)
def test_the_rule_leaves_good_code_alone(name: str, path: str, text: str) -> None:
    assert not list(RULES[name](Source(path, text)))


def test_every_rule_has_a_bad_example() -> None:
    assert {name for name, _, _ in BAD} == set(RULES)
