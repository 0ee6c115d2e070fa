# SPDX-License-Identifier: Apache-2.0
"""``privyseal radius config``: writes the files of a RADIUS server into a new directory. Nothing is overwritten."""

from __future__ import annotations

import base64
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from privyseal.adapters.radius_config import (
    CRLS,
    REFRESH,
    SERVER_CERTIFICATE,
    SERVER_KEY,
    RadiusClient,
    RadiusSite,
    Revocation,
    render_freeradius,
)
from privyseal.bootstrap import Application
from privyseal.ca.issuer import Issuer
from privyseal.cli.output import pem, show_item
from privyseal.cli.radius_directory import account_rule
from privyseal.cli.radius_files import load_pair, read_secret
from privyseal.cli.session import Session
from privyseal.cli.verb import verb
from privyseal.errors import InvalidValue, NameTaken, NotFound
from privyseal.model.authority import CaKind, CaState

_SECRET_OCTETS: Final = 20
_DEBIAN_USER: Final = "freerad"


@verb(
    "freeradius",
    examples=(
        "radius config freeradius --out ./radius --server-certificate radius1.pem --server-key radius1.key "
        "--client ap1=10.0.0.11",
        "radius config freeradius --out ./radius --server-certificate radius1.pem --server-key radius1.key "
        "--client campus=10.0.0.0/16 --revocation both --directory contoso --directory-user radius@contoso.com "
        "--directory-password-file ./radius.password --group 'CN=wifi-users,CN=Users,DC=contoso,DC=com'",
        "radius config freeradius --out ./radius --server-certificate radius1.pem --server-key radius1.key "
        "--client ap1=10.0.0.11 --directory-uri ldaps://dc1.contoso.com --directory-base DC=contoso,DC=com "
        "--directory-user radius@contoso.com --directory-password-file ./radius.password",
    ),
)
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="New directory.")
@click.option("--installed-at", metavar="DIR", help="Where it will stand on the RADIUS server. Default: --out.")
@click.option("--server-certificate", required=True, metavar="FILE", help="The RADIUS server's certificate.")
@click.option("--server-key", required=True, metavar="FILE", help="Its private key; a copy goes into DIR.")
@click.option("--ca", "cas", multiple=True, metavar="CA", help="Whose certificates are let in. Default: issuing CAs.")
@click.option("--client", "clients", multiple=True, required=True, metavar="NAME=NETWORK", help="Access point. Repeat.")
@click.option("--secret-file", metavar="FILE", help="Shared secret of all clients. Default: one made for each.")
@click.option("--revocation", type=click.Choice([way.value for way in Revocation]), default="ocsp", show_default=True)
@click.option("--address", default="*", show_default=True, help="Where it listens.")
@click.option("--port", type=click.IntRange(1, 65535), default=1812, show_default=True, help="UDP.")
@click.option("--libraries", default="/usr/lib/freeradius", show_default=True, metavar="DIR", help="Its modules.")
@click.option("--directory", metavar="NAME", help="A directory that is known here: addresses, base, account and CA.")
@click.option(
    "--directory-uri", "uris", multiple=True, metavar="URI", help="Instead: ldaps:// of a controller. Repeatable."
)
@click.option("--directory-base", metavar="DN", help="Where accounts are searched for.")
@click.option("--directory-user", metavar="NAME", help="Account that may read: radius@contoso.com.")
@click.option("--directory-password-file", metavar="FILE", help="Its password.")
@click.option("--directory-ca-file", metavar="FILE", help="CA of the controllers' certificates. Default: our roots.")
@click.option("--group", default="", metavar="DN", help="Only members, also through other groups.")
def freeradius(session: Session, out: Path, installed_at: str | None, **options: Any) -> None:
    """Write all that a FreeRADIUS 3.2 server needs for EAP-TLS with our certificates, TLS 1.2 and 1.3.

    With --directory or --directory-uri an account that has the certificate's name and SID must also exist in
    Active Directory and be enabled: a certificate without SID, or of a disabled account, is refused. FreeRADIUS
    binds with a password; a directory's own account is taken only when it may write nothing there.
    """
    place = out.expanduser().absolute()
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise NameTaken(f"{out} exists and is not empty", mend=("choose another directory with --out",))
    with session.application() as application:
        issuers = _issuers(application, options["cas"])
        site = RadiusSite(
            directory=installed_at or str(place),
            clients=_clients(application, options["clients"], options["secret_file"]),
            issuers=tuple(pem(issuer.view.encoded) for issuer in issuers),
            revocation=Revocation(options["revocation"]),
            crl_urls={name: url for issuer in issuers for name, url in _crl_urls(issuer)},
            address=options["address"],
            port=options["port"],
            libraries=options["libraries"],
            accounts=account_rule(application, options),
        )
        files = {name: text.encode() for name, text in render_freeradius(site).items()}
        files |= _server_files(application, options["server_certificate"], options["server_key"])
    _write(place, files)
    show_item(session, {"directory": str(place), "files": sorted(files), "cas": [one.record.name for one in issuers]})
    session.done(f"wrote {len(files)} files to {out}", after=f"freeradius -C -d {site.directory} -n radiusd")
    session.say(f"  next  on the server: chown -R {_DEBIAN_USER}: {site.directory}")
    session.say(f'  next  FREERADIUS_OPTIONS="-d {site.directory} -n radiusd" in /etc/default/freeradius, and restart')
    if site.revocation.uses_crl:
        session.say(f"  next  {site.directory}/{REFRESH} now and every hour: without a fresh CRL nobody is let in")


