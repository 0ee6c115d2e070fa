# SPDX-License-Identifier: Apache-2.0
"""The search language: what each word means, and that any other text is one typed error which points at it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privyseal.errors import SearchInvalid
from privyseal.model.search.grammar import LONGEST, parse_search
from privyseal.model.search.guide import FIELDS, RULES, guide
from privyseal.model.search.query import Among, Field, Holds, Search, Status, Within, fold

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
DAY = 86400
SID = "S-1-5-21-1004336348-1177238915-682003330-1104"


def parse(text: str) -> tuple[object, ...]:
    return parse_search(text, now=NOW).clauses


def test_nothing_means_everything() -> None:
    assert parse_search("  ", now=NOW) == Search((), SECONDS, "")


def test_words_are_joined_and_values_are_alternatives() -> None:
    assert parse("status:expiring,expired profile:wifi-device -kind:ca") == (
        Among(Field.STATUS, ("expiring", "expired")),
        Among(Field.PROFILE, ("wifi-device",)),
        Among(Field.KIND, ("ca",), negated=True),
    )


@pytest.mark.parametrize(
    ("text", "needle"),
    [
        ("LAPTOP-04", "laptop-04"),
        ('"OU=Sales East"', "ou=sales east"),
        ('"a:b\\"c"', 'a:b"c'),
        ('lap"top 4"', "laptop 4"),
        ("ÄÖÜ", "äöü"),
    ],
)
def test_a_word_without_a_field_is_text(text: str, needle: str) -> None:
    assert parse(text) == (Holds(Field.TEXT, (needle,)),)
    assert parse(f"-{text}") == (Holds(Field.TEXT, (needle,), negated=True),)


def test_only_the_first_colon_is_the_fields() -> None:
    assert parse("serial:6B:03:07 requester:challenge:17 san:uri:tag:x") == (
        Among(Field.SERIAL, ("6b0307",)),
        Among(Field.REQUESTER, ("challenge:17",)),
        Holds(Field.SAN, ("uri:tag:x",)),
    )


def test_values_take_their_one_spelling() -> None:
    assert parse(f"sid:{SID} version:v2 revision:007 serial:0x0A") == (
        Among(Field.SID, (SID,)),
        Among(Field.VERSION, ("2",)),
        Among(Field.REVISION, ("7",)),
        Among(Field.SERIAL, ("0a",)),
    )


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("ends:<30d", None, SECONDS + 30 * DAY),
        ("ends:>30d", SECONDS + 30 * DAY + 1, None),
        ("ends:>=30d", SECONDS + 30 * DAY, None),
        ("ends:<=30d", None, SECONDS + 30 * DAY + 1),
        ("issued:<7d", SECONDS - 7 * DAY + 1, None),
        ("issued:<=7d", SECONDS - 7 * DAY, None),
        ("issued:>7d", None, SECONDS - 7 * DAY),
        ("revoked:>=7d", None, SECONDS - 7 * DAY + 1),
        ("revoked:2026-11-22", SECONDS - DAY // 2, SECONDS + DAY // 2),
        ("revoked:>2026-11-22", SECONDS + DAY // 2, None),
        ("revoked:>=2026-11-22", SECONDS - DAY // 2, None),
        ("revoked:<2026-11-22T12:00:00Z", None, SECONDS),
        ("revoked:<=2026-11-22T13:00:00+01:00", None, SECONDS + 1),
        ("issued:2026-11-21..2026-11-22", SECONDS - DAY * 3 // 2, SECONDS + DAY // 2),
        ("issued:2026-11-22..", SECONDS - DAY // 2, None),
        ("issued:..2026-11-22", None, SECONDS + DAY // 2),
    ],
)
def test_moments_and_distances(text: str, since: int | None, until: int | None) -> None:
    field = Field(text.partition(":")[0])
    assert parse(text) == (Within(field, since, until),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("profile:a stauts:valid", "at character 11: 'stauts' is not a field; did you mean status:?"),
        ("status:expirng", "did you mean expiring?"),
        ("status:VALID", "'VALID' is not one of active"),
        ("reason:keyCompromise", "key-compromise"),
        ("ab", "shorter than 3"),
        ("ends:30d", "needs < or >"),
        ("ends:<30", "allowed: <30d"),
        ("ends:..", "names no moment"),
        ("issued:2026-13-01", "not a moment for issued"),
        ("issued:<1d,>2d", "takes one moment"),
        ("sid:S-1-5", "sid: "),
        ("serial:xyz", "hexadecimal"),
        ("version:two", "whole number"),
        ("profile:", "followed by nothing"),
        ("profile:a,,b", "empty value"),
        (":a", "nothing stands before the colon"),
        ('"never closed', "is not closed"),
        ("-", "there is nothing"),
        ("profile:" + "x" * 257, "longer than 256"),
        ("profile:a\x07b", "control characters"),
        (" ".join(["abc"] * 33), "33 words"),
        ("profile:" + ",".join("a" * 21), "21 values"),
        ("a" * (LONGEST + 1), "2001 characters"),
        ("issued:<0d", "outside 1s to 100y"),
        ("issued:1969-12-31", "outside 1970"),
    ],
)
def test_what_is_not_understood_is_said_with_its_place(text: str, said: str) -> None:
    with pytest.raises(SearchInvalid) as caught:
        parse(text)
    assert said in caught.value.what


# Words that look like searches, so that the fuzz gets past the first colon.
WORDISH = st.lists(
    st.sampled_from([*'"\\:,-<>=.0129dahTZ ', "status", "ends:", "sid:S-1-5-", "..", "é", "\x00"]), max_size=20
).map("".join)


@given(st.text() | WORDISH | st.builds("{}:{}".format, st.sampled_from([f.value for f in Field]), WORDISH))
def test_any_text_is_a_search_or_one_typed_error(text: str) -> None:
    try:
        found = parse_search(text, now=NOW)
    except SearchInvalid as error:
        assert error.what.startswith(("at character ", "the search has "))
    else:
        assert found.now == SECONDS
        assert found == parse_search(found.text, now=NOW)


@given(st.text())
def test_folding_keeps_every_position(text: str) -> None:
    assert len(fold(text)) == len(text)
    assert fold(fold(text)) == fold(text)


def test_the_guide_tells_every_field_and_its_examples_are_searches() -> None:
    assert set(FIELDS) == set(Field)
    assert all(f"{status.value}" in guide() for status in Status)
    for rule in RULES[:3]:
        assert parse(rule.partition(": ")[2])
