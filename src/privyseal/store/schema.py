# SPDX-License-Identifier: Apache-2.0
"""Every table, once. Moments are whole seconds since 1970 in UTC (audit: microseconds); DER is kept as bytes.

Few indexes: each one on a random value costs a page of write-ahead log for every certificate.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, Table, Text, UniqueConstraint, text

SCHEMA_VERSION: Final = 1
metadata: Final = MetaData()


def _id() -> Column[int]:
    return Column("id", Integer, primary_key=True)


def _int(name: str, *, null: bool = False) -> Column[int]:
    return Column(name, Integer, nullable=null)


def _text(name: str, *, null: bool = False) -> Column[str]:
    return Column(name, Text, nullable=null)


def _blob(name: str, *, null: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=null)


meta = Table("meta", metadata, Column("key", Text, primary_key=True), _text("value"), sqlite_strict=True)

entities = Table(
    "entities", metadata,
    _id(), _text("kind"), _text("name"), _text("attributes"), _int("enabled"), _int("created_at"),
    _text("directory", null=True), _text("object_sid", null=True), _text("blocked", null=True),
    UniqueConstraint("kind", "name"),
    sqlite_strict=True,
)  # fmt: skip

profiles = Table(
    "profiles", metadata,
    _id(), _text("name"), _int("revision"), _text("body"), _int("created_at"),
    UniqueConstraint("name", "revision"),
    sqlite_strict=True,
)  # fmt: skip

authorities = Table(
    "authorities", metadata,
    _id(), _text("name"), _int("version"), _text("kind"), _text("state"), _int("parent_id", null=True),
    _blob("certificate"), _text("key_ref"), _text("hash_name", null=True),
    _int("crl_validity"), _int("crl_interval"), _int("crl_shards"),
    _int("delta_validity", null=True), _int("delta_interval", null=True), _int("delta_since", null=True),
    _int("created_at"), _int("changed_at"), _int("ledger_id", null=True), _int("tests"), _int("deleted_at", null=True),
    UniqueConstraint("name", "version"),
    # At most one version of a name is in force, whatever two processes do at the same moment.
    Index("authorities_in_force", "name", unique=True, sqlite_where=text("state IN ('active', 'paused')"),
          postgresql_where=text("state IN ('active', 'paused')")),
    sqlite_strict=True,
)  # fmt: skip

authority_names = Table(
    "authority_names", metadata,
    Column("name", Text, primary_key=True), _text("description"), _text("labels"), _text("renewal"),
    _int("renew_at"),
    sqlite_strict=True,
)  # fmt: skip

authority_requests = Table(
    "authority_requests", metadata,
    _id(), _text("name"), _int("version"), _text("key_ref"), _blob("request"), _text("body"), _int("created_at"),
    UniqueConstraint("name", "version"),
    sqlite_strict=True,
)  # fmt: skip

cross_certificates = Table(
    "cross_certificates", metadata,
    _id(), _int("subject_id"), _int("issuer_id"), _blob("certificate"),
    UniqueConstraint("subject_id", "issuer_id"),
    sqlite_strict=True,
)  # fmt: skip

services = Table(
    "services", metadata,
    _id(), _int("issuer_id"), _text("kind"), _blob("certificate"), _text("key_ref"),
    _int("not_before"), _int("not_after"),
    Index("services_issuer", "issuer_id", "kind"),
    sqlite_strict=True,
)  # fmt: skip

certificates = Table(
    "certificates", metadata,
    _id(), _int("issuer_id"), _blob("serial"), _text("kind"), _text("status"), _text("subject"), _text("san"),
    _text("profile"), _int("profile_revision"), _int("entity_id", null=True), _int("not_before"),
    _int("not_after"), _text("protocol"), _text("requester"), _int("reserved_at"), _text("reserved_by"),
    _text("sid", null=True),
    UniqueConstraint("issuer_id", "serial"),
    Index("certificates_reserved", "id", sqlite_where=text("status = 'reserved'"),
          postgresql_where=text("status = 'reserved'")),
    Index("certificates_entity", "entity_id"),
    sqlite_strict=True,
)  # fmt: skip

certificate_tbs = Table(
    "certificate_tbs", metadata,
    Column("certificate_id", Integer, primary_key=True), _blob("tbs"), _blob("algorithm"),
    sqlite_strict=True,
)  # fmt: skip

certificate_signatures = Table(
    "certificate_signatures", metadata,
    Column("certificate_id", Integer, primary_key=True), _blob("signature"),
    sqlite_strict=True,
)  # fmt: skip

revocations = Table(
    "revocations", metadata,
    Column("certificate_id", Integer, primary_key=True), _int("issuer_id"), _int("shard"), _int("after_number"),
    _int("at"), _int("reason"), _int("invalid_since", null=True), _blob("entry"), _int("keeps_out", null=True),
    Index("revocations_shard", "issuer_id", "shard", "certificate_id"),
    Index("revocations_changed", "issuer_id", "shard", "after_number"),
    sqlite_strict=True,
)  # fmt: skip

released_holds = Table(
    "released_holds", metadata,
    Column("certificate_id", Integer, primary_key=True), _int("issuer_id"), _int("shard"), _int("after_number"),
    _blob("entry"),
    Index("released_holds_changed", "issuer_id", "shard", "after_number"),
    sqlite_strict=True,
)  # fmt: skip

crls = Table(
    "crls", metadata,
    Column("issuer_id", Integer, primary_key=True), Column("number", Integer, primary_key=True), _int("shard"),
    _int("base_number", null=True), _int("this_update"), _int("next_update"), _text("state"), _int("octets"),
    _blob("digest", null=True),
    Index("crls_live", "issuer_id", "shard", "number", sqlite_where=text("state IN ('reserved', 'published')"),
          postgresql_where=text("state IN ('reserved', 'published')")),
    Index("crls_good", "issuer_id", "shard", "next_update"),
    sqlite_strict=True,
)  # fmt: skip

crl_parts = Table(
    "crl_parts", metadata,
    Column("issuer_id", Integer, primary_key=True), Column("number", Integer, primary_key=True),
    Column("part", Integer, primary_key=True), _blob("body"),
    sqlite_strict=True,
)  # fmt: skip

# Which rows of a block of certificates have a term; see store/search_index.py. Filled after issuance, never inside it.
search_terms = Table(
    "search_terms", metadata,
    Column("block", Integer, primary_key=True), Column("term", Text, primary_key=True), _blob("bits"),
    sqlite_strict=True, sqlite_with_rowid=False,
)  # fmt: skip

search_values = Table(
    "search_values", metadata,
    Column("value", Integer, primary_key=True), Column("certificate_id", Integer, primary_key=True),
    sqlite_strict=True, sqlite_with_rowid=False,
)  # fmt: skip

bulk_revocations = Table(
    "bulk_revocations", metadata,
    _id(), _text("digest"), _text("search"), _int("selected"), _int("reason"), _int("invalid_since", null=True),
    _int("block"), _text("actor"), _int("position"), _int("revoked"), _int("skipped"), _int("finished"),
    _int("touched_at"),
    Index("bulk_revocations_open", "id", sqlite_where=text("finished = 0"), postgresql_where=text("finished = 0")),
    sqlite_strict=True,
)  # fmt: skip

bulk_revocation_rows = Table(
    "bulk_revocation_rows", metadata,
    Column("bulk_id", Integer, primary_key=True), Column("block", Integer, primary_key=True), _blob("bits"),
    sqlite_strict=True,
)  # fmt: skip

blocked_keys = Table(
    "blocked_keys", metadata,
    Column("key_hash", LargeBinary, primary_key=True),
    sqlite_strict=True,
)  # fmt: skip

challenges = Table(
    "challenges", metadata,
    _id(), _blob("hash"), _text("profile"), _int("entity_id"), _int("created_at"), _int("expires_at"),
    _int("used_at", null=True),
    UniqueConstraint("hash"),
    Index("challenges_unused", "expires_at", sqlite_where=text("used_at IS NULL"),
          postgresql_where=text("used_at IS NULL")),
    sqlite_strict=True,
)  # fmt: skip

enrollments = Table(
    "enrollments", metadata,
    _id(), _int("at"), _text("state"), _text("profile"), _text("protocol"), _text("transaction_id"),
    _blob("key_hash"), _blob("evidence"), _int("entity_id", null=True), _int("certificate_id", null=True),
    _int("code"), _text("what"), _blob("request"),
    Index("enrollments_transaction", "transaction_id"),
    Index("enrollments_running", "certificate_id", sqlite_where=text("state = 'running'"),
          postgresql_where=text("state = 'running'")),
    Index("enrollments_fruitless", "at", sqlite_where=text("state IN ('refused', 'failed')"),
          postgresql_where=text("state IN ('refused', 'failed')")),
    Index("enrollments_waiting", "id", sqlite_where=text("state = 'waiting'"),
          postgresql_where=text("state = 'waiting'")),
    sqlite_strict=True,
)  # fmt: skip

directories = Table(
    "directories", metadata,
    _id(), _text("name"), _text("body"), _int("created_at"),
    UniqueConstraint("name"),
    sqlite_strict=True,
)  # fmt: skip

directory_receipts = Table(
    "directory_receipts", metadata,
    _id(), _text("forest"), _text("controller"), _text("change"), _text("result"), _int("usn", null=True), _int("at"),
    Index("directory_receipts_forest", "forest"),
    sqlite_strict=True,
)  # fmt: skip

deliveries = Table(
    "deliveries", metadata,
    Column("certificate_id", Integer, primary_key=True), _text("directory"), _text("object_sid"), _text("state"),
    _int("ends_at"), _int("due_at"), _int("attempts"), _int("ours"), _text("controller"), _text("dn"),
    _int("changed_at", null=True), _int("code"), _text("what"),
    Index("deliveries_account", "directory", "object_sid"),
    Index("deliveries_due", "due_at", sqlite_where=text("state <> 'present'"),
          postgresql_where=text("state <> 'present'")),
    Index("deliveries_ends", "ends_at", sqlite_where=text("state = 'present'"),
          postgresql_where=text("state = 'present'")),
    sqlite_strict=True,
)  # fmt: skip

external_authorities = Table(
    "external_authorities", metadata,
    _id(), _text("name"), _blob("fingerprint"), _blob("certificate"), _text("directory"), _int("not_after"),
    _int("created_at"),
    UniqueConstraint("fingerprint"),
    sqlite_strict=True,
)  # fmt: skip

role_grants = Table(
    "role_grants", metadata,
    _id(), _text("person"), _text("role"), _text("labels"), _text("granted_by"), _int("granted_at"),
    UniqueConstraint("person", "role"),
    sqlite_strict=True,
)  # fmt: skip

tokens = Table(
    "tokens", metadata,
    _id(), _text("name"), _text("owner"), _text("grants"), _blob("hash"), _text("created_by"), _int("created_at"),
    _int("expires_at"), _int("last_used_at", null=True), _int("revoked_at", null=True),
    UniqueConstraint("name"), UniqueConstraint("hash"),
    sqlite_strict=True,
)  # fmt: skip

approvals = Table(
    "approvals", metadata,
    _id(), _text("act"), _text("parameters"), _text("preview"), _text("state"), _text("requester"),
    _text("requested_by"), _int("created_at"), _int("expires_at"), _text("decider"), _int("decided_at", null=True),
    _text("what"), _text("result", null=True),
    Index("approvals_open", "state", sqlite_where=text("state IN ('waiting', 'approved')"),
          postgresql_where=text("state IN ('waiting', 'approved')")),
    sqlite_strict=True,
)  # fmt: skip

idempotency = Table(
    "idempotency", metadata,
    _id(), _text("actor"), _text("key"), _blob("digest"), _int("status"), _blob("body"), _int("at"),
    UniqueConstraint("actor", "key"),
    Index("idempotency_at", "at"),
    sqlite_strict=True,
)  # fmt: skip

webhooks = Table(
    "webhooks", metadata,
    _id(), _text("name"), _text("url"), _text("events"), _blob("secret"), _int("cursor"), _text("created_by"),
    _int("created_at"),
    UniqueConstraint("name"),
    sqlite_strict=True,
)  # fmt: skip

webhook_deliveries = Table(
    "webhook_deliveries", metadata,
    _id(), _int("webhook_id"), _int("seq"), _text("state"), _int("due_at"), _int("attempts"), _int("status"),
    _text("what"), _int("changed_at"),
    UniqueConstraint("webhook_id", "seq"),
    Index("webhook_deliveries_due", "webhook_id", "due_at", sqlite_where=text("state = 'waiting'"),
          postgresql_where=text("state = 'waiting'")),
    sqlite_strict=True,
)  # fmt: skip

tallies = Table(
    "tallies", metadata,
    Column("name", Text, primary_key=True), Column("labels", Text, primary_key=True), _int("value"),
    sqlite_strict=True,
)  # fmt: skip

# What was told of whose end, so that it is told once for each threshold.
notices = Table(
    "notices", metadata,
    Column("subject", Text, primary_key=True), Column("percent", Integer, primary_key=True), _int("at"),
    _int("ends_at"),
    Index("notices_ends", "ends_at"),
    sqlite_strict=True,
)  # fmt: skip

mails = Table(
    "mails", metadata,
    _id(), _int("created_at"), _text("title"), _text("body"), _text("state"), _int("due_at"), _int("attempts"),
    _int("code"), _text("what"),
    Index("mails_due", "due_at", sqlite_where=text("state = 'waiting'"), postgresql_where=text("state = 'waiting'")),
    sqlite_strict=True,
)  # fmt: skip

audit = Table(
    "audit", metadata,
    Column("seq", Integer, primary_key=True), _int("at"), _text("event"), _text("actor"), _text("target"),
    _text("detail"), _blob("digest"),
    sqlite_strict=True,
)  # fmt: skip

audit_head = Table(
    "audit_head", metadata,
    Column("id", Integer, primary_key=True), _int("seq"), _blob("digest"),
    sqlite_strict=True,
)  # fmt: skip

leases = Table(
    "leases", metadata,
    Column("name", Text, primary_key=True), _text("holder"), _int("fence"), _int("ends_at"),
    sqlite_strict=True,
)  # fmt: skip
