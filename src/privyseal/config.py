# SPDX-License-Identifier: Apache-2.0
"""Settings: read once from file and environment, checked, frozen. The only reader of the environment."""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from privyseal.errors import (
    ConfigurationInvalid,
    FileNotAccessible,
    InvalidValue,
    NotInitialized,
    NotSignedIn,
    PassphraseMissing,
    UnsafePermissions,
)
from privyseal.model.notice import MailSettings, mail_settings

CONFIG_NAME: Final = "privyseal.toml"
DEFAULT_LISTEN: Final = "127.0.0.1:8080"
_TEXTS: Final = ("api_listen", "api_certificate", "api_key", "metrics_listen")
_KEYS: Final = frozenset(
    {
        *("organization", "public_url", "listen", "store_url", "store_password_file", "workers", "public_limit"),
        *("api_limit", "log_format", "mail", *_TEXTS),
    }
)
MOST_REQUESTS: Final = 1_000_000
DEFAULT_PUBLIC_LIMIT: Final = 2000
DEFAULT_API_LIMIT: Final = 1000
MOST_WORKERS: Final = 64
# What libpq may be told; whatever else it can do, such as loading a service file, is nobody's business here.
_STORE_OPTIONS: Final = frozenset(
    {"host", "port", "user", "dbname", "passfile", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "hostaddr"}
)
_CREDENTIAL: Final = "privyseal-passphrase"


class LogFormat(Enum):
    """How log lines look."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One installation. ``public_url`` is in every certificate and has no trailing slash."""

    home: Path
    organization: str
    public_url: str
    listen: str = DEFAULT_LISTEN
    store_url: str = ""
    """PostgreSQL; empty for SQLite. It never holds a password."""
    store_password_file: str = ""
    workers: int = 1
    """Processes that serve."""
    public_limit: int = DEFAULT_PUBLIC_LIMIT
    """Requests a second that one source may send to the public endpoints; 0 is no limit."""
    api_limit: int = DEFAULT_API_LIMIT
    """The same for one token at the API."""
    api_listen: str = ""
    """Where the REST API answers; empty for nowhere. Beyond the loopback only with TLS."""
    api_certificate: str = ""
    """PEM file: the API's certificate and its chain."""
    api_key: str = ""
    """PEM file: its private key."""
    metrics_listen: str = ""
    """Where Prometheus may ask, on the loopback; empty for nowhere."""
    log_format: LogFormat = LogFormat.TEXT
    mail: MailSettings | None = None
    """Who is told of what will not renew itself."""

    @property
    def database(self) -> Path:
        """The SQLite store, used where there is no ``store_url``."""
        return self.home / "privyseal.db"

    @property
    def keys(self) -> Path:
        """Encrypted private keys."""
        return self.home / "keys"

    @property
    def instances(self) -> Path:
        """Locks of running processes."""
        return self.home / "run"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        return parse_listen(self.listen)


def default_home(environment: Mapping[str, str] | None = None) -> Path:
    """PRIVYSEAL_HOME, or the user's data directory (XDG base directories)."""
    found = os.environ if environment is None else environment
    if found.get("PRIVYSEAL_HOME"):
        return Path(found["PRIVYSEAL_HOME"]).expanduser()
    data = found.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "privyseal"


