# SPDX-License-Identifier: Apache-2.0
"""Real SCEP clients against an issuing CA with an EC key; the RA certificate is RSA, as SCEP needs it."""

from __future__ import annotations

from tests.interop.enrolling import ScepEnrolling


class TestECIssuer(ScepEnrolling):
    """All clients, all places."""

    issuer_key = "ec:p256"
