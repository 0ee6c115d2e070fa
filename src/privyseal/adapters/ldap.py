# SPDX-License-Identifier: Apache-2.0
"""One domain controller through python-ldap. Every change is read before it is written, so twice is once.

The library is imported when a connection is made, not before: everything else works without it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from importlib import import_module
from types import ModuleType
from typing import Any, Final

from privyseal.adapters.ldap_binds import (
    Bind,
    KerberosKeytab,
    SimpleBind,
    read_password,
)
from privyseal.adapters.ldap_changes import Fetch, Modify, modification
from privyseal.adapters.ldap_errors import Conversation, explained
from privyseal.adapters.ldap_kerberos import changed_environment, kerberos_login
from privyseal.adapters.ldap_line import Controller, Limits, Line, open_line, parse_controller
from privyseal.directory.changes import ALREADY, DONE, AddEntry, Change, DeleteEntry, Entry, RootDse
from privyseal.errors import (
    ContainerMissing,
    DirectoryRefused,
    DirectoryTimeout,
    DirectoryUnreachable,
    ExtraMissing,
    InvalidValue,
    NotADomainController,
    PlanStale,
    StrongAuthRequired,
)

_PAGE: Final = 1000  # what a controller gives at most in one page (MaxPageSize)
_PAGED_RESULTS: Final = "1.2.840.113556.1.4.319"
_SEAL: Final = 128  # from this security strength factor on, SASL encrypts
_ANYTHING: Final = "(objectClass=*)"
_RANGE: Final = re.compile(r"(?P<name>[a-z0-9.-]+);range=(?P<first>[0-9]{1,9})-(?P<last>[0-9]{1,9}|\*)")
_MOST_VALUES: Final = 20_000
_MOST_CONTROLLERS: Final = 1000
_ROOT_DSE: Final = (
    "dnsHostName",
    "defaultNamingContext",
    "configurationNamingContext",
    "rootDomainNamingContext",
    "serverName",
    "highestCommittedUSN",
    "currentTime",
)


class LdapDirectory:
    """DirectoryPort on one bound connection. For one thread at a time."""

    def __init__(
        self, connection: Any, line: Line, *, library: ModuleType, conversation: Conversation, limits: Limits
    ) -> None:
        self._connection = connection
        self._line = line
        self._ldap = library
        self._limits = limits
        self.conversation = conversation

    def root_dse(self) -> RootDse:
        """The controller about itself."""
        entry = self.read("", _ROOT_DSE)
        held = entry.attributes if entry is not None else {}

        def text(name: str) -> str:
            return b"".join(held.get(name.lower(), ())[:1]).decode("utf-8", "replace")

        if not text("configurationNamingContext") or not text("dnsHostName"):
            raise NotADomainController(f"{self.conversation.controller} names no configuration partition")
        usn, root = text("highestCommittedUSN"), text("rootDomainNamingContext")
        return RootDse(
            dns_host_name=text("dnsHostName"),
            default_nc=text("defaultNamingContext"),
            configuration_nc=text("configurationNamingContext"),
            root_domain_nc=root,
            forest=".".join(part[3:] for part in root.split(",") if part[:3].upper() == "DC=").lower(),
            server_name=text("serverName"),
            highest_usn=int(usn) if usn.isascii() and usn.isdigit() else None,
            current_time=_generalized_time(text("currentTime")),
        )

    def read(self, dn: str, attributes: Sequence[str]) -> Entry | None:
        """One object with the attributes asked for; None when there is no such object."""
        wanted = list(attributes) or ["1.1"]  # RFC 4511 section 4.5.1.8: no attributes
        found = self._ask(
            f"reading {dn or 'the root DSE'}",
            self._connection.search_ext_s,
            dn,
            self._ldap.SCOPE_BASE,
            _ANYTHING,
            wanted,
        )
        entries = [] if found is None else list(_entries(found))
        return self._completed(entries[0]) if entries else None

    def _completed(self, entry: Entry) -> Entry:
        """The entry with all values of those attributes of which the controller gave a range only.

        Active Directory does so from 1500 values on (MS-ADTS 3.1.1.3.1.3.3); half of the values would be taken for all.
        """
        ranges = [found for found in map(_RANGE.fullmatch, entry.attributes) if found]
        if not ranges:
            return entry
        whole = {name: values for name, values in entry.attributes.items() if not _RANGE.fullmatch(name)}
        for part in ranges:
            name, values, last = part["name"], entry.attributes[part.string], part["last"]
            while last != "*":
                if len(values) > _MOST_VALUES:
                    raise DirectoryRefused(
                        f"{name} of {entry.dn} has more than {_MOST_VALUES:,} values",
                        why="somebody fills it up: what is one of these values, no program finds in time",
                        mend=("see whose values they are, and take those out that are not needed",),
                    )
                more, last = self._range(entry.dn, name, first=int(last) + 1)
                values += more
            whole[name] = values
        return Entry(entry.dn, whole)

    def _range(self, dn: str, name: str, *, first: int) -> tuple[tuple[bytes, ...], str]:
        """The values from the position ``first`` on, as many as the controller gives, and the position of the last."""
        asked, doing = [f"{name};range={first}-*"], f"reading {name} of {dn}"
        answer = self._ask(doing, self._connection.search_ext_s, dn, self._ldap.SCOPE_BASE, _ANYTHING, asked)
        for entry in _entries(answer or ()):
            for found, values in entry.attributes.items():
                part = _RANGE.fullmatch(found)
                if part is not None and part["name"] == name and part["first"] == str(first) and values:
                    return values, part["last"]
        raise DirectoryRefused(f"{self.conversation}: {doing}: no values from position {first} on")

    def search(
        self, base: str, filter_text: str, *, attributes: Sequence[str], one_level: bool = False, most: int = 100_000
    ) -> Iterator[Entry]:
        """What matches below ``base``, in pages, the first ``most`` of it; referrals are skipped."""
        scope = self._ldap.SCOPE_ONELEVEL if one_level else self._ldap.SCOPE_SUBTREE
        control = self._ldap.controls.SimplePagedResultsControl(True, size=min(_PAGE, max(most, 1)), cookie=b"")
        wanted, left = list(attributes) or ["1.1"], most

        def page() -> Any:
            message = self._connection.search_ext(base, scope, filter_text, wanted, serverctrls=[control])
            return self._connection.result3(message)

        while left > 0:
            answer = self._ask(f"searching {filter_text} below {base}", page)
            if answer is None:
                raise ContainerMissing(f"{self.conversation.controller} holds no {base}")
            _, found, _, controls = answer
            for entry in _entries(found):
                if left == 0:
                    return
                left -= 1
                yield self._completed(entry)
            control.cookie = next((one.cookie for one in controls if one.controlType == _PAGED_RESULTS), b"")
            if not control.cookie:
                return

    def apply(self, change: Change) -> str:
        """Read, then one operation: ``done``, or ``already`` when nothing was left to do.

        Raises PlanStale when the object is no longer what the change was made for.
        """
        fetch: Fetch = self.read
        needed = modification(change, fetch)
        if needed is None:
            return ALREADY
        try:
            return self._write(change, needed)
        except (self._ldap.ALREADY_EXISTS, self._ldap.NO_SUCH_ATTRIBUTE, self._ldap.TYPE_OR_VALUE_EXISTS) as error:
            # Perhaps somebody was faster, between the read and the write. What they wrote decides.
            now = modification(change, fetch)
            if now is None:
                return ALREADY
            if now == needed:
                raise explained(error, self.conversation, f"changing {change.dn}") from error
            raise PlanStale(f"{change.dn} on {self.conversation.controller} changed while it was written") from error

    def _write(self, change: Change, needed: Sequence[Modify]) -> str:
        races = (self._ldap.ALREADY_EXISTS, self._ldap.NO_SUCH_ATTRIBUTE, self._ldap.TYPE_OR_VALUE_EXISTS)
        if isinstance(change, AddEntry):
            attributes = [(name, list(values)) for name, values in change.attributes]
            done = self._ask(f"adding {change.dn}", self._connection.add_s, change.dn, attributes, passing=races)
        elif isinstance(change, DeleteEntry):
            leaf = (self._ldap.NOT_ALLOWED_ON_NONLEAF,)
            try:
                done = self._ask(f"deleting {change.dn}", self._connection.delete_s, change.dn, passing=leaf)
            except leaf as error:
                raise PlanStale(f"{change.dn} now has objects below it") from error
            return ALREADY if done is None else DONE
        else:
            kinds = {"add": self._ldap.MOD_ADD, "delete": self._ldap.MOD_DELETE}
            operations = [(kinds[one.kind], one.attribute, [one.value]) for one in needed]
            done = self._ask(
                f"writing {change.attribute} of {change.dn}",
                self._connection.modify_s,
                change.dn,
                operations,
                passing=races,
            )
        if done is None:
            raise ContainerMissing(f"{self.conversation.controller} holds no {change.dn}, or not what it stands in")
        return DONE

    def rights(self, dn: str) -> tuple[frozenset[str], frozenset[str]]:
        """allowedAttributesEffective and allowedChildClassesEffective of an object, in lower case."""
        names = ("allowedAttributesEffective", "allowedChildClassesEffective")
        entry = self.read(dn, names)
        if entry is None:
            raise ContainerMissing(f"{self.conversation.controller} holds no {dn}")
        writable, creatable = (
            frozenset(value.decode("utf-8", "replace").lower() for value in entry.attributes.get(name.lower(), ()))
            for name in names
        )
        return writable, creatable

    def close(self) -> None:
        """End the connection; also one that is broken already."""
        with self._line.watched(self._limits.connect_seconds), suppress(self._ldap.LDAPError, ValueError):
            self._connection.unbind_s()
        self._line.close()

    def __enter__(self) -> LdapDirectory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(
        self, doing: str, call: Callable[..., Any], *arguments: Any, passing: tuple[type[Exception], ...] = ()
    ) -> Any:
        """The answer, or None where there is no such object. Bounded in time; every failure is one of ours."""
        try:
            with self._line.watched(self._limits.operation_seconds):
                return call(*arguments)
        except self._ldap.NO_SUCH_OBJECT:
            return None
        except passing:
            raise
        except self._ldap.LDAPError as error:
            raise _failure(
                error, self._line, conversation=self.conversation, limits=self._limits, doing=doing
            ) from error
        except ValueError as error:  # a NUL or half a surrogate in a name
            raise DirectoryRefused(f"{self.conversation}: {doing!a}: {error}", why="the name is not text") from error


def connect(controller: str, bind: Bind, *, limits: Limits | None = None) -> LdapDirectory:
    """A bound connection: Kerberos that seals on port 389, or a password inside TLS on 636. Never in clear."""
    limits = limits or Limits()
    where = parse_controller(controller, tls=isinstance(bind, SimpleBind))
    _check_encrypted(where, bind)
    library = ldap_library()
    password = read_password(bind) if isinstance(bind, SimpleBind) else ""
    ca_file = bind.ca_file if isinstance(bind, SimpleBind) else None
    line = open_line(where, ca_file=ca_file, seconds=limits.connect_seconds)
    who = bind.user if isinstance(bind, SimpleBind) else bind.principal if isinstance(bind, KerberosKeytab) else ""
    conversation = Conversation(str(where), bind.method, who)
    with ExitStack() as given_up:
        given_up.callback(line.close)
        try:
            connection = _prepared(library, where, line=line, limits=limits)
            if isinstance(bind, SimpleBind):
                with line.watched(limits.operation_seconds):
                    connection.simple_bind_s(bind.user, password)
            else:
                seconds = limits.operation_seconds
                with kerberos_login(bind, where, conversation=conversation, seconds=seconds) as conversation:
                    connection.set_option(library.OPT_X_SASL_SSF_MIN, _SEAL)
                    connection.sasl_non_interactive_bind_s("GSSAPI")
                _check_sealed(connection, library, conversation)
        except library.LDAPError as error:
            raise _failure(error, line, conversation=conversation, limits=limits, doing="logging in") from error
        given_up.pop_all()
    return LdapDirectory(connection, line, library=library, conversation=conversation, limits=limits)


def find_controllers(directory: LdapDirectory) -> tuple[str, ...]:
    """DNS names of the forest's domain controllers, from the sites of its configuration partition."""
    sites = f"CN=Sites,{directory.root_dse().configuration_nc}"
    # A server object without NTDS Settings below it is a controller no longer (MS-ADTS 6.1.1.2.2.1.2.1.1).
    settings = directory.search(sites, "(objectClass=nTDSDSA)", attributes=(), most=_MOST_CONTROLLERS)
    alive = {entry.dn.partition(",")[2].casefold() for entry in settings}
    names = {
        value.decode("utf-8", "replace").lower()
        for entry in directory.search(
            sites, "(objectClass=server)", attributes=("dNSHostName",), most=_MOST_CONTROLLERS
        )
        if entry.dn.casefold() in alive
        for value in entry.attributes.get("dnshostname", ())
    }
    return tuple(sorted(names))


