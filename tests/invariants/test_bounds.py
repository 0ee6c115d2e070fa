# SPDX-License-Identifier: Apache-2.0
"""Bounds that hold for every list, way upwards and deletion, whichever operation it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest

from privyseal.endpoints.api.endpoint import ApiEndpoint
from privyseal.endpoints.api.operation import LIMIT, Kind, Operation
from privyseal.errors import ActBlocked
from privyseal.model.access import Role
from privyseal.model.authority import CaKind
from privyseal.protocols.scep import client
from tests.api import ApiHouse
from tests.architecture.sources import all_sources
from tests.device import Device
from tests.installation import Installation, Installations

KEPT_FOR_EVER = ("certificates", "certificate_tbs", "certificate_signatures", "revocations", "authorities", "crls")
"""A row of these is what makes a serial, a CRL number or a revocation impossible to repeat or to lose."""
REMOVED = [
    # A CRL that others signed and whose import was cut off is brought once more, with the same number.
    ("store/foreign_crls.py", "crls"),
    # The end of a hold.
    ("store/status.py", "revocations"),
]


@pytest.fixture(name="house", scope="module")
def fixture_house(shared: Installation) -> tuple[ApiHouse, str]:
    api = ApiHouse(shared)
    return api, api.token("otto", Role.OWNER)


def endpoints(api: ApiHouse) -> Iterator[tuple[str, ApiEndpoint]]:
    yield "", api.endpoint
    yield "//beta", api.graph


def without_places(operation: Operation) -> str:
    return re.sub(r"\{[^}]+\}", "1", operation.path)


def test_every_operation_of_every_face_wants_a_token_unless_it_says_why_not(house: tuple[ApiHouse, str]) -> None:
    api, _ = house
    asked = 0
    for place, endpoint in endpoints(api):
        for operation in endpoint.operations:
            if operation.open_because:
                continue
            path = f"{place}{without_places(operation)}"
            answer = api.call(operation.method, path, body=operation.body_example)
            assert answer.status == 401, (operation.id, path, answer.status, answer.body)
            asked += 1
    assert asked > 60


def test_a_page_has_the_same_bounds_everywhere(house: tuple[ApiHouse, str]) -> None:
    api, token = house
    lists = [one for one in api.endpoint.operations if one.kind is Kind.PAGE]
    assert len(lists) > 8
    for operation in lists:
        assert LIMIT in operation.all_query
        for limit in ("0", "-1", str(LIMIT.most + 1), "9" * 30, "1e3", ""):
            answer = api.call("GET", f"{without_places(operation)}?limit={limit}", token=token)
            assert answer.status == 400, (operation.id, limit, answer.status)
    for operation in api.endpoint.operations:
        names = {query.name for query in operation.all_query}
        assert operation.kind is Kind.PAGE or not names & {"limit", "cursor", "offset", "page"}, operation.id


def test_a_list_gives_no_more_than_was_asked_for_nor_than_is_usual(house: tuple[ApiHouse, str]) -> None:
    api, token = house
    for _ in range(60):
        api.installation.device()
    assert len(api.call("GET", "/devices", token=token).data["items"]) == 50
    assert len(api.call("GET", "/devices?limit=7", token=token).data["items"]) == 7
    for operation in api.endpoint.operations:
        if operation.kind is Kind.PAGE and "{" not in operation.path:
            items = api.call("GET", f"{operation.path}?limit=1", token=token).data["items"]
            assert len(items) <= 1, operation.id


def test_a_loop_of_issuers_ends_every_look_up(installations: Installations) -> None:
    installation = installations()
    api = ApiHouse(installation)
    token = api.token("otto", Role.OWNER)
    leaf = Device(installation).enroll()
    own = installation.issuer.record.id
    installation.change("UPDATE authorities SET parent_id = ? WHERE parent_id IS NULL", own)
    installation.change("UPDATE meta SET value = CAST(value AS BIGINT) + 1 WHERE key = 'catalog'")
    assert len(installation.app.catalog.chain(installation.issuer)) <= 10
    for path in ("/scep/wifi-device?operation=GetCACert", "/crl/issuing/v1.crl", "/aia/issuing/v1.cer"):
        assert installation.get(path).status == 200, path
    for path in ("/authorities", "/authorities/issuing", "/authorities/issuing/versions", "/certificates"):
        assert api.call("GET", path, token=token).status in (200, 404), path
    installation.work()
    assert leaf


def test_a_deep_hierarchy_is_handed_out_whole(installations: Installations) -> None:
    installation, tiers = installations.empty(), 9
    life = timedelta(days=3000)
    installation.found("tier-0", kind=CaKind.ROOT, parent=None, path_length=tiers - 1, validity=life)
    for tier in range(1, tiers):
        life -= timedelta(days=1)
        left = tiers - tier - 1
        installation.found(f"tier-{tier}", parent=f"tier-{tier - 1}", path_length=left, validity=life)
    installation.profile("deep", issuer=f"tier-{tiers - 1}")
    device = Device(installation, profile="deep")
    device.enroll()
    assert len(installation.app.catalog.chain(device.issuer)) == tiers
    answer = installation.get("/scep/deep?operation=GetCACert")
    _, *chain = client.parse_ca_certificates(answer.content_type, answer.body)
    assert chain == [issuer.view.encoded for issuer in installation.app.catalog.chain(device.issuer)]


def test_no_statement_removes_what_must_stay_for_ever() -> None:
    found = []
    for source in all_sources():
        if source.in_package:
            for table in KEPT_FOR_EVER:
                hits = re.findall(rf"DELETE FROM {table}\b", source.text)
                found += [(source.in_package, table)] * len(hits)
    assert sorted(found) == REMOVED


def test_a_live_certificate_cannot_be_deleted_by_any_operation(house: tuple[ApiHouse, str]) -> None:
    api, token = house
    Device(api.installation).enroll()
    before = api.installation.rows("SELECT id, serial, status FROM certificates ORDER BY id")
    deleting = [one for one in api.endpoint.operations if one.method == "DELETE"]
    assert not [one.id for one in deleting if "certificates" in one.path]
    assert api.call("DELETE", "/authorities/issuing", token=token).code == ActBlocked.code
    assert api.call("DELETE", "/authorities/root", token=token).code == ActBlocked.code
    assert api.installation.rows("SELECT id, serial, status FROM certificates ORDER BY id") == before
