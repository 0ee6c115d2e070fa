# SPDX-License-Identifier: Apache-2.0
"""Examples of requests and answers: in the OpenAPI document, and checked against their shapes by a test."""

from __future__ import annotations

from typing import Any, Final

PREVIEW: Final[dict[str, Any]] = {
    "summary": "grant ada the role operator for everything",
    "effects": ["ada gets every permission of operator for everything"],
    "counts": {},
    "irreversible": [],
    "blockers": [],
    "tier0": False,
    "over_limit": False,
    "needs_approval": True,
}
APPROVAL: Final[dict[str, Any]] = {
    "id": 17,
    "act": "role.grant",
    "state": "waiting",
    "requester": "token:ada-1",
    "requested_by": "ada",
    "created_at": "2026-11-22T08:40:31Z",
    "expires_at": "2026-11-23T08:40:31Z",
    "summary": "grant bob the role operator for everything",
    "effects": ["bob gets every permission of operator for everything"],
    "counts": {},
    "irreversible": [],
    "decider": None,
    "decided_at": None,
    "what": None,
    "result": None,
}
GRANT: Final[dict[str, Any]] = {"person": "ada", "role": "operator", "labels": []}
TOKEN: Final[dict[str, Any]] = {
    "name": "ci-1",
    "owner": "ada",
    "roles": ["operator"],
    "labels": [],
    "created_by": "token:ada-1",
    "created_at": "2026-11-22T08:40:31Z",
    "expires_at": "2027-02-20T08:40:31Z",
    "last_used_at": None,
    "revoked_at": None,
}
TOKEN_WISH: Final[dict[str, Any]] = {"name": "ci-1", "owner": "ada", "roles": ["operator"], "labels": [], "life": "90d"}
# The shape of a token, not one: its checksum is wrong on purpose.
TOKEN_MADE: Final[dict[str, Any]] = {"secret": "pvs_...", "token": TOKEN, "approval": None}
FIRST_OWNER: Final[dict[str, Any]] = {
    "code": "abcd-efgh-ijkl-mnop-qrst-uvwx-yz23-4567",
    "person": "ada",
    "token": "first-owner",
}
FOUR_EYES: Final[dict[str, Any]] = {"four_eyes": "auto", "until": None, "in_force": True}
WHO: Final[dict[str, Any]] = {
    "name": "token:ada-1",
    "person": "ada",
    "grants": [GRANT],
    "permissions": ["ca.read", "certificate.issue"],
    "expires_at": "2027-02-20T08:40:31Z",
    "four_eyes": False,
}
AUTHORITY: Final[dict[str, Any]] = {
    "name": "contoso-issuing",
    "version": 1,
    "kind": "issuing",
    "state": "active",
    "parent": "contoso-root",
    "subject": "CN=Contoso Issuing,O=Contoso",
    "serial": "6b0307b6c623e0fe7010ddd2bfc2f253",
    "key": "RSA 3072",
    "signature_algorithm": "sha256-rsa",
    "not_before": "2026-11-22T08:30:00Z",
    "not_after": "2031-11-21T08:40:00Z",
    "path_length": 0,
    "ext_key_usage": ["client-auth"],
    "fingerprint_sha256": "9f2c" * 16,
    "crl_url": "http://pki.contoso.com/crl/contoso-issuing/v1.crl",
    "aia_url": "http://pki.contoso.com/aia/contoso-issuing/v1.cer",
    "ocsp_url": "http://pki.contoso.com/ocsp",
    "crl_number": 418,
    "crl_next_update": "2026-11-29T08:40:00Z",
    "labels": ["prod"],
    "certificate": "(PEM)",
}
CERTIFICATE: Final[dict[str, Any]] = {
    "serial": "6a0f3c62a1b2c3d4e5f60718293a4be1",
    "ca": "contoso-issuing",
    "status": "valid",
    "kind": "end-entity",
    "subject": "CN=LAPTOP-042",
    "san": "dns:laptop-042.contoso.com",
    "profile": "wifi-device",
    "profile_revision": 1,
    "entity": "LAPTOP-042",
    "not_before": "2026-11-22T08:30:00Z",
    "not_after": "2027-11-22T08:40:00Z",
    "protocol": "scep",
    "requester": "challenge:12",
    "revoked_at": None,
    "reason": None,
    "invalid_since": None,
    "certificate": None,
}
REVOKED: Final[dict[str, Any]] = {
    **CERTIFICATE, "status": "revoked", "revoked_at": "2026-12-01T10:00:00Z", "reason": "key-compromise",
}  # fmt: skip
ISSUE_WISH: Final[dict[str, Any]] = {"profile": "wifi-device", "device": "LAPTOP-042", "csr": "(PEM)"}
ISSUED: Final[dict[str, Any]] = {
    "serial": "6a0f3c62a1b2c3d4e5f60718293a4be1",
    "not_before": "2026-11-22T08:30:00Z",
    "not_after": "2027-11-22T08:40:00Z",
    "certificate": "(PEM)",
    "chain": ["(PEM)", "(PEM)"],
    "remark": None,
}
ENTITY: Final[dict[str, Any]] = {
    "kind": "device",
    "name": "LAPTOP-042",
    "enabled": True,
    "attributes": {"name": "LAPTOP-042", "dns_name": "laptop-042.contoso.com"},
    "directory": None,
    "object_sid": None,
}
ENTITY_WISH: Final[dict[str, Any]] = {
    "name": "LAPTOP-042",
    "attributes": {"dns_name": "laptop-042.contoso.com"},
}
ENTITY_CHANGE: Final[dict[str, Any]] = {"attributes": {"dns_name": "laptop-43.contoso.com"}, "enabled": True}
CHALLENGE_WISH: Final[dict[str, Any]] = {"profile": "wifi-device", "device": "LAPTOP-042", "life": "60m"}
CHALLENGE: Final[dict[str, Any]] = {
    "secret": "...",
    "profile": "wifi-device",
    "entity": "LAPTOP-042",
    "expires_at": "2026-11-22T09:40:31Z",
}
ENROLLMENT: Final[dict[str, Any]] = {
    "id": 17,
    "at": "2026-11-22T08:40:31Z",
    "state": "waiting",
    "profile": "wifi-device",
    "protocol": "scep",
    "entity": "LAPTOP-042",
    "transaction_id": "5f3a",
    "serial": None,
    "code": None,
    "what": None,
}
AUDIT: Final[dict[str, Any]] = {
    "seq": 88120,
    "at": "2026-11-22T08:51:02Z",
    "event": "certificate.revoked",
    "actor": "token:ada-1",
    "target": "serial:6a0f3c62a1b2c3d4e5f60718293a4be1",
    "detail": {"reason": "key-compromise"},
    "digest": "00ff" * 16,
}
PROFILE: Final[dict[str, Any]] = {
    "name": "wifi-device",
    "revision": 3,
    "body": {"name": "wifi-device", "issuer": "contoso-issuing", "subject": "CN={{device.name}}"},
}
HEALTH: Final[dict[str, Any]] = {"status": "ok", "version": "0.1.0"}
WEBHOOK: Final[dict[str, Any]] = {
    "name": "siem",
    "url": "https://siem.contoso.com/events",
    "events": ["certificate.*", "ca.created"],
    "created_by": "token:ada-1",
    "created_at": "2026-11-22T08:40:31Z",
    "waiting": 0,
    "dead": 0,
}
WEBHOOK_WISH: Final[dict[str, Any]] = {
    "name": "siem", "url": "https://siem.contoso.com/events", "events": ["certificate.*", "ca.created"],
}  # fmt: skip
WEBHOOK_MADE: Final[dict[str, Any]] = {"secret": "whsec_...", "webhook": WEBHOOK}
EVENT_DELIVERY: Final[dict[str, Any]] = {
    "id": 7,
    "event_id": "4711",
    "event": "certificate.revoked",
    "state": "delivered",
    "attempts": 1,
    "due_at": "2026-11-22T08:40:32Z",
    "status": 204,
    "what": None,
    "changed_at": "2026-11-22T08:40:32Z",
}
DIRECTORY: Final[dict[str, Any]] = {
    "name": "contoso",
    "uris": ["ldaps://dc1.contoso.com"],
    "hosts": [],
    "bind": "password",
    "account": "svc-pki@contoso.com",
}
DIRECTORY_STATUS: Final[dict[str, Any]] = {
    "directory": "contoso",
    "forest": "contoso.com",
    "controllers": [
        {"controller": "dc1.contoso.com", "highest_usn": 8213, "asked_at": "2026-11-22T08:40:31Z", "fault": None}
    ],
    "certificates": [],
    "missing": [],
    "proven": True,
}
PUBLISH_WISH: Final[dict[str, Any]] = {"items": [{"target": "SubCA", "ca": "contoso-issuing"}], "plan": ""}
PUBLISHED: Final[dict[str, Any]] = {
    "directory": "contoso",
    "controller": "dc1.contoso.com",
    "changes": 0,
    "undo": None,
}
RECEIPT: Final[dict[str, Any]] = {
    "id": 7,
    "at": "2026-11-22T08:40:31Z",
    "forest": "contoso.com",
    "controller": "dc1.contoso.com",
    "result": "done",
    "change": "add contoso-issuing to cACertificate",
    "dn": "CN=NTAuthCertificates,CN=Public Key Services,CN=Services,CN=Configuration,DC=contoso,DC=com",
    "usn": 8213,
}
OPERATION: Final[dict[str, Any]] = {
    "id": "op_7",
    "kind": "certificate.revoke-many",
    "state": "running",
    "summary": "revoke 180 certificate(s) that match 'profile:wifi-device' for key-compromise",
    "actor": "token:ada-1",
    "done": 100,
    "total": 180,
    "touched_at": "2026-11-22T08:40:31Z",
    "result": None,
}
