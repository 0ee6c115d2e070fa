# SPDX-License-Identifier: Apache-2.0
"""KRB5PrincipalName (RFC 4556 3.2.2), the alternative name by which Kerberos clients know a KDC. Text is
``krbtgt/REALM@REALM``; a name whose octets we would not write ourselves is not read.
"""

from __future__ import annotations

import re
from typing import Final

from privyseal.errors import InvalidName, MalformedDer
from privyseal.x509 import der

_GENERAL_STRING: Final = 0x1B
_NT_PRINCIPAL, _NT_SRV_INST = 1, 2  # RFC 4120 6.2
_MAX_TEXT: Final = 512
# RFC 4120 5.2.1 keeps to ASCII; backslash, slash and at sign would need Kerberos' own escapes, which nobody uses.
_PART: Final = r"[!-.0-?A-\[\]-~]+"
_PRINCIPAL: Final = re.compile(rf"(?P<components>{_PART}(?:/{_PART}){{0,7}})@(?P<realm>{_PART})")


def encode_principal(text: str) -> bytes:
    """DER KRB5PrincipalName. Raises InvalidName."""
    found = _PRINCIPAL.fullmatch(text) if len(text) <= _MAX_TEXT else None
    if found is None:
        raise InvalidName(f"{text[:300]!r} is not a Kerberos principal such as krbtgt/CONTOSO.COM@CONTOSO.COM")
    components = found["components"].split("/")
    kind = _NT_PRINCIPAL if len(components) == 1 else _NT_SRV_INST
    name = der.sequence(
        der.explicit(0, der.integer(kind)),
        der.explicit(1, der.sequence(*(_general_string(component) for component in components))),
    )
    return der.sequence(der.explicit(0, _general_string(found["realm"])), der.explicit(1, name))


def decode_principal(encoded: bytes) -> str | None:
    """The text of a KRB5PrincipalName, or None when it is not exactly what ``encode_principal`` writes."""
    try:
        realm, name = der.read_only(encoded, der.SEQUENCE, "KRB5PrincipalName").children()
        components = list(_inner(list(_inner(name).children())[1]).children())
        text = "/".join(_text(component.contents) for component in components) + "@" + _text(_inner(realm).contents)
        return text if encode_principal(text) == encoded else None
    except (MalformedDer, InvalidName, UnicodeDecodeError, ValueError, IndexError):
        return None


def _general_string(text: str) -> bytes:
    return der.tlv(_GENERAL_STRING, text.encode("ascii"))


def _inner(explicit: der.Element) -> der.Element:
    (inner,) = explicit.children()
    return inner


def _text(contents: bytes) -> str:
    return contents.decode("ascii")
