# SPDX-License-Identifier: Apache-2.0
"""Every benchmark still runs and prints its ratios. What the figures are is for bench/run, never for a test."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.outside.tools import ROOT, require_python_ldap, require_root, require_tool

RATIOS = {
    "scep": ["scep raw / server CPU", "scep CPU with 500 stored", "scep failed requests"],
    "ocsp": ["constant / pre-signed CPU, POST", "constant / pre-signed CPU, GET", "failed requests, nonce"],
    "crl": ["crl seconds", "crl peak RSS"],
    "directory": [
        "directory round trips, publish 4 objects",
        "directory round trips, verify",
        "directory round trips, look-up",
        "directory paged read, MB grown",
    ],
    "inventory": ["inventory first page p95", "inventory CPU of all kinds of pages", "inventory slowest revocation"],
    "api": ["api failed requests"],
    "start": ["privyseal --help seconds"],
}


@pytest.mark.parametrize("name", sorted(RATIOS))
def test_the_benchmark_runs_and_prints_its_ratios(name: str) -> None:
    if name in ("scep", "api", "ocsp"):
        require_tool("wrk")
    if name == "directory":
        require_root("a domain controller")
        require_tool("samba")
        require_python_ldap()
    done = subprocess.run(
        [sys.executable, f"bench/{name}.py", "--quick"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("RATIO ")]
    assert [part for part in RATIOS[name] if not any(part in line for line in lines)] == []