def ldap_library() -> ModuleType:
    """python-ldap, without what ldap.conf and LDAPRC say: trust and limits are stated here. Raises ExtraMissing."""
    if "ldap.controls" not in sys.modules:
        try:
            with changed_environment({"LDAPNOINIT": "1"}, seconds=60):
                import_module("ldap.controls")
        except ImportError as error:
            raise ExtraMissing(f"python-ldap cannot be imported: {error}") from error
    return sys.modules["ldap"]


def _check_encrypted(where: Controller, bind: Bind) -> None:
    if isinstance(bind, SimpleBind) and not where.tls:
        raise StrongAuthRequired(
            f"a password is not sent to {where}",
            why="there it would travel in clear, and the domain controller would refuse it as well",
            mend=(f"use ldaps://{where.host}", "use Kerberos: --keytab FILE"),
        )
    if not isinstance(bind, SimpleBind) and where.tls:
        raise InvalidValue(
            f"Kerberos is not used on {where}",
            why="inside TLS Kerberos may not seal, and then needs channel binding; on port 389 it seals by itself",
            mend=(f"use ldap://{where.host}",),
        )


def _prepared(library: ModuleType, where: Controller, *, line: Line, limits: Limits) -> Any:
    """A connection object on the line. For libldap it is never TLS: the line has taken care of that."""
    host = f"[{where.host}]" if ":" in where.host else where.host
    try:
        connection = library.initialize(f"ldap://{host}:{where.port}", fileno=line.descriptor)
    except library.LDAPError:
        os.close(line.descriptor)
        raise
    connection.set_option(library.OPT_PROTOCOL_VERSION, library.VERSION3)
    connection.set_option(library.OPT_TIMEOUT, limits.operation_seconds)  # the only limit of a Kerberos log-in
    connection.set_option(library.OPT_REFERRALS, 0)
    connection.set_option(library.OPT_X_SASL_NOCANON, 1)
    return connection


