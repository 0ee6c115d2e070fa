# SPDX-License-Identifier: Apache-2.0
"""Before and after: what is planned for which state, that a plan leads there, that nothing of others is touched."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from privyseal.directory.changes import AddEntry, AddValue, Change, DeleteEntry, RemoveValue, ReplaceValue, undo
from privyseal.directory.containers import PLACEHOLDER, Target, object_dns, public_key_services
from privyseal.directory.desired import EnrollmentService, desired_values
from privyseal.directory.naming import dn_key
from privyseal.directory.plan import Plan, check_fresh, fingerprint, plan_publication, plan_removal, plan_undo
from privyseal.directory.receipts import Ownership
from privyseal.errors import (
    CertificateExpired,
    CertificateTooLarge,
    ContainerMissing,
    InvalidName,
    InvalidValue,
    NameTaken,
    NotACaCertificate,
    NotConfirmed,
    NotReceipted,
    PlanStale,
    SchemaViolation,
)
from privyseal.repository.service import observe
from tests.unit.directory.certificates import (
    AIA,
    CONFIGURATION,
    ISSUING,
    LEAF,
    NOW,
    NTAUTH,
    PKS,
    RENEWED,
    ROOT,
    ROOTS,
    SERVICES,
    certificate,
)
from tests.unit.directory.memory import Memory

ISSUING_DN = f"CN=Contoso Issuing,{AIA}"
NOTHING_OURS = Ownership(frozenset(), frozenset())
HOST = EnrollmentService(dns_host_name="pki.ad.example.test", confirmed=True)


def publish(memory: Memory, *wanted: tuple[Target, bytes], **options: object) -> Plan:
    desired = [
        value
        for target, encoded in wanted
        for value in desired_values(encoded, target, configuration_nc=CONFIGURATION, now=NOW, **options)  # type: ignore[arg-type] # of each test
    ]
    return plan_publication(desired, observe(memory, [item.dn for item in desired]))


def carry_out(memory: Memory, changes: Sequence[Change]) -> None:
    for change in changes:
        assert memory.apply(change) == "done"


def authority(memory: Memory, dn: str, *values: bytes, crl: bytes = PLACEHOLDER) -> None:
    kind = [b"top", b"certificationAuthority"]
    memory.put(
        dn,
        objectclass=kind,
        cacertificate=values,
        certificaterevocationlist=[crl],
        authorityrevocationlist=[PLACEHOLDER],
    )


def test_a_root_goes_to_two_places_with_what_the_class_demands() -> None:
    memory = Memory()
    plan = publish(memory, (Target.ROOT_CA, ROOT))
    assert [type(change) for change in plan.changes] == [AddEntry, AddEntry]
    assert [change.dn for change in plan.changes] == [f"CN=Contoso Root,{ROOTS}", f"CN=Contoso Root,{AIA}"]
    carry_out(memory, plan.changes)
    assert memory.values(f"CN=Contoso Root,{AIA}") == (ROOT,)
    assert memory.values(f"CN=Contoso Root,{AIA}", "certificateRevocationList") == (b"\x00",)
    assert publish(memory, (Target.ROOT_CA, ROOT)).changes == ()


def test_ntauth_is_made_when_it_does_not_exist_and_appended_to_when_it_does() -> None:
    memory = Memory()
    assert isinstance(publish(memory, (Target.NTAUTH_CA, ISSUING)).changes[0], AddEntry)
    authority(memory, NTAUTH, b"somebody else's certificate")
    plan = publish(memory, (Target.NTAUTH_CA, ISSUING))
    assert plan.changes == (AddValue(NTAUTH, "cACertificate", ISSUING),)
    carry_out(memory, plan.changes)
    assert memory.values(NTAUTH) == (b"somebody else's certificate", ISSUING)


def test_a_placeholder_gives_way_in_the_same_operation() -> None:
    memory = Memory()
    authority(memory, NTAUTH, PLACEHOLDER)
    plan = publish(memory, (Target.NTAUTH_CA, ISSUING))
    assert plan.changes == (AddValue(NTAUTH, "cACertificate", ISSUING, PLACEHOLDER),)
    carry_out(memory, plan.changes)
    assert memory.values(NTAUTH) == (ISSUING,)


def test_two_cas_of_one_name_share_one_object() -> None:
    memory = Memory()
    plan = publish(memory, (Target.SUB_CA, ISSUING), (Target.SUB_CA, RENEWED))
    assert [type(change) for change in plan.changes] == [AddEntry, AddValue]
    carry_out(memory, plan.changes)
    assert memory.values(ISSUING_DN) == (ISSUING, RENEWED)


def test_an_object_in_another_spelling_is_the_same_object() -> None:
    memory = Memory()
    authority(memory, ISSUING_DN.replace("Contoso Issuing", "CONTOSO issuing"), ISSUING)
    assert publish(memory, (Target.SUB_CA, ISSUING)).changes == ()


def test_a_missing_container_is_said_and_not_created() -> None:
    memory = Memory()
    del memory.entries[dn_key(AIA)]
    with pytest.raises(ContainerMissing, match=r"CN=AIA,.* does not exist"):
        publish(memory, (Target.SUB_CA, ISSUING))


def test_an_object_of_another_class_is_left_alone() -> None:
    memory = Memory()
    memory.put(ISSUING_DN, objectclass=[b"top", b"container"])
    with pytest.raises(SchemaViolation, match="is a container, not a certificationAuthority"):
        publish(memory, (Target.SUB_CA, ISSUING))


@pytest.mark.parametrize(
    ("encoded", "target", "fault", "words"),
    [
        (LEAF, Target.NTAUTH_CA, NotACaCertificate, "'laptop-042' is not a CA.*anybody"),
        (LEAF, Target.SUB_CA, NotACaCertificate, "CA:TRUE"),
        (certificate(ca=None), Target.SUB_CA, NotACaCertificate, "CA:TRUE"),
        (
            certificate(usages=("digital_signature",)),
            Target.SUB_CA,
            NotACaCertificate,
            "digital-signature.*key-cert-sign",
        ),
        (ISSUING, Target.ROOT_CA, NotACaCertificate, "another CA signed it"),
        (certificate(signed_by=7), Target.ROOT_CA, NotACaCertificate, "does not verify"),
        (certificate(""), Target.SUB_CA, NotACaCertificate, "no common name"),
        (certificate(days=-1), Target.ROOT_CA, CertificateExpired, "expired at 2026-11-21"),
        (certificate(bulk=33 * 1024), Target.ROOT_CA, CertificateTooLarge, "at most 32,768"),
        (b"-----BEGIN CERTIFICATE-----", Target.ROOT_CA, NotACaCertificate, "not an X.509 certificate"),
        (b"", Target.NTAUTH_CA, NotACaCertificate, "not an X.509 certificate"),
        (ISSUING[:-1], Target.SUB_CA, NotACaCertificate, "not an X.509 certificate"),
        (ISSUING, Target.ENROLLMENT_SERVICES, NotConfirmed, "explicit demand.*tries to enroll"),
    ],
)
def test_what_must_not_be_published_is_refused(encoded: bytes, target: Target, fault: type, words: str) -> None:
    with pytest.raises(fault, match=words):
        publish(Memory(), (target, encoded))


def test_an_expired_ca_can_be_published_when_that_is_said() -> None:
    old = certificate(days=-1)
    assert len(publish(Memory(), (Target.ROOT_CA, old), allow_expired=True).changes) == 2


def test_a_ca_without_key_usage_is_one() -> None:
    assert len(publish(Memory(), (Target.SUB_CA, certificate(usages=None))).changes) == 1


def test_a_name_full_of_special_characters_is_one_object() -> None:
    encoded = certificate("LongCAName(WithSpeci@#$%^Characters")
    plan = publish(Memory(), (Target.SUB_CA, encoded))
    assert plan.changes[0].dn == f"CN=LongCAName!0028WithSpeci@!0023$!0025!005eCharacters,{AIA}"


def test_an_enrollment_service_is_complete_and_only_ours() -> None:
    memory = Memory()
    plan = publish(memory, (Target.ENROLLMENT_SERVICES, ISSUING), service=HOST)
    (change,) = plan.changes
    assert isinstance(change, AddEntry)
    assert dict(change.attributes) == {
        "objectClass": (b"top", b"pKIEnrollmentService"),
        "cn": (b"Contoso Issuing",),
        "displayName": (b"Contoso Issuing",),
        "dNSHostName": (b"pki.ad.example.test",),
        "cACertificate": (ISSUING,),
        "cACertificateDN": (b"CN=Contoso Issuing",),
        "flags": (b"1",),
    }
    carry_out(memory, plan.changes)
    assert publish(memory, (Target.ENROLLMENT_SERVICES, ISSUING), service=HOST).changes == ()
    ours = Ownership(frozenset({dn_key(change.dn)}), frozenset({(dn_key(change.dn), "cacertificate", ISSUING)}))
    removal = plan_removal(ISSUING, [change.dn], observed=observe(memory, [change.dn]), ours=ours)
    assert [type(item) for item in removal.changes] == [DeleteEntry]
    elsewhere = EnrollmentService(dns_host_name="other.ad.example.test", confirmed=True)
    with pytest.raises(NameTaken, match=r"pki\.ad\.example\.test, not other\.ad"):
        publish(memory, (Target.ENROLLMENT_SERVICES, ISSUING), service=elsewhere)
    for host in ("", "a b", "*)(x"):
        bad = EnrollmentService(dns_host_name=host, confirmed=True)
        with pytest.raises(InvalidName):
            publish(memory, (Target.ENROLLMENT_SERVICES, ISSUING), service=bad)
    assert SERVICES in change.dn


def owned(*places: tuple[str, bytes], entries: Sequence[str] = ()) -> Ownership:
    values = frozenset((dn_key(dn), "cacertificate", value) for dn, value in places)
    return Ownership(frozenset(dn_key(dn) for dn in entries), values)


@pytest.mark.parametrize(
    ("held", "ours", "keep_empty", "wanted"),
    [
        ((ISSUING,), owned((ISSUING_DN, ISSUING), entries=[ISSUING_DN]), False, DeleteEntry),
        ((ISSUING,), owned((ISSUING_DN, ISSUING), entries=[ISSUING_DN]), True, PLACEHOLDER),
        ((ISSUING,), owned((ISSUING_DN, ISSUING)), False, PLACEHOLDER),
        ((ISSUING, RENEWED), owned((ISSUING_DN, ISSUING), entries=[ISSUING_DN]), False, None),
    ],
)
def test_only_our_value_goes_and_the_object_only_when_it_is_ours_and_empty(
    held: tuple[bytes, ...], ours: Ownership, keep_empty: bool, wanted: object
) -> None:
    memory = Memory()
    authority(memory, ISSUING_DN, *held)
    observed = observe(memory, [ISSUING_DN])
    plan = plan_removal(ISSUING, [ISSUING_DN], observed=observed, ours=ours, keep_empty=keep_empty)
    (change,) = plan.changes
    if wanted is DeleteEntry:
        assert isinstance(change, DeleteEntry)
    else:
        assert change == RemoveValue(ISSUING_DN, "cACertificate", ISSUING, wanted)  # type: ignore[arg-type] # of the table
    carry_out(memory, plan.changes)
    assert memory.values(ISSUING_DN) == {DeleteEntry: None, PLACEHOLDER: (PLACEHOLDER,), None: (RENEWED,)}[wanted]  # type: ignore[index] # of the table


def test_an_object_that_somebody_gave_a_crl_is_not_deleted() -> None:
    memory = Memory()
    authority(memory, ISSUING_DN, ISSUING, crl=b"a CRL")
    ours = owned((ISSUING_DN, ISSUING), entries=[ISSUING_DN])
    plan = plan_removal(ISSUING, [ISSUING_DN], observed=observe(memory, [ISSUING_DN]), ours=ours)
    assert plan.changes == (RemoveValue(ISSUING_DN, "cACertificate", ISSUING, PLACEHOLDER),)


def test_what_no_receipt_shows_is_never_removed() -> None:
    memory = Memory()
    authority(memory, ISSUING_DN, ISSUING)
    authority(memory, NTAUTH, ISSUING)
    dns = [ISSUING_DN, NTAUTH]
    with pytest.raises(NotReceipted, match="no receipt says"):
        plan_removal(ISSUING, dns, observed=observe(memory, dns), ours=NOTHING_OURS)
    half = plan_removal(ISSUING, dns, observed=observe(memory, dns), ours=owned((NTAUTH, ISSUING)))
    assert [change.dn for change in half.changes] == [NTAUTH]
    assert len(half.left) == 1
    assert plan_removal(RENEWED, dns, observed=observe(memory, dns), ours=NOTHING_OURS).changes == ()


def replaced(memory: Memory) -> None:
    authority(memory, ISSUING_DN, RENEWED)


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda memory: memory.entries.pop(dn_key(AIA)),
        replaced,
        lambda memory: authority(memory, ISSUING_DN, ISSUING),
    ],
)
def test_a_plan_that_has_grown_stale_is_refused(meanwhile: Callable[[Memory], object]) -> None:
    memory = Memory()
    plan = publish(memory, (Target.SUB_CA, ISSUING))
    check_fresh(plan, observe(memory, plan.reads))
    meanwhile(memory)
    with pytest.raises(PlanStale, match="now in state"):
        check_fresh(plan, observe(memory, plan.reads))


def test_the_fingerprint_does_not_depend_on_order_or_on_what_a_plan_does_not_look_at() -> None:
    one, other = Memory(), Memory()
    authority(one, NTAUTH, ISSUING, RENEWED)
    authority(other, NTAUTH.upper(), RENEWED, ISSUING)
    other.entries[dn_key(NTAUTH)].attributes["whenchanged"] = (b"1",)  # type: ignore[index] # a dict in this fake
    assert fingerprint(observe(one, [NTAUTH])) == fingerprint(observe(other, [NTAUTH.lower()]))


def test_a_plan_needs_what_it_depends_on_to_be_read() -> None:
    desired = desired_values(ISSUING, Target.SUB_CA, configuration_nc=CONFIGURATION, now=NOW)
    with pytest.raises(PlanStale, match="was not read"):
        plan_publication(desired, {})


def test_undo_leads_back_to_the_state_before() -> None:
    memory = Memory()
    authority(memory, NTAUTH, PLACEHOLDER)
    before = {dn: entry.attributes.get("cacertificate") for dn, entry in memory.entries.items()}
    plan = publish(memory, (Target.ROOT_CA, ROOT), (Target.SUB_CA, ISSUING), (Target.NTAUTH_CA, ISSUING))
    carry_out(memory, plan.changes)
    back = plan_undo(plan.changes, observe(memory, [change.dn for change in plan.changes]))
    carry_out(memory, back.changes)
    assert {dn: entry.attributes.get("cacertificate") for dn, entry in memory.entries.items()} == before
    forward = plan_undo(back.changes, observe(memory, [change.dn for change in back.changes]))
    carry_out(memory, forward.changes)
    assert publish(memory, (Target.ROOT_CA, ROOT), (Target.NTAUTH_CA, ISSUING)).changes == ()


def test_undo_keeps_what_others_added_since() -> None:
    memory = Memory()
    plan = publish(memory, (Target.SUB_CA, ISSUING))
    carry_out(memory, [*plan.changes, AddValue(ISSUING_DN, "cACertificate", RENEWED)])
    back = plan_undo(plan.changes, observe(memory, [ISSUING_DN]))
    carry_out(memory, back.changes)
    assert memory.values(ISSUING_DN) == (RENEWED,)
    assert plan_undo(plan.changes, observe(memory, [ISSUING_DN])).changes == ()


def test_undo_of_a_removal_from_an_object_that_is_gone_is_refused() -> None:
    memory = Memory()
    with pytest.raises(PlanStale, match="does not exist any more"):
        plan_undo([RemoveValue(ISSUING_DN, "cACertificate", ISSUING)], observe(memory, [ISSUING_DN]))


def test_every_change_is_its_own_double_inverse() -> None:
    for change in (
        AddEntry("CN=a", (("cn", (b"a",)),)),
        AddValue("CN=a", "x", b"1", b"\x00"),
        RemoveValue("CN=a", "x", b"1"),
        ReplaceValue("CN=a", "x", b"1", b"2"),
        DeleteEntry("CN=a", ()),
    ):
        assert undo(undo(change)) == change
    assert undo(ReplaceValue("CN=a", "x", b"1")) == RemoveValue("CN=a", "x", b"1")


def test_any_order_of_publishing_and_removing_ends_in_the_same_state() -> None:
    chance = random.Random(3)
    wanted = [(Target.SUB_CA, ISSUING), (Target.SUB_CA, RENEWED), (Target.NTAUTH_CA, ISSUING), (Target.ROOT_CA, ROOT)]
    ends = set()
    for _ in range(10):
        memory = Memory()
        chance.shuffle(wanted)
        for one in wanted:
            carry_out(memory, publish(memory, one).changes)
        ends.add(tuple(frozenset(memory.values(dn) or ()) for dn in (ISSUING_DN, NTAUTH, f"CN=Contoso Root,{ROOTS}")))
    assert ends == {(frozenset({ISSUING, RENEWED}), frozenset({ISSUING}), frozenset({ROOT}))}


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("rootca", Target.ROOT_CA),
        ("NTAUTHCA", Target.NTAUTH_CA),
        ("SubCA", Target.SUB_CA),
        (" enrollment services", Target.ENROLLMENT_SERVICES),
    ],
)
def test_the_words_of_certutil_are_read_in_any_case(text: str, target: Target) -> None:
    assert Target.parse(text) is target


def test_other_words_and_other_partitions_are_refused() -> None:
    with pytest.raises(InvalidValue, match="RootCA, SubCA, NTAuthCA"):
        Target.parse("CrossCA")
    with pytest.raises(InvalidValue, match="CN=Configuration"):
        public_key_services("DC=ad,DC=example,DC=test")
    assert object_dns(Target.NTAUTH_CA, "x", configuration_nc=CONFIGURATION) == (f"CN=NTAuthCertificates,{PKS}",)
