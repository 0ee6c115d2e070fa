# SPDX-License-Identifier: Apache-2.0
"""Publication to a directory: observe, plan, and after the caller's approval apply; each change has its receipt.

Nothing is written that is not in the plan, and no plan is applied to a directory that has changed since it was made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from privyseal.directory.changes import (
    ALREADY,
    DONE,
    AddEntry,
    AddValue,
    Change,
    DirectoryPort,
    Entry,
    ReplaceValue,
    RootDse,
)
from privyseal.directory.containers import (
    CA_CERTIFICATE,
    READ_ATTRIBUTES,
    Container,
    Target,
    container_dn,
    object_dns,
    present,
    public_key_services,
)
from privyseal.directory.crl import crl_dns, plan_crls
from privyseal.directory.desired import Desired, EnrollmentService, ca_name, check_certificate, desired_values
from privyseal.directory.naming import dn_key, parent_dn
from privyseal.directory.plan import Plan, check_fresh, plan_publication, plan_removal, plan_undo
from privyseal.directory.receipts import INTENDED, NOT_DONE, UNKNOWN, Receipt, ownership, took_effect, unsettled
from privyseal.directory.status import read_usn
from privyseal.errors import (
    ControllersDisagree,
    DirectoryTimeout,
    DirectoryUnreachable,
    InvalidValue,
    MalformedDer,
    NotACaCertificate,
    PrivysealError,
)
from privyseal.repository.ports import Now, ReceiptStore
from privyseal.x509.certificate import read_certificate

_READ_BACK = (*READ_ATTRIBUTES, "uSNChanged")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One certificate that shall be published as one target."""

    target: Target
    certificate: bytes
    allow_expired: bool = False
    service: EnrollmentService | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan and the controller that it was made from. ``desired`` is what a proof looks for afterwards."""

    root: RootDse
    plan: Plan
    desired: tuple[Desired, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """How far it went. With ``fault`` the changes in ``left`` were not made, the first of them perhaps."""

    receipts: tuple[Receipt, ...]
    left: tuple[Change, ...]
    fault: PrivysealError | None

    @property
    def done(self) -> tuple[Change, ...]:
        """The changes that we made, for an undo file."""
        return tuple(receipt.change for receipt in self.receipts if receipt.result == DONE)


def observe(port: DirectoryPort, dns: Sequence[str]) -> dict[str, Entry | None]:
    """The objects as one controller shows them now, and for each that is absent what should hold it."""
    observed: dict[str, Entry | None] = {}
    for dn in dict.fromkeys(dns):
        observed[dn_key(dn)] = port.read(dn, READ_ATTRIBUTES)
        parent = parent_dn(dn)
        if observed[dn_key(dn)] is None and dn_key(parent) not in observed:
            observed[dn_key(parent)] = port.read(parent, ("objectClass",))
    return observed


def log_on_certificates(changes: Sequence[Change], *, configuration_nc: str) -> tuple[bytes, ...]:
    """The certificates that these changes put into NTAuthCertificates."""
    ntauth = dn_key(container_dn(Container.NTAUTH, configuration_nc))
    found: list[bytes] = []
    for change in changes:
        if dn_key(change.dn) != ntauth:
            continue
        if isinstance(change, AddEntry):
            found += [value for name, held in change.attributes if name == CA_CERTIFICATE for value in present(held)]
        elif isinstance(change, AddValue | ReplaceValue):
            found += present((change.value,))
    return tuple(found)


def removal_dns(certificate: bytes, target: Target, *, configuration_nc: str) -> tuple[str, ...]:
    """Where a certificate stands when it was published as ``target``. Raises NotACaCertificate."""
    try:
        view = read_certificate(certificate)
    except MalformedDer as fault:
        raise NotACaCertificate(f"what shall be removed is not an X.509 certificate: {fault.what}") from fault
    return object_dns(target, ca_name(view), configuration_nc=configuration_nc)


class PublicationService:
    """Keeps the presence of CAs in a directory. One controller at a time; proofs ask all (`repository/proof.py`)."""

    def __init__(self, store: ReceiptStore, now: Now) -> None:
        self._store = store
        self._now = now

    def plan(self, port: DirectoryPort, wanted: Sequence[Wanted]) -> Planned:
        """What is missing for all of ``wanted``; certificates are checked before any object is read."""
        root = port.root_dse()
        desired = tuple(
            value
            for item in wanted
            for value in desired_values(
                item.certificate,
                item.target,
                configuration_nc=root.configuration_nc,
                now=self._now(),
                allow_expired=item.allow_expired,
                service=item.service,
            )
        )
        plan = plan_publication(desired, observe(port, [item.dn for item in desired]))
        return Planned(root=root, plan=plan, desired=desired)

    def plan_removal(
        self, port: DirectoryPort, certificate: bytes, *, targets: Sequence[Target], keep_empty: bool = False
    ) -> Planned:
        """Take a certificate out of these targets again, as far as receipts say that we put it there."""
        root = port.root_dse()
        dns = [
            dn for target in targets for dn in removal_dns(certificate, target, configuration_nc=root.configuration_nc)
        ]
        dns = list(dict.fromkeys(dns))
        ours = ownership(self._store.receipts(root.forest))
        plan = plan_removal(certificate, dns, observed=observe(port, dns), ours=ours, keep_empty=keep_empty)
        return Planned(root=root, plan=plan)

    def plan_crls(
        self, port: DirectoryPort, crls: Sequence[bytes], *, name: str, host: str, key_index: int = 0
    ) -> Planned:
        """Put the CRLs of one key of a CA into the CDP container of a host."""
        root = port.root_dse()
        base = root.configuration_nc
        dns = crl_dns(name, host, configuration_nc=base, key_index=key_index)
        observed = observe(port, dns)
        plan = plan_crls(crls, name, host=host, configuration_nc=base, observed=observed, key_index=key_index)
        return Planned(root=root, plan=plan)

    def plan_undo(self, port: DirectoryPort, changes: Sequence[Change]) -> Planned:
        """Lead back from changes that an undo file lists. Raises InvalidValue for objects that are no place of CAs.

        A CA certificate that would come back is checked as for a publication.
        """
        root = port.root_dse()
        base = dn_key(public_key_services(root.configuration_nc))
        for change in changes:
            if not dn_key(change.dn).endswith(f",{base}"):
                raise InvalidValue(f"{change.dn[:200]!r} is not below {public_key_services(root.configuration_nc)}")
        plan = plan_undo(changes, observe(port, [change.dn for change in changes]))
        for value in log_on_certificates(plan.changes, configuration_nc=root.configuration_nc):
            check_certificate(value, Target.NTAUTH_CA, now=self._now(), allow_expired=True)
        return Planned(root=root, plan=plan)

    async def apply(
        self, port: DirectoryPort, planned: Planned, *, actor: str, said: Callable[[Receipt], None] | None = None
    ) -> Applied:
        """Make the changes in order, one LDAP operation each. Stores the intent before each, and a receipt after it.

        Raises PlanStale before the first. Stops at the first fault, which is in the answer with what is left.
        """
        await self.settle(port, planned.root, actor=actor)
        check_fresh(planned.plan, observe(port, planned.plan.reads))
        receipts: list[Receipt] = []
        changes = planned.plan.changes
        for position, change in enumerate(changes):
            # The intent first: if this process dies on the way, `settle` finds out what became of it.
            await self._store.add(self._receipt(planned.root, change, result=INTENDED, usn=None), actor=actor)
            receipt, fault = self._make(port, planned.root, change=change)
            await self._store.add(receipt, actor=actor)
            receipts.append(receipt)
            if said is not None:
                said(receipt)
            if fault is not None:
                done = receipt.result in (DONE, ALREADY)
                return Applied(receipts=tuple(receipts), left=changes[position + done :], fault=fault)
        return Applied(receipts=tuple(receipts), left=(), fault=None)

    def _make(self, port: DirectoryPort, root: RootDse, *, change: Change) -> tuple[Receipt, PrivysealError | None]:
        """One change: its receipt, and what went wrong."""
        result, usn = UNKNOWN, None
        fault: PrivysealError | None = None
        try:
            result = port.apply(change)
            entry = port.read(change.dn, _READ_BACK)
            usn = None if entry is None else read_usn(entry.attributes.get("usnchanged", ()))
            if not took_effect(change, entry):
                result = UNKNOWN
                fault = _not_visible(root, change)
        except (DirectoryUnreachable, DirectoryTimeout) as broken:
            # Whether the operation arrived is not known, unless it was answered and only the read-back broke.
            fault = broken
        except PrivysealError as refused:
            result = NOT_DONE if result == UNKNOWN else result
            fault = refused
        return self._receipt(root, change, result=result, usn=usn), fault

    def _receipt(self, root: RootDse, change: Change, *, result: str, usn: int | None) -> Receipt:
        return Receipt(
            forest=root.forest,
            controller=root.dns_host_name,
            change=change,
            result=result,
            usn=usn,
            at=self._now(),
        )

    async def settle(self, port: DirectoryPort, root: RootDse, *, actor: str) -> tuple[Receipt, ...]:
        """Find out what became of changes whose answer never came, so that what is ours is known again."""
        settled: list[Receipt] = []
        for receipt in unsettled(self._store.receipts(root.forest)):
            entry = port.read(receipt.change.dn, _READ_BACK)
            usn = None if entry is None else read_usn(entry.attributes.get("usnchanged", ()))
            result = DONE if took_effect(receipt.change, entry) else NOT_DONE
            settled.append(self._receipt(root, receipt.change, result=result, usn=usn))
            await self._store.add(settled[-1], actor=actor)
        return tuple(settled)


def _not_visible(root: RootDse, change: Change) -> ControllersDisagree:
    return ControllersDisagree(
        f"{root.dns_host_name} took a change of {change.dn}, but does not show it when it is read again",
        why="another program changed the object at the same moment, or the name leads to more than one controller",
        mend=("name one controller, and make a new plan: privyseal directory plan",),
    )
