# SPDX-License-Identifier: Apache-2.0
"""7000-7039: the directory."""

from __future__ import annotations

from privyseal.errors.tree import AccessError, InputError, PolicyError, SetupError, StateError

# --- 7000: directory ---------------------------------------------------------------------------


class DirectoryUnreachable(SetupError):
    code = 7001
    title = "The domain controller cannot be reached"
    default_why = "nothing accepts connections at its address, the name does not resolve, or the connection broke"
    default_mend = ("check name, address and firewall: LDAP 389 or LDAPS 636, Kerberos 88", "name another controller")


class BindRefused(AccessError):
    code = 7002
    title = "The domain controller refused the log-in"
    default_why = "the account or its password is wrong, or the account may not log on"
    default_mend = ("check name and password file: the name is account@domain", "make a new keytab for the account")


class StrongAuthRequired(AccessError):
    code = 7003
    title = "The domain controller demands an encrypted connection"
    default_why = "it takes no log-in in clear: only Kerberos that seals, or a password inside TLS"
    default_mend = ("use Kerberos on ldap://HOST, which seals", "use ldaps://HOST with a password file")


class ChannelBindingMissing(AccessError):
    code = 7004
    title = "The domain controller demands channel binding"
    default_why = "Kerberos inside TLS must be tied to the TLS channel (data 35b, 80090346)"
    default_mend = ("use Kerberos on ldap://HOST, port 389: it seals by itself and needs no binding",)


class ServerNotInKerberosDatabase(SetupError):
    code = 7005
    title = "Kerberos knows no such domain controller"
    default_why = "the name in the address is not one of the controller's service names: an alias, an address, a typo"
    default_mend = ("use the controller's full name as in `setspn -L DC1`", "add the name: setspn -S ldap/NAME DC1")


class ClockSkew(SetupError):
    code = 7006
    title = "The clocks of this machine and of the domain controller differ too much"
    default_why = "Kerberos allows five minutes"
    default_mend = ("synchronise this machine with the domain: timedatectl set-ntp true",)


class KerberosCredentialsMissing(SetupError):
    code = 7007
    title = "There is no Kerberos ticket or keytab to log in with"
    default_why = "the ticket cache is empty or expired, or the keytab cannot be read or lacks the account"
    default_mend = ("name a keytab: --keytab FILE", "get a ticket: kinit account@REALM")


class InsufficientAccess(AccessError):
    code = 7008
    title = "The account may not write this object of the directory"
    default_why = "writing to Public Key Services takes Enterprise Admins, or rights that were delegated"
    default_mend = (
        "let an Enterprise Admin run the same changes: privyseal directory script",
        "delegate just these rights: privyseal directory delegate",
    )


class SchemaViolation(StateError):
    code = 7009
    title = "The directory's schema does not allow this object"
    default_why = "the object is of another class, or lacks an attribute that its class demands"
    default_mend = ("look at the object in ADSI Edit or with ldapsearch", "remove it if nothing uses it, and try again")


class DirectoryTimeout(SetupError):
    code = 7010
    title = "The domain controller did not answer in time"
    default_why = "it is overloaded, or hangs, or a firewall swallows packets"
    default_mend = ("try again; what was done is not done twice", "name another controller")


class PlanStale(StateError):
    code = 7011
    title = "The directory has changed since the plan was made"
    default_why = "what was shown and approved is no longer what would happen"
    default_mend = ("make a new plan and look at it: privyseal directory plan",)


class NotACaCertificate(InputError):
    code = 7012
    title = "This is not a CA certificate that may be published there"
    default_why = "whoever holds a key in NTAuthCertificates can log on as anybody, so only CAs belong there"
    default_mend = ("give the CA's certificate, not one that it issued", "use SubCA for a CA that another CA signed")


class CertificateTooLarge(InputError):
    code = 7013
    title = "The value is too large for the directory"
    default_why = "the schema limits certificates to 32 KB and CRLs to 10 MB"
    default_mend = ("give one certificate in DER or PEM, without its chain",)


