# SPDX-License-Identifier: Apache-2.0
"""CRLs in the CDP container: whose they are, and which are stale, over, misplaced or unreadable."""

from __future__ import annotations

from datetime import timedelta

from privyseal.directory.changes import Entry
from privyseal.directory.containers import Container
from privyseal.directory.crl import read_crl
from privyseal.directory.crl_status import FoundCrl, InForce, classify_crls
from privyseal.directory.status import ControllerView
from tests.unit.directory.certificates import CDP, NOW, crl

DN = f"CN=Contoso Issuing,CN=pki,{CDP}"
OURS = {(read_crl(crl()).issuer, read_crl(crl()).authority_key): InForce(name="issuing", base=5, delta=7)}


def seen(*, base: bytes | None = None, delta: bytes | None = None, days: int = 0) -> list[FoundCrl]:
    held = {"certificaterevocationlist": base, "deltarevocationlist": delta}
    entry = Entry(DN, {name: (value,) for name, value in held.items() if value is not None})
    at = NOW + timedelta(days=days)
    view = ControllerView(controller="dc1", highest_usn=None, at=at, entries=((Container.CDP, entry),))
    return list(classify_crls(view, OURS))


def test_what_is_in_force_has_no_problem() -> None:
    base, delta = seen(base=crl(5), delta=crl(7, delta=True))
    assert (base.owner, base.number, base.delta, base.problems) == ("issuing", 5, False, ())
    assert (delta.owner, delta.number, delta.delta, delta.problems) == ("issuing", 7, True, ())
    assert base.next_update == NOW + timedelta(days=7)


def test_older_ones_are_stale_and_those_that_ended_are_over() -> None:
    assert [item.problems for item in seen(base=crl(4), delta=crl(6, delta=True))] == [
        ("stale: 5 is in force",),
        ("stale: 7 is in force",),
    ]
    (over,) = seen(base=crl(5), days=8)
    assert over.problems[0].startswith("ended on ")


def test_crls_of_others_misplaced_and_unreadable_ones_are_told() -> None:
    assert [(item.owner, item.problems) for item in seen(base=crl(1, issuer="Stranger"))] == [("", ())]
    assert "a delta CRL stands where the base belongs" in seen(base=crl(9, delta=True))[0].problems
    assert "a base CRL stands as delta" in seen(delta=crl(9))[0].problems
    assert seen(base=b"garbage")[0].problems == ("it is not a CRL that can be read",)
