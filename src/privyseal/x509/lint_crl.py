# SPDX-License-Identifier: Apache-2.0
"""Lints over a CRL that is about to be signed. Read by a second, strict parser, a slice of the entries at a time:
a million of them at once would keep the interpreter from everything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from cryptography import x509

from privyseal.errors import MalformedDer
from privyseal.x509 import der, oids
from privyseal.x509.lint import Finding
from privyseal.x509.span import Span, within
from privyseal.x509.tbs import assemble

_ENTRIES_AT_ONCE: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlRules:
    """What the CRL must be."""

    algorithm: bytes
    issuer_name: bytes
    issuer_key_identifier: bytes
    number: int
    base_number: int | None = None
    """BaseCRLNumber that a delta must have; None: it must not be a delta."""
    shard_url: str | None = None
    """What the issuing distribution point must name; None: it must have none."""
    delta_url: str | None = None
    """Where the freshest CRL must be said to be; None: nowhere."""


def lint_crl(tbs: bytes, rules: CrlRules) -> tuple[Finding, ...]:
    """All findings on a TBSCertList; empty when it may be signed."""
    try:
        fields = within(tbs, 0, len(tbs), tag=der.SEQUENCE, what="tbsCertList")
        if len(fields) not in (6, 7):
            return (Finding("encoding", f"the CRL has {len(fields)} fields"),)
        revoked = fields[5] if len(fields) == 7 else None
        head = [tbs[item[1] : item[3]] for item in fields[:5]]
        crl = _parsed(head, rules, tail=tbs[fields[-1][1] : fields[-1][3]])
        for entries in _slices(tbs, revoked):
            _parsed(head, rules, revoked=entries)
        return (*_lint_fields(head, crl, rules), *_lint_extensions(crl, rules))
    except (MalformedDer, ValueError, x509.ExtensionNotFound, x509.DuplicateExtension) as error:
        return (Finding("encoding", f"the CRL does not read back: {error}"),)


def _parsed(
    head: list[bytes], rules: CrlRules, *, revoked: bytes = b"", tail: bytes = b""
) -> x509.CertificateRevocationList:
    part = der.sequence(*head, der.sequence(revoked) if revoked else b"", tail)
    crl = x509.load_der_x509_crl(assemble(part, rules.algorithm, b"\x00"))
    crl.extensions  # noqa: B018 - reading is the check
    return crl


def _slices(tbs: bytes, revoked: Span | None) -> Iterator[bytes]:
    """The entries, so many at a time, each on its boundary. Raises MalformedDer."""
    if revoked is None:
        return
    if revoked[0] != der.SEQUENCE or revoked[2] == revoked[3]:
        raise MalformedDer("revokedCertificates is absent when nothing is revoked, and else a SEQUENCE")
    begin = position = revoked[2]
    limit, count = revoked[3], 0
    while position < limit:
        body, end = position + 2, 0
        # Nearly all entries are short; der.offsets holds the rules for the rest.
        if body > limit or (size := tbs[position + 1]) >= 0x80 or (end := body + size) > limit:
            _, end = der.offsets(tbs, position, limit)
        position, count = end, count + 1
        if count == _ENTRIES_AT_ONCE or position == limit:
            yield tbs[begin:position]
            begin, count = position, 0


def _lint_fields(head: list[bytes], crl: x509.CertificateRevocationList, rules: CrlRules) -> Iterator[Finding]:
    if head[1] != rules.algorithm or head[2] != rules.issuer_name:
        yield Finding("issuer-name", "algorithm or issuer of the CRL is not the CA's")
    if crl.next_update_utc is None or crl.next_update_utc <= crl.last_update_utc:
        yield Finding("crl-dates", "nextUpdate is not after thisUpdate")


def _lint_extensions(crl: x509.CertificateRevocationList, rules: CrlRules) -> Iterator[Finding]:
    found = {extension.oid.dotted_string: extension for extension in crl.extensions}
    wanted = {oids.AUTHORITY_KEY_IDENTIFIER: False, oids.CRL_NUMBER: False}
    if rules.base_number is not None:
        wanted[oids.DELTA_CRL_INDICATOR] = True
    if rules.shard_url is not None:
        wanted[oids.ISSUING_DISTRIBUTION_POINT] = True
    if rules.delta_url is not None:
        wanted[oids.FRESHEST_CRL] = False
    if {name: extension.critical for name, extension in found.items()} != wanted:
        yield Finding("extensions", f"the CRL has {sorted(found)}; it must have {sorted(wanted)}")
        return
    number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    if number != rules.number:
        yield Finding("crl-number", f"the CRL number is {number}, reserved was {rules.number}")
    authority = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    if authority != rules.issuer_key_identifier:
        yield Finding("aki", "the authority key identifier is not the issuer's")
    if rules.base_number is not None:
        based = crl.extensions.get_extension_for_class(x509.DeltaCRLIndicator).value.crl_number
        if based != rules.base_number or not based < number:
            yield Finding("delta", f"BaseCRLNumber is {based}; reserved was {rules.base_number}, below {number}")
    if rules.shard_url is not None:
        point = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
        only = point.only_contains_attribute_certs or point.only_contains_ca_certs or point.only_contains_user_certs
        if _urls(point.full_name) != [rules.shard_url] or only or point.indirect_crl or point.only_some_reasons:
            yield Finding("shard", f"the issuing distribution point is not {rules.shard_url} and nothing else")
    if rules.delta_url is not None:
        points = list(crl.extensions.get_extension_for_class(x509.FreshestCRL).value)
        if [_urls(point.full_name) for point in points] != [[rules.delta_url]]:
            yield Finding("freshest", f"the freshest CRL is not said to be at {rules.delta_url}")


def _urls(names: list[x509.GeneralName] | None) -> list[object]:
    return [name.value for name in names or []]
