# SPDX-License-Identifier: Apache-2.0
"""Names, filters, accounts, certificates and undo files of a directory: a value or one error of ours, for any input."""

from __future__ import annotations

import re
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from privyseal.directory.accounts import ACCOUNT_ATTRIBUTES, principal_filter, read_account, the_account
from privyseal.directory.changes import Entry
from privyseal.directory.containers import Container, Target
from privyseal.directory.crl import read_crl
from privyseal.directory.describe import certificate_label
from privyseal.directory.desired import check_certificate
from privyseal.directory.naming import (
    MAX_SANITIZED,
    child_dn,
    dn_key,
    dns_domain,
    escape_filter,
    parent_dn,
    sanitized_name,
    split_dn,
)
from privyseal.directory.receipts import Ownership
from privyseal.directory.script import cmd_quoted, shell_quoted
from privyseal.directory.status import ControllerView, Known, classify
from privyseal.directory.undo_file import read_undo_file
from privyseal.errors import AccessError, InputError, InvalidName, InvalidValue, MalformedDer, PolicyError, StateError
from tests.unit.directory.certificates import ISSUING, NOW, NTAUTH, crl

# Any code point, halves of surrogate pairs among them.
texts = st.text(st.characters(codec=None, categories=None), max_size=80)  # type: ignore[arg-type] # None means all
REFUSED = (InputError, PolicyError, AccessError, StateError)


@given(texts.filter(bool))
def test_a_sanitized_name_is_short_and_holds_only_what_windows_allows(name: str) -> None:
    found = sanitized_name(name)
    assert len(found) <= MAX_SANITIZED
    assert re.fullmatch(r"[ -~]+", found)
    # What is left is allowed as it is, or an escape, or the hash at the end.
    rest = re.sub(r"![0-9a-f]{4}", "", found)
    assert not set(rest) & set("!\"#%&'()*+,/:;<=>?[\\]^`{|}")
    parent = "CN=AIA,DC=x"
    assert split_dn(child_dn(found, parent))[1] == parent
    assert parent_dn(child_dn(found, parent)) == parent


@given(texts.filter(bool), texts.filter(bool))
def test_short_names_keep_their_difference(one: str, other: str) -> None:
    short = [name for name in (sanitized_name(one), sanitized_name(other)) if len(name) <= 51]
    if len(short) == 2 and one != other:
        assert short[0] != short[1]


@given(texts | st.binary(max_size=80))
def test_a_filter_value_has_no_structure_and_says_the_same_octets(value: str | bytes) -> None:
    try:
        found = escape_filter(value)
    except InvalidName:
        return
    assert re.fullmatch(r"(?:[ -'+-\[\]-~]|\\[0-9a-f]{2})*", found)
    octets = re.sub(rb"\\([0-9a-f]{2})", lambda pair: bytes.fromhex(pair[1].decode()), found.encode("ascii"))
    assert octets == (value if isinstance(value, bytes) else value.encode("utf-8"))


@given(texts)
def test_whatever_is_typed_as_a_principal_stays_inside_its_filter(text: str) -> None:
    try:
        found = principal_filter(text, dns_domain="ad.example.test")
    except InputError:
        return
    assert found.count("(") == found.count(")") <= 5
    assert not re.search(r"=\*|\*\)", found)


values = st.lists(
    st.binary(max_size=40)
    | texts.map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.sampled_from(
        [b"alice@ad.example.test", b"512", b"user", b"computer", bytes.fromhex("0105000000000005") + bytes(20)]
    ),
    max_size=3,
).map(tuple)
entries = st.builds(
    Entry, st.text(max_size=30), st.dictionaries(st.sampled_from([name.lower() for name in ACCOUNT_ATTRIBUTES]), values)
)


@given(entries)
def test_an_account_is_read_exactly_or_refused(entry: Entry) -> None:
    try:
        account = read_account(entry, dns_domain="ad.example.test")
    except REFUSED:
        return
    for text in (account.principal_name, account.dns_name, account.mail, account.distinguished_name):
        assert text.isprintable()
        assert text == text.strip()
    if entry.attributes.get("userprincipalname"):
        assert account.principal_name.encode() == entry.attributes["userprincipalname"][0]


@given(st.lists(entries, max_size=3))
def test_any_answer_of_a_directory_is_one_account_or_one_refusal(found: list[Entry]) -> None:
    with suppress(*REFUSED):
        assert the_account(found, "alice", dns_domain="ad.example.test").enabled


def mutated(original: bytes) -> st.SearchStrategy[bytes]:
    return st.tuples(st.integers(0, len(original) - 1), st.binary(max_size=4)).map(
        lambda edit: original[: edit[0]] + edit[1] + original[edit[0] + len(edit[1]) :]
    )


@given(st.binary(max_size=200) | mutated(ISSUING), st.sampled_from(Target))
@settings(max_examples=300)
def test_a_damaged_certificate_is_refused_or_is_a_ca(encoded: bytes, target: Target) -> None:
    with suppress(*REFUSED):
        assert check_certificate(encoded, target, now=NOW).is_ca
    assert certificate_label(encoded)


@given(st.lists(st.binary(max_size=200) | mutated(ISSUING), max_size=3))
@settings(max_examples=300)
def test_whatever_stands_in_a_container_is_classified(held: list[bytes]) -> None:
    entry = Entry(NTAUTH, {"cacertificate": tuple(held)})
    view = ControllerView(controller="dc1", highest_usn=1, at=NOW, entries=((Container.NTAUTH, entry),))
    found = classify(view, Known({}, {}), ours=Ownership(frozenset(), frozenset()))
    assert len(found) == sum(len(value) > 1 for value in held)
    assert all(item.problems for item in found)


@given(st.binary(max_size=200) | mutated(crl(7)))
def test_a_damaged_crl_is_read_or_refused(encoded: bytes) -> None:
    with suppress(MalformedDer):
        read_crl(encoded)


@given(st.text(max_size=200))
def test_an_undo_file_is_read_or_refused(text: str) -> None:
    with suppress(InvalidValue):
        read_undo_file(text)


@given(texts)
def test_quoting_never_lets_anything_out(text: str) -> None:
    with suppress(InvalidValue):
        assert not set(cmd_quoted(text)[1:-1]) & set('"%\r\n')
    with suppress(InvalidValue):
        inner = shell_quoted(text)[1:-1]
        assert "'" not in inner.replace("'\\''", "")


@given(texts)
def test_dns_are_compared_and_taken_apart_without_a_fault(text: str) -> None:
    assert dn_key(dn_key(text)) or not text.strip(" ")
    rdn, rest = split_dn(text)
    assert text.startswith(rdn) and text.endswith(rest)
    with suppress(InvalidName):
        dns_domain(text)
