# SPDX-License-Identifier: Apache-2.0
"""Profiles, every revision of each. The newest revision is the one in force."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

from privyseal.errors import NameTaken, NotFound
from privyseal.model.audit import AuditEvent
from privyseal.model.profile import CertificateProfile
from privyseal.model.profile_text import profile_from_data, profile_to_data
from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import Database
from privyseal.store.moments import to_seconds
from privyseal.store.unit import Transaction, bump_catalog


class ProfileBook:
    """Stored profiles."""

    def __init__(self, database: Database, committer: GroupCommitter) -> None:
        self._database = database
        self._committer = committer

    def get(self, name: str) -> CertificateProfile:
        """The newest revision. Raises NotFound."""
        row = self._database.read_one(
            "SELECT body FROM profiles WHERE name = ? ORDER BY revision DESC LIMIT 1", (name,)
        )
        if row is None:
            raise NotFound(f"there is no profile {name!r}", mend=("privyseal profile list",))
        return profile_from_data(json.loads(row[0]))

    def all(self) -> Iterable[CertificateProfile]:
        """The newest revision of every profile, in order of name."""
        rows = self._database.read(
            "SELECT p.body FROM profiles p WHERE p.revision = "
            "(SELECT max(n.revision) FROM profiles n WHERE n.name = p.name) ORDER BY p.name"
        )
        for (body,) in rows:
            yield profile_from_data(json.loads(body))

    async def save(self, profile: CertificateProfile, *, replace_existing: bool, actor: str) -> CertificateProfile:
        """Store a new profile, or with ``replace_existing`` the next revision. Raises NameTaken, NotFound."""

        def work(transaction: Transaction) -> CertificateProfile:
            row = transaction.one("SELECT max(revision) FROM profiles WHERE name = ?", (profile.name,))
            latest = row[0] if row and row[0] else 0
            if latest and not replace_existing:
                raise NameTaken(
                    f"profile {profile.name!r} exists already (revision {latest})",
                    mend=(f"privyseal profile get {profile.name}", "add --replace to store the next revision"),
                )
            stored = replace(profile, revision=latest + 1)
            transaction.execute(
                "INSERT INTO profiles (name, revision, body, created_at) VALUES (?,?,?,?)",
                (
                    stored.name,
                    stored.revision,
                    json.dumps(profile_to_data(stored), sort_keys=True),
                    to_seconds(transaction.now),
                ),
            )
            bump_catalog(transaction)
            transaction.audit(
                AuditEvent(
                    event="profile.saved",
                    actor=actor,
                    target=f"profile:{stored.name}",
                    detail={"revision": stored.revision, "issuer": stored.issuer},
                )
            )
            return stored

        return await self._committer.run(work)