def load_settings(home: Path) -> Settings:
    """The settings of the installation in ``home``. Raises NotInitialized, FileNotAccessible, ConfigurationInvalid."""
    path = home / CONFIG_NAME
    try:
        if not path.exists():
            raise NotInitialized(f"there is no {CONFIG_NAME} in {home}")
        data = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise FileNotAccessible(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationInvalid(f"{path} is not TOML: {error}") from error
    return check_settings(home, data)


def check_settings(home: Path, data: Mapping[str, Any]) -> Settings:
    """Settings from data. Raises ConfigurationInvalid with every fault at once."""
    faults = [f"unknown key {name!r}" for name in sorted(set(data) - _KEYS)]
    organization, public_url = data.get("organization"), data.get("public_url")
    listen = data.get("listen", DEFAULT_LISTEN)
    if not isinstance(organization, str) or not 1 <= len(organization) <= 64:
        faults.append("organization is not a text of 1 to 64 characters")
    if not isinstance(public_url, str) or _url_fault(public_url):
        faults.append(f"public_url {public_url!r} {_url_fault(str(public_url)) or 'is not a text'}")
    try:
        parse_listen(str(listen))
    except ConfigurationInvalid as error:
        faults.append(error.what)
    store_url, password_file, workers = data.get("store_url", ""), data.get("store_password_file", ""), _workers(data)
    if fault := _store_fault(store_url):
        faults.append(f"store_url {fault}")
    if not isinstance(password_file, str):
        faults.append("store_password_file is not a text")
    limits = {
        name: data.get(name, default)
        for name, default in (("public_limit", DEFAULT_PUBLIC_LIMIT), ("api_limit", DEFAULT_API_LIMIT))
    }
    for name, limit in limits.items():
        if type(limit) is not int or not 0 <= limit <= MOST_REQUESTS:
            faults.append(f"{name} {limit!r} is not a whole number from 0 to {MOST_REQUESTS}")
    texts = {name: data.get(name, "") for name in _TEXTS}
    faults += [f"{name} is not a text" for name, value in texts.items() if not isinstance(value, str)]
    faults += _operations_faults(data)
    if workers is None:
        faults.append(f"workers {data['workers']!r} is not a whole number from 1 to {MOST_WORKERS}")
    if faults:
        raise ConfigurationInvalid(f"{CONFIG_NAME}: {'; '.join(faults)}")
    return Settings(
        home=home,
        organization=str(organization),
        public_url=str(public_url).rstrip("/"),
        listen=str(listen),
        store_url=str(store_url),
        store_password_file=str(password_file),
        workers=workers or 1,
        **limits,
        log_format=LogFormat(data.get("log_format", LogFormat.TEXT.value)),
        mail=mail_settings(data["mail"]) if "mail" in data else None,
        **texts,
    )


def _operations_faults(data: Mapping[str, Any]) -> list[str]:
    faults, metrics = [], data.get("metrics_listen", "")
    if data.get("log_format", "text") not in {form.value for form in LogFormat}:
        faults.append(f"log_format {data['log_format']!r} is not text or json")
    try:
        if metrics and parse_listen(str(metrics))[0] not in ("127.0.0.1", "::1"):
            faults.append(f"metrics_listen {metrics!r} is not on the loopback: 127.0.0.1:9464")
        if "mail" in data:
            mail_settings(data["mail"])
    except (ConfigurationInvalid, InvalidValue) as error:
        faults.append(error.what)
    return faults


def _workers(data: Mapping[str, Any]) -> int | None:
    found = data.get("workers", 1)
    return found if type(found) is int and 1 <= found <= MOST_WORKERS else None


def check_store_url(url: str) -> str:
    """The URL of a PostgreSQL database, as it is. Raises InvalidValue; the message never shows the URL."""
    if fault := _store_fault(url) or ("is empty" if not url else ""):
        raise InvalidValue(f"the store's URL {fault}")
    return url


def _store_fault(url: object) -> str:
    """Its text never holds the URL: a password may stand in it."""
    if not isinstance(url, str):
        return "is not a text"
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        host = parts.hostname or options.get("host", "")
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("postgresql", "postgres") or not url.isascii() or parts.fragment:
        return "is not postgresql://USER@HOST:PORT/DATABASE"
    if parts.password is not None or "password" in options:
        return "holds a password; name a file with store_password_file, or with the option passfile"
    if unknown := sorted(set(options) - _STORE_OPTIONS):
        return f"has the option {unknown[0]}; there are {', '.join(sorted(_STORE_OPTIONS))}"
    local = not host or host.startswith("/") or host in ("localhost", "127.0.0.1", "::1")
    if not local and options.get("sslmode") not in ("verify-full", "verify-ca"):
        # Whoever answers in the server's place could revoke, release and read everything.
        return f"leads to {host} without ?sslmode=verify-full&sslrootcert=FILE"
    return ""


def _url_fault(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "http":
        # RFC 5280 4.2.1.13: a CRL over HTTPS would need a certificate check to do a certificate check.
        return "is not a plain http:// URL; CRL, AIA and OCSP are fetched before there is any trust"
    if not parts.hostname or parts.query or parts.fragment or parts.username or not url.isascii() or " " in url:
        return "is not an ASCII URL with just host, port and path"
    return ""


def parse_listen(text: str) -> tuple[str, int]:
    """``127.0.0.1:8080``, ``[::1]:8080``, ``:8080`` (all addresses). Raises ConfigurationInvalid."""
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*):(\d{1,5})", text.strip())
    if match is None or int(match[2]) > 65535:
        raise ConfigurationInvalid(f"listen {text!r} is not HOST:PORT")
    return match[1].strip("[]") or "0.0.0.0", int(match[2])


def render_settings(settings: Settings) -> str:
    """The text of privyseal.toml."""
    return (
        "# Privyseal. Certificates carry public_url for ever: choose a name that will last.\n"
        f"organization = {json.dumps(settings.organization, ensure_ascii=False)}\n"
        f"public_url = {json.dumps(settings.public_url)}\n"
        f"listen = {json.dumps(settings.listen)}\n"
        + (f"store_url = {json.dumps(settings.store_url)}\n" if settings.store_url else "")
        + (
            f"store_password_file = {json.dumps(settings.store_password_file)}\n"
            if settings.store_password_file
            else ""
        )
        + (f"workers = {settings.workers}\n" if settings.workers != 1 else "")
        + (f"public_limit = {settings.public_limit}\n" if settings.public_limit != DEFAULT_PUBLIC_LIMIT else "")
        + (f"api_limit = {settings.api_limit}\n" if settings.api_limit != DEFAULT_API_LIMIT else "")
        + "".join(f"{name} = {json.dumps(value)}\n" for name in _TEXTS if (value := getattr(settings, name)))
    )


def with_store(text: str, *, url: str, password_file: str) -> str:
    """The text of privyseal.toml with another store; every other line stays. Empty values take their line away."""
    kept = [line for line in text.splitlines() if not re.match(r"\s*(store_url|store_password_file)\s*=", line)]
    new = {"store_url": url, "store_password_file": password_file}
    # A table begins with its header and goes on to the end: what stands outside comes before.
    place = next((number for number, line in enumerate(kept) if line.lstrip().startswith("[")), len(kept))
    kept[place:place] = [f"{key} = {json.dumps(value)}" for key, value in new.items() if value]
    return "\n".join(kept) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A server whose API is used instead of an installation here."""

    url: str
    token_file: str
    ca_file: str = ""


def remote_of(environment: Mapping[str, str] | None = None) -> Remote | None:
    """What PRIVYSEAL_URL says, else the context in use; None: an installation here. Raises ConfigurationInvalid."""
    found = os.environ if environment is None else environment
    if found.get("PRIVYSEAL_URL"):
        return Remote(
            url=found["PRIVYSEAL_URL"],
            token_file=found.get("PRIVYSEAL_TOKEN_FILE", ""),
            ca_file=found.get("PRIVYSEAL_CA_FILE", ""),
        )
    if found.get("PRIVYSEAL_HOME"):
        return None
    contexts = read_contexts(contexts_file(found))
    return None if not contexts.current else contexts.known[contexts.current]


@dataclass(frozen=True, slots=True)
class Contexts:
    """Servers by name, and which one is in use; empty: none, an installation here."""

    current: str
    known: Mapping[str, Remote]


def contexts_file(environment: Mapping[str, str] | None = None) -> Path:
    """The user's own file (XDG base directories)."""
    found = os.environ if environment is None else environment
    return Path(found.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "privyseal" / "contexts.toml"


def read_contexts(path: Path) -> Contexts:
    """What is in the file; nothing when there is none. Raises ConfigurationInvalid."""
    try:
        data = tomllib.loads(path.read_text("utf-8"))
        current = str(data.pop("current", ""))
        known = {name: Remote(**table) for name, table in data.items()}
    except FileNotFoundError:
        return Contexts("", {})
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationInvalid(f"{path} cannot be read: {error}", mend=(f"correct or remove {path}",)) from error
    if current and current not in known:
        raise ConfigurationInvalid(f"{path} uses context {current!r}, which it does not describe")
    return Contexts(current, known)


def render_contexts(contexts: Contexts) -> str:
    """The text of the file."""
    lines = ["# Privyseal: servers that the command line speaks to.", f"current = {json.dumps(contexts.current)}"]
    for name, remote in sorted(contexts.known.items()):
        lines += ["", f"[{json.dumps(name)}]", f"url = {json.dumps(remote.url)}"]
        lines += [f"token_file = {json.dumps(remote.token_file)}", f"ca_file = {json.dumps(remote.ca_file)}"]
    return "\n".join(lines) + "\n"


def read_token(remote: Remote) -> str:
    """The token in the file. Raises NotSignedIn, UnsafePermissions."""
    if not remote.token_file:
        raise NotSignedIn(f"no token file was named for {remote.url}", mend=("set PRIVYSEAL_TOKEN_FILE to its path",))
    path = Path(remote.token_file).expanduser()
    try:
        mode, text = path.stat().st_mode, path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NotSignedIn(f"the token file {path} cannot be read: {error}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UnsafePermissions(f"others can read the token file {path}", mend=(f"chmod 600 {path}",))
    return text


def passphrase_file(given: Path | None, environment: Mapping[str, str] | None = None) -> Path | None:
    """Where the passphrase is: the flag, then PRIVYSEAL_PASSPHRASE_FILE, then a systemd credential."""
    found = os.environ if environment is None else environment
    if given is not None:
        return given
    if found.get("PRIVYSEAL_PASSPHRASE_FILE"):
        return Path(found["PRIVYSEAL_PASSPHRASE_FILE"])
    if found.get("CREDENTIALS_DIRECTORY"):
        credential = Path(found["CREDENTIALS_DIRECTORY"]) / _CREDENTIAL
        return credential if credential.exists() else None
    return None


def service_manager(environment: Mapping[str, str] | None = None) -> str:
    """The socket where systemd wants to be told how far the service is; empty without one."""
    found = os.environ if environment is None else environment
    return found.get("NOTIFY_SOCKET", "")


def store_password(settings: Settings) -> str:
    """What logs in to the store; empty where no file is named. Raises PassphraseMissing, UnsafePermissions."""
    if not settings.store_url or not settings.store_password_file:
        return ""
    return read_passphrase(settings.home / settings.store_password_file)


def read_passphrase(path: Path | None) -> str:
    """The passphrase, without line end. Raises PassphraseMissing, UnsafePermissions."""
    if path is None:
        raise PassphraseMissing("no passphrase file was named")
    try:
        mode = path.stat().st_mode
        text = path.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise PassphraseMissing(f"the passphrase file {path} cannot be read: {error}") from error
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise UnsafePermissions(f"anybody on this machine can read the passphrase file {path}")
    if not text:
        raise PassphraseMissing(f"the passphrase file {path} is empty")
    return text
