# SPDX-License-Identifier: Apache-2.0
"""What holds for every test: all that is signed is looked at, fuzzing is repeatable in CI, skips are accounted for."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.outside.postgresql import end_shared_server
from tests.outside.signed import SIGNED
from tests.outside.tools import NEEDS_PACKAGES, NEEDS_ROOT

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "default")


def pytest_configure() -> None:
    """Before any test module is imported."""
    SIGNED.watch()


@pytest.fixture(autouse=True)
def everything_signed_is_looked_at(request: pytest.FixtureRequest) -> Iterator[None]:
    """OpenSSL and pkilint see each object that the test signed; their complaint is the test's failure."""
    yield
    if request.node.get_closest_marker("broken_on_purpose"):
        SIGNED.fresh.clear()
    else:
        SIGNED.look()


def pytest_sessionfinish() -> None:
    """After the last test."""
    end_shared_server()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many tests were skipped, and the one command that would let them run."""
    reasons = [str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", [])]
    if not reasons:
        return
    terminalreporter.section("skipped")
    for reason in sorted(set(reasons)):
        terminalreporter.write_line(f"{reasons.count(reason):5d}  {reason.removeprefix('Skipped: ')}")
    terminalreporter.write_line(f"{len(reasons):5d}  in all")
    packages = sorted({word for reason in reasons for word in reason.partition(NEEDS_PACKAGES)[2].split()})
    if any(NEEDS_ROOT in reason for reason in reasons):
        terminalreporter.write_line("To run them: sudo ./test")
    elif packages:
        command = f"sudo apt-get install -y --no-install-recommends {' '.join(packages)}"
        terminalreporter.write_line(f"To run them: {command}")
