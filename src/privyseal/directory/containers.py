# SPDX-License-Identifier: Apache-2.0
"""Where Active Directory keeps CA certificates and CRLs: containers, object classes, attributes, limits.

All of them lie below CN=Public Key Services in the configuration partition, which every controller of a forest holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final

from privyseal.directory.changes import Entry
from privyseal.directory.naming import child_dn, sanitized_name
from privyseal.errors import InvalidValue

# The byte that stands where the schema demands a value and there is none. Windows does the same, and skips values of
# one byte when it reads.
PLACEHOLDER: Final = b"\x00"

CERTIFICATE_LIMIT: Final = 32 * 1024
CRL_LIMIT: Final = 10 * 1024 * 1024

CA_CERTIFICATE: Final = "cACertificate"
USER_CERTIFICATE: Final = "userCertificate"
BASE_CRL: Final = "certificateRevocationList"
AUTHORITY_CRL: Final = "authorityRevocationList"
DELTA_CRL: Final = "deltaRevocationList"

CERTIFICATION_AUTHORITY: Final = "certificationAuthority"
ENROLLMENT_SERVICE: Final = "pKIEnrollmentService"
DISTRIBUTION_POINT: Final = "cRLDistributionPoint"


class Target(Enum):
    """What a CA is published as. The first three are certutil's own words."""

    ROOT_CA = "RootCA"
    SUB_CA = "SubCA"
    NTAUTH_CA = "NTAuthCA"
    ENROLLMENT_SERVICES = "EnrollmentServices"

    @classmethod
    def parse(cls, text: str) -> Target:
        """From certutil's word, in any case. Raises InvalidValue."""
        wanted = text.strip().casefold().replace(" ", "").replace("-", "")
        for member in cls:
            if member.value.casefold() == wanted:
                return member
        raise InvalidValue(f"target {text[:80]!r} is not one of {', '.join(member.value for member in cls)}")


class Container(Enum):
    """The children of Public Key Services that matter here; the value is the CN."""

    CERTIFICATION_AUTHORITIES = "Certification Authorities"
    AIA = "AIA"
    CDP = "CDP"
    ENROLLMENT_SERVICES = "Enrollment Services"
    NTAUTH = "NTAuthCertificates"
    """One object, not a container: all certificates are values of its cACertificate."""


TARGET_CONTAINERS: Final[dict[Target, tuple[Container, ...]]] = {
    Target.ROOT_CA: (Container.CERTIFICATION_AUTHORITIES, Container.AIA),
    Target.SUB_CA: (Container.AIA,),
    Target.NTAUTH_CA: (Container.NTAUTH,),
    Target.ENROLLMENT_SERVICES: (Container.ENROLLMENT_SERVICES,),
}

_CRL_ATTRIBUTES: Final = (BASE_CRL, AUTHORITY_CRL, DELTA_CRL)
_SERVICE_ATTRIBUTES: Final = ("dNSHostName", "displayName", "cACertificateDN", "flags", "certificateTemplates")
READ_ATTRIBUTES: Final = ("objectClass", CA_CERTIFICATE, *_CRL_ATTRIBUTES, *_SERVICE_ATTRIBUTES)
"""What plans look at, and what it takes to make an object again."""
STATUS_ATTRIBUTES: Final = (*READ_ATTRIBUTES, "cn", "uSNChanged", "whenChanged")


def public_key_services(configuration_nc: str) -> str:
    """CN=Public Key Services of the forest. Raises InvalidValue when there is no configuration partition."""
    if not configuration_nc.casefold().startswith("cn=configuration,"):
        raise InvalidValue(
            f"{configuration_nc[:200]!r} is not a configuration partition; one begins with CN=Configuration",
            why="the server's rootDSE names none, so it is not an Active Directory domain controller",
        )
    return f"CN=Public Key Services,CN=Services,{configuration_nc}"


def container_dn(container: Container, configuration_nc: str) -> str:
    """The DN of a container, or of NTAuthCertificates itself."""
    return child_dn(container.value, public_key_services(configuration_nc))


def object_dns(target: Target, common_name: str, *, configuration_nc: str) -> tuple[str, ...]:
    """The DNs of the objects that hold a CA of this common name, in the order in which they are written."""
    places = [(container, container_dn(container, configuration_nc)) for container in TARGET_CONTAINERS[target]]
    name = sanitized_name(common_name)
    return tuple(place if container is Container.NTAUTH else child_dn(name, place) for container, place in places)


def present(values: Iterable[bytes]) -> tuple[bytes, ...]:
    """The values without placeholders: those of at most one byte hold nothing."""
    return tuple(value for value in values if len(value) > 1)


def values_of(entry: Entry | None, attribute: str) -> tuple[bytes, ...]:
    """All values of an attribute, placeholders among them; none when there is no object."""
    return () if entry is None else entry.attributes.get(attribute.lower(), ())


def certificates_of(entry: Entry | None) -> tuple[bytes, ...]:
    """The values of cACertificate that are certificates."""
    return present(values_of(entry, CA_CERTIFICATE))


def placeholder_in(values: Iterable[bytes]) -> bytes | None:
    """The placeholder among these values, if there is one."""
    return next((value for value in values if len(value) <= 1), None)
