# SPDX-License-Identifier: Apache-2.0
"""One story on SQLite and on PostgreSQL: every list, every page, every count and every order is the same on both."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from privyseal.endpoints.api.operation import Kind
from privyseal.model.access import Role
from privyseal.model.entity import EntityKind
from privyseal.model.revocation import CrlReason
from tests.api import ApiHouse
from tests.device import Device
from tests.installation import Installation, Installations
from tests.stores import ENGINES, engine_of_new_installations

NAMES = (
    "beta",
    "Alpha",
    "alpha",
    "a b",
    "a-b",
    "a_b",
    "ab",
    "Zo\u00eb",
    "zo\u00eb",
    "\u00c9lan",
    "10",
    "9",
    "%",
    "it's",
)
WHERE = (
    "", "status:revoked", "-status:revoked", "status:valid,expiring", "alpha", "ALPHA", '"it\'s"',
    "profile:wifi-device", "ends:<40d", "issued:<7d", "device:alpha", "device:Alpha", "reason:superseded",
    "protocol:scep,operator", 'device:"zo\u00eb"', "kind:ca", "version:1", "revoked:<1d",
)  # fmt: skip
VARIES = (
    (re.compile(r"-----BEGIN.*?-----END[A-Z ]+-----", re.DOTALL), "PEM"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)"), "MOMENT"),
    (re.compile(r"\b[0-9a-f]{12,}\b", re.IGNORECASE), "DIGITS"),
    (re.compile(r"DEMO ([\w-]+) \d+-\d+"), r"DEMO \1"),
    (re.compile(r"(laptop|LAPTOP)-\d+"), "LAPTOP"),
)
"""What two runs of one story cannot have in common, and what stands in its place."""


def plain(value: Any) -> Any:
    """The answer without moments, serials and keys."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items() if name not in {"next_cursor", "octets"}}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, str):
        for pattern, word in VARIES:
            value = pattern.sub(word, value)
    return value


def tell(installation: Installation) -> dict[str, Any]:
    """The story, and then everything that can be listed."""
    api = ApiHouse(installation)
    token = api.token("otto", Role.OWNER)
    devices = []
    for name in NAMES:
        for kind in (EntityKind.USER, EntityKind.DEVICE):
            made = installation.run(installation.app.entities.create(kind, {"name": name}, actor="test"))
        devices.append(made)
    for name in ("b-profile", "B-profile", "a-profile", "aprofile", "9-profile", "10-profile"):
        installation.profile(name, san=[], subject="CN={{device.name}}")
    for number, entity in enumerate(devices):
        device = Device(installation, profile="aprofile")
        device.entity = entity
        leaf = device.enroll()
        if number % 3 == 0:
            installation.revoke(leaf, CrlReason.SUPERSEDED if number % 2 else CrlReason.CESSATION_OF_OPERATION)
        device.refused(device.message(device.csr(challenge="guess-0123456789abcdef")))
    for person in ("bea", "anna", "zoe", "a.b", "a-b", "ab"):
        api.act("role.grant", person=person, role="viewer", labels=["b", "a"])
    installation.found("b-ca")
    api.act("ca.pause", name="b-ca")
    api.act("four-eyes.set", mode="on", reason="test")
    for person in ("emil", "eva"):
        asked = api.call("POST", "/roles", token=token, body={"person": person, "role": "viewer", "labels": []})
        assert asked.status == 202, asked.body
    installation.work()
    return everything(api, token)


def everything(api: ApiHouse, token: str) -> dict[str, Any]:
    """Each list in pages of three, and each search with its count."""
    found: dict[str, Any] = {}
    for operation in api.endpoint.operations:
        if operation.kind is Kind.PAGE and "{" not in operation.path:
            found[operation.id] = pages(api, token, operation.path)
    for where in WHERE:
        path = f"/certificates?count=true&where={quote(where)}"
        first = api.call("GET", path, token=token)
        assert first.status == 200, (where, first.body)
        found[f"where {where}"] = plain(first.data)
    found["audit"] = [event for event in api.installation.events() if event != "crl.published"]
    return found


def pages(api: ApiHouse, token: str, path: str) -> list[Any]:
    items: list[Any] = []
    cursor = ""
    for _ in range(200):
        answer = api.call("GET", f"{path}?limit=3{cursor}", token=token)
        assert answer.status == 200, (path, answer.body)
        items += answer.data["items"]
        if not (following := answer.data.get("next_cursor")):
            return [plain(item) for item in items]
        cursor = f"&cursor={quote(following)}"
    raise AssertionError(f"{path} never ends")


def test_one_story_gives_the_same_lists_on_both(tmp_path: Path) -> None:
    told = {}
    for engine in ENGINES:
        place = tmp_path / engine
        place.mkdir()
        with engine_of_new_installations(engine):
            made = Installations(place)
            try:
                told[engine] = tell(made())
            finally:
                made.close()
    one, other = told.values()
    assert one.keys() == other.keys()
    assert len(one["list_certificates"]) > 14 and len(one["list_audit"]) > 100 and one["list_approvals"]
    for name in one:
        assert one[name] == other[name], name
