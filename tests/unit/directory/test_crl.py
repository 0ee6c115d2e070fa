# SPDX-License-Identifier: Apache-2.0
"""CRLs in the CDP container: made, replaced by newer ones, never by older ones."""

from __future__ import annotations

import pytest

from privyseal.directory.changes import AddEntry, ReplaceValue
from privyseal.directory.containers import CRL_LIMIT
from privyseal.directory.crl import crl_dns, plan_crls, read_crl
from privyseal.directory.naming import dn_key
from privyseal.directory.plan import Plan
from privyseal.errors import CertificateTooLarge, ContainerMissing, InvalidValue, MalformedDer, PlanStale
from privyseal.repository.service import observe
from tests.unit.directory.certificates import CDP, CONFIGURATION, ISSUING, crl
from tests.unit.directory.memory import Memory

BOX, DN = f"CN=pki,{CDP}", f"CN=Contoso Issuing,CN=pki,{CDP}"


def plan(memory: Memory, *crls: bytes) -> Plan:
    observed = observe(memory, crl_dns("Contoso Issuing", "pki", configuration_nc=CONFIGURATION))
    return plan_crls(crls, "Contoso Issuing", host="pki", configuration_nc=CONFIGURATION, observed=observed)


def test_base_and_delta_are_told_apart() -> None:
    assert (read_crl(crl(5)).number, read_crl(crl(5)).delta) == (5, False)
    assert (read_crl(crl(6, delta=True)).number, read_crl(crl(6, delta=True)).delta) == (6, True)


def test_the_first_publication_makes_container_and_object() -> None:
    memory = Memory()
    first = plan(memory, crl(1), crl(2, delta=True))
    assert [change.dn for change in first.changes] == [BOX, DN]
    for change in first.changes:
        assert isinstance(change, AddEntry)
        memory.apply(change)
    assert memory.values(DN, "certificateRevocationList") == (crl(1),)
    assert memory.values(DN, "deltaRevocationList") == (crl(2, delta=True),)
    assert plan(memory, crl(1), crl(2, delta=True)).changes == ()


def test_a_newer_crl_replaces_and_an_older_one_is_refused() -> None:
    memory = Memory()
    for change in plan(memory, crl(3)).changes:
        memory.apply(change)
    assert plan(memory, crl(4)).changes == (ReplaceValue(DN, "certificateRevocationList", crl(4), crl(3)),)
    assert plan(memory, crl(4, delta=True)).changes == (ReplaceValue(DN, "deltaRevocationList", crl(4, delta=True)),)
    with pytest.raises(PlanStale, match=r"holds CRL number 3.*2 is older"):
        plan(memory, crl(2))
    memory.put(DN, objectclass=[b"cRLDistributionPoint"], certificaterevocationlist=[b"garbage"])
    assert len(plan(memory, crl(2)).changes) == 1


def test_bad_crls_are_refused() -> None:
    memory = Memory()
    for encoded in (b"", ISSUING, crl(1)[:-1], b"\x30\x00"):
        with pytest.raises(MalformedDer):
            plan(memory, encoded)
    with pytest.raises(CertificateTooLarge, match="10,485,760"):
        plan(memory, bytes(CRL_LIMIT + 1))
    with pytest.raises(InvalidValue, match="more than one base"):
        plan(memory, crl(1), crl(2))
    for host in ("", "h" * 65, "a\nb"):
        with pytest.raises(InvalidValue):
            crl_dns("x", host, configuration_nc=CONFIGURATION)
    del memory.entries[dn_key(CDP)]
    with pytest.raises(ContainerMissing):
        plan(memory, crl(1))
