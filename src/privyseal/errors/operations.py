# SPDX-License-Identifier: Apache-2.0
"""9040-9069: backup and restore, notices."""

from __future__ import annotations

from privyseal.errors.tree import InputError, SetupError, StateError


class BackupUnreadable(InputError):
    code = 9040
    title = "The backup does not open"
    default_why = "the passphrase is another one, or the file is no backup of Privyseal"
    default_mend = (
        "give the passphrase that the backup was made with: privyseal backup verify FILE --passphrase-file FILE",
        "look at its first line: head -n 1 FILE",
    )


class BackupDamaged(InputError):
    code = 9041
    title = "The backup is damaged"
    default_why = "bytes were changed, lost or added after it was written; nothing of it was taken"
    default_mend = ("fetch it again from where it is kept", "take an older backup: privyseal backup verify FILE")


class StoreRestored(StateError):
    code = 9042
    title = "The store was restored and is not in step with the world yet"
    default_why = (
        "since the backup was made, serials and CRL numbers may have been used that it does not know; signing now "
        "could use them twice, or take revocations back"
    )
    default_mend = ("bring it in step: privyseal backup resync",)


class ResyncUncertain(StateError):
    code = 9043
    title = "It cannot be told what was published since the backup"
    default_why = "only a CRL from after the backup shows how far numbers went and what was revoked"
    default_mend = (
        "give the newest CRL that a relying party, proxy or directory holds: privyseal backup resync --crl FILE",
        "where there is none, go on without: privyseal backup resync --accept",
    )


class SerialBurnt(StateError):
    code = 9044
    title = "The serial belongs to a time that was lost"
    default_why = (
        "after a restore no serial is given whose time lies before it: the clock was set back, or runs behind the one "
        "that the store was brought in step with"
    )
    default_mend = ("synchronise the clock: timedatectl set-ntp true", "privyseal doctor")


class NoticeNotSent(SetupError):
    code = 9045
    title = "A notice could not be sent"
    default_why = "the mail server refused it or does not answer; it stays queued and is tried again"
    default_mend = (
        "privyseal notice test",
        "check [mail] in privyseal.toml, and that the server can be reached from here",
    )
