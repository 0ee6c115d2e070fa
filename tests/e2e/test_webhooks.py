# SPDX-License-Identifier: Apache-2.0
"""Webhooks against a receiver that listens: signatures, filters, retries, what is given up, and who is never asked."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from privyseal.adapters.webhook import check_address, deliver
from privyseal.bootstrap.webhooks import send_events, webhook_book
from privyseal.errors import SealBroken, ServerUnreachable, WebhookUrlRefused
from privyseal.model.access import Role
from privyseal.model.entity import EntityKind
from privyseal.model.webhook import MOST_ATTEMPTS, DeliveryState
from privyseal.store import webhooks as stored
from tests.api import ApiHouse, fixture_api
from tests.e2e.test_api_server import server_certificate
from tests.installation import PASSPHRASE, fixture_installation, fixture_installations
from tests.outside.receiver import Receiver, receiver

__all__ = ["fixture_api", "fixture_installation", "fixture_installations"]


def make(api: ApiHouse, into: Receiver, *events: str, name: str = "siem") -> str:
    """A webhook by the API; the owner's token."""
    token = api.token("olga", Role.OWNER)
    body: dict[str, Any] = {"name": name, "url": into.url, **({"events": list(events)} if events else {})}
    answer = api.call("POST", "/webhooks", token=token, body=body)
    assert answer.status == 201, answer.body
    into.secret = answer.data["secret"]
    assert answer.data["webhook"]["url"] == into.url.partition("?")[0]
    return token


def happen(api: ApiHouse, name: str) -> None:
    """Something that the audit trail knows of."""
    api.installation.run(api.installation.app.entities.create(EntityKind.DEVICE, {"name": name}, actor="test"))


def send(api: ApiHouse) -> int:
    return api.installation.run(send_events(api.installation.app))


def deliveries(api: ApiHouse, token: str, query: str = "") -> list[Any]:
    items: list[Any] = api.call("GET", f"/webhooks/siem/deliveries{query}", token=token).data["items"]
    return items


def test_what_happens_arrives_signed_and_once(api: ApiHouse) -> None:
    with receiver() as into:
        make(api, into, "device.*")
        happen(api, "PC-1")
        happen(api, "PC-2")
        assert send(api) == 2 and send(api) == 0
        first, second = into.events()
        assert (first["specversion"], first["type"], first["subject"]) == (
            "1.0",
            "privyseal.device.created",
            "device:PC-1",
        )
        assert first["source"] == api.installation.app.settings.public_url
        assert int(first["id"]) < int(second["id"]) and first["sequence"] < second["sequence"]
        assert into.got[0][0]["content-type"] == "application/cloudevents+json; charset=utf-8"
        assert first["data"]["actor"] == "test" and len(first["data"]["audit_digest"]) == 64
        row = next(row for row in api.installation.app.audit.page(before=0, limit=20) if str(row.seq) == first["id"])
        assert row.digest.hex() == first["data"]["audit_digest"]


def test_a_filter_keeps_the_rest_away_and_nothing_before_it_was_made_is_sent(api: ApiHouse) -> None:
    happen(api, "BEFORE")
    with receiver() as into:
        token = make(api, into, "certificate.revoked", "token.*")
        happen(api, "PC-1")
        assert send(api) == 0
        api.token("bob", Role.VIEWER)
        assert send(api) == 1
        assert [event["type"] for event in into.events()] == ["privyseal.token.created"]
        assert [item["event"] for item in deliveries(api, token)] == ["token.created"]


def test_a_receiver_that_fails_is_asked_again_later_then_given_up_then_replayed(api: ApiHouse) -> None:
    with receiver() as into:
        token = make(api, into, "device.created")
        happen(api, "PC-1")
        into.answers = [503, 302, *[500] * (MOST_ATTEMPTS - 2)]
        assert send(api) == 0 and send(api) == 0
        assert len(into.got) == 1, "what failed waits"
        waiting = deliveries(api, token)[0]
        assert (waiting["state"], waiting["attempts"], waiting["status"]) == ("waiting", 1, 503)
        for _ in range(MOST_ATTEMPTS - 1):
            api.installation.clock.moved += timedelta(hours=3)
            send(api)
        assert len(into.got) == MOST_ATTEMPTS, "a redirect is not followed"
        dead = deliveries(api, token, "?state=dead")[0]
        assert (dead["state"], dead["attempts"]) == ("dead", MOST_ATTEMPTS)
        api.installation.clock.moved = timedelta(0)
        later = api.call("POST", "/webhooks/siem:replay", token=token, body={"delivery": None})
        assert (later.status, later.data["queued"]) == (200, 1)
        assert send(api) == 1
        assert deliveries(api, token)[0]["state"] == "delivered"
        one = api.call("POST", "/webhooks/siem:replay", token=token, body={"delivery": dead["id"]})
        assert one.data["queued"] == 1 and send(api) == 1
        assert api.call("POST", "/webhooks/siem:replay", token=token, body={"delivery": 999}).status == 404


