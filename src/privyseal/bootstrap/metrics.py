# SPDX-License-Identifier: Apache-2.0
"""What a scrape is told: rolled-up counters and a few rows for each CA. Never a walk over all certificates."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from typing import Final

from privyseal import __version__
from privyseal.bootstrap import Application
from privyseal.bootstrap.backup import LAST_BACKUP, LAST_DRILL
from privyseal.ca.issuer import Issuer
from privyseal.endpoints.app import Access, Route
from privyseal.endpoints.app import Application as HttpApplication
from privyseal.endpoints.metrics import Kind, Metric, MetricsEndpoint, Sample
from privyseal.model.authority import IN_FORCE
from privyseal.model.certificate import CertificateKind

_HELP: Final = {
    "pki_events_total": "Rows of the audit trail by event, as of the last minute.",
    "pki_enrollments_total": "Attempts to get a certificate.",
    "pki_enrollment_failures_total": "Attempts that were refused or failed, by error code.",
    "pki_revocations_total": "Revocations by reason.",
}
_Labels = tuple[tuple[str, str], ...]
# Each of these is answered from an index that holds the few open rows only, or from one row.
_ONE_NUMBER: Final = (
    ("pki_approvals_pending", "Approvals that wait for a second person.",
     "SELECT count(*) FROM approvals WHERE state IN ('waiting', 'approved')"),
    ("pki_enrollments_waiting", "Enrollments that wait for an operator.",
     "SELECT count(*) FROM enrollments WHERE state = 'waiting'"),
    ("pki_certificates_reserved", "Issuance that has begun and not ended.",
     "SELECT count(*) FROM certificates WHERE status = 'reserved'"),
    ("pki_directory_deliveries_waiting", "Certificates on their way to or from accounts.",
     "SELECT count(*) FROM deliveries WHERE state <> 'present'"),
    ("pki_mails_waiting", "Notices that could not be sent yet.",
     "SELECT count(*) FROM mails WHERE state = 'waiting'"),
    ("pki_audit_rows", "Rows of the audit trail.", "SELECT seq FROM audit_head WHERE id = 1"),
)  # fmt: skip


def build_metrics(application: Application) -> HttpApplication:
    """The application of the metrics listener."""
    endpoint = MetricsEndpoint(lambda: collect(application))
    reason = "its listener is bound to the loopback; it tells numbers, names of CAs and of profiles"
    return HttpApplication(
        (Route("metrics", frozenset({"GET", "HEAD"}), 0, Access.PUBLIC, reason, endpoint),), application.rng
    )


def collect(application: Application) -> Iterator[Metric]:
    """Every metric."""
    versions = (("version", __version__), ("python", platform.python_version()))
    yield _gauge("pki_build_info", "What runs.", Sample(1, versions))
    yield _gauge("pki_signer_up", "1 when the keys are open.", Sample(float(application.keys is not None)))
    yield from _counters(application)
    issuers = application.catalog.issuers()
    yield from _authorities(issuers)
    yield _services(application, issuers)
    yield from _crls(application, issuers)
    for name, text, sql in _ONE_NUMBER:
        row = application.database.read_one(sql)
        yield _gauge(name, text, Sample(0 if row is None else row[0]))
    for name, text, key in (
        ("pki_backup_last_success_timestamp_seconds", "When a backup was last made.", LAST_BACKUP),
        ("pki_backup_restore_tested_timestamp_seconds", "When a backup was last tried out.", LAST_DRILL),
    ):
        row = application.database.read_one("SELECT CAST(value AS BIGINT) FROM meta WHERE key = ?", (key,))
        yield _gauge(name, text, *([] if row is None else [Sample(row[0])]))


def _counters(application: Application) -> Iterator[Metric]:
    found: dict[str, list[Sample]] = {name: [] for name in _HELP}
    for tally in application.tallies.all():
        found[tally.name].append(Sample(tally.value, tally.labels))
    for name, samples in found.items():
        yield Metric(name, Kind.COUNTER, _HELP[name], tuple(samples))


def _authorities(issuers: tuple[Issuer, ...]) -> Iterator[Metric]:
    info = [
        Sample(1, (*_of(issuer), ("type", issuer.record.kind.value), ("status", issuer.record.state.value)))
        for issuer in issuers
    ]
    yield _gauge("pki_authority_info", "A CA version and its state.", *info)
    in_use = [issuer for issuer in issuers if issuer.record.state in IN_FORCE]
    begins = [Sample(issuer.view.not_before.timestamp(), _of(issuer)) for issuer in in_use]
    yield _gauge("pki_authority_not_before_timestamp_seconds", "When a CA in force began.", *begins)
    ends = [Sample(issuer.view.not_after.timestamp(), _of(issuer)) for issuer in in_use]
    yield _gauge("pki_authority_not_after_timestamp_seconds", "When a CA in force ends.", *ends)


def _services(application: Application, issuers: tuple[Issuer, ...]) -> Metric:
    samples = []
    for issuer in issuers:
        for kind in (CertificateKind.RA, CertificateKind.OCSP):
            newest = application.catalog.services(issuer.id, kind)
            if newest and issuer.record.state in IN_FORCE:
                samples.append(Sample(newest[0].not_after.timestamp(), (*_of(issuer), ("role", kind.value))))
    return _gauge(
        "pki_infrastructure_certificate_not_after_timestamp_seconds",
        "When the newest RA or OCSP certificate of a CA ends.",
        *samples,
    )


def _crls(application: Application, issuers: tuple[Issuer, ...]) -> Iterator[Metric]:
    """Of shards the one that ends first stands for all."""
    now, this, following, numbers, octets = application.clock.now(), [], [], [], []
    for issuer in issuers:
        if not issuer.owes_status(now):
            continue
        for delta in (False, True):
            scopes = [scope for scope in issuer.crl_scopes if scope.delta is delta]
            found = [facts for scope in scopes if (facts := application.crls.in_force(issuer.id, scope)) is not None]
            if found:
                oldest = min(found, key=lambda facts: facts.next_update)
                labels = (*_of(issuer), ("form", "delta" if delta else "base"))
                this.append(Sample(oldest.this_update.timestamp(), labels))
                following.append(Sample(oldest.next_update.timestamp(), labels))
                numbers.append(Sample(oldest.number, labels))
                octets.append(Sample(sum(facts.octets for facts in found), labels))
    yield _gauge("pki_crl_this_update_timestamp_seconds", "When the CRL in force was made.", *this)
    yield _gauge("pki_crl_next_update_timestamp_seconds", "When the CRL in force ends.", *following)
    yield _gauge("pki_crl_number", "Number of the CRL in force.", *numbers)
    yield _gauge("pki_crl_size_bytes", "Size of the CRLs in force.", *octets)


def _of(issuer: Issuer) -> _Labels:
    return (("authority", issuer.record.name), ("version", str(issuer.record.version)))


def _gauge(name: str, text: str, *samples: Sample) -> Metric:
    return Metric(name, Kind.GAUGE, text, samples)
