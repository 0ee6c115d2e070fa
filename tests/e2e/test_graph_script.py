# SPDX-License-Identifier: Apache-2.0
"""A script for Cloud PKI with another base URL: the standard library, HTTPS, nothing of ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.e2e.test_api_server import Service, fixture_service

__all__ = ["fixture_service"]

# Lists CAs, follows every @odata.nextLink, revokes all active leaves of one CA, pauses it, revokes it.
SCRIPT = """
import json, ssl, sys, urllib.request

base, token, ca_file, name = sys.argv[1:]
trust = ssl.create_default_context(cafile=ca_file)

def ask(method, url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url if url.startswith("https") else base + url, data, method=method)
    request.add_header("Authorization", "Bearer " + token)
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, context=trust) as answer:
        return json.loads(answer.read() or b"null")

def every(url):
    while url:
        page = ask("GET", url)
        yield from page["value"]
        url = page.get("@odata.nextLink")

root = "/deviceManagement/cloudCertificationAuthority"
ca = next(item for item in every(root + "?$top=1") if item["displayName"] == name)
path = root + "/" + ca["id"]
leaves = list(every(path + "/cloudCertificationAuthorityLeafCertificate?$top=2"))
print("leaves", len(leaves), "of", len({leaf["id"] for leaf in leaves}))
for leaf in leaves:
    if leaf["certificateStatus"] == "active":
        ask("POST", path + "/revokeLeafCertificate", {"leafCertificateId": leaf["id"]})
change = path + "/changeCloudCertificationAuthorityStatus"
body = {"certificationAuthorityStatus": "paused", "certificationAuthorityVersion": ca["versionNumber"]}
print("status", ask("POST", change, body)["certificationAuthorityStatus"])
body = {"certificationAuthorityVersion": ca["versionNumber"]}
revoked = ask("POST", path + "/revokeCloudCertificationAuthorityCertificate", body)
print("status", revoked["certificationAuthorityStatus"])
left = every(path + "/cloudCertificationAuthorityLeafCertificate?$filter=certificateStatus%20eq%20'active'")
print("active", len(list(left)))
"""


def test_a_script_lists_revokes_leaves_pauses_and_revokes_the_ca(service: Service, tmp_path: Path) -> None:
    line = service.line
    for number in range(5):
        line.works(
            "certificate", "issue", "--profile", "wifi", "--device", "LAPTOP", "--out", str(tmp_path / str(number))
        )
    secret = service.token("gina", "owner").read_text().strip()
    program = tmp_path / "script.py"
    program.write_text(SCRIPT)
    command = [sys.executable, "-I", str(program), f"{service.url}/beta", secret, str(service.certificate), "sub"]
    seen = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert seen.returncode == 0, seen.stderr
    assert seen.stdout.split("\n")[:-1] == ["leaves 5 of 5", "status paused", "status revoked", "active 0"]
    shown = line.json("ca", "get", "sub")
    assert shown["state"] == "revoked"
    line.works("audit", "verify")
    events = line.works("audit", "list", "--limit", "200").out
    assert events.count("certificate.revoked") >= 5 and "token:gina-1" in events