def test_waits_grow_and_differ(api: ApiHouse) -> None:
    with receiver() as into:
        token = make(api, into, "device.created")
        happen(api, "PC-1")
        into.answers = [500] * 4
        waits = []
        for _ in range(4):
            before = api.installation.clock.now()
            send(api)
            found = webhook_book(api.installation.app).page("siem", before=0, limit=1)[0]
            waits.append((found.due_at - before).total_seconds())
            api.installation.clock.moved += timedelta(seconds=waits[-1] + 2)
        for wait, full in zip(waits, (10, 20, 40, 80), strict=True):
            assert full / 2 - 2 <= wait <= full + 2, waits
        assert deliveries(api, token)[0]["attempts"] == 4


def test_one_receiver_that_is_slow_delays_neither_issuance_nor_the_others(api: ApiHouse) -> None:
    with receiver() as slow, receiver() as quick:
        slow.delay = 3.0
        make(api, slow, "device.created")
        make(api, quick, "device.created", name="quick")
        happen(api, "PC-1")

        async def both() -> tuple[float, float]:
            sending = asyncio.ensure_future(send_events(api.installation.app))
            while not quick.got:
                await asyncio.sleep(0.01)
            began = time.monotonic()
            for number in range(20):
                await api.installation.app.entities.create(EntityKind.DEVICE, {"name": f"PC-A{number}"}, actor="test")
            took = time.monotonic() - began
            assert not sending.done(), "the slow one still has it"
            await sending
            return took, time.monotonic() - began

        took, sent = api.installation.run(both())
        assert took < 1.5 < sent
        assert len(quick.events()) == len(slow.events()) == 1


def test_a_dripping_receiver_is_hung_up_on() -> None:
    """One octet a time keeps each time-out of a socket away; the whole delivery has one of its own."""
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        peer, _ = listener.accept()
        with peer:
            try:
                for _ in range(200):
                    peer.sendall(b"H")
                    time.sleep(0.1)
            except OSError:
                return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    began = time.monotonic()
    with pytest.raises(ServerUnreachable):
        deliver(f"http://127.0.0.1:{listener.getsockname()[1]}/", b"{}", {}, seconds=1.0)
    assert time.monotonic() - began < 5
    listener.close()
    thread.join(5)


