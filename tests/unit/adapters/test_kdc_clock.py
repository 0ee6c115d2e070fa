# SPDX-License-Identifier: Apache-2.0
"""The question for a KDC's time, and answers of every kind: a time, none, or one typed error."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from asn1crypto import core
from hypothesis import given
from hypothesis import strategies as some

from privyseal.adapters.kdc_clock import as_request, check_clock, read_time
from privyseal.errors import ClockSkew, InvalidValue, KdcUnreachable, ServerAnsweredWrongly
from privyseal.x509 import der

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def error_saying(moment: datetime) -> bytes:
    """A KRB-ERROR as KDCs send it: no client's time, theirs, and the demand for pre-authentication."""
    fields = ((0, der.integer(5)), (1, der.integer(30)), (4, der.generalized_time(moment)), (5, der.integer(17)))
    rest = der.explicit(6, der.integer(25))
    return der.tlv(0x7E, der.sequence(*(der.explicit(number, value) for number, value in fields), rest))


@contextmanager
def kdc_that_says(answer: bytes) -> Iterator[str]:
    """One connection, one answer."""

    def serve() -> None:
        line, _ = server.accept()
        with line:
            size = int.from_bytes(line.recv(4, socket.MSG_WAITALL))
            line.recv(size, socket.MSG_WAITALL)
            line.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def framed(answer: bytes) -> bytes:
    return len(answer).to_bytes(4) + answer


@pytest.mark.parametrize("principal", ["alice", "alice@contoso.com", "host/pc1.contoso.com"])
def test_the_question_is_der_that_others_read(principal: str) -> None:
    request = as_request("CONTOSO.COM", principal, now=NOW)
    assert request[0] == 0x6A
    inner = core.Sequence.load(core.Any.load(der.read(request).contents).dump())
    assert inner.dump() == der.read(request).contents
    assert all(part.encode() in request for part in principal.split("/") if "@" not in part)


@pytest.mark.parametrize("seconds", [0, 299, -299])
def test_a_clock_that_is_near_is_told(seconds: int) -> None:
    with kdc_that_says(framed(error_saying(NOW + timedelta(seconds=seconds)))) as address:
        assert check_clock(address, realm="R", principal="alice", now=NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize(("seconds", "words"), [(1201, "20:01 ahead of"), (-7200, "2:00:00 behind")])
def test_a_clock_that_is_far_off_is_refused_and_both_ways_told_apart(seconds: int, words: str) -> None:
    answer = framed(error_saying(NOW + timedelta(seconds=seconds)))
    with kdc_that_says(answer) as address, pytest.raises(ClockSkew, match=words):
        check_clock(address, realm="R", principal="alice", now=NOW)


def test_an_account_without_pre_authentication_tells_no_time() -> None:
    assert read_time(b"\x6b\x00") is None


@pytest.mark.parametrize(
    "answer", [b"", b"\x00\x00", b"\x00\x00\x00\x09HTTP/1.1 ", b"\xff\xff\xff\xff\x7e", framed(b"\x7e\x02\x30\x00")]
)
def test_what_is_no_kdc_is_told(answer: bytes) -> None:
    with kdc_that_says(answer) as address, pytest.raises(ServerAnsweredWrongly):
        check_clock(address, realm="R", principal="alice", now=NOW)


def test_nobody_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = f"127.0.0.1:{gone.getsockname()[1]}"
    with pytest.raises(KdcUnreachable):
        check_clock(address, realm="R", principal="alice", now=NOW)


@pytest.mark.parametrize(("realm", "principal"), [("", "alice"), ("R", ""), ("R", "a\udcff"), ("R\n", "alice")])
def test_what_is_no_name_is_not_sent(realm: str, principal: str) -> None:
    with pytest.raises(InvalidValue):
        check_clock("127.0.0.1:1", realm=realm, principal=principal, now=NOW)


@given(some.binary(max_size=80), some.integers(0, 60))
def test_any_octets_give_a_time_or_one_error(octets: bytes, at: int) -> None:
    whole = error_saying(NOW)
    for answer in (octets, whole[:at] + octets, whole[:at] + octets[:1] + whole[at + 1 :]):
        try:
            read_time(answer)
        except ServerAnsweredWrongly:
            continue
