# SPDX-License-Identifier: Apache-2.0
"""The only place that builds objects: from settings to a whole application, plain arguments all the way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from privyseal.adapters.apart import OneThread
from privyseal.adapters.clock import SystemClock, SystemRng
from privyseal.adapters.instance import Instance
from privyseal.adapters.keys import FileKeyStore
from privyseal.bootstrap.catalog import LiveCatalog
from privyseal.bootstrap.directory import LiveDirectory
from privyseal.ca.founding import Workshop
from privyseal.config import Settings, store_password
from privyseal.errors import StoreRestored
from privyseal.ra.service import RegistrationAuthority
from privyseal.status.service import StatusService
from privyseal.store.audit import AuditTrail
from privyseal.store.authorities import AuthorityBook
from privyseal.store.authority_life import AuthorityLife
from privyseal.store.authority_names import AuthorityNames
from privyseal.store.bulk import BulkBook
from privyseal.store.certificates import CertificateLedger
from privyseal.store.committer import GroupCommitter
from privyseal.store.crls import CrlBook
from privyseal.store.deliveries import DeliveryBook
from privyseal.store.directories import DirectoryBook, ReceiptBook
from privyseal.store.engine import Database
from privyseal.store.enrollments import EnrollmentLog
from privyseal.store.entities import EntityBook
from privyseal.store.inventory import Inventory
from privyseal.store.leases import LeaseBook
from privyseal.store.opening import StorePlace, open_store
from privyseal.store.profiles import ProfileBook
from privyseal.store.restoring import check_in_step
from privyseal.store.retention import RetentionBook
from privyseal.store.search_index import SearchIndex
from privyseal.store.status import StatusBook
from privyseal.store.tallies import TallyBook


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """Everything that runs, built once. ``keys`` is None when no passphrase was given."""

    settings: Settings
    clock: SystemClock
    rng: SystemRng
    instance: Instance
    database: Database
    committer: GroupCommitter
    keys: FileKeyStore | None
    authorities: AuthorityBook
    profiles: ProfileBook
    entities: EntityBook
    certificates: CertificateLedger
    inventory: Inventory
    search_index: SearchIndex
    enrollments: EnrollmentLog
    status_book: StatusBook
    crls: CrlBook
    apart: OneThread
    crl_wanted: asyncio.Event
    """Set when something was revoked or released whose CRL is yet to come."""
    directories: DirectoryBook
    deliveries: DeliveryBook
    receipts: ReceiptBook
    audit: AuditTrail
    leases: LeaseBook
    catalog: LiveCatalog
    registration: RegistrationAuthority
    status: StatusService

    @property
    def authority_names(self) -> AuthorityNames:
        """What belongs to the names of CAs."""
        return AuthorityNames(self.database, self.committer)

    @property
    def authority_life(self) -> AuthorityLife:
        """Changes of the states of CAs."""
        return AuthorityLife(self.database, self.committer)

    @property
    def bulk(self) -> BulkBook:
        """Revocations, one or many."""
        return BulkBook(
            self.database,
            self.committer,
            inventory=self.inventory,
            status=self.status_book,
            changed=self.crl_wanted.set,
            clock=self.clock,
        )

    def workshop(self) -> Workshop:
        """What founding a CA needs. Raises PassphraseMissing."""
        return Workshop(
            keys=self.catalog.unlocked(),
            register=self.authorities,
            ledger=self.certificates,
            crls=self.crls,
            clock=self.clock,
            rng=self.rng,
            base_url=self.settings.public_url,
            apart=self.apart,
        )

    @property
    def retention(self) -> RetentionBook:
        """What is kept how long."""
        return RetentionBook(self.database, self.committer)

    @property
    def tallies(self) -> TallyBook:
        """Counters over the audit trail."""
        return TallyBook(self.database, self.committer)

    def close(self) -> None:
        """Close the store and give up this process's identity."""
        self.apart.close()
        self.database.close()
        self.instance.close()


def store_place(settings: Settings) -> StorePlace:
    """Where the store is. Raises PassphraseMissing, UnsafePermissions."""
    return StorePlace(path=settings.database, url=settings.store_url, password=store_password(settings))


def _opened(settings: Settings, *, create: bool, to_sign: bool) -> Database:
    """The store. What a restore has not brought in step yet is not opened to sign."""
    database = open_store(store_place(settings), create=create)
    try:
        if to_sign:
            check_in_step(database)
    except StoreRestored:
        database.close()
        raise
    return database


def build(settings: Settings, *, passphrase: str | None, create: bool = False) -> Application:
    """Build the application. Raises StoreUnavailable, StoreTooNew, PassphraseWrong, StoreRestored."""
    clock, rng = SystemClock(), SystemRng()
    database = _opened(settings, create=create, to_sign=passphrase is not None)
    instance = Instance(settings.instances, alone=not settings.store_url)
    committer = GroupCommitter(database, clock)
    keys = None if passphrase is None else FileKeyStore(settings.keys, passphrase)
    authorities, profiles = AuthorityBook(database, committer), ProfileBook(database, committer)
    entities, enrollments = EntityBook(database, committer), EnrollmentLog(database, committer)
    certificates = CertificateLedger(database, committer, instance.name)
    apart, crl_wanted = OneThread(), asyncio.Event()
    status_book, crls = StatusBook(database, committer), CrlBook(database, committer, apart)
    directories = DirectoryBook(database, committer)
    catalog = LiveCatalog(
        database=database,
        profiles=profiles,
        authorities=authorities,
        names=AuthorityNames(database, committer),
        keys=keys,
        clock=clock,
        base_url=settings.public_url,
    )
    registration = RegistrationAuthority(
        catalog=catalog,
        inventory=certificates,
        entities=entities,
        directory=LiveDirectory(directories),
        log=enrollments,
        ledger=certificates,
        clock=clock,
        rng=rng,
    )
    return Application(
        settings=settings,
        clock=clock,
        rng=rng,
        instance=instance,
        database=database,
        committer=committer,
        keys=keys,
        authorities=authorities,
        profiles=profiles,
        entities=entities,
        certificates=certificates,
        inventory=Inventory(database),
        search_index=SearchIndex(database, committer),
        enrollments=enrollments,
        status_book=status_book,
        crls=crls,
        apart=apart,
        crl_wanted=crl_wanted,
        directories=directories,
        deliveries=DeliveryBook(database, committer),
        receipts=ReceiptBook(database, committer),
        audit=AuditTrail(database),
        leases=LeaseBook(database, committer, instance.name),
        catalog=catalog,
        registration=registration,
        status=StatusService(status_book, crls, clock=clock, apart=apart, changed=crl_wanted.set),
    )
