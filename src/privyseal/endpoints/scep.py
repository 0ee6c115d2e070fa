# SPDX-License-Identifier: Apache-2.0
"""SCEP over HTTP (RFC 8894 section 4): HTTP <-> codec <-> registration authority. No policy here.

Never asks for a client certificate: Windows gives up at GetCACaps when it is asked (0x80072f78).
"""

from __future__ import annotations

import logging
import re
from functools import partial
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric import rsa

from privyseal.ca.form import CertificateForm
from privyseal.ca.issuer import Issuer
from privyseal.ca.lifecycle import Purpose
from privyseal.ca.ports import Rng
from privyseal.endpoints.http import Request, Response, text
from privyseal.endpoints.problems import fail_info, http_answer
from privyseal.errors import IssuerNotActive, NextCaNotAvailable, NotFound, PrivysealError, SetupError
from privyseal.model.authority import ServiceRecord
from privyseal.model.enrollment import EnrollmentRequest, Granted, Outcome
from privyseal.model.profile import CertificateProfile
from privyseal.protocols.cms import Digest, unwrap_content_key
from privyseal.protocols.cms_read import Recipient
from privyseal.protocols.scep import caps, codec
from privyseal.protocols.scep.messages import (
    CONTENT_KEY_OCTETS,
    IV_OCTETS,
    NONCE_SIZE,
    CaCertificatesShape,
    MessageType,
    RaIdentity,
    ReplyAddress,
    ReplySigner,
    ScepRequest,
)
from privyseal.ra.service import RegistrationAuthority
from privyseal.x509.csr import parse_request as parse_csr
from privyseal.x509.keys import LoadedKey

# What clients append to the URL they were given; NDES's own path among them (MS-WCCE calls it mscep.dll).
_TAILS: Final = frozenset({"", "pkiclient.exe", "mscep.dll", "certsrv", "mscep", "cgi-bin"})
_VERSION: Final = re.compile(r"v([1-9][0-9]{0,3})")
_log: Final = logging.getLogger("privyseal.scep")


class Gauge(Protocol):
    """Counts requests under way, so that the store knows whether waiting for company pays."""

    in_flight: int

    async def turn(self) -> None:
        """Let the other requests under way come as far as this one."""


class Authorities(Protocol):
    """What this endpoint asks of the catalog."""

    def form(self, profile: str, version: int = 0) -> CertificateForm:
        """The profile under the CA version in force, or under a staged one. Raises NotFound, IssuerNotActive."""

    def transport_services(self, issuer: Issuer) -> tuple[ServiceRecord, ...]:
        """Unexpired RA certificates that a device may have fetched, the one to hand out first."""

    def crosses(self, issuer: Issuer) -> tuple[bytes, ...]:
        """Certificates of this version's key by other versions of its name."""

    def transport_key(self, service: ServiceRecord) -> rsa.RSAPrivateKey:
        """An RA's private key."""

    def chain(self, issuer: Issuer) -> tuple[Issuer, ...]:
        """The CA and those above it."""

    def successor(self, issuer: Issuer) -> Issuer | None:
        """The staged next version of a CA."""


class StatusLookup(Protocol):
    """Where the CRL in force is."""

    async def crl_of(self, issuer_name: bytes, serial: int) -> bytes:
        """DER of the base CRL that covers this serial of the CA with this subject. Raises NotIssued."""


class _Ra:
    """One RA certificate with its key, read once."""

    def __init__(self, service: ServiceRecord, key: rsa.RSAPrivateKey, signature: Signature) -> None:
        self.identity = RaIdentity.of(service.certificate)
        self.key = key
        self.signer = ReplySigner(service.certificate, partial(signature, key))


class Signature(Protocol):
    """Signs a reply with an RA's key (``adapters.keys.reply_signature``)."""

    def __call__(self, key: rsa.RSAPrivateKey, data: bytes, hash_name: str, /) -> bytes:
        """The signature."""


