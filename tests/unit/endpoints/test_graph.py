# SPDX-License-Identifier: Apache-2.0
"""The facade in the form of Graph: lists, filters, pages, changes, errors, and what a script would do with them."""

from __future__ import annotations

import base64
import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from privyseal.endpoints.api.openapi import document
from privyseal.endpoints.graph.odata import Term, parse_filter
from privyseal.endpoints.graph.refusals import GRAPH
from privyseal.errors import FacadeUnsupported, FilterUnsupported
from privyseal.model.access import PERMISSIONS, Role
from tests.api import ApiHouse, fixture_api
from tests.installation import ISSUING_CA, ROOT_CA, fixture_installation, fixture_installations
from tests.unit.endpoints.test_api import device, issue

__all__ = ["fixture_api", "fixture_installation", "fixture_installations"]

CA = "/deviceManagement/cloudCertificationAuthority"
LEAVES = "cloudCertificationAuthorityLeafCertificate"


class Script:
    """What an administrator's script does: a base URL, a token, and JSON."""

    def __init__(self, api: ApiHouse, *roles: Role, labels: tuple[str, ...] = (), person: str = "ada") -> None:
        self.api = api
        self.token = api.token(person, *(roles or (Role.OWNER,)), labels=labels)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        return self.api.call(
            method, f"//beta{path}", token=self.token, body=body, headers={"host": "pki.example.com:8443", **headers}
        )

    def get(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status == 200, answer.body
        return answer.data

    def post(self, path: str, body: Any = None, *, status: int = 200) -> Any:
        answer = self.ask("POST", path, body)
        assert answer.status == status, answer.body
        return answer.data

    def ids(self) -> dict[str, str]:
        return {item["displayName"]: item["id"] for item in self.get(CA)["value"]}


@pytest.fixture(name="script")
def fixture_script(api: ApiHouse) -> Script:
    return Script(api)


def test_cas_are_listed_with_the_properties_of_graph(script: Script) -> None:
    page = script.get(CA)
    assert page["@odata.context"] == "http://pki.example.com:8443/beta/$metadata"
    found = {item["displayName"]: item for item in page["value"]}
    root, issuing = found[ROOT_CA], found[ISSUING_CA]
    assert root["cloudCertificationAuthorityType"] == "rootCertificationAuthority"
    assert issuing["cloudCertificationAuthorityType"] == "issuingCertificationAuthority"
    assert issuing["certificationAuthorityIssuerId"] == root["id"]
    assert (issuing["certificationAuthorityStatus"], issuing["keyPlatform"]) == ("active", "software")
    assert (issuing["roleScopeTagIds"], issuing["versionNumber"]) == (["0"], 1)
    assert root["scepServerUrl"] is None and "/scep/" in issuing["scepServerUrl"]
    encoded = base64.b64decode(issuing["certificateDownloadUrl"].partition("base64,")[2])
    view = x509.load_der_x509_certificate(encoded)
    assert int(issuing["serialNumber"], 16) == view.serial_number
    assert issuing["rootCertificateCommonName"] == root["commonName"] == issuing["issuerCommonName"]
    for item in found.values():
        assert str(uuid.UUID(item["id"])) == item["id"]
    assert script.ids() == {name: item["id"] for name, item in found.items()}, "ids are stable"


def test_select_filter_count_and_pages(script: Script) -> None:
    one = script.get(f"{CA}?$select=id,displayName&$filter=displayName%20eq%20'{ROOT_CA}'&$count=true")
    assert one["@odata.count"] == 1 and list(one["value"][0]) == ["id", "displayName"]
    roots = "cloudCertificationAuthorityType eq 'rootCertificationAuthority' and versionNumber le 1"
    kind = script.get(f"{CA}?$filter={roots}".replace(" ", "%20"))
    assert [item["displayName"] for item in kind["value"]] == [ROOT_CA]
    first = script.get(f"{CA}?$top=1")
    link = first["@odata.nextLink"]
    assert link.startswith("http://pki.example.com:8443/beta/deviceManagement/")
    second = script.get(link.partition("/beta")[2])
    assert {first["value"][0]["displayName"], second["value"][0]["displayName"]} == {ROOT_CA, ISSUING_CA}
    assert "@odata.nextLink" not in second


@pytest.mark.parametrize(
    "query",
    [
        "$filter=displayName", "$filter=displayName%20eq%20'x'%20or%20id%20eq%20'y'", "$filter=nothing%20eq%20'x'",
        "$filter=extendedKeyUsages%20eq%20'x'", "$select=nothing", "$filter=displayName%20eq%20'x'%20and%20",
    ],
)  # fmt: skip
def test_a_query_option_that_cannot_be_followed_is_refused(script: Script, query: str) -> None:
    answer = script.ask("GET", f"{CA}?{query}")
    assert answer.status == 400 and answer.data["error"]["innerError"]["code"] == FilterUnsupported.code


def test_filters_are_read_with_quotes_and_functions() -> None:
    assert parse_filter("a eq 'it''s and so' and contains(b, 'x') and c ge 2026-01-01T00:00:00Z") == (
        Term("a", "eq", "it's and so"), Term("b", "contains", "x"), Term("c", "ge", "2026-01-01T00:00:00Z"),
    )  # fmt: skip
    with pytest.raises(FilterUnsupported):
        parse_filter(" and ".join(["a eq 1"] * 11))


def test_a_leaf_is_found_by_id_serial_and_filter_then_revoked(script: Script) -> None:
    api = script.api
    device(api)
    serials = [issue(api, script.token).data["serial"] for _ in range(3)]
    ca = script.ids()[ISSUING_CA]
    page = script.get(f"{CA}/{ca}/{LEAVES}?$top=2&$count=true")
    assert page["@odata.count"] == 3 and len(page["value"]) == 2
    rest = script.get(page["@odata.nextLink"].partition("/beta")[2])
    leaves = page["value"] + rest["value"]
    assert [leaf["serialNumber"] for leaf in leaves] == serials[::-1]
    leaf = leaves[0]
    assert (leaf["deviceName"], leaf["certificateStatus"], leaf["issuerId"]) == ("LAPTOP-1", "active", ca)
    assert leaf["keyUsages"] and leaf["extendedKeyUsages"] == ["1.3.6.1.5.5.7.3.2"]
    assert script.get(f"{CA}/{ca}/{LEAVES}/{leaf['id']}")["serialNumber"] == leaf["serialNumber"]
    assert script.get(f"/deviceManagement/{LEAVES}/{leaf['id']}")["id"] == leaf["id"]
    assert len(script.get(f"/deviceManagement/{LEAVES}")["value"]) == 3
    search = "searchCloudCertificationAuthorityLeafCertificateBySerialNumber"
    spelled = ":".join(re.findall("..", leaf["serialNumber"].upper()))
    assert script.post(f"{CA}/{ca}/{search}", {"certificateSerialNumber": spelled})["id"] == leaf["id"]
    gone = script.post(f"{CA}/{ca}/revokeLeafCertificate", {"leafCertificateId": leaf["id"]})
    assert gone["certificateStatus"] == "revoked" and gone["revocationDateTime"]
    again = script.ask("POST", f"{CA}/{ca}/revokeLeafCertificate", {"leafCertificateId": leaf["id"]})
    assert (again.status, again.data["error"]["code"]) == (409, "Conflict")
    other = {"certificateSerialNumber": serials[0], "@odata.type": "#microsoft.graph.x"}
    assert script.post(f"{CA}/{ca}/revokeLeafCertificateBySerialNumber", other)["certificateStatus"] == "revoked"
    for wanted, count in (("certificateStatus eq 'active'", 1), ("certificateStatus eq 'revoked'", 2),
                          ("deviceName eq 'LAPTOP-1' and certificateStatus eq 'active'", 1),
                          ("contains(subjectName,'laptop')", 3), (f"serialNumber eq '{serials[1]}'", 1),
                          ("validityEndDateTime lt 2026-11-01T00:00:00Z", 0),
                          ("validityEndDateTime gt 2026-11-01", 3)):  # fmt: skip
        found = script.get(f"{CA}/{ca}/{LEAVES}?$filter={wanted}".replace(" ", "%20"))["value"]
        assert len(found) == count, wanted
    root = script.ids()[ROOT_CA]
    assert script.ask("POST", f"{CA}/{root}/revokeLeafCertificate", {"leafCertificateId": leaf["id"]}).status == 404
    cursor = page["@odata.nextLink"].partition("$skiptoken=")[2] or page["@odata.nextLink"].partition("skiptoken=")[2]
    assert script.ask("GET", f"{CA}/{root}/{LEAVES}?$skiptoken={cursor}").status == 400, "a token is for one list"


def test_pause_resume_renew_versions_and_what_revocation_wants_first(script: Script) -> None:
    api = script.api
    device(api)
    assert issue(api, script.token).status == 201
    ca = f"{CA}/{script.ids()[ISSUING_CA]}"
    change = f"{ca}/changeCloudCertificationAuthorityStatus"
    assert script.post(change, {"certificationAuthorityStatus": "paused"})["certificationAuthorityStatus"] == "paused"
    assert issue(api, script.token).status == 409
    refused = script.ask(
        "POST", f"{ca}/revokeCloudCertificationAuthorityCertificate", {"certificationAuthorityVersion": 1}
    )
    assert refused.status == 409 and "live" in refused.data["error"]["message"]
    assert script.post(change, {"certificationAuthorityStatus": "active"})["certificationAuthorityStatus"] == "active"
    assert script.post(f"{ca}/renew")["versionNumber"] == 1
    versions = script.get(f"{ca}/versions")["value"]
    assert [(item["versionNumber"], item["certificationAuthorityVersionStatus"]) for item in versions] == [
        (1, "active"), (2, "staged"),
    ]  # fmt: skip
    assert versions[1]["scepServerUrl"].endswith("/v2") and versions[1]["decommissionDateTime"]
    assert script.get(f"{ca}/activeVersion")["versionNumber"] == 1
    chosen = script.post(f"{ca}/getCloudCertificationAuthorityVersion", {"certificationAuthorityVersion": 2})
    assert chosen["certificationAuthorityVersionStatus"] == "staged"
    activate = script.ask("POST", f"{ca}/activate", {"certificationAuthorityVersion": 2})
    assert activate.status == 409, "its gates have not passed"
    leaves = script.get(f"{ca}/{LEAVES}")["value"]
    for leaf in leaves:
        script.post(f"{ca}/revokeLeafCertificate", {"leafCertificateId": leaf["id"]})
    revoked = script.post(f"{ca}/revokeCloudCertificationAuthorityCertificate", {"certificationAuthorityVersion": 1})
    assert revoked["certificationAuthorityStatus"] == "revoked"


def test_a_ca_is_made_changed_and_deleted(script: Script) -> None:
    wish = {
        "@odata.type": "#microsoft.graph.cloudCertificationAuthority", "displayName": "Contoso Root, 2",
        "description": "the second", "cloudCertificationAuthorityType": "rootCertificationAuthority",
        "commonName": "Contoso, Root 2", "organizationName": "Contoso", "countryName": "DE",
        "certificateKeySize": "eCP256", "validityPeriodInYears": 10, "roleScopeTagIds": ["0", "prod"],
    }  # fmt: skip
    root = script.post(CA, wish, status=201)
    assert (root["displayName"], root["commonName"], root["countryName"]) == ("contoso-root-2", "Contoso, Root 2", "DE")
    assert (root["validityPeriodInYears"], root["certificateKeySize"]) == (10, "eCP256")
    assert (root["description"], root["roleScopeTagIds"]) == ("the second", ["prod"])
    below = {
        "displayName": "Issuing 2", "cloudCertificationAuthorityType": "issuingCertificationAuthority",
        "certificationAuthorityIssuerId": root["id"], "certificateKeySize": "eCP256", "validityPeriodInYears": 5,
        "extendedKeyUsages": [{"name": "Client", "objectIdentifier": "1.3.6.1.5.5.7.3.2"}],
    }  # fmt: skip
    issuing = script.post(CA, below, status=201)
    assert "1.3.6.1.5.5.7.3.2" in {use["objectIdentifier"] for use in issuing["extendedKeyUsages"]}
    path = f"{CA}/{issuing['id']}"
    changed = script.ask("PATCH", path, {**issuing, "description": "new"} | {"@odata.context": "x"})
    assert changed.status == 200 and changed.data["description"] == "new", changed.body
    stale = script.ask("PATCH", path, {"description": "newer"}, **{"if-match": issuing["eTag"]})
    assert (stale.status, stale.data["error"]["code"]) == (412, "PreconditionFailed")
    assert script.ask("PATCH", path, {"description": "newer"}, **{"if-match": changed.headers["etag"]}).status == 200
    fixed = script.ask("PATCH", path, {"commonName": "other"})
    assert fixed.data["error"]["innerError"]["code"] == FacadeUnsupported.code
    odd = script.ask("POST", CA, {**wish, "certificateKeySize": "eCP256k"})
    assert odd.data["error"]["innerError"]["code"] == FacadeUnsupported.code
    assert script.ask("DELETE", f"{CA}/{root['id']}").status == 409, "a CA below it is there"
    script.post(f"{path}/revokeCloudCertificationAuthorityCertificate", {})
    assert script.ask("DELETE", path).status == 204
    assert script.ask("GET", path).status == 404


def test_a_ca_under_an_outside_root_has_a_request_and_takes_the_answer(script: Script) -> None:
    wish = {
        "displayName": "byo", "cloudCertificationAuthorityType": "issuingCertificationAuthorityWithExternalRoot",
        "commonName": "BYO Issuing", "certificateKeySize": "eCP256",
    }  # fmt: skip
    made = script.post(CA, wish, status=201)
    assert made["certificationAuthorityStatus"] == "signingPending"
    request = x509.load_der_x509_csr(base64.b64decode(made["certificateSigningRequest"]))
    assert request.is_signature_valid
    path = f"{CA}/{made['id']}"
    assert [item["certificationAuthorityVersionStatus"] for item in script.get(f"{path}/versions")["value"]] == [
        "signingPending"
    ]
    upload = "uploadExternallySignedCertificationAuthorityCertificate"
    wrong = script.ask("POST", f"{path}/{upload}", {"signedCertificate": "!!"})
    assert wrong.status == 400
    root, certificate = outside_root(request)
    body = {
        "signedCertificate": base64.b64encode(certificate).decode(),
        "trustChainCertificates": [{"certificate": base64.b64encode(root).decode(), "displayName": "Outside"}],
        "certificationAuthorityVersion": 1,
    }
    done = script.post(f"{path}/{upload}", body)
    assert done["certificationAuthorityStatus"] == "active"
    assert done["cloudCertificationAuthorityType"] == "issuingCertificationAuthorityWithExternalRoot"
    assert done["rootCertificateCommonName"] == "Outside Root"


def outside_root(request: x509.CertificateSigningRequest) -> tuple[bytes, bytes]:
    """A root that is not ours, and the certificate that it gives."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Outside Root")])
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    found = []
    for subject, public, depth in ((name, key.public_key(), None), (request.subject, request.public_key(), 0)):
        made = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(name).public_key(public)
            .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=3000 if depth is None else 1500))
            .add_extension(x509.BasicConstraints(ca=True, path_length=depth), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
            .sign(key, SHA256())
        )  # fmt: skip
        found.append(made.public_bytes(Encoding.DER))
    return found[0], found[1]


def test_what_waits_for_approval_is_a_conflict_and_not_done(script: Script) -> None:
    api = script.api
    second = Script(api, Role.APPROVER, person="bob")
    api.act("four-eyes.set", mode="on", reason="test")
    ca = script.ids()[ISSUING_CA]
    answer = script.ask("POST", f"{CA}/{ca}/revokeCloudCertificationAuthorityCertificate", {})
    error = answer.data["error"]
    assert (answer.status, error["code"], error["innerError"]["code"]) == (409, "ApprovalPending", 8320)
    assert script.get(f"{CA}/{ca}")["certificationAuthorityStatus"] == "active"
    number = re.search(r"approval (\d+)", error["message"])
    assert number is not None
    # The approval is that of the desk: another person decides it, and then it is done.
    decided = api.call("POST", f"/approvals/{number[1]}:approve", token=second.token)
    assert decided.status == 200 and decided.data["state"] == "done"
    assert script.get(f"{CA}/{ca}")["certificationAuthorityStatus"] == "revoked"


def test_errors_have_the_form_of_graph(script: Script) -> None:
    for method, path, body, status, code in (
        ("GET", f"{CA}/{uuid.uuid4()}", None, 404, "ResourceNotFound"),
        ("PUT", CA, {}, 405, "MethodNotAllowed"),
        ("GET", f"{CA}?$orderby=id", None, 400, "BadRequest"),
        ("POST", CA, b"{", 400, "BadRequest"),
        ("GET", "/deviceManagement/other", None, 404, "ResourceNotFound"),
    ):
        answer = script.ask(method, path, body)
        error = answer.data["error"]
        assert (answer.status, error["code"]) == (status, code), answer.body
        assert error["message"] and error["innerError"]["remedies"]
        assert error["innerError"]["request_id"] == answer.headers["request-id"]
    nobody = script.api.call("GET", f"//beta{CA}")
    assert (nobody.status, nobody.data["error"]["code"]) == (401, "InvalidAuthenticationToken")


def test_who_has_labels_sees_only_theirs(api: ApiHouse) -> None:
    api.act("ca.set", name=ISSUING_CA, labels=["prod"])
    within, outside = (
        Script(api, Role.VIEWER, labels=("prod",)),
        Script(api, Role.VIEWER, labels=("lab",), person="bob"),
    )
    assert list(within.ids()) == [ISSUING_CA] and outside.ids() == {}
    ca = within.ids()[ISSUING_CA]
    assert outside.ask("GET", f"{CA}/{ca}/{LEAVES}").status == 404
    assert outside.get(f"/deviceManagement/{LEAVES}")["value"] == []


def test_every_role_gets_what_its_permissions_say_and_nothing_else(api: ApiHouse) -> None:
    scripts = {role: Script(api, role, person=f"p-{role.value}") for role in Role}
    ca = scripts[Role.OWNER].ids()[ISSUING_CA]
    refused = allowed = 0
    for operation in api.graph.operations:
        path = operation.path.replace("{id}", ca).replace("{leaf}", str(uuid.uuid4()))
        nobody = api.call(operation.method, f"//beta{path}", body=operation.body_example)
        assert nobody.status == (200 if operation.open_because else 401), operation.id
        for role in (Role.VIEWER, Role.AUDITOR, Role.OPERATOR, Role.APPROVER, Role.AD_PUBLISHER, Role.PROFILE_ADMIN):
            answer = scripts[role].ask(operation.method, path, operation.body_example)
            if operation.permission is None or operation.permission in PERMISSIONS[role]:
                assert answer.status not in (401, 403, 500), (operation.id, role, answer.body)
                allowed += 1
            else:
                assert (answer.status, answer.data["error"]["innerError"]["code"]) == (403, 8304), (operation.id, role)
                refused += 1
    assert refused > 40 and allowed > 40
    writing = {operation.id for operation in api.graph.operations if operation.permission is None}
    assert writing == {"graph_openapi"}


def test_the_document_describes_every_operation(api: ApiHouse) -> None:
    made = document(api.graph.operations, GRAPH)
    served = api.call("GET", "//beta/openapi.json").data
    assert served == made and all(path.startswith("/beta/") for path in made["paths"])
    assert "GraphError" in made["components"]["schemas"]
