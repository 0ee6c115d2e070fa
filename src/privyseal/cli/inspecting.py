# SPDX-License-Identifier: Apache-2.0
"""``privyseal certificate inspect``: certificates, requests and CRLs from files, without any installation.

Shows what is in the bytes. That something is shown says nothing about whether it is to be trusted.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from hashlib import sha1, sha256
from typing import Any, Final

import click

from privyseal.cli.output import moment, pem, show_item, write_json, write_text
from privyseal.cli.session import Session
from privyseal.cli.values import read_given
from privyseal.cli.verb import verb
from privyseal.errors import InputError, InvalidValue, KeyNotAcceptable, MalformedDer, PrivysealError
from privyseal.model.certificate import format_serial
from privyseal.model.revocation import CrlReason
from privyseal.x509 import der, oids
from privyseal.x509.algorithms import algorithm_of
from privyseal.x509.certificate import CertificateView, read_certificate, read_time
from privyseal.x509.csr import CertificationRequest, parse_request
from privyseal.x509.extensions import KeyUsage, ext_key_usage_label
from privyseal.x509.general_names import decode_general_names
from privyseal.x509.keys import describe_key, load_public_key
from privyseal.x509.names import DistinguishedName
from privyseal.x509.sid import Sid

_LARGEST: Final = 256 << 20  # a CRL of some million entries
_ENTRIES_SHOWN: Final = 20
_BLOCKS: Final = 100
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----(.*?)-----END \1-----", re.DOTALL)
_LABELS: Final = {"certificate": "CERTIFICATE", "request": "CERTIFICATE REQUEST", "crl": "X509 CRL"}
_IMPLICIT_URI: Final = 0x86


@verb(
    "inspect",
    outputs=("table", "json", "pem"),
    examples=(
        "certificate inspect laptop.pem",
        "certificate inspect device.csr -o json",
        "certificate inspect - < contoso-issuing.crl",
    ),
)
@click.argument("file")
def inspect(session: Session, file: str) -> None:
    """Decode a certificate, certification request or CRL from a PEM or DER file; - is standard input.

    Needs no server and no installation. A request's proof of possession is verified. A file with several
    PEM blocks shows each of them; with -o json that is a list.
    """
    found = [(kind, encoded, _describe(kind, encoded)) for kind, encoded in _objects(read_given(file, limit=_LARGEST))]
    if session.output == "pem":
        write_text("".join(pem(encoded, _LABELS[kind]) for kind, encoded, _ in found))
    elif session.output == "json":
        write_json(found[0][2] if len(found) == 1 else [item for _, _, item in found])
    else:
        for number, (_, _, item) in enumerate(found):
            if number:
                write_text("")
            show_item(session, item)


def _objects(data: bytes) -> Iterator[tuple[str, bytes]]:
    if data[:1] == b"\x30":
        yield _kind(data), data
        return
    blocks = _PEM.findall(data)
    if not blocks or len(blocks) > _BLOCKS:
        raise InvalidValue(f"the file holds {len(blocks)} PEM blocks and is not DER; 1 to {_BLOCKS} are read")
    for label, body in blocks:
        if b"PRIVATE KEY" in label:
            raise InvalidValue("the file holds a private key, which is not shown", mend=("give the certificate alone",))
        try:
            encoded = base64.b64decode(b"".join(body.split()), validate=True)
        except binascii.Error as error:
            raise InvalidValue(f"the PEM block {label.decode('ascii')} is not base64") from error
        yield _kind(encoded), encoded


def first_certificate(data: bytes) -> CertificateView:
    """The first certificate in a file. Raises InvalidValue when it holds none."""
    for kind, encoded in _objects(data):
        if kind == "certificate":
            return read_certificate(encoded)
    raise InvalidValue("the file holds no certificate")


def _kind(encoded: bytes) -> str:
    outer = der.read(encoded).expect(der.SEQUENCE, "the object")
    inner = next(iter(outer.children()), None)
    first = None if inner is None else next(iter(inner.expect(der.SEQUENCE, "the object").children()), None)
    if first is None:
        raise MalformedDer("the object is an empty SEQUENCE")
    if first.tag == 0xA0:
        return "certificate"
    return "request" if first.tag == der.INTEGER and first.contents == b"\0" else "crl"


def _describe(kind: str, encoded: bytes) -> dict[str, Any]:
    if kind == "certificate":
        return describe_certificate(read_certificate(encoded))
    if kind == "request":
        return _describe_request(parse_request(encoded, allow_sha1=True))
    return _describe_crl(encoded)


def describe_certificate(view: CertificateView) -> dict[str, Any]:
    """What a certificate says, with stable field names."""
    return {
        "type": "certificate",
        "subject": _name(view.subject),
        "issuer": _name(view.issuer),
        "serial": format_serial(view.serial),
        "not_before": moment(view.not_before),
        "not_after": moment(view.not_after),
        "key": _key(view.spki),
        "signature_algorithm": _algorithm(view.algorithm),
        **certificate_parts(view),
        "fingerprint_sha256": sha256(view.encoded).hexdigest(),
        "fingerprint_sha1": sha1(view.encoded, usedforsecurity=False).hexdigest(),
    }


def certificate_parts(view: CertificateView) -> dict[str, Any]:
    """What the extensions say."""
    san = view.extension(oids.SUBJECT_ALT_NAME)
    usages, purposes = view.key_usage, view.ext_key_usage
    names = set(KeyUsage)
    return {
        "san": [] if san is None else [f"{name.kind.value}:{name.value}" for name in decode_general_names(san)],
        "key_usage": [KeyUsage(bit).label for bit in sorted(usages or ()) if bit in names],
        "ext_key_usage": [ext_key_usage_label(dotted) for dotted in sorted(purposes or ())],
        "sid": _sid(view),
        "ca": view.is_ca,
        "path_length": view.path_length,
        "subject_key_identifier": _hex(view.subject_key_identifier),
        "authority_key_identifier": _hex(view.authority_key_identifier),
        "crl_urls": _urls(view.extension(oids.CRL_DISTRIBUTION_POINTS)),
        "aia_urls": _urls(view.extension(oids.AUTHORITY_INFO_ACCESS)),
        "extensions": [f"{dotted}{' critical' if flag else ''}" for dotted, (flag, _) in view.extensions.items()],
    }


def _describe_request(request: CertificationRequest) -> dict[str, Any]:
    return {
        "type": "request",
        "subject": request.subject.to_text(),
        "key": describe_key(request.public_key),
        "signature_algorithm": request.signature_algorithm,
        "proof_of_possession": True,
        "san": [f"{name.kind.value}:{name.value}" for name in request.san],
        "template": request.template_name,
        # The password itself is a secret: only that there is one is shown.
        "challenge_password": request.challenge_password is not None,
        "extensions": [extension.oid for extension in request.extensions],
        "fingerprint_sha256": sha256(request.der).hexdigest(),
    }


def _describe_crl(encoded: bytes) -> dict[str, Any]:
    parts = list(der.read_only(encoded, der.SEQUENCE, "CRL").children())
    if len(parts) != 3:
        raise MalformedDer("a CRL has three fields")
    fields = list(parts[0].expect(der.SEQUENCE, "tbsCertList").children())
    if fields and fields[0].tag == der.INTEGER:
        fields = fields[1:]
    times = [field for field in fields[2:4] if field.tag in (der.UTC_TIME, der.GENERALIZED_TIME)]
    if len(fields) < 3 or not times:
        raise MalformedDer("the CRL's list has no issuer or no thisUpdate")
    rest = fields[2 + len(times) :]
    entries, shown = 0, list[dict[str, Any]]()
    if rest and rest[0].tag == der.SEQUENCE:
        for entry in rest[0].children():
            entries += 1
            if len(shown) < _ENTRIES_SHOWN:
                shown.append(_entry(entry))
    number = None
    if rest and rest[-1].tag == 0xA0:
        number = _crl_number(rest[-1])
    return {
        "type": "crl",
        "issuer": _name(fields[1].encoded),
        "number": number,
        "this_update": moment(read_time(times[0])),
        "next_update": moment(read_time(times[1])) if len(times) > 1 else None,
        "signature_algorithm": _algorithm(parts[1].encoded),
        "revoked": entries,
        "entries": shown,
        "fingerprint_sha256": sha256(encoded).hexdigest(),
    }


def _crl_number(wrapper: der.Element) -> int | None:
    for extension in der.read_only(wrapper.contents, der.SEQUENCE, "crlExtensions").children():
        parts = list(extension.children())
        if len(parts) > 1 and parts[0].as_oid() == oids.CRL_NUMBER:
            return der.read_only(parts[-1].contents, der.INTEGER, "CRLNumber").as_int()
    return None


def _entry(entry: der.Element) -> dict[str, Any]:
    parts = list(entry.children())
    if len(parts) < 2:
        raise MalformedDer("a revoked entry has a serial and a time")
    reason = "unspecified"
    for extension in parts[2].children() if len(parts) > 2 else ():
        fields = list(extension.children())
        if len(fields) > 1 and fields[0].as_oid() == oids.CRL_REASON:
            code = der.read(fields[-1].contents).contents
            known = {bytes((member.value,)): member.label for member in CrlReason}
            reason = known.get(code, f"reason {code.hex()}")
    return {"serial": format_serial(parts[0].as_int()), "at": moment(read_time(parts[1])), "reason": reason}


def _name(encoded: bytes) -> str:
    return DistinguishedName.from_der(encoded).to_text()


def _key(spki: bytes) -> str:
    try:
        return describe_key(load_public_key(spki))
    except KeyNotAcceptable as error:
        return f"not readable: {error.what}"


def _algorithm(identifier: bytes) -> str:
    try:
        return algorithm_of(identifier).name
    except InputError:
        return next(iter(der.read(identifier).children())).as_oid()


def _sid(view: CertificateView) -> str | None:
    value = view.extension(oids.NTDS_CA_SECURITY_EXT)
    if value is None:
        return None
    try:
        return Sid.from_extension_value(value).text
    except PrivysealError as error:
        return f"not readable: {error.what}"


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


def _urls(value: bytes | None) -> list[str]:
    """Every URI in an extension, however deep it stands (distribution points nest three levels)."""
    found: list[str] = []
    waiting = [] if value is None else [der.read(value)]
    while waiting:
        element = waiting.pop(0)
        if element.tag == _IMPLICIT_URI:
            found.append(element.contents.decode("ascii", "backslashreplace"))
        elif element.tag & 0x20:
            waiting += element.children()
    return found
