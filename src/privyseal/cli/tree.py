# SPDX-License-Identifier: Apache-2.0
"""The whole command tree as a table. A command's module is imported when that command is asked for, not before."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import click

from privyseal import __version__
from privyseal.cli.verb import shared_options


@dataclass(frozen=True, slots=True)
class Leaf:
    """A command: ``module:attribute``, and the line that lists it."""

    target: str
    summary: str


@dataclass(frozen=True, slots=True)
class Branch:
    """A noun with its verbs."""

    summary: str
    verbs: Mapping[str, Leaf | Branch]


_CLI: Final = "privyseal.cli"


def _entity_verbs(kind: str) -> Branch:
    return Branch(
        f"{kind.capitalize()}s: end entities that certificates are for.",
        {
            "create": Leaf(f"{_CLI}.entities:create_{kind}", f"Make a {kind} known, with its attributes."),
            "list": Leaf(f"{_CLI}.entities:list_{kind}s", f"List {kind}s in order of name."),
            "get": Leaf(f"{_CLI}.entities:get_{kind}", f"Show one {kind}."),
            "set": Leaf(f"{_CLI}.entities:set_{kind}", "Change attributes, disable or enable."),
            "unblock": Leaf(f"{_CLI}.entities:unblock_{kind}", "Let it enroll again after a revocation."),
            "lookup": Leaf(f"{_CLI}.directory_accounts:lookup_{kind}", "Show what the directory says of an account."),
        },
    )


TREE: Final = Branch(
    "Privyseal: a PKI that says what is wrong, why, and how to mend it.",
    {
        "init": Leaf(f"{_CLI}.init:command", "Make an installation; safe to run again."),
        "serve": Leaf(f"{_CLI}.serving:command", "Answer SCEP, OCSP and CRL requests."),
        "demo": Leaf(f"{_CLI}.demo:command", "Make a throw-away PKI and use it."),
        "ca": Branch(
            "Certification authorities.",
            {
                "create": Leaf(f"{_CLI}.authorities:create", "Make a root or issuing CA."),
                "list": Leaf(f"{_CLI}.authorities:list_all", "List CAs, roots first."),
                "get": Leaf(f"{_CLI}.authorities:get", "Show one CA, its services and its CRL."),
                "export": Leaf(f"{_CLI}.authorities:export", "Write a CA's certificate or chain."),
                "csr": Leaf(f"{_CLI}.authorities_outside:csr", "Write the request of a CA that is signed outside."),
                "install": Leaf(f"{_CLI}.authorities_outside:install", "Install the certificate that came back."),
                "import-root": Leaf(f"{_CLI}.authorities_outside:import_root", "Make an offline root known."),
                "import-crl": Leaf(f"{_CLI}.authorities_outside:import_crl", "Publish a CRL that was made elsewhere."),
                "set": Leaf(f"{_CLI}.authority_set:command", "Change labels, who renews it, and its CRLs."),
                "renew": Leaf(f"{_CLI}.authorities_life:renew", "Stage the next version of a CA."),
                "rollover": Leaf(f"{_CLI}.authorities_life:rollover", "Show what a staged version has passed."),
                "activate": Leaf(f"{_CLI}.authorities_life:activate", "Put a staged version in force."),
                "rollback": Leaf(f"{_CLI}.authorities_life:rollback", "Go back to the version before."),
                "pause": Leaf(f"{_CLI}.authorities_life:pause", "Issue nothing for now; CRL and OCSP go on."),
                "resume": Leaf(f"{_CLI}.authorities_life:resume", "Issue again."),
                "revoke": Leaf(f"{_CLI}.authorities_life:revoke", "Revoke a CA for good."),
                "delete": Leaf(f"{_CLI}.authorities_life:delete", "Delete a CA version and destroy its key."),
            },
        ),
        "ceremony": Branch(
            "An offline root, on a machine of its own.",
            {
                "root": Leaf(f"{_CLI}.ceremony:root", "Make an offline root in a directory."),
                "sign": Leaf(f"{_CLI}.ceremony:sign", "Sign the request of an issuing CA."),
                "crl": Leaf(f"{_CLI}.ceremony:crl", "Make the root's next CRL."),
                "revoke": Leaf(f"{_CLI}.ceremony:revoke", "Revoke an issuing CA, and make the CRL that says so."),
                "list": Leaf(f"{_CLI}.ceremony:list_all", "List what the root signed."),
            },
        ),
        "profile": Branch(
            "Profiles: what a certificate looks like and who may have it.",
            {
                "create": Leaf(f"{_CLI}.profiles:create", "Make a profile, or its next revision."),
                "list": Leaf(f"{_CLI}.profiles:list_all", "List profiles."),
                "get": Leaf(f"{_CLI}.profiles:get", "Show one profile."),
                "preview": Leaf(f"{_CLI}.profiles:preview", "Draw a certificate without issuing it."),
            },
        ),
        "device": _entity_verbs("device"),
        "user": _entity_verbs("user"),
        "certificate": Branch(
            "Certificates: issued, revoked, expired.",
            {
                "list": Leaf(f"{_CLI}.certificates:list_all", "List or search certificates, newest first."),
                "count": Leaf(f"{_CLI}.certificates:count", "Count certificates by status, for each CA."),
                "export": Leaf(f"{_CLI}.certificate_export:export", "Write all that match: CSV, JSON or JSON lines."),
                "get": Leaf(f"{_CLI}.certificates:get", "Show one certificate."),
                "issue": Leaf(f"{_CLI}.issuing:issue", "Issue to a device or user that you vouch for."),
                "revoke": Leaf(f"{_CLI}.revoking:revoke", "Revoke or hold; CRL and OCSP say so at once."),
                "release": Leaf(f"{_CLI}.revoking:release", "End a hold; the certificate is good again."),
                "revoke-many": Leaf(f"{_CLI}.bulk_revoking:revoke_many", "Revoke all that a search finds."),
                "status": Leaf(f"{_CLI}.certificates:status", "Say whether a certificate is good."),
                "inspect": Leaf(f"{_CLI}.inspecting:inspect", "Decode a certificate, request or CRL file."),
            },
        ),
        "scep": Branch(
            "SCEP: how devices enroll by themselves.",
            {
                "url": Leaf(f"{_CLI}.scep:url", "Print the URLs that clients are given."),
                "challenge": Branch(
                    "One-time passwords for one enrollment.",
                    {"create": Leaf(f"{_CLI}.scep:create_challenge", "Make a challenge; shown once.")},
                ),
                "test": Leaf(f"{_CLI}.scep_test:command", "Enroll as a client would, stage by stage."),
            },
        ),
        "enrollment": Branch(
            "Enrollments: every attempt to get a certificate.",
            {
                "list": Leaf(f"{_CLI}.enrollments:list_all", "List attempts, newest first."),
                "get": Leaf(f"{_CLI}.enrollments:get", "Show one attempt with its reason."),
                "approve": Leaf(f"{_CLI}.enrollments:approve", "Grant an attempt that waits."),
                "reject": Leaf(f"{_CLI}.enrollments:reject", "Refuse an attempt that waits."),
            },
        ),
        "directory": Branch(
            "Active Directory: publish CAs, prove it, look accounts up.",
            {
                "add": Leaf(f"{_CLI}.directory:add", "Make a directory known."),
                "list": Leaf(f"{_CLI}.directory:list_all", "List directories."),
                "get": Leaf(f"{_CLI}.directory:get", "Show how one is reached."),
                "remove-config": Leaf(f"{_CLI}.directory:remove_config", "Forget how one is reached."),
                "plan": Leaf(f"{_CLI}.directory_publish:plan", "Show what publishing would change."),
                "publish": Leaf(f"{_CLI}.directory_publish:publish", "Publish CA certificates."),
                "verify": Leaf(f"{_CLI}.directory_proof:verify", "Read back what was published, everywhere."),
                "status": Leaf(f"{_CLI}.directory_proof:status", "Show every CA in the containers."),
                "import": Leaf(f"{_CLI}.directory_proof:import_found", "Watch CAs of others that stand there."),
                "remove": Leaf(f"{_CLI}.directory_publish:remove", "Take certificates out that we published."),
                "publish-crl": Leaf(f"{_CLI}.directory_crls:publish_crl", "Publish a CRL for LDAP."),
                "script-crl": Leaf(f"{_CLI}.directory_crl_script:script_crl", "Write that as a script."),
                "undo": Leaf(f"{_CLI}.directory_publish:undo", "Take back the changes of an undo file."),
                "deliveries": Leaf(f"{_CLI}.directory_deliveries:deliveries", "List certificates at their accounts."),
                "deliver": Leaf(f"{_CLI}.directory_deliveries:deliver", "Carry out now what waits."),
                "withdraw": Leaf(f"{_CLI}.directory_deliveries:withdraw", "Take certificates back from accounts."),
                "script": Leaf(f"{_CLI}.directory_script:script", "Write the plan as a script for an admin."),
                "delegate": Leaf(f"{_CLI}.directory_script:delegate", "Write the least rights for publishing."),
            },
        ),
        "radius": Branch(
            "RADIUS: Wi-Fi, switch ports and VPN by certificate.",
            {
                "config": Branch(
                    "Configuration of a RADIUS server.",
                    {"freeradius": Leaf(f"{_CLI}.radius:freeradius", "Write the files of a FreeRADIUS server.")},
                ),
                "check": Leaf(f"{_CLI}.radius_check:command", "Walk an EAP-TLS log-in, stage by stage."),
            },
        ),
        "kerberos": Branch(
            "Kerberos: log-on to a domain by certificate.",
            {"check": Leaf(f"{_CLI}.kerberos_check:command", "Walk a log-on with a certificate, stage by stage.")},
        ),
        "store": Branch(
            "The store: where everything is kept.",
            {"move": Leaf(f"{_CLI}.store:move", "Move to PostgreSQL, or back to SQLite.")},
        ),
        "role": Branch(
            "Roles: who may do what.",
            {
                "grant": Leaf(f"{_CLI}.roles:grant", "Give a person a role."),
                "revoke": Leaf(f"{_CLI}.roles:revoke", "Take a role away."),
                "list": Leaf(f"{_CLI}.roles:list_all", "List who holds which role."),
            },
        ),
        "token": Branch(
            "API tokens.",
            {
                "create": Leaf(f"{_CLI}.tokens:create", "Make a token; its secret is shown once."),
                "list": Leaf(f"{_CLI}.tokens:list_all", "List tokens and when they were last used."),
                "revoke": Leaf(f"{_CLI}.tokens:revoke", "End a token now."),
            },
        ),
        "webhook": Branch(
            "Who is told of events.",
            {
                "create": Leaf(f"{_CLI}.webhooks:create", "Tell a receiver of events; its secret is shown once."),
                "list": Leaf(f"{_CLI}.webhooks:list_all", "List receivers."),
                "deliveries": Leaf(f"{_CLI}.webhooks:deliveries", "What became of each event."),
                "test": Leaf(f"{_CLI}.webhooks:test", "Send a test."),
                "replay": Leaf(f"{_CLI}.webhooks:replay", "Send again what was given up."),
                "delete": Leaf(f"{_CLI}.webhooks:delete", "Tell a receiver nothing more."),
            },
        ),
        "approval": Branch(
            "Approvals: what waits for a second person.",
            {
                "list": Leaf(f"{_CLI}.approvals:list_all", "List requests, newest first."),
                "get": Leaf(f"{_CLI}.approvals:get", "Show one with its preview."),
                "approve": Leaf(f"{_CLI}.approvals:approve", "Approve it; it is done now."),
                "deny": Leaf(f"{_CLI}.approvals:deny", "Refuse it."),
                "cancel": Leaf(f"{_CLI}.approvals:cancel", "Take your own request back."),
            },
        ),
        "access": Branch(
            "Access: whether important acts take two people.",
            {
                "four-eyes": Leaf(f"{_CLI}.roles:four_eyes", "Say or set it."),
                "first-owner": Leaf(f"{_CLI}.first_owner:command", "Print a code that makes the first owner."),
                "recover": Leaf(f"{_CLI}.roles:recover", "Switch it off for an hour, alone and loudly."),
            },
        ),
        "report": Branch(
            "Reports about this installation.",
            {"tier0": Leaf(f"{_CLI}.report:tier0", "Say who could become any account of a domain.")},
        ),
        "config": Branch(
            "Servers that the command line speaks to.",
            {
                "set-context": Leaf(f"{_CLI}.context:set_context", "Remember a server."),
                "use-context": Leaf(f"{_CLI}.context:use_context", "Speak to it from now on."),
                "list-contexts": Leaf(f"{_CLI}.context:list_contexts", "List what is remembered."),
            },
        ),
        "whoami": Leaf(f"{_CLI}.tokens:whoami", "Say who you are and what you may do."),
        "backup": Branch(
            "Backups: store, keys and settings in one encrypted file.",
            {
                "create": Leaf(f"{_CLI}.backup:create", "Write a backup, while the server goes on."),
                "verify": Leaf(f"{_CLI}.backup:verify", "Try a backup out and prove what is in it."),
                "restore": Leaf(f"{_CLI}.backup:restore", "Make an installation of a backup."),
                "resync": Leaf(f"{_CLI}.backup:resync_store", "Bring a restored store in step; then it may sign."),
            },
        ),
        "notice": Branch(
            "Notices: mails about what will not renew itself.",
            {
                "list": Leaf(f"{_CLI}.notices:list_all", "List mails and what became of them."),
                "test": Leaf(f"{_CLI}.notices:test", "Send a mail now."),
            },
        ),
        "retention": Branch(
            "Retention: how long what is stored is kept.",
            {"list": Leaf(f"{_CLI}.retention:list_all", "List every table, its growth and how long it is kept.")},
        ),
        "audit": Branch(
            "The audit trail: who did what.",
            {
                "list": Leaf(f"{_CLI}.audit:list_all", "List events, newest first."),
                "verify": Leaf(f"{_CLI}.audit:verify", "Check that nobody changed or cut the trail."),
            },
        ),
        "explain": Leaf(f"{_CLI}.explain:command", "Explain an error code, with its runbook."),
        "check": Leaf(f"{_CLI}.check:command", "Check this installation for a monitoring system."),
        "doctor": Leaf(f"{_CLI}.doctor:command", "Check this installation, point by point."),
    },
)


class Noun(click.Group):
    """A group that knows its verbs by name and loads one when it is used."""

    def __init__(self, name: str, branch: Branch) -> None:
        super().__init__(name, help=branch.summary, no_args_is_help=True)
        self._branch = branch

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table, which is the order of use."""
        return list(self._branch.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command itself, imported now. Nouns are known by their plural too."""
        found = self._branch.verbs.get(cmd_name) or self._branch.verbs.get(cmd_name.removesuffix("s"))
        if found is None:
            return None
        if isinstance(found, Branch):
            return Noun(cmd_name, found)
        return load(found)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table's own summaries: nothing is imported to list commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, item.summary) for name, item in self._branch.verbs.items()])


def load(leaf: Leaf) -> click.Command:
    """Import a command."""
    module, _, attribute = leaf.target.partition(":")
    command = getattr(importlib.import_module(module), attribute)
    if not isinstance(command, click.Command):
        raise TypeError(f"{leaf.target} is not a command")
    return command


def root() -> click.Group:
    """The command ``privyseal``."""
    group = Noun("privyseal", TREE)
    group.params += shared_options()
    return click.version_option(__version__, prog_name="privyseal")(group)
