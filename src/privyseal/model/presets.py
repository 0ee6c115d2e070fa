# SPDX-License-Identifier: Apache-2.0
"""Profiles ready for use, as the plain data of ``profile_text``: what Windows, Samba, NPS and VPN servers demand.

Logon, Wi-Fi and VPN look for a name that finds the account and for its SID; both come from the directory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from privyseal.errors import ProfileInvalid
from privyseal.x509.general_names import GeneralName, NameKind

# MIT and Heimdal fail with EC keys in PKINIT, and so do smart-card log-ons of older Windows: RSA only.
_RSA_ONLY: Final = {"rsa_minimum": 2048, "curves": [], "ed25519": False}
_SIGNATURE: Final = ["digital-signature"]
_SIGNATURE_AND_KEY: Final = ["digital-signature", "key-encipherment"]


def _user_logon(_: str, __: str) -> dict[str, Any]:
    """PKINIT and smart-card log-on (MS-PKCA 3.1.5.1): UPN, SID, and both purposes that KDCs look for."""
    return {
        "for": "user",
        "subject": "CN={{user.name}}",
        "san": ["upn:{{user.principal_name}}"],
        "key": _RSA_ONLY,
        "key_usage": _SIGNATURE,
        "ext_key_usage": ["client-auth", "smartcard-logon"],
        "sid_extension": True,
        "names_from": "directory",
    }


def _user_wifi(_: str, __: str) -> dict[str, Any]:
    """EAP-TLS for users: NPS finds the account by the UPN and confirms it by the SID."""
    return {
        "for": "user",
        "subject": "CN={{user.name}}",
        "san": ["upn:{{user.principal_name}}"],
        "key_usage": _SIGNATURE_AND_KEY,
        "ext_key_usage": ["client-auth"],
        "sid_extension": True,
        "names_from": "directory",
    }


def _computer_wifi(_: str, __: str) -> dict[str, Any]:
    """EAP-TLS and PKINIT for computers: Windows finds the account by the DNS name, Samba by the UPN."""
    return {
        "for": "device",
        "subject": "CN={{device.dns_name}}",
        "san": ["dns:{{device.dns_name}}", "upn:{{device.principal_name}}"],
        "key_usage": _SIGNATURE_AND_KEY,
        "ext_key_usage": ["client-auth"],
        "sid_extension": True,
        "names_from": "directory",
    }


def _domain_controller(domain: str, netbios: str) -> dict[str, Any]:
    """A KDC's certificate: its name, its domain's two names, and the KPN that Linux clients ask for.

    Named from what is stored here: the way to a directory may rest on this very certificate.
    """
    realm = domain.upper()
    return {
        "for": "device",
        "subject": "CN={{device.dns_name}}",
        "san": ["dns:{{device.dns_name}}", f"dns:{domain}", f"dns:{netbios}", f"kpn:krbtgt/{realm}@{realm}"],
        "key": _RSA_ONLY,
        "key_usage": _SIGNATURE_AND_KEY,
        "ext_key_usage": ["kdc", "server-auth", "client-auth", "smartcard-logon"],
    }


def _radius_server(_: str, __: str) -> dict[str, Any]:
    """NPS and FreeRADIUS: clients want a subject that is not empty, and the DNS name they were told to trust."""
    return {
        "for": "device",
        "subject": "CN={{device.dns_name}}",
        "san": ["dns:{{device.dns_name}}"],
        "key_usage": _SIGNATURE_AND_KEY,
        "ext_key_usage": ["server-auth"],
    }


def _vpn_server(domain: str, netbios: str) -> dict[str, Any]:
    """Like a RADIUS server's; IKE clients of Windows and macOS look for the intermediate purpose as well."""
    return {**_radius_server(domain, netbios), "ext_key_usage": ["server-auth", "ike-intermediate"]}


_PRESETS: Final[Mapping[str, Callable[[str, str], dict[str, Any]]]] = MappingProxyType(
    {
        "user-logon": _user_logon,
        "user-wifi": _user_wifi,
        "computer-wifi": _computer_wifi,
        "domain-controller": _domain_controller,
        "radius-server": _radius_server,
        "vpn-server": _vpn_server,
    }
)
PRESET_NAMES: Final = tuple(_PRESETS)


def preset(name: str, *, domain: str | None = None, netbios: str | None = None) -> dict[str, Any]:
    """The fields of a ready profile. ``domain`` and ``netbios`` belong to ``domain-controller``, which needs the first.

    Raises ProfileInvalid, and InvalidName for a domain that is no DNS name.
    """
    if name not in _PRESETS:
        raise ProfileInvalid(f"there is no preset {name!r}; there are {', '.join(PRESET_NAMES)}")
    if name != "domain-controller":
        if domain is not None or netbios is not None:
            raise ProfileInvalid(f"preset {name} takes no domain: its names are those of the account or device")
        return _PRESETS[name]("", "")
    if domain is None:
        raise ProfileInvalid(
            "preset domain-controller needs the domain that the controller serves",
            mend=("say it: --domain contoso.com --netbios CONTOSO",),
        )
    short = netbios or domain.partition(".")[0].upper()
    for given in (domain, short):
        GeneralName(NameKind.DNS, given).to_der()
    if len(short) > 15 or "." in short:
        raise ProfileInvalid(f"NetBIOS domain name {short!r} is not 1 to 15 characters without a dot")
    return _PRESETS[name](domain.lower(), short)
