# SPDX-License-Identifier: Apache-2.0
"""9000s: this installation."""

from __future__ import annotations

from privyseal.errors.tree import InputError, SetupError, StateError

# --- 9000: product -----------------------------------------------------------------------------


class UnexpectedFault(SetupError):
    code = 9000
    title = "Something went wrong that should not have"
    default_why = "a fault in Privyseal; the log holds the trace under the incident id"
    default_mend = ("look in the log for the incident id", "report it, with the trace")


class NotInitialized(SetupError):
    code = 9001
    title = "There is no Privyseal installation here"
    default_why = "the home directory holds no configuration"
    default_mend = (
        "make one: privyseal init --organization NAME --url http://pki.example.com",
        "name the right place: privyseal --home DIR, or PRIVYSEAL_HOME",
    )


class ConfigurationInvalid(SetupError):
    code = 9002
    title = "The configuration is not valid"
    default_why = "a key is unknown, missing or of the wrong kind"
    default_mend = ("correct privyseal.toml as said",)


class PassphraseMissing(SetupError):
    code = 9003
    title = "The passphrase for the keys is missing"
    default_why = "private keys are encrypted on disk and need it to be opened"
    default_mend = (
        "privyseal --passphrase-file FILE ...",
        "set PRIVYSEAL_PASSPHRASE_FILE to the file's path",
        "systemd: LoadCredential=privyseal-passphrase:/path/to/file",
    )


class PassphraseWrong(SetupError):
    code = 9004
    title = "The passphrase does not open the keys"
    default_why = "the keys were encrypted with another passphrase, or the key file is damaged"
    default_mend = ("use the file that `privyseal init` was given", "restore the key file from a backup")


class StoreUnavailable(SetupError):
    code = 9005
    title = "The store does not answer"
    default_why = "the database is locked by another program, read-only, full or damaged"
    default_mend = ("look for the program that holds it", "check free space and permissions")


class StoreTooNew(SetupError):
    code = 9006
    title = "The store was written by a newer Privyseal"
    default_why = "migrations only go forward"
    default_mend = ("install the newer version again",)


class NotFound(StateError):
    code = 9007
    title = "There is no such object"
    default_why = "nothing of that name is stored"
    default_mend = ("list what there is with the noun's `list`",)


class NameTaken(StateError):
    code = 9008
    title = "The name is already taken"
    default_why = "names are unique within their kind"
    default_mend = ("choose another name", "look at the one that has it with the noun's `get`")


class InvalidValue(InputError):
    code = 9009
    title = "A value is not valid"
    default_why = "it is outside what the field allows"
    default_mend = ("see --help for what is allowed",)


class AddressInUse(SetupError):
    code = 9010
    title = "The address is already in use"
    default_why = "another program listens there"
    default_mend = ("stop it", "choose another: privyseal serve --listen 127.0.0.1:8081")


class ServerUnreachable(SetupError):
    code = 9011
    title = "The server cannot be reached"
    default_why = "nothing answers at the address, or it answers too late"
    default_mend = ("start it: privyseal serve", "check the public URL: privyseal doctor")


class AuditBroken(StateError):
    code = 9012
    title = "The audit trail does not verify"
    default_why = "a row was changed, removed, added or reordered outside Privyseal"
    default_mend = (
        "stop issuing, keep a copy of the database file",
        "compare with a backup to find what was changed",
    )


class UnsafePermissions(SetupError):
    code = 9013
    title = "A secret file can be read by others"
    default_why = "keys and passphrases must belong to the user that runs Privyseal, and to nobody else"
    default_mend = ("chmod 600 FILE",)


class ServerAnsweredWrongly(StateError):
    code = 9014
    title = "The server answered, but not as it should"
    default_why = "the stage that is named did not give the expected answer"
    default_mend = ("see the server's log for the incident", "check that no proxy changes the answer")


class FileNotAccessible(SetupError):
    code = 9015
    title = "A file of the installation cannot be reached"
    default_why = "it belongs to another user, as home and keys are for one user only"
    default_mend = (
        "run the command as the user that runs Privyseal: sudo -u USER privyseal ...",
        "give the file to that user: chown USER FILE",
    )


# --- 9020: search --------------------------------------------------------------------------------


class SearchInvalid(InputError):
    code = 9020
    title = "The search is not understood"
    default_why = "a word of it names no field, or a value that the field does not have"
    default_mend = ("see the language: privyseal explain search", 'put text with spaces or colons in quotes ("")')


class CursorInvalid(InputError):
    code = 9021
    title = "The cursor does not belong to this list"
    default_why = "a cursor is good for the search that gave it, and for no other; nothing in it is made by hand"
    default_mend = ("begin with the first page, without a cursor",)


# --- 9030: stores ------------------------------------------------------------------------------


class StoreExtraMissing(SetupError):
    code = 9030
    title = "The PostgreSQL library is not installed"
    default_why = "psycopg is needed to talk to PostgreSQL, and comes with the extra `postgresql`"
    default_mend = (
        "pip install 'privyseal[postgresql]'",
        "without it: leave store_url out of privyseal.toml, and SQLite is used",
    )


class CommitInDoubt(SetupError):
    code = 9031
    title = "It is not known whether the store kept it"
    default_why = "the connection broke during COMMIT, and the server could not be asked afterwards"
    default_mend = (
        "wait until the server answers again, then look: privyseal audit list",
        "send the request again: what was stored is found, what was not is made",
    )


class StoreMoved(StateError):
    code = 9032
    title = "This store is no longer, or not yet, in use"
    default_why = "two stores that both issue would use serials and CRL numbers twice"
    default_mend = ("name the new store in privyseal.toml: store_url = ...",)


class StoreNotEmpty(StateError):
    code = 9033
    title = "The destination already holds something"
    default_why = "a store is moved into an empty place only, so that nothing is overwritten or mixed"
    default_mend = ("name another database or file", "make an empty database: createdb NAME")


class StoreInUse(StateError):
    code = 9034
    title = "The store is in use"
    default_why = "what a running process writes while the store is copied would be lost"
    default_mend = ("stop the server: systemctl stop privyseal",)


class StoreCopyDiffers(StateError):
    code = 9035
    title = "The copy of the store differs from the original"
    default_why = "rows were changed, lost or added on the way; nothing was taken into use"
    default_mend = ("look for faults of disk and network, then move again", "privyseal audit verify")


# --- 9070: webhooks ----------------------------------------------------------------------------


class WebhookUrlRefused(InputError):
    code = 9070
    title = "No event is sent to this URL"
    default_why = "events tell who got which certificate: they leave by https only, and never for this machine's inside"
    default_mend = ("name an https URL: privyseal webhook create NAME https://HOST/PATH",)


class SealBroken(SetupError):
    code = 9071
    title = "A stored secret cannot be opened"
    default_why = "the store and the key directory do not belong together, or the store was changed by hand"
    default_mend = (
        "restore both from the same backup",
        "delete the webhook and make it again: privyseal webhook delete NAME",
    )


class WebhooksFull(StateError):
    code = 9072
    title = "There are as many webhooks as there can be"
    default_why = "each of them costs work for each event"
    default_mend = ("delete one that is not needed: privyseal webhook list",)
