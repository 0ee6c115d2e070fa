# SPDX-License-Identifier: Apache-2.0
"""``privyseal profile``: options become the plain data of ``model.profile_text``; that module judges them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import Any

import click
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from privyseal.bootstrap import Application
from privyseal.cli.acts import submit
from privyseal.cli.inspecting import certificate_parts
from privyseal.cli.output import moment, show_item, show_list
from privyseal.cli.remote import get_profile, list_profiles
from privyseal.cli.session import Session
from privyseal.cli.values import EXT_KEY_USAGE_HELP, read_given
from privyseal.cli.verb import verb
from privyseal.errors import InvalidValue, ProfileInvalid
from privyseal.model.authority import CaKind, CaState
from privyseal.model.entity import VARIABLES, EntityKind
from privyseal.model.presets import PRESET_NAMES, preset
from privyseal.model.profile import (
    Approval,
    AtCaEnd,
    CertificateProfile,
    ChainShape,
    NamesFrom,
    RequestedName,
    ScepRules,
)
from privyseal.model.profile_text import profile_from_data, profile_to_data
from privyseal.x509.certificate import read_certificate
from privyseal.x509.extensions import KeyUsage
from privyseal.x509.keys import KeyRules, PublicKey, describe_key
from privyseal.x509.spki import encode_public_key
from privyseal.x509.tbs import assemble

_CURVES: Mapping[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
_CHAIN = ScepRules().chain.value
_KEY_USAGES = ", ".join(usage.label for usage in KeyUsage if usage not in (KeyUsage.KEY_CERT_SIGN, KeyUsage.CRL_SIGN))


def _choice(kind: Any) -> click.Choice[str]:
    return click.Choice([member.value for member in kind])


@verb(
    "create",
    notes=("Variables", ", ".join(f"{{{{{name}}}}}" for name in sorted(VARIABLES))),
    examples=(
        "profile create wifi-device --issuer contoso-issuing --san 'dns:{{device.dns_name}}'",
        "profile create logon --for user --subject 'CN={{user.display_name}}' "
        "--san 'upn:{{user.principal_name}}' --eku client-auth --eku smartcard-logon --sid-extension",
        "profile create user-logon --preset user-logon",
        "profile create kdc --preset domain-controller --domain contoso.com --netbios CONTOSO",
        "profile create short --validity 30d --renew-at 50 --approval manual",
        "profile create wifi-device --from wifi-device.json --replace",
    ),
)
@click.argument("name")
@click.option("--from", "source", metavar="FILE", help="TOML or JSON as `profile get -o json` prints it; - is stdin.")
@click.option("--preset", "ready", type=click.Choice(PRESET_NAMES), help="Begin with a profile that is ready for use.")
@click.option("--domain", metavar="NAME", help="DNS name of the domain, for the preset domain-controller.")
@click.option("--netbios", metavar="NAME", help="Its short name. Default: the domain's first label, in capitals.")
@click.option("--issuer", metavar="CA", help="Default: the one active issuing CA.")
@click.option("--for", "kind", type=_choice(EntityKind), help="Default: device.")
@click.option("--subject", metavar="TEMPLATE", help="RFC 4514 name with variables. Default: CN={{device.name}}.")
@click.option(
    "--san", multiple=True, metavar="KIND:TEMPLATE", help="KIND is dns, email, uri, ip, upn or kpn. Repeatable."
)
@click.option("--key-usage", multiple=True, metavar="USAGE", help=f"One of {_KEY_USAGES}. Repeatable.")
@click.option("--eku", "ext_key_usage", multiple=True, metavar="PURPOSE", help=f"{EXT_KEY_USAGE_HELP} Repeatable.")
@click.option("--validity", metavar="DURATION", help="Such as 12h, 90d, 1y. Default: 365d.")
@click.option("--renew-at", metavar="PERCENT", help="Share of the lifetime after which renewal opens. Default: 66.")
@click.option("--rsa-minimum", type=int, metavar="BITS", help="Default: 2048.")
@click.option("--rsa-maximum", type=int, metavar="BITS", help="Default: 4096; 0 refuses RSA.")
@click.option("--curve", "curves", multiple=True, metavar="CURVE", help="P-256, P-384 or P-521. Default: all.")
@click.option("--ed25519/--no-ed25519", default=None, help="Default: accepted.")
@click.option("--sid-extension/--no-sid-extension", default=None, help="Write the SID for strong mapping (KB5014754).")
@click.option("--sid-uri/--no-sid-uri", default=None, help="Write the SID as a URI name as well.")
@click.option("--approval", type=_choice(Approval), help="manual: an operator decides. Default: automatic.")
@click.option("--validity-at-ca-end", "at_ca_end", type=_choice(AtCaEnd), help="Default: refuse.")
@click.option("--requested-name", type=_choice(RequestedName), help="Whether the request's name counts.")
@click.option(
    "--names-from", type=_choice(NamesFrom), help="directory: look the account up each time. Default: entity."
)
@click.option(
    "--publish-to-directory/--no-publish-to-directory", default=None, help="Append to userCertificate of the account."
)
@click.option("--scep/--no-scep", "scep_enabled", default=None, help="Whether SCEP serves it. Default: yes.")
@click.option("--chain", type=_choice(ChainShape), help=f"What GetCACert answers. Default: {_CHAIN}.")
@click.option("--legacy-devices/--no-legacy-devices", default=None, help="Accept SHA-1 and DES from old devices.")
@click.option("--renewal-needs-challenge/--no-renewal-needs-challenge", default=None, help="As Intune does it.")
@click.option("--replace", "replace_existing", is_flag=True, help="Store it as the next revision of this profile.")
def create(
    session: Session, name: str, source: str | None, ready: str | None, replace_existing: bool, **options: Any
) -> None:
    """Make a profile: what its certificates look like, who may have them, and what SCEP accepts.

    Names are built from what is known of the device or user, never from the request. A variable without
    a value refuses the enrollment and is named. With --replace the profile is described anew: options
    that are left out take their defaults.
    """
    with session.application() as application:
        data = _begin(source, ready, domain=options["domain"], netbios=options["netbios"])
        data.update(_given(options), name=name)
        for table, fields in _TABLES.items():
            inner = {field: options[option] for field, option in fields.items() if options[option] not in (None, ())}
            if inner:
                data[table] = {**data.get(table, {}), **inner}
        if "issuer" not in data:
            data["issuer"] = _only_issuer(application)
        data.setdefault("subject", f"CN={{{{{data.get('for', 'device')}.name}}}}")
        profile = profile_from_data(data)
        # The act builds it once, so that a purpose which the CA does not allow is refused here and not at a device.
        submit(session, application, "profile.save", {"profile": profile_to_data(profile), "replace": replace_existing})
        stored = application.profiles.get(profile.name)
        show_item(session, profile_item(application, stored))
        kind = stored.entity_kind.value
        session.done(
            f"stored profile {stored.name} revision {stored.revision}",
            after=f"privyseal profile preview {stored.name} --{kind} NAME",
        )


_TABLES = {
    "key": {"rsa_minimum": "rsa_minimum", "rsa_maximum": "rsa_maximum", "curves": "curves", "ed25519": "ed25519"},
    "scep": {
        "enabled": "scep_enabled",
        "chain": "chain",
        "legacy_devices": "legacy_devices",
        "renewal_needs_challenge": "renewal_needs_challenge",
    },
}
_DIRECT = (
    "issuer subject san key_usage ext_key_usage validity sid_extension sid_uri approval at_ca_end requested_name "
    "names_from publish_to_directory"
).split()


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    data = {field: options[field] for field in _DIRECT if options[field] not in (None, ())}
    if options["kind"] is not None:
        data["for"] = options["kind"]
    if options["renew_at"] is not None:
        text = str(options["renew_at"]).rstrip("%")
        if not text.isdecimal():
            raise InvalidValue(f"--renew-at {options['renew_at']!r} is not a percentage such as 66")
        data["renew_at_percent"] = int(text)
    return data


def _begin(source: str | None, ready: str | None, *, domain: str | None, netbios: str | None) -> dict[str, Any]:
    if ready is None:
        if domain is not None or netbios is not None:
            raise click.UsageError("--domain and --netbios belong to --preset domain-controller")
        return {} if source is None else _read_source(source)
    if source is not None:
        raise click.UsageError("say either --from FILE or --preset NAME", click.get_current_context())
    return preset(ready, domain=domain, netbios=netbios)


def _read_source(source: str) -> dict[str, Any]:
    text = read_given(source)
    try:
        data = json.loads(text) if text.lstrip()[:1] == b"{" else tomllib.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ProfileInvalid(f"{source} is neither JSON nor TOML: {error}") from error
    data.pop("scep_url", None)  # `profile get` adds it; it follows from the name
    return dict(data)


def _only_issuer(application: Application) -> str:
    names = {
        record.name
        for record in application.authorities.all()
        if record.kind is CaKind.ISSUING and record.state is CaState.ACTIVE
    }
    if len(names) != 1:
        listed = ", ".join(sorted(names)) or "none yet; make one with `privyseal ca create NAME --parent ROOT`"
        raise click.UsageError(f"say --issuer CA; active issuing CAs: {listed}", click.get_current_context())
    return names.pop()


@verb("list", examples=("profile list", "profile list -o json"))
def list_all(session: Session) -> None:
    """List the profiles, each in its newest revision. Speaks to a server when one is in use."""
    if session.remote() is not None:
        list_profiles(session)
        return
    with session.application() as application:
        items = [profile_item(application, profile) for profile in application.profiles.all()]
        show_list(session, items, ("name", "revision", "for", "issuer", "subject", "validity", "approval"))


@verb("get", examples=("profile get wifi-device", "profile get wifi-device -o json"))
@click.argument("name")
def get(session: Session, name: str) -> None:
    """Show one profile in its newest revision. The JSON form can be edited and given to `profile create --from`.

    Speaks to a server when one is in use.
    """
    if session.remote() is not None:
        get_profile(session, name)
        return
    with session.application() as application:
        show_item(session, profile_item(application, application.profiles.get(name)))


def profile_item(application: Application, profile: CertificateProfile) -> dict[str, Any]:
    """A profile with stable field names, and where SCEP serves it."""
    data = profile_to_data(profile)
    data["scep_url"] = f"{application.settings.public_url}/scep/{profile.name}" if profile.scep.enabled else None
    return data


@verb(
    "preview",
    examples=("profile preview wifi-device --device LAPTOP-042", "profile preview logon --user ada -o json"),
)
@click.argument("name")
@click.option("--device", metavar="NAME", help="Draw it for this device.")
@click.option("--user", metavar="NAME", help="Draw it for this user.")
def preview(session: Session, name: str, device: str | None, user: str | None) -> None:
    """Draw the certificate that a device or user would get, with a throw-away key.

    Nothing is signed or stored. What would be refused at enrollment is refused here, with the same error.
    """
    with session.application() as application:
        entity = application.entities.named(*chosen_entity(device, user))
        form = application.catalog.form(name)
        now = application.clock.now()
        form.issuer.require_active(now)
        key = _throw_away_key(form.profile.key_rules)
        drawn = form.draw(entity, public_key=key, spki=encode_public_key(key), now=now, rng=application.rng)
        # Nothing is signed: the missing signature stands in as an empty one, so that one reader serves both.
        view = read_certificate(assemble(drawn.linted.tbs, drawn.linted.algorithm.identifier, b""))
        show_item(
            session,
            {
                "profile": form.profile.name,
                "revision": form.profile.revision,
                entity.kind.value: entity.name,
                "issuer": form.issuer.record.name,
                "subject": drawn.subject,
                "not_before": moment(view.not_before),
                "not_after": moment(view.not_after),
                "remark": drawn.remark or None,
                "key": f"{describe_key(key)} (throw-away)",
                **certificate_parts(view),
            },
        )
        session.say("a preview with a throw-away key: nothing was signed or stored")


def _throw_away_key(rules: KeyRules) -> PublicKey:
    """A key that the profile accepts, RSA where it does: key usage differs between the kinds."""
    if rules.rsa_maximum:
        return rsa.generate_private_key(public_exponent=65537, key_size=rules.rsa_minimum).public_key()
    if rules.curves:
        return ec.generate_private_key(_CURVES[min(rules.curves)]).public_key()
    return ed25519.Ed25519PrivateKey.generate().public_key()


def chosen_entity(device: str | None, user: str | None) -> tuple[EntityKind, str]:
    """The one that was named of the two."""
    if device is not None and user is None:
        return EntityKind.DEVICE, device
    if user is not None and device is None:
        return EntityKind.USER, user
    raise click.UsageError("say either --device NAME or --user NAME", click.get_current_context())