def test_over_https_the_certificate_counts(api: ApiHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = server_certificate(tmp_path)
    with receiver((certificate, key)) as into:
        token = make(api, into, "device.created")
        happen(api, "PC-1")
        assert send(api) == 0
        assert "CERTIFICATE_VERIFY_FAILED" in deliveries(api, token)[0]["what"]
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        api.installation.clock.moved += timedelta(minutes=1)
        assert send(api) == 1
        assert [event["subject"] for event in into.events()] == ["device:PC-1"]


def test_a_test_arrives_whatever_the_filter_and_who_may_not_cannot(api: ApiHouse) -> None:
    with receiver() as into:
        token = make(api, into, "ca.created")
        queued = api.call("POST", "/webhooks/siem:test", token=token)
        assert queued.status == 200 and send(api) == 1
        assert [(event["type"], event["id"]) for event in into.events()] == [
            ("privyseal.webhook.tested", queued.data["event"])
        ]
        operator = api.token("otto", Role.OPERATOR)
        assert api.call("POST", "/webhooks/siem:test", token=operator).code == 8304
        assert api.call("GET", "/webhooks", token=operator).code == 8304
        gone = api.call("DELETE", "/webhooks/siem", token=token)
        assert gone.status == 200 and api.call("GET", "/webhooks/siem", token=token).status == 404


def test_the_secret_is_nowhere_in_clear(api: ApiHouse) -> None:
    with receiver() as into:
        make(api, into)
        book = webhook_book(api.installation.app)
        sealed = book.get("siem").sealed
        keys = api.installation.app.keys
        assert keys is not None
        seals = keys.sealing("webhook secrets")
        assert seals.open(sealed, owner="webhook:siem")
        for other, owner in ((keys.sealing("other"), "webhook:siem"), (seals, "webhook:other")):
            with pytest.raises(SealBroken):
                other.open(sealed, owner=owner)
        with pytest.raises(SealBroken):
            seals.open(sealed[:5], owner="webhook:siem")
        api.installation.run(
            api.installation.app.committer.run(lambda unit: unit.execute("UPDATE webhooks SET name = 'x'"))
        )
        happen(api, "PC-1")
        assert send(api) == 0 and not into.got, "a secret that was moved to another name opens nothing"
        trail = json.dumps([row.detail for row in api.installation.app.audit.page(before=0, limit=100)])
        assert into.secret not in trail and "key=k" not in trail and PASSPHRASE not in trail


@pytest.mark.parametrize(
    "url",
    [
        "http://siem.example.com/", "ftp://siem.example.com/", "https://", "https://user:pw@siem.example.com/",
        "https://siem.example.com/#x", "https://siem.example.com:0/", "https://siem.example.com:99999/",
        "https://si em.example.com/", "https://[::1", "https://ex\u00e4mple.com/", "siem", "",
        "https://siem.example.com\\@10.0.0.1/", "https://10.0.0.1%2f/", "https://siem.example.com/\r\nx: y",
    ],
)  # fmt: skip
def test_a_url_that_is_none_for_events_is_refused(api: ApiHouse, url: str) -> None:
    token = api.token("olga", Role.OWNER)
    answer = api.call("POST", "/webhooks", token=token, body={"name": "siem", "url": url})
    assert answer.code == WebhookUrlRefused.code, answer.body


@pytest.mark.parametrize(
    ("address", "good"),
    [
        ("10.1.2.3", True), ("192.168.1.1", True), ("fd12::1", True), ("93.184.216.34", True), ("2606:2800::1", True),
        ("127.0.0.1", False), ("::1", False), ("::ffff:127.0.0.1", False), ("169.254.169.254", False),
        ("fe80::1", False), ("fd00:ec2::254", False), ("0.0.0.0", False), ("::", False), ("224.0.0.1", False),
        ("ff02::1", False), ("240.0.0.1", False), ("64:ff9b::a9fe:a9fe", False), ("::ffff:169.254.169.254", False),
    ],
)  # fmt: skip
def test_addresses_of_this_machine_and_of_clouds_get_nothing(address: str, good: bool) -> None:
    if good:
        check_address(ip_address(address), host="siem", loopback=False)
    else:
        with pytest.raises(WebhookUrlRefused):
            check_address(ip_address(address), host="siem", loopback=False)


def test_a_name_that_leads_to_this_machine_is_not_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in ("93.184.216.34", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: inside)
    with pytest.raises(WebhookUrlRefused, match="leads to 127"):
        deliver("https://siem.example.com/", b"{}", {})


def test_what_arrived_is_forgotten_after_weeks_and_what_waits_is_not(api: ApiHouse) -> None:
    with receiver() as into:
        token = make(api, into, "device.created")
        happen(api, "PC-1")
        into.answers = [204, 500]
        assert send(api) == 1
        happen(api, "PC-2")
        assert send(api) == 0
        api.installation.clock.moved += timedelta(days=29)
        api.installation.work()
        assert len(deliveries(api, token)) == 2
        api.installation.clock.moved += timedelta(days=2)
        api.installation.work()
        assert [item["state"] for item in deliveries(api, token)] == ["waiting"]


def test_there_is_an_end_to_webhooks_and_to_what_waits(api: ApiHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "MOST_OPEN", 3)
    monkeypatch.setattr(stored, "MOST_WEBHOOKS", 1)
    with receiver() as into:
        token = make(api, into, "device.created")
        again = api.call("POST", "/webhooks", token=token, body={"name": "more", "url": into.url})
        assert again.code == 9072
        into.answers = [500]
        for number in range(5):
            happen(api, f"PC-{number}")
        send(api)
        book = webhook_book(api.installation.app)
        assert book.get("siem").waiting == 3, "the trail keeps the rest"
        api.installation.clock.moved += timedelta(minutes=2)
        send(api)
        send(api)
        assert {event["subject"] for event in into.events()} == {f"device:PC-{number}" for number in range(5)}
        assert {item.state for item in book.page("siem", before=0, limit=9)} == {DeliveryState.DELIVERED}
