# SPDX-License-Identifier: Apache-2.0
"""The signed attributes of SCEP (RFC 8894 3.2.1), read and written. Unknown attributes are passed over."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from privyseal.errors import MalformedMessage
from privyseal.protocols.cms_read import Attribute
from privyseal.protocols.cms_write import attribute, primitive_attribute
from privyseal.protocols.scep.messages import FailInfo, MessageType, PkiStatus
from privyseal.x509 import der, oids

MAX_TRANSACTION_ID: Final = 255
MIN_NONCE, MAX_NONCE = 8, 64

_T61_STRING, _VISIBLE_STRING = 0x14, 0x1A
_TEXT_TAGS: Final = (der.PRINTABLE_STRING, der.UTF8_STRING, der.IA5_STRING, _T61_STRING, _VISIBLE_STRING)
_MESSAGE_TYPE: Final = der.oid(oids.SCEP_MESSAGE_TYPE)[2:]
_PKI_STATUS: Final = der.oid(oids.SCEP_PKI_STATUS)[2:]
_FAIL_INFO: Final = der.oid(oids.SCEP_FAIL_INFO)[2:]
_FAIL_INFO_TEXT: Final = der.oid(oids.SCEP_FAIL_INFO_TEXT)[2:]
_SENDER_NONCE: Final = der.oid(oids.SCEP_SENDER_NONCE)[2:]
_RECIPIENT_NONCE: Final = der.oid(oids.SCEP_RECIPIENT_NONCE)[2:]
_TRANSACTION_ID: Final = der.oid(oids.SCEP_TRANSACTION_ID)[2:]

Attributes = Mapping[bytes, Attribute]


def transaction_id(attributes: Attributes) -> str:
    """As sent; some clients use characters beyond PrintableString (base64, UUIDs). Raises MalformedMessage."""
    text = _text(attributes, _TRANSACTION_ID, "transactionID")
    if len(text) > MAX_TRANSACTION_ID:
        raise MalformedMessage(f"transactionID has {len(text)} characters; the limit is {MAX_TRANSACTION_ID}")
    return text


def message_type(attributes: Attributes) -> int:
    """The number of the message type, known or not. Raises MalformedMessage."""
    return _number(attributes, _MESSAGE_TYPE, "messageType")


def sender_nonce(attributes: Attributes) -> bytes:
    """Must be there; 16 octets by the standard, 8 to 64 by us. Raises MalformedMessage."""
    return _nonce(attributes, _SENDER_NONCE, "senderNonce")


def recipient_nonce(attributes: Attributes) -> bytes:
    """Of a reply. Raises MalformedMessage."""
    return _nonce(attributes, _RECIPIENT_NONCE, "recipientNonce")


def pki_status(attributes: Attributes) -> int:
    """Of a reply. Raises MalformedMessage."""
    return _number(attributes, _PKI_STATUS, "pkiStatus")


def fail_info(attributes: Attributes) -> int:
    """Of a failed reply. Raises MalformedMessage."""
    return _number(attributes, _FAIL_INFO, "failInfo")


def fail_info_text(attributes: Attributes) -> str:
    """Of a failed reply; empty when there is none or it is no text."""
    found = attributes.get(_FAIL_INFO_TEXT)
    return found.value[:MAX_TRANSACTION_ID].decode("utf-8", "replace") if found else ""


def _text(attributes: Attributes, name: bytes, what: str) -> str:
    found = attributes.get(name)
    if found is None or found.tag not in _TEXT_TAGS:
        raise MalformedMessage(f"the signed attribute {what} is missing or is no text (RFC 8894 3.2.1)")
    text = found.value.decode("ascii", "replace")
    if not text or not text.isascii() or not text.isprintable():
        raise MalformedMessage(f"the signed attribute {what} is empty or holds characters that are not printable")
    return text


def _number(attributes: Attributes, name: bytes, what: str) -> int:
    text = _text(attributes, name, what)
    if not text.isdecimal() or len(text) > 3:
        raise MalformedMessage(f"the signed attribute {what} is not a small decimal number")
    return int(text)


def _nonce(attributes: Attributes, name: bytes, what: str) -> bytes:
    found = attributes.get(name)
    if found is None or found.tag != der.OCTET_STRING:
        raise MalformedMessage(f"the signed attribute {what} is missing or is no OCTET STRING (RFC 8894 3.2.1.5)")
    if not MIN_NONCE <= len(found.value) <= MAX_NONCE:
        raise MalformedMessage(f"{what} has {len(found.value)} octets; {MIN_NONCE} to {MAX_NONCE} are allowed")
    return found.value


def _printable(value: str) -> bytes:
    return der.tlv(der.PRINTABLE_STRING, value.encode("ascii"))


@lru_cache(maxsize=16)
def message_type_attribute(value: MessageType) -> bytes:
    """messageType, a decimal number as PrintableString."""
    return attribute(oids.SCEP_MESSAGE_TYPE, _printable(str(value.value)))


@lru_cache(maxsize=16)
def pki_status_attribute(value: PkiStatus) -> bytes:
    """pkiStatus."""
    return attribute(oids.SCEP_PKI_STATUS, _printable(str(value.value)))


@lru_cache(maxsize=16)
def fail_info_attribute(value: FailInfo) -> bytes:
    """failInfo."""
    return attribute(oids.SCEP_FAIL_INFO, _printable(str(value.value)))


def fail_info_text_attribute(value: str) -> bytes:
    """failInfoText, UTF8String."""
    return attribute(oids.SCEP_FAIL_INFO_TEXT, der.tlv(der.UTF8_STRING, value.encode()))


def transaction_id_attribute(value: str) -> bytes:
    """transactionID; always PrintableString, whatever its characters: clients compare octets and expect that tag."""
    return primitive_attribute(oids.SCEP_TRANSACTION_ID, der.PRINTABLE_STRING, value.encode("ascii"))


def sender_nonce_attribute(value: bytes) -> bytes:
    """senderNonce."""
    return primitive_attribute(oids.SCEP_SENDER_NONCE, der.OCTET_STRING, value)


def recipient_nonce_attribute(value: bytes) -> bytes:
    """recipientNonce: the senderNonce of the request."""
    return primitive_attribute(oids.SCEP_RECIPIENT_NONCE, der.OCTET_STRING, value)
