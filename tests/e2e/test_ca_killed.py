# SPDX-License-Identifier: Apache-2.0
"""kill -9 between the steps of a rollover: no key is lost, no CA certificate is unknown, never two are in force."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from privyseal.model.authority import IN_FORCE, CaState
from privyseal.x509.certificate import read_certificate
from tests.e2e.killed_rollover import STEPS
from tests.e2e.test_ca_life import ALL_GATES, act
from tests.installation import ROOT_CA, Installation, Installations, new_home
from tests.outside.tools import ROOT, run


def check(service: Installation) -> None:
    """What must hold after a start."""
    records = service.app.authorities.all()
    assert sum(record.name == ROOT_CA and record.state in IN_FORCE for record in records) == 1
    for record in records:
        assert (service.home / "keys" / f"{record.key_ref}.pem").exists()
    known = {read_certificate(record.certificate).serial for record in records}
    known |= {read_certificate(cross.certificate).serial for cross in service.app.authority_names.crosses()}
    rows = service.rows("SELECT serial FROM certificates WHERE kind = 'ca' AND status = 'issued'")
    assert {int.from_bytes(row[0], "big") for row in rows} == known
    assert service.rows("SELECT count(*) FROM certificates WHERE status = 'reserved'") == [(0,)]
    service.app.audit.verify()


OFTEN = ("key", "reserve", "sign", "cross")
PLAN = [(step, 1) for step in STEPS] + [(step, 2) for step in STEPS if step.endswith(OFTEN)]


@pytest.mark.parametrize(("step", "passes"), PLAN)
def test_a_rollover_that_is_killed_is_whole_or_absent_and_can_be_done_again(
    installations: Installations, tmp_path: Path, step: str, passes: int
) -> None:
    home = new_home(tmp_path)
    ended = run([sys.executable, "-P", "-m", "tests.e2e.killed_rollover", home, step, str(passes)], directory=ROOT,
                environment={"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"})  # fmt: skip
    assert ended.code == -signal.SIGKILL, ended.text
    again = installations.open(home)
    again.work()
    check(again)
    versions = {record.version: record.state for record in again.app.authorities.all() if record.name == ROOT_CA}
    if 2 not in versions:
        act(again, "ca.renew", name=ROOT_CA)
    if CaState.STAGED in versions.values() or 2 not in versions:
        act(again, "ca.activate", name=ROOT_CA, accept=ALL_GATES)
    again.work()
    check(again)
    assert again.app.authorities.get(ROOT_CA).version == 2
    assert len(again.app.authority_names.crosses()) == 2
