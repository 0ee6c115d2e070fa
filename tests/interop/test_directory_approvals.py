# SPDX-License-Identifier: Apache-2.0
"""Four eyes against a real Samba domain controller: publishing through an approval, and a CA that others published."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from privyseal.bootstrap.api import build_endpoint
from privyseal.bootstrap.sightings import look_at_ntauth
from privyseal.directory.containers import PLACEHOLDER
from privyseal.endpoints.http import Request, Response
from tests.command_line import CommandLine
from tests.interop.directory_bed import application, installation
from tests.outside.samba import PKS, DomainController, domain_controller
from tests.outside.tools import require_python_ldap

NTAUTH = f"CN=NTAuthCertificates,{PKS}"


@pytest.fixture(scope="module")
def controller() -> Iterator[DomainController]:
    """One controller for the module; tests clean up after themselves."""
    require_python_ldap()
    with domain_controller() as running, mock.patch.dict(os.environ, running.environment):
        yield running


@pytest.fixture
def privyseal(tmp_path: Path, controller: DomainController) -> Iterator[CommandLine]:
    """An installation whose issuing CA leaves NTAuth again when the test is over."""
    command = installation(tmp_path, controller)
    issuing = command.works("ca", "export", "issuing", "-o", "der").raw
    yield command
    if issuing in controller.values(NTAUTH, "cACertificate"):
        encoded = base64.b64encode(PLACEHOLDER).decode()
        controller.change(f"dn: {NTAUTH}\nchangetype: modify\nreplace: cACertificate\ncACertificate:: {encoded}\n")


def by_others(controller: DomainController, certificate: bytes) -> None:
    """What certutil -dspublish does: without us, and without a receipt."""
    encoded = base64.b64encode(certificate).decode()
    if controller.values(NTAUTH, "cACertificate"):
        controller.change(f"dn: {NTAUTH}\nchangetype: modify\nadd: cACertificate\ncACertificate:: {encoded}\n")
        return
    kind = "authorityRevocationList:: AA==\ncertificateRevocationList:: AA==\nobjectClass: certificationAuthority\n"
    controller.add(f"dn: {NTAUTH}\n{kind}cACertificate:: {encoded}\n")


def api(privyseal: CommandLine, method: str, path: str, *, token: str, body: Any = None) -> Response:
    """One request to the API, as it would come from the network."""
    with application(privyseal) as built:
        headers = ((b"authorization", f"Bearer {token}".encode()), (b"content-type", b"application/json"))
        target, _, query = path.partition("?")
        content = b"" if body is None else json.dumps(body).encode()
        request = Request(method, (), f"/api/v1{target}".encode(), query.encode(), content, headers, "192.0.2.9")
        return asyncio.run(build_endpoint(built).handle(request, "incident"))


def test_publishing_to_ntauth_waits_for_somebody_else_and_is_then_there_and_proven(
    privyseal: CommandLine, controller: DomainController
) -> None:
    privyseal.works("role", "grant", "bob", "approver")
    token = privyseal.works("token", "create", "bob-1", "--owner", "bob", "--role", "approver").out.strip()
    privyseal.works("access", "four-eyes", "on")
    issuing = privyseal.works("ca", "export", "issuing", "-o", "der").raw

    waits = privyseal("directory", "publish", "--ca", "issuing", "NTAuthCA", "--yes", "-o", "json")
    assert waits.code == 8
    approval = waits.data["approval"]
    assert issuing not in controller.values(NTAUTH, "cACertificate")
    own = privyseal("approval", "approve", str(approval), "-o", "json")
    assert own.error["code"] == 8321
    assert issuing not in controller.values(NTAUTH, "cACertificate")

    shown = json.loads(api(privyseal, "GET", f"/approvals/{approval}", token=token).body)
    assert any(NTAUTH.partition(",")[0] in effect for effect in shown["effects"])
    answer = api(privyseal, "POST", f"/approvals/{approval}:approve", token=token)
    assert (answer.status, json.loads(answer.body)["state"]) == (200, "done"), answer.body
    assert issuing in controller.values(NTAUTH, "cACertificate")
    proofs = privyseal.json("directory", "verify", "--ca", "issuing", "NTAuthCA")
    assert proofs and all(item["shown"] for item in proofs)
    events = privyseal.json("audit", "list", "--limit", "50")
    actors = {item["event"]: item["actor"] for item in events}
    assert "bob-1" in actors["approval.approved"] and actors["approval.requested"].startswith("cli:")
    assert "approved-by token:bob-1" in actors["directory.changed"]


def test_an_approval_publishes_nothing_when_the_directory_has_changed_since(
    privyseal: CommandLine, controller: DomainController
) -> None:
    privyseal.works("role", "grant", "bob", "approver")
    token = privyseal.works("token", "create", "bob-1", "--owner", "bob", "--role", "approver").out.strip()
    privyseal.works("access", "four-eyes", "on")
    waits = privyseal("directory", "publish", "--ca", "issuing", "NTAuthCA", "--yes", "-o", "json")
    by_others(controller, privyseal.works("ca", "export", "issuing", "-o", "der").raw)
    answer = api(privyseal, "POST", f"/approvals/{waits.data['approval']}:approve", token=token)
    assert (answer.status, json.loads(answer.body)["code"]) == (409, 7011), answer.body


@pytest.mark.parametrize("how", ["status", "verify", "watch"])
def test_a_ca_of_ours_that_certutil_put_into_ntauth_switches_four_eyes_on(
    privyseal: CommandLine, controller: DomainController, how: str
) -> None:
    assert privyseal.json("access", "four-eyes")["in_force"] is False
    by_others(controller, privyseal.works("ca", "export", "issuing", "-o", "der").raw)
    if how == "watch":
        with application(privyseal) as built:
            asyncio.run(look_at_ntauth(built, actor="service:watch"))
    else:
        said = privyseal("directory", how).err
        assert "CA issuing stands in NTAuth" in said
    assert privyseal.json("access", "four-eyes")["in_force"] is True
    waits = privyseal("role", "grant", "eve", "owner", "-o", "json")
    assert waits.code == 8


def test_console_and_connector_publish_and_prove_by_the_api(
    privyseal: CommandLine, controller: DomainController
) -> None:
    privyseal.works("role", "grant", "pat", "ad-publisher")
    token = privyseal.works("token", "create", "pat-1", "--owner", "pat", "--role", "ad-publisher").out.strip()
    assert json.loads(api(privyseal, "GET", "/directories/samba", token=token).body)["bind"] == "password"

    wish: dict[str, Any] = {"items": [{"target": "NTAuthCA", "ca": "issuing"}]}
    shown = api(privyseal, "POST", "/directories/samba:publish?dry_run=true", token=token, body=wish)
    plan = json.loads(shown.body)
    assert (shown.status, plan["tier0"], plan["counts"]["changes"]) == (200, True, 1), shown.body
    issuing = privyseal.works("ca", "export", "issuing", "-o", "der").raw
    assert issuing not in controller.values(NTAUTH, "cACertificate")
    other = api(privyseal, "POST", "/directories/samba:publish", token=token, body={**wish, "plan": "0" * 16})
    assert json.loads(other.body)["code"] == 7011

    done = api(privyseal, "POST", "/directories/samba:publish", token=token, body=wish)
    assert (done.status, json.loads(done.body)["changes"]) == (200, 1), done.body
    assert issuing in controller.values(NTAUTH, "cACertificate")
    status = json.loads(api(privyseal, "GET", "/directories/samba/status", token=token).body)
    assert status["proven"] and not status["missing"]
    assert any(item["owner"] == "ours" and item["receipted"] for item in status["certificates"])
    newest = json.loads(api(privyseal, "GET", "/directory-receipts?limit=1", token=token).body)["items"][0]
    assert (newest["result"], newest["dn"].casefold()) == ("done", NTAUTH.casefold())

    by_hand = base64.b64encode(PLACEHOLDER).decode()
    controller.change(f"dn: {NTAUTH}\nchangetype: modify\nreplace: cACertificate\ncACertificate:: {by_hand}\n")
    gone = json.loads(api(privyseal, "GET", "/directories/samba/status", token=token).body)
    assert not gone["proven"] and gone["missing"][0]["dn"].casefold() == NTAUTH.casefold()