class CertificateExpired(PolicyError):
    code = 7014
    title = "The CA certificate has expired"
    default_why = "nothing that this CA signed is valid any more, so publishing it helps nobody"
    default_mend = ("publish the CA's current certificate", "publish it all the same: --allow-expired")


class ContainerMissing(StateError):
    code = 7015
    title = "A container of Public Key Services is missing"
    default_why = "somebody deleted it, or the account may not see it"
    default_mend = ("let an Enterprise Admin restore it", "check that the account may read the configuration partition")


class ControllersDisagree(StateError):
    code = 7016
    title = "The domain controllers do not hold the same"
    default_why = "replication takes time, or is broken"
    default_mend = ("wait, then: privyseal directory verify", "on the one that lags: repadmin /showrepl")


class AccountNotFound(StateError):
    code = 7017
    title = "The directory holds no such account"
    default_why = "it was deleted, is in another domain, or is written differently there"
    default_mend = ("name it by userPrincipalName, DNS host name, SID or DOMAIN\\name",)


class AccountDisabled(AccessError):
    code = 7018
    title = "The account is disabled in the directory"
    default_why = "disabled accounts get no certificates"
    default_mend = ("enable it in the directory only if that is meant",)


class AccountAmbiguous(StateError):
    code = 7019
    title = "More than one account of the directory answers to this name"
    default_why = "a certificate with this name would open the doors of whichever account is found first"
    default_mend = ("give each account a userPrincipalName of its own", "name the account by its SID")


class AccountLacksAttribute(PolicyError):
    code = 7020
    title = "The account lacks an attribute, or has one that fits no certificate"
    default_why = "a name in a certificate must be exactly the account's, so nothing is guessed or repaired"
    default_mend = ("correct the attribute that is named in the directory",)


class ExtraMissing(SetupError):
    code = 7021
    title = "The LDAP library is not installed"
    default_why = "python-ldap is needed to talk to a directory, and comes with the extra `ad`"
    default_mend = (
        "apt install build-essential python3-dev libldap2-dev libsasl2-dev, then: pip install 'privyseal[ad]'",
        "without it: privyseal directory script writes what an Enterprise Admin can run",
    )


class NotReceipted(PolicyError):
    code = 7022
    title = "This was not published by Privyseal"
    default_why = "only what a receipt says we added is removed; what others published is theirs"
    default_mend = ("see what is there and whose it is: privyseal directory status",)


class ReferralReturned(SetupError):
    code = 7023
    title = "The domain controller points to another one"
    default_why = "it does not hold the object, or holds it read-only (RODC); we never follow to a server nobody named"
    default_mend = (
        "name a writable controller of the domain that holds the object: privyseal directory add --replace",
    )


class TlsNotTrusted(SetupError):
    code = 7024
    title = "The domain controller's TLS certificate is not trusted"
    default_why = "it does not lead to the CA file, has expired, or is for another name"
    default_mend = ("name the CA that signed it: --ca-file FILE", "use the name that is in its certificate")


class NotConfirmed(PolicyError):
    code = 7025
    title = "This needs an explicit confirmation"
    default_why = "domain members would treat the object as an enterprise CA and try to enroll from it"
    default_mend = (
        "leave it out: RootCA, SubCA and NTAuthCA are what logon and 802.1X need",
        "if an enrollment service really runs there: --i-understand-enrollment-services",
    )


class DirectoryNotUsable(SetupError):
    code = 7026
    title = "The directory could not be asked for a name"
    default_why = "the service's own log-in to it does not work, so no name and no SID can be vouched for"
    default_mend = ("see what is wrong: privyseal directory status", "the device may simply try again afterwards")


class EntityNotBound(PolicyError):
    code = 7027
    title = "The device or user is bound to no account of a directory"
    default_why = "the profile takes names and SID from the directory, and it is not known which account is meant"
    default_mend = ("bind it: privyseal user set NAME --directory DIRECTORY --principal NAME@DOMAIN",)


class DirectoryInUse(StateError):
    code = 7028
    title = "The directory is still in use"
    default_why = "devices or users are bound to accounts of it, and could not be looked up any more"
    default_mend = (
        "change how it is reached instead: privyseal directory add NAME --replace",
        "see who is bound: privyseal user list",
    )
