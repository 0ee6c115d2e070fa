# SPDX-License-Identifier: Apache-2.0
"""From the text of a search to its clauses. Any text gives a Search or one SearchInvalid that points at the word."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Final

from privyseal.errors import InputError, InvalidValue, SearchInvalid
from privyseal.model.certificate import CertificateKind, format_serial, parse_serial
from privyseal.model.revocation import CrlReason
from privyseal.model.search.moments import parse_within
from privyseal.model.search.query import Among, Clause, Field, Holds, Search, Status, fold
from privyseal.x509.sid import Sid

LONGEST: Final = 2000
_MOST_CLAUSES: Final = 32
_MOST_VALUES: Final = 20
_SHORTEST_NEEDLE: Final = 3
_LONGEST_VALUE: Final = 256
_PIECE: Final = re.compile(r'"((?:[^"\\]|\\.)*)"|([^\s",:]+)|([,:"])', re.DOTALL)
_TEXTS: Final = frozenset({Field.SUBJECT, Field.SAN, Field.TEXT})
_MOMENTS: Final = frozenset({Field.ENDS, Field.ISSUED, Field.REVOKED})
_WORDS: Final[Mapping[Field, tuple[str, ...]]] = {
    Field.STATUS: tuple(status.value for status in Status),
    Field.KIND: tuple(kind.value for kind in CertificateKind),
    Field.REASON: tuple(reason.label for reason in CrlReason),
}


@dataclass(frozen=True, slots=True)
class _Word:
    """One clause as written: where it stands, and its parts."""

    at: int
    negated: bool
    field: str
    values: tuple[str, ...]


def parse_search(text: str, *, now: datetime) -> Search:
    """The search that a text means at this moment. Raises SearchInvalid."""
    if len(text) > LONGEST:
        raise SearchInvalid(f"the search has {len(text)} characters; at most {LONGEST} are read")
    seconds = int(now.timestamp())
    clauses = tuple(_clause(word, seconds) for word in _words(text))
    if len(clauses) > _MOST_CLAUSES:
        raise SearchInvalid(f"the search has {len(clauses)} words; at most {_MOST_CLAUSES} are read")
    return Search(clauses, seconds, text.strip())


def _words(text: str) -> Iterator[_Word]:
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        start, negated = at, text[at] == "-"
        at += negated
        pieces: list[tuple[str, bool]] = []
        while at < len(text) and not text[at].isspace():
            match = _PIECE.match(text, at)
            if match is None or match[3] == '"':
                raise _refused(start, 'a quote (") is not closed')
            quoted = match[1] is not None
            pieces.append((re.sub(r"\\(.)", r"\1", match[1], flags=re.DOTALL) if quoted else match[0], quoted))
            at = match.end()
        yield _word(start, negated, pieces)


def _word(at: int, negated: bool, pieces: list[tuple[str, bool]]) -> _Word:
    """Field and values out of pieces. Only the first colon counts: serials and requesters hold more of them."""
    colon = next((index for index, piece in enumerate(pieces) if piece == (":", False)), None)
    field, rest = "", pieces
    if colon is not None:
        field = "".join(piece for piece, _ in pieces[:colon])
        rest = pieces[colon + 1 :]
        if not field:
            raise _refused(at, "nothing stands before the colon")
    values, parts = list[str](), list[str]()
    for piece, quoted in [*rest, (",", False)]:
        if piece == "," and not quoted:
            values.append("".join(parts))
            parts.clear()
        else:
            parts.append(piece)
    if not all(values):
        word = f"{field}: is followed by" if field else "there is"
        raise _refused(at, f"{word} nothing, or an empty value between commas")
    return _Word(at, negated, field, tuple(values))


def _clause(word: _Word, now: int) -> Clause:
    field = _field(word)
    if len(word.values) > _MOST_VALUES:
        raise _refused(word.at, f"{len(word.values)} values; at most {_MOST_VALUES} are read")
    for value in word.values:
        if len(value) > _LONGEST_VALUE or not value.isprintable():
            raise _refused(word.at, f"a value is longer than {_LONGEST_VALUE} characters or holds control characters")
    if field in _TEXTS:
        return _holds(word, field)
    try:
        if field in _MOMENTS:
            if len(word.values) > 1:
                raise _refused(word.at, f"{field.value} takes one moment or range, not {len(word.values)}")
            return parse_within(field, word.values[0], now=now, negated=word.negated)
        read = _READERS.get(field, str)
        return Among(field, tuple(dict.fromkeys(read(value) for value in _listed(word, field))), word.negated)
    except SearchInvalid:
        raise
    except InputError as error:
        raise _refused(word.at, f"{field.value}: {error.what}") from error


def _listed(word: _Word, field: Field) -> tuple[str, ...]:
    allowed = _WORDS.get(field, word.values)
    for value in word.values:
        if value not in allowed:
            near = get_close_matches(value, allowed, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise _refused(word.at, f"{field.value} {value!r} is not one of {', '.join(allowed)}{hint}")
    return word.values


def _field(word: _Word) -> Field:
    if not word.field:
        return Field.TEXT
    for field in Field:
        if field.value == word.field.lower():
            return field
    names = [field.value for field in Field]
    near = get_close_matches(word.field.lower(), names, 1)
    hint = f"did you mean {near[0]}:? " if near else ""
    raise _refused(
        word.at,
        f"{word.field[:40]!r} is not a field; {hint}There are {', '.join(names)}. "
        'Text that holds a colon is put in quotes ("")',
    )


def _holds(word: _Word, field: Field) -> Holds:
    for value in word.values:
        if len(value) < _SHORTEST_NEEDLE:
            raise _refused(word.at, f"text {value!r} is shorter than {_SHORTEST_NEEDLE} characters")
    return Holds(field, tuple(dict.fromkeys(map(fold, word.values))), word.negated)


def _number(value: str) -> str:
    if not re.fullmatch(r"v?[0-9]{1,9}", value, re.ASCII):
        raise InvalidValue(f"{value[:40]!r} is not a whole number")
    return str(int(value.removeprefix("v")))


_READERS: Final[Mapping[Field, Callable[[str], str]]] = {
    Field.VERSION: _number,
    Field.REVISION: _number,
    Field.SERIAL: lambda value: format_serial(parse_serial(value)),
    Field.SID: lambda value: Sid.parse(value).text,
}


def _refused(at: int, what: str) -> SearchInvalid:
    return SearchInvalid(f"at character {at + 1}: {what}")
