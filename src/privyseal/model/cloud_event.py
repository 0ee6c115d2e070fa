# SPDX-License-Identifier: Apache-2.0
"""An audit row as a CloudEvent 1.0 in JSON, and its signature after Standard Webhooks (HMAC-SHA256)."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Final

from privyseal.model.audit import AuditRow

MEDIA_TYPE: Final = "application/cloudevents+json; charset=utf-8"
TYPE_PREFIX: Final = "privyseal."
SECRET_PREFIX: Final = "whsec_"
SECRET_OCTETS: Final = 32


def cloud_event(row: AuditRow, source: str) -> bytes:
    """The body of a delivery: the same octets each time, so that a receiver may compare them."""
    found = {
        "specversion": "1.0",
        "id": str(row.seq),
        "source": source,
        "type": f"{TYPE_PREFIX}{row.event}",
        "subject": row.target,
        "time": f"{row.at:%Y-%m-%dT%H:%M:%S}.{row.at.microsecond:06d}Z",
        "datacontenttype": "application/json",
        # The extension `sequence` of CloudEvents: deliveries may overtake each other, numbers never fall.
        "sequence": f"{row.seq:020d}",
        "data": {"actor": row.actor, "target": row.target, "detail": json.loads(row.detail or "{}"),
                 "audit_digest": row.digest.hex()},
    }  # fmt: skip
    return json.dumps(found, separators=(",", ":"), sort_keys=True).encode()


def secret_text(secret: bytes) -> str:
    """A secret as it is shown, once."""
    return SECRET_PREFIX + base64.b64encode(secret).decode("ascii")


def signed_headers(secret: bytes, *, delivery: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers by which a receiver knows that we sent it, and when: what is older than minutes is a replay."""
    signed = f"{delivery}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.digest(secret, signed, "sha256")).decode("ascii")
    return {
        "webhook-id": delivery,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }
