# SPDX-License-Identifier: Apache-2.0
"""An end entity's certificate, drawn from profile, verified end entity and public key. Nothing else.

The request contributes its key and, at most, the wish for a shorter validity.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

from privyseal.ca.issuance import LintedTbs, new_serial, prepare_certificate
from privyseal.ca.issuer import Issuer
from privyseal.ca.ports import Rng
from privyseal.errors import EkuNotNested, ValidityNotNested
from privyseal.model.entity import EndEntity
from privyseal.model.profile import BACKDATE, AtCaEnd, CertificateProfile
from privyseal.x509 import der, extensions, oids
from privyseal.x509.algorithms import PublicKey
from privyseal.x509.extensions import KeyUsage
from privyseal.x509.general_names import GeneralName, NameKind
from privyseal.x509.names import DistinguishedName
from privyseal.x509.sid import Sid
from privyseal.x509.tbs import CertificateContent

_BASIC_CONSTRAINTS: Final = extensions.basic_constraints(False)
_ENCIPHERMENT: Final = frozenset({KeyUsage.KEY_ENCIPHERMENT, KeyUsage.DATA_ENCIPHERMENT})


@dataclass(frozen=True, slots=True)
class DrawnCertificate:
    """A certificate that passed its lints, and what is to be said about it."""

    linted: LintedTbs
    subject: str
    san: str
    not_after: datetime
    remark: str
    sid: str = ""


@dataclass(frozen=True, slots=True)
class EntityNames:
    """The names that a profile builds for one end entity."""

    subject: DistinguishedName
    san: tuple[GeneralName, ...]
    sid: Sid | None


class CertificateForm:
    """One profile under one issuing CA, with what never changes encoded once. Raises EkuNotNested."""

    def __init__(self, profile: CertificateProfile, issuer: Issuer) -> None:
        self.profile = profile
        self.issuer = issuer
        allowed = issuer.view.ext_key_usage
        beyond = [] if allowed is None else [dotted for dotted in profile.ext_key_usage if dotted not in allowed]
        if beyond:
            permitted = ", ".join(map(extensions.ext_key_usage_label, sorted(allowed or ())))
            raise EkuNotNested(
                f"profile {profile.name} wants {', '.join(map(extensions.ext_key_usage_label, beyond))}, "
                f"CA {issuer.record.name} allows {permitted}"
            )
        self._purposes = extensions.ext_key_usage(profile.ext_key_usage)
        self._purposes_value = _value(self._purposes)
        usages = profile.key_usage
        self._usage_rsa = extensions.key_usage(usages)
        # Only RSA can encipher: the profile's encipherment is left out for other keys (RFC 8813, RFC 8410).
        self._usage_other = extensions.key_usage(usages - _ENCIPHERMENT or {KeyUsage.DIGITAL_SIGNATURE})
        self._usage_values = {usage: _value(usage) for usage in (self._usage_rsa, self._usage_other)}

    def names(self, entity: EndEntity) -> EntityNames:
        """Subject, SAN and SID for this entity. Raises VariableWithoutValue, InvalidName, InvalidSid."""
        profile = self.profile
        subject = profile.subject.fill(entity.value)
        san = [GeneralName(rule.kind, rule.template.fill(entity.value)) for rule in profile.san]
        sid = None
        if profile.sid_extension or profile.sid_uri:
            sid = Sid.parse(entity.value(f"{entity.kind.value}.sid"))
        if profile.sid_uri and sid is not None:
            san.append(GeneralName(NameKind.URI, sid.uri))
        return EntityNames(subject, tuple(san), sid if profile.sid_extension else None)

    def draw(
        self,
        entity: EndEntity,
        *,
        public_key: PublicKey,
        spki: bytes,
        now: datetime,
        rng: Rng,
        wish: timedelta | None = None,
    ) -> DrawnCertificate:
        """Build and lint the certificate. Raises VariableWithoutValue, ValidityNotNested, LintFailed, ..."""
        issuer, names = self.issuer, self.names(entity)
        not_before, not_after, remark = self._validity(now, wish)
        subject = names.subject.to_der()
        usage = self._usage_rsa if isinstance(public_key, rsa.RSAPublicKey) else self._usage_other
        serial = new_serial(now, rng)
        parts = [
            _BASIC_CONSTRAINTS,
            usage,
            self._purposes,
            extensions.subject_key_identifier(extensions.key_identifier(spki)),
            *issuer.pointers(serial),
        ]
        sid_value = names.sid.extension_value() if names.sid else None
        exact: dict[str, bytes | None] = {
            oids.EXT_KEY_USAGE: self._purposes_value,
            oids.KEY_USAGE: self._usage_values[usage],
            oids.NTDS_CA_SECURITY_EXT: sid_value,
        }
        if names.san:
            san = extensions.subject_alternative_name(names.san, critical=not names.subject.rdns)
            parts.append(san)
        if sid_value is not None:
            parts.append(extensions.sid_extension(sid_value))
        content = CertificateContent(
            serial=serial,
            algorithm=issuer.algorithm.identifier,
            issuer=issuer.view.subject,
            not_before=not_before,
            not_after=not_after,
            subject=subject,
            spki=spki,
            extensions=tuple(parts),
        )
        rules = issuer.rules(spki=spki, subject=subject, ca=False, exact=exact)
        linted = prepare_certificate(content, rules, algorithm=issuer.algorithm, issuer_id=issuer.id)
        shown = ", ".join(f"{name.kind.value}:{name.value}" for name in names.san)
        sid = names.sid.text if names.sid else ""
        return DrawnCertificate(linted, names.subject.to_text(), shown, not_after, remark, sid)

    def _validity(self, now: datetime, wish: timedelta | None) -> tuple[datetime, datetime, str]:
        profile, issuer, remark = self.profile, self.issuer, ""
        start = now.replace(microsecond=0)
        span = profile.validity
        if wish is not None and timedelta(minutes=5) <= wish < span:
            remark = f"validity {wish} as requested, shorter than the profile's {span}"
            span = wish
        not_after = start + span
        latest = issuer.leaf_end
        if not_after > latest:
            refused = profile.at_ca_end is AtCaEnd.REFUSE and latest == issuer.view.not_after
            if refused or latest - start < timedelta(minutes=5):
                raise ValidityNotNested(
                    f"profile {profile.name}: a certificate until {not_after:%Y-%m-%dT%H:%M:%SZ} would outlive CA "
                    f"{issuer.record.name}, which ends {latest:%Y-%m-%dT%H:%M:%SZ}"
                )
            remark = f"validity shortened to {latest:%Y-%m-%dT%H:%M:%SZ}, the end of CA {issuer.record.name}"
            not_after = latest
        return max(start - BACKDATE, issuer.view.not_before), not_after, remark


def _value(encoded: bytes) -> bytes:
    """The extnValue octets of an encoded Extension, which stand last in it."""
    return list(der.read(encoded).children())[-1].contents