def _check_sealed(connection: Any, library: ModuleType, conversation: Conversation) -> None:
    try:
        strength = connection.get_option(library.OPT_X_SASL_SSF)
    except ValueError:  # that is how it says that there is no SASL layer
        strength = 0
    if strength < _SEAL:
        raise StrongAuthRequired(f"{conversation}: the connection is not encrypted (strength {strength})")


def _failure(error: Exception, line: Line, *, conversation: Conversation, limits: Limits, doing: str) -> Exception:
    if line.too_late or type(error).__name__ == "TIMEOUT":
        return DirectoryTimeout(f"{conversation}: {doing}: no answer within {limits.operation_seconds:g} s")
    ours = explained(error, conversation, doing)
    if isinstance(ours, DirectoryUnreachable):
        return DirectoryUnreachable(
            f"{conversation}: {doing}: the connection broke",
            why="the domain controller, or something in between, closed the connection",
            mend=("try again; what was done is not done twice", "see whether the controller was restarted"),
        )
    return ours


def _entries(found: Sequence[tuple[str | None, Any]]) -> Iterator[Entry]:
    for dn, attributes in found:
        if dn is not None:  # else it is a referral
            yield Entry(dn, {name.lower(): tuple(values) for name, values in attributes.items()})


def _generalized_time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text.partition(".")[0], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
