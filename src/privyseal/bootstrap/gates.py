# SPDX-License-Identifier: Apache-2.0
"""What a staged CA version has shown, looked at from outside: chain, URLs over HTTP, every controller, a test.

Blocking work runs in a thread; every wait is bounded by the adapters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from cryptography import x509

from privyseal.adapters.fetch import fetch
from privyseal.adapters.relying_party import check_ocsp
from privyseal.bootstrap import Application
from privyseal.bootstrap.directory import connector, controllers, open_first
from privyseal.ca.chain import chain_faults
from privyseal.ca.issuer import Issuer
from privyseal.directory.changes import ALREADY, DONE, AddEntry, AddValue, Change, RemoveValue
from privyseal.directory.receipts import Receipt
from privyseal.errors import GatesNotPassed, MalformedDer, PrivysealError
from privyseal.model.authority import CaKind, CaRecord, CaState
from privyseal.model.certificate import CertificateKind
from privyseal.model.crl import CrlScope
from privyseal.model.directory import DirectoryConfig
from privyseal.model.gate import Gate, GateName
from privyseal.repository.proof import check_proofs, prove
from privyseal.x509.algorithms import verify_signature

_SECONDS: Final = 10.0
Look = Callable[[Application, Issuer], Awaitable[str]]


async def look_at_gates(application: Application, record: CaRecord) -> tuple[Gate, ...]:
    """Every gate of one version, with evidence. Raises nothing that a peer can cause."""
    issuer = Issuer(record, application.settings.public_url)
    looks: list[tuple[GateName, Look]] = [(GateName.CHAIN, _chain), (GateName.CRL, _crl)]
    looks += [(GateName.OCSP, _ocsp), (GateName.AIA, _aia)]
    looks += [(GateName.DIRECTORY, _directory), (GateName.TEST, _test)]
    if record.kind is CaKind.ROOT:
        looks.insert(1, (GateName.CROSS, _cross))
    found = []
    for name, look in looks:
        try:
            found.append(Gate(name, True, await look(application, issuer)))
        except GatesNotPassed as shut:
            found.append(Gate(name, False, shut.what))
        except PrivysealError as fault:
            found.append(Gate(name, False, f"[{fault.code}] {fault.what}"))
    return tuple(found)


async def _chain(application: Application, issuer: Issuer) -> str:
    path = application.catalog.chain(issuer)
    over = [other.shown for other in path[1:] if other.record.state in (CaState.REVOKED, CaState.EXPIRED)]
    faults = [fault.text for fault in chain_faults([other.view for other in path], application.clock.now())]
    if over or faults:
        raise GatesNotPassed("; ".join([f"{shown} is revoked" for shown in over] + faults))
    return " > ".join(f"{other.record.name} v{other.record.version}" for other in path)


async def _cross(application: Application, issuer: Issuer) -> str:
    current = application.authorities.get(issuer.record.name)
    if current.key_ref == issuer.record.key_ref:
        return "not needed: the key is the same"
    wanted = {(issuer.record.id, current.id), (current.id, issuer.record.id)}
    there = {(cross.subject_id, cross.issuer_id) for cross in application.authority_names.crosses()}
    if wanted - there:
        raise GatesNotPassed("the cross certificates are not made yet; the server makes them")
    return f"v{current.version} certifies v{issuer.record.version}, and the other way round"


async def _crl(application: Application, issuer: Issuer) -> str:
    url = issuer.crl_url(CrlScope(shard=0))
    body = (await asyncio.to_thread(fetch, url, seconds=_SECONDS)).body
    try:
        crl = x509.load_der_x509_crl(body)
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except (ValueError, x509.ExtensionNotFound) as error:
        raise MalformedDer(f"{url} did not answer with a CRL: {error}") from error
    verify_signature(issuer.public_key, issuer.algorithm, crl.signature, data=crl.tbs_certlist_bytes)
    now = application.clock.now()
    if crl.next_update_utc is None or not crl.last_update_utc <= now < crl.next_update_utc:
        raise GatesNotPassed(f"the CRL at {url} is not valid now")
    return f"{url} answers with CRL {number}, good until {crl.next_update_utc:%Y-%m-%dT%H:%M:%SZ}"


async def _ocsp(application: Application, issuer: Issuer) -> str:
    services = application.catalog.services(issuer.id, CertificateKind.OCSP)
    if not services:
        raise GatesNotPassed("there is no OCSP responder certificate yet; the server makes it")
    asked = x509.load_der_x509_certificate(services[0].certificate)
    own = x509.load_der_x509_certificate(issuer.view.encoded)
    seen = await asyncio.to_thread(check_ocsp, asked, own, now=application.clock.now())
    if seen.status != "good":
        raise GatesNotPassed(f"{seen.url} says {seen.status} of a certificate that is good")
    return f"{seen.url} answers, signed by the version's own responder"


async def _aia(application: Application, issuer: Issuer) -> str:
    url = issuer.urls.ca_issuers
    if (await asyncio.to_thread(fetch, url, seconds=_SECONDS)).body != issuer.view.encoded:
        raise GatesNotPassed(f"{url} answers with another certificate")
    return f"{url} answers with this certificate"


async def _test(application: Application, issuer: Issuer) -> str:
    if issuer.record.kind is CaKind.ROOT:
        return "not needed: a root issues to no device"
    count = application.authority_life.tests_issued(issuer.record)
    if not count:
        raise GatesNotPassed(
            f"no test certificate was issued: privyseal scep test PROFILE --version {issuer.record.version}"
        )
    return f"{count} test certificate(s) issued"


async def _directory(application: Application, issuer: Issuer) -> str:
    shown = [await _in_directory(application, issuer, config) for config in application.directories.all()]
    return "; ".join(line for line in shown if line) or "not published in any directory"


async def _in_directory(application: Application, issuer: Issuer, config: DirectoryConfig) -> str:
    port = await asyncio.to_thread(open_first, config)
    try:
        root = await asyncio.to_thread(port.root_dse)
        # The store is read on the loop's own thread; only LDAP leaves it.
        wanted = _wanted(application, issuer, application.receipts.receipts(root.forest))
        names = await asyncio.to_thread(controllers, config, port) if wanted else ()
    finally:
        await asyncio.to_thread(port.close)
    if not wanted:
        return ""
    now = application.clock.now
    proofs = await asyncio.to_thread(prove, names, wanted, connect=connector(config), now=now)
    check_proofs(proofs)
    return f"{config.name}: {len(wanted)} value(s) shown by {len(proofs)} controller(s)"


def _wanted(application: Application, issuer: Issuer, receipts: tuple[Receipt, ...]) -> tuple[Change, ...]:
    """Wherever a version of this name stands, the staged one must stand as well."""
    versions = {other.certificate for other in application.authorities.all() if other.name == issuer.record.name}
    standing: dict[tuple[str, str, bytes], None] = {}
    for receipt in receipts:
        if receipt.result not in (DONE, ALREADY):
            continue
        match receipt.change:
            case AddEntry(dn, attributes):
                standing.update({(dn, name, value): None for name, held in attributes for value in held})
            case AddValue(dn, attribute, value, _):
                standing[(dn, attribute, value)] = None
            case RemoveValue(dn, attribute, value, _) if receipt.result == DONE:
                standing.pop((dn, attribute, value), None)
    places = dict.fromkeys((dn, attribute) for dn, attribute, value in standing if value in versions)
    return tuple(AddValue(dn, attribute, issuer.view.encoded) for dn, attribute in places)
