# SPDX-License-Identifier: Apache-2.0
"""Output: tables that a name cannot break, PEM as RFC 7468 wants it, ticks that every terminal can show."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from cryptography import x509

from privyseal.cli.output import pem, show_item, show_list
from privyseal.cli.session import Session, tick


def test_a_name_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    show_list(Session(output="table"), [{"name": "evil\x1b[2J\rname"}], ("name",))
    show_item(Session(output="table"), {"name": "evil\x1b[2Jname"})
    seen = capsys.readouterr().out
    assert "\x1b" not in seen
    assert "\r" not in seen
    assert "evil\\x1b[2J" in seen


def test_a_table_is_aligned_and_plain_when_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    show_list(Session(output="table"), [{"name": "a", "n": 1}, {"name": "longer", "n": None}], ("name", "n"))
    assert capsys.readouterr().out == "NAME    N\na       1\nlonger\n"


def test_an_empty_json_list_is_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    show_list(Session(output="json"), [], ("name",))
    assert capsys.readouterr().out == "[]\n"


def test_pem_lines_are_64_characters_long() -> None:
    lines = pem(bytes(100)).splitlines()
    assert lines[0] == "-----BEGIN CERTIFICATE-----"
    assert [len(line) for line in lines[1:-1]] == [64, 64, 8]
    with pytest.raises(ValueError, match=r"parsing|ASN"):
        x509.load_pem_x509_certificate(pem(bytes(100)).encode())  # armour is read, the zeros are not a certificate


@pytest.mark.parametrize(("encoding", "mark"), [("utf-8", "✔"), ("UTF8", "✔"), ("ascii", "ok"), ("cp1252", "ok")])
def test_ticks_are_ascii_where_the_stream_is_not_utf8(encoding: str, mark: str) -> None:
    assert tick(SimpleNamespace(encoding=encoding)) == mark
    assert tick(io.StringIO()) == "ok"