def _crl_urls(issuer: Issuer) -> list[tuple[str, str]]:
    """Every base CRL: FreeRADIUS takes no notice of deltas."""
    name, shards = f"{issuer.record.name}-v{issuer.record.version}", issuer.record.crl.shards
    scopes = [scope for scope in issuer.crl_scopes if not scope.delta]
    return [(f"{name}-{scope.shard}" if shards else name, issuer.crl_url(scope)) for scope in scopes]


def _issuers(application: Application, names: tuple[str, ...]) -> tuple[Issuer, ...]:
    """All issuing CAs unless some are named: staged versions, so that a rollover shuts nobody out, and superseded ones.

    Never a version that was revoked: whoever has its key could let in anybody, and sign CRLs and OCSP answers for it.
    """
    found = [
        issuer
        for issuer in application.catalog.issuers()
        if issuer.record.kind is CaKind.ISSUING and issuer.record.has_key and issuer.record.state is not CaState.REVOKED
    ]
    unknown = set(names) - {issuer.record.name for issuer in found}
    if unknown:
        raise NotFound(f"there is no issuing CA {min(unknown)!r}", mend=("privyseal ca list",))
    chosen = tuple(issuer for issuer in found if not names or issuer.record.name in names)
    if not chosen:
        raise NotFound("there is no issuing CA", mend=("privyseal ca create NAME --parent PARENT",))
    return chosen


def _clients(application: Application, given: tuple[str, ...], secret_file: str | None) -> tuple[RadiusClient, ...]:
    shared = None if secret_file is None else read_secret(secret_file)
    clients = []
    for text in given:
        name, _, network = text.partition("=")
        secret = shared or base64.b32encode(application.rng.bytes(_SECRET_OCTETS)).decode().lower()
        clients.append(RadiusClient(name, network, secret))
    return tuple(clients)


def _server_files(application: Application, certificate: str, key: str) -> dict[str, bytes]:
    """Certificate with the CAs below the root, and the key that fits it. Raises InvalidValue."""
    chain, private = load_pair(certificate, key, purpose=x509.oid.ExtendedKeyUsageOID.SERVER_AUTH)
    below = [
        x509.load_der_x509_certificate(one.view.encoded)
        for issuer in application.catalog.issuer_of(chain[0].issuer.public_bytes())
        for one in application.catalog.chain(issuer)
    ]
    sent = [*chain, *below] if len(chain) == 1 else chain
    kept = dict.fromkeys(one.public_bytes(Encoding.PEM) for one in sent if one.subject != one.issuer)
    return {
        SERVER_CERTIFICATE: b"".join(kept),
        SERVER_KEY: private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    }


def _write(place: Path, files: dict[str, bytes]) -> None:
    """All files or none, for their owner only."""
    place.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    try:
        for directory in ("log", "run", *{Path(name).parts[0] for name in files if "/" in name}, CRLS):
            (new / directory).mkdir(mode=0o700)
        for name, content in files.items():
            descriptor = os.open(new / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700 if name == REFRESH else 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
        os.replace(new, place)
    except OSError as error:
        raise InvalidValue(f"{place} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
