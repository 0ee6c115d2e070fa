# SPDX-License-Identifier: Apache-2.0
"""Certificate profiles: what a certificate looks like and who may have it (RFC 3647 section 7.1).

A profile is frozen and checked when it is made; nothing downstream asks again whether it makes sense.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import Final

from privyseal.errors import ProfileInvalid, UnknownVariable
from privyseal.model.entity import VARIABLES, EntityKind
from privyseal.x509 import oids
from privyseal.x509.extensions import KeyUsage
from privyseal.x509.general_names import NameKind
from privyseal.x509.keys import CURVES, LARGEST_RSA_BITS, KeyRules
from privyseal.x509.names import NameTemplate, ValueTemplate

BACKDATE: Final = timedelta(minutes=10)
"""How far NotBefore lies in the past: device clocks run late and Windows rejects at once."""


class Approval(Enum):
    """Whether an authenticated enrollment is granted at once or waits for an operator."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


class AtCaEnd(Enum):
    """What to do when the validity would run past the issuing CA's end. Never silent."""

    REFUSE = "refuse"
    SHORTEN = "shorten"


class ChainShape(Enum):
    """What GetCACert answers (RFC 8894 section 4.2); clients differ in what they can read.

    The CA's certificate is never given as the one to encrypt to: its key would have to decrypt what strangers send.
    """

    RA_THEN_CA = "ra-then-ca"
    RA_AND_FULL_CHAIN = "ra-and-full-chain"
    RA_ONLY = "ra-only"


class RequestedName(Enum):
    """What happens when the request asks for another name than the profile builds."""

    IGNORE = "ignore"
    MUST_MATCH = "must-match"


class NamesFrom(Enum):
    """Where names and SID of an end entity come from when a certificate is drawn, at renewal as well."""

    ENTITY = "entity"
    """What is stored here about the device or user."""
    DIRECTORY = "directory"
    """The account that it is bound to, looked up each time."""


@dataclass(frozen=True, slots=True)
class SanRule:
    """One alternative name of the certificate, built from the end entity."""

    kind: NameKind
    template: ValueTemplate


@dataclass(frozen=True, slots=True)
class ScepRules:
    """How SCEP behaves for this profile."""

    enabled: bool = True
    chain: ChainShape = ChainShape.RA_AND_FULL_CHAIN
    legacy_devices: bool = False
    """Accept SHA-1 and single DES on the way in, for devices that know nothing better."""
    renewal_needs_challenge: bool = False
    """Treat RenewalReq like a fresh request that must bring a fresh challenge (Intune does so)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateProfile:
    """The rules for one kind of certificate. Raises ProfileInvalid when they contradict themselves."""

    name: str
    revision: int = 1
    issuer: str
    entity_kind: EntityKind
    subject: NameTemplate
    san: tuple[SanRule, ...] = ()
    key_rules: KeyRules = field(default_factory=KeyRules)
    key_usage: frozenset[KeyUsage] = frozenset({KeyUsage.DIGITAL_SIGNATURE, KeyUsage.KEY_ENCIPHERMENT})
    ext_key_usage: tuple[str, ...] = (oids.EKU_CLIENT_AUTH,)
    validity: timedelta = timedelta(days=365)
    at_ca_end: AtCaEnd = AtCaEnd.REFUSE
    renew_at_percent: int = 66
    """Share of the lifetime after which renewal opens."""
    sid_extension: bool = False
    sid_uri: bool = False
    approval: Approval = Approval.AUTOMATIC
    requested_name: RequestedName = RequestedName.IGNORE
    names_from: NamesFrom = NamesFrom.ENTITY
    publish_to_directory: bool = False
    """Append each certificate to userCertificate of the account that it was issued for."""
    scep: ScepRules = field(default_factory=ScepRules)

    def __post_init__(self) -> None:
        """Refuse a profile that could never issue, or would issue what relying parties reject."""
        if not self.name or len(self.name) > 64 or not self.name.replace("-", "").isalnum() or not self.name.isascii():
            raise ProfileInvalid(f"profile name {self.name!r} is not 1 to 64 ASCII letters, digits and hyphens")
        self._check_usages()
        self._check_keys()
        self._check_variables()
        if not timedelta(minutes=5) <= self.validity <= timedelta(days=3650):
            raise ProfileInvalid(f"profile {self.name}: validity {self.validity} is outside 5 minutes to 10 years")
        if not 0 <= self.renew_at_percent <= 99:
            raise ProfileInvalid(f"profile {self.name}: renewal at {self.renew_at_percent} % is outside 0 to 99")
        if self.publish_to_directory and self.names_from is not NamesFrom.DIRECTORY:
            raise ProfileInvalid(
                f"profile {self.name} publishes to the directory, but takes its names from what is stored here",
                why="a certificate is published at the account that its names and SID were taken from",
                mend=("take them from the directory as well: --names-from directory",),
            )
        if not self.subject.variables and not any(rule.template.variables for rule in self.san):
            raise ProfileInvalid(
                f"profile {self.name}: neither subject nor SAN holds a variable, so all its certificates "
                "would carry the same name",
                mend=("put the entity into the name: --subject 'CN={{device.name}}'",),
            )

    def _check_usages(self) -> None:
        forbidden = self.key_usage & {KeyUsage.KEY_CERT_SIGN, KeyUsage.CRL_SIGN}
        if forbidden:
            raise ProfileInvalid(f"profile {self.name}: an end entity never signs certificates or CRLs")
        if not self.key_usage:
            raise ProfileInvalid(f"profile {self.name}: at least one key usage is needed")
        if not self.ext_key_usage:
            raise ProfileInvalid(
                f"profile {self.name}: no extended key usage would mean every usage (RFC 5280 section 4.2.1.12)"
            )
        if oids.ANY_EXTENDED_KEY_USAGE in self.ext_key_usage or oids.EKU_OCSP_SIGNING in self.ext_key_usage:
            raise ProfileInvalid(f"profile {self.name}: end entities get neither anyExtendedKeyUsage nor OCSPSigning")

    def _check_keys(self) -> None:
        rules = self.key_rules
        if rules.rsa_maximum and not 2048 <= rules.rsa_minimum <= rules.rsa_maximum <= LARGEST_RSA_BITS:
            raise ProfileInvalid(
                f"profile {self.name}: RSA from {rules.rsa_minimum} to {rules.rsa_maximum} bits is not a range "
                f"within 2048 to {LARGEST_RSA_BITS}; a maximum of 0 accepts no RSA"
            )
        unknown = sorted(rules.curves - CURVES)
        if unknown:
            raise ProfileInvalid(f"profile {self.name}: curve {unknown[0]!r} is not one of {', '.join(sorted(CURVES))}")
        if not (rules.rsa_maximum or rules.curves or rules.ed25519):
            raise ProfileInvalid(f"profile {self.name} accepts no kind of key")

    def _check_variables(self) -> None:
        used = set(self.subject.variables)
        for rule in self.san:
            used |= rule.template.variables
        for variable in sorted(used):
            if variable not in VARIABLES:
                raise UnknownVariable(
                    f"profile {self.name} uses {{{{{variable}}}}}; there are {', '.join(sorted(VARIABLES))}"
                )
            if not variable.startswith(self.entity_kind.value + "."):
                raise ProfileInvalid(
                    f"profile {self.name} is for {self.entity_kind.value}s but uses {{{{{variable}}}}}"
                )
