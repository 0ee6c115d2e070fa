# SPDX-License-Identifier: Apache-2.0
"""Collects everything that the code under test signs in this process, so that no test can leave it unseen."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final

import pytest

from tests.outside.looking import CERTIFICATE, CRL, OCSP, lint, look_at_structure, verify_with_openssl

# Where an object becomes complete: module, function, and its kind (None: the function's first argument says it).
ROADS: Final = (
    ("privyseal.ca.issuance", "finish", None),
    ("privyseal.protocols.ocsp", "build_response", OCSP),
)
LINTED_PER_TEST: Final = 200  # a test that signs more has the rest read by OpenSSL, and every n-th linted


@dataclass(slots=True)
class SignedObjects:
    """What this process signed and nobody has looked at yet."""

    fresh: list[tuple[str, bytes]] = field(default_factory=list)
    _certificates: dict[bytes, bytes] = field(default_factory=dict)  # subject Name DER -> certificate

    def watch(self) -> None:
        """Puts itself behind each of ROADS, before any test imports them. One without its function is an error."""
        for module_name, function_name, kind in ROADS:
            try:
                module = importlib.import_module(module_name)
            except (ImportError, SyntaxError):
                continue  # what cannot be imported signs nothing; the tests that import it say why
            self._stand_behind(module, function_name, kind)

    def _stand_behind(self, module: ModuleType, function_name: str, kind: str | None) -> None:
        inner: Callable[..., bytes] = getattr(module, function_name)

        @functools.wraps(inner)
        def watched(*arguments: Any, **named: Any) -> bytes:
            der = inner(*arguments, **named)
            self.fresh.append((kind or arguments[0], der))
            return der

        for other in list(sys.modules.values()):  # also where it was already imported by name
            if getattr(other, "__name__", "").startswith("privyseal") and vars(other).get(function_name) is inner:
                vars(other)[function_name] = watched

    def look(self) -> None:
        """Looks at what was signed since the last look; fails the test that signed it if something is wrong."""
        fresh, self.fresh = list(dict.fromkeys(self.fresh)), []
        if not fresh:
            return
        unknown = {kind for kind, _ in fresh} - {CERTIFICATE, CRL, OCSP}
        assert not unknown, f"finish() was called with a kind that nobody looks at: {unknown}"
        look_at_structure([der for _, der in fresh])
        step = max(1, len(fresh) // LINTED_PER_TEST)
        for kind, der in fresh[::step]:
            lint(kind, der)
        self._verify_paths([der for kind, der in fresh if kind == CERTIFICATE])

    def _verify_paths(self, certificates: Sequence[bytes]) -> None:
        """``openssl verify`` for all whose path is known, one process for each issuer."""
        from cryptography import x509

        parsed = [(der, x509.load_der_x509_certificate(der)) for der in certificates]
        for der, certificate in parsed:
            if certificate.subject != certificate.issuer or _signs_itself(certificate):
                self._certificates[certificate.subject.public_bytes()] = der
        by_issuer: dict[bytes, list[bytes]] = {}
        for der, certificate in parsed:
            by_issuer.setdefault(certificate.issuer.public_bytes(), []).append(der)
        for issuer, issued in by_issuer.items():
            chain = self._chain(issuer)
            if chain:
                seen = verify_with_openssl(issued, chain)
                # Tests use names again with other keys; then the path on record is not theirs.
                if seen.code != 0 and not _another_key(seen.text):
                    pytest.fail(f"openssl verify does not accept what was signed:\n{seen.text}", pytrace=False)

    def _chain(self, name: bytes) -> list[bytes]:
        from cryptography import x509

        chain: list[bytes] = []
        while der := self._certificates.get(name):
            chain.append(der)
            issuer = x509.load_der_x509_certificate(der).issuer.public_bytes()
            if issuer == name:
                return chain
            if len(chain) > 8:
                break
            name = issuer
        return []


SIGNED: Final = SignedObjects()


def _another_key(text: str) -> bool:
    return "unable to get local issuer certificate" in text or "issuer key id mismatch" in text.lower()


def _signs_itself(certificate: Any) -> bool:
    """Not a cross certificate, whose two names are the same as well."""
    from cryptography.exceptions import InvalidSignature

    try:
        certificate.verify_directly_issued_by(certificate)
    except InvalidSignature:
        return False
    return True