class ScepEndpoint:
    """Answers ``/scep/<profile>``. The profile names CA, rules and which certificates GetCACert carries."""

    def __init__(
        self,
        *,
        authorities: Authorities,
        registration: RegistrationAuthority,
        status: StatusLookup,
        rng: Rng,
        gauge: Gauge,
        signature: Signature,
    ) -> None:
        self._authorities = authorities
        self._registration = registration
        self._status = status
        self._rng = rng
        self._gauge = gauge
        self._signature = signature
        self._ras: dict[int, _Ra] = {}

    async def __call__(self, request: Request, incident: str) -> Response:
        """Route by operation. A profile that is unknown, or whose SCEP is off, answers 404 and issues nothing."""
        form = self._form(request)
        if not form.profile.scep.enabled:
            raise NotFound(f"SCEP is off for profile {form.profile.name}")
        operation = (request.query_value("operation") or b"").decode("ascii", "replace")
        if operation == "PKIOperation":
            return await self._pki_operation(request, form, incident)
        if request.method == "POST":
            return text(405, "only PKIOperation is posted")
        # message= is ignored from here on: Windows sends "default", certmonger numbers (RFC 8894 4.2).
        if operation == "GetCACaps":
            next_ca = self._authorities.successor(form.issuer) is not None
            body = caps.capabilities(next_ca=next_ca, legacy=form.profile.scep.legacy_devices)
            return Response(200, caps.CAPABILITIES_TYPE, body)
        if operation == "GetCACert":
            return self._ca_certificates(form)
        if operation == "GetNextCACert":
            return self._next_ca(form)
        return text(400, "unknown operation")

    def _form(self, request: Request) -> CertificateForm:
        """``/scep/<profile>``, and ``/scep/<profile>/v<n>`` for tests of a staged CA version."""
        version, tail = 0, request.path[2:]
        if tail and (match := _VERSION.fullmatch(tail[0])):
            version, tail = int(match[1]), tail[1:]
        if len(request.path) < 2 or not set(tail) <= _TAILS:
            raise NotFound("there is no such SCEP path")
        return self._authorities.form(request.path[1], version)

    async def note_unread(self, request: Request, error: PrivysealError, incident: str) -> None:
        """Store the attempt of a body that was not taken, where it named a profile of ours."""
        if len(request.path) > 1 and request.query_value("operation") == b"PKIOperation":
            await self._note(self._form(request).profile, None, error, incident)

    def _ca_certificates(self, form: CertificateForm) -> Response:
        shape = CaCertificatesShape(form.profile.scep.chain.value)
        chain = [issuer.view.encoded for issuer in self._authorities.chain(form.issuer)]
        # A client that has the old root only finds its way to the new one.
        chain += self._authorities.crosses(self._authorities.chain(form.issuer)[-1])
        content_type, body = caps.ca_certificates(shape, ra=self._newest(form).identity.certificate, chain=chain)
        return Response(200, content_type, body)

    def _next_ca(self, form: CertificateForm) -> Response:
        successor = self._authorities.successor(form.issuer)
        if successor is None:
            raise NextCaNotAvailable(f"CA {form.issuer.record.name} has no successor yet")
        content_type, body = caps.next_ca_reply(
            (successor.view.encoded,), signer=self._newest(form).signer, digest=Digest.SHA256
        )
        return Response(200, content_type, body)

    async def _pki_operation(self, request: Request, form: CertificateForm, incident: str) -> Response:
        if request.method == "POST":
            body = request.body
        else:
            try:
                body = codec.decode_get_query(request.query_value("message") or b"")
            except PrivysealError as error:
                await self._note(form.profile, None, error, incident)
                raise
        self._gauge.in_flight += 1
        try:
            return await self._exchange(body, form, incident)
        finally:
            self._gauge.in_flight -= 1

    async def _exchange(self, body: bytes, form: CertificateForm, incident: str) -> Response:
        profile = form.profile
        try:
            message = codec.parse_request(body, legacy=profile.scep.legacy_devices)
            codec.requester_key(message)
            ra, recipient = self._recipient(message, form)
        except SetupError:
            raise
        except PrivysealError as error:
            return await self._unread(body, form, error, incident)
        try:
            await self._gauge.turn()
            content = await self._open(message, ra, recipient, profile=profile, incident=incident)
            await self._gauge.turn()
            reply = await self._serve(message, content, form, incident=incident)
            return self._success(message, reply, ra)
        except SetupError:
            raise
        except PrivysealError as error:
            # Signed by the RA it was written to, whether it did not open or was refused inside: that is not to be told.
            _log.warning("%s %s", incident, f"[{error.code}] {error.what}", extra={"profile": profile.name})
            return self._failure(message.address, ra, error)

    async def _unread(self, body: bytes, form: CertificateForm, error: PrivysealError, incident: str) -> Response:
        """A message that does not verify, or is not for us: note it; answer in SCEP when it says whom to answer."""
        address = codec.failure_address(body, legacy=form.profile.scep.legacy_devices)
        await self._note(form.profile, address, error, incident)
        _log.warning("%s %s", incident, f"[{error.code}] {error.what}", extra={"profile": form.profile.name})
        if address is None:
            return http_answer(error, incident)
        return self._failure(address, self._newest(form), error)

    async def _note(
        self, profile: CertificateProfile, address: ReplyAddress | None, error: PrivysealError, incident: str
    ) -> None:
        transaction_id = "" if address is None else address.transaction_id
        await self._registration.note_refusal(
            profile.name, "scep", transaction_id=transaction_id, error=error, incident=incident
        )

    def _recipient(self, message: ScepRequest, form: CertificateForm) -> tuple[_Ra, Recipient]:
        ras = self._all(form)
        identity, recipient = codec.find_recipient(message, [ra.identity for ra in ras])
        return next(ra for ra in ras if ra.identity is identity), recipient

    async def _open(
        self, message: ScepRequest, ra: _Ra, recipient: Recipient, *, profile: CertificateProfile, incident: str
    ) -> bytes:
        key = unwrap_content_key(
            ra.key,
            recipient,
            key_size=message.content_cipher.key_size,
            substitute=self._rng.bytes(CONTENT_KEY_OCTETS),
        )
        try:
            return codec.open_request(message, key)
        except PrivysealError as error:
            await self._note(profile, message.address, error, incident)
            raise

    async def _serve(
        self, message: ScepRequest, content: bytes, form: CertificateForm, *, incident: str
    ) -> Outcome | bytes:
        """A certificate, a wait, or a CRL's DER. Raises what refuses."""
        profile = form.profile
        if message.message_type in (MessageType.PKCS_REQ, MessageType.RENEWAL_REQ):
            try:
                csr = parse_csr(
                    content,
                    allow_sha1=profile.scep.legacy_devices,
                    loaded=LoadedKey(message.signer.public_key_info, message.signer_key),
                )
            except PrivysealError as error:
                await self._note(profile, message.address, error, incident)
                raise
            request = EnrollmentRequest(
                profile=profile.name,
                protocol="scep",
                transaction_id=message.transaction_id,
                request=csr,
                signer_certificate=message.signer_certificate,
                renewal=message.message_type is MessageType.RENEWAL_REQ,
                issuer_version=form.issuer.record.version if form.issuer.leaf_purpose is Purpose.TEST else 0,
            )
            return await self._registration.enroll(request, incident=incident)
        if message.message_type is MessageType.CERT_POLL:
            return await self._registration.poll(
                profile.name,
                message.transaction_id,
                signer_certificate=message.signer_certificate,
                incident=incident,
            )
        wanted = codec.issuer_and_serial(content)
        if message.message_type is MessageType.GET_CRL:
            return await self._status.crl_of(wanted.issuer, wanted.serial_number)
        return self._registration.retrieve(
            wanted.issuer, wanted.serial_number, signer_certificate=message.signer_certificate
        )

    def _success(self, message: ScepRequest, reply: Outcome | bytes, ra: _Ra) -> Response:
        drawn = self._rng.bytes(NONCE_SIZE + CONTENT_KEY_OCTETS + IV_OCTETS)
        nonce, key, iv = drawn[:NONCE_SIZE], drawn[NONCE_SIZE:-IV_OCTETS], drawn[-IV_OCTETS:]
        if isinstance(reply, bytes):
            body = codec.build_reply_crl(
                message, crl=reply, signer=ra.signer, sender_nonce=nonce, content_key=key, iv=iv
            )
        elif isinstance(reply, Granted):
            # The issued certificate only: iPhones take the first of several for their own.
            body = codec.build_reply_success(
                message,
                certificates=(reply.certificate,),
                signer=ra.signer,
                sender_nonce=nonce,
                content_key=key,
                iv=iv,
            )
        else:
            body = codec.build_reply_pending(message, signer=ra.signer, sender_nonce=nonce)
        return Response(200, caps.PKI_MESSAGE_TYPE, body)

    def _failure(self, address: ReplyAddress, ra: _Ra, error: PrivysealError) -> Response:
        body = codec.build_reply_failure(
            address,
            fail_info(error),
            signer=ra.signer,  # the one that the client wrote to, as far as that is known: it may know no other
            sender_nonce=self._rng.bytes(NONCE_SIZE),
        )
        return Response(200, caps.PKI_MESSAGE_TYPE, body)

    def _newest(self, form: CertificateForm) -> _Ra:
        return self._all(form)[0]

    def _all(self, form: CertificateForm) -> list[_Ra]:
        """Every RA that a device may still encrypt to, newest first."""
        services = self._authorities.transport_services(form.issuer)
        if not services:
            raise IssuerNotActive(f"CA {form.issuer.record.name} has no RA certificate")
        found = []
        for service in services:
            if service.id not in self._ras:
                self._ras[service.id] = _Ra(service, self._authorities.transport_key(service), self._signature)
            found.append(self._ras[service.id])
        return found
