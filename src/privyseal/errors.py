# SPDX-License-Identifier: Apache-2.0
"""The one error tree. Codes are stable for ever; every edge maps this tree with one table of its own.

    PrivysealError
    +-- InputError           bytes or values from outside are not what they must be
    |   +-- MalformedDer, MalformedMessage, MalformedRequest, InvalidValue, ...
    +-- PolicyError          well formed, but a rule says no
    |   +-- KeyNotAcceptable, ValidityNotNested, LintFailed, VariableWithoutValue, ...
    +-- AccessError          who asks could not prove it, or may not
    |   +-- ChallengeUnknown, ChallengeUsed, RenewalTooEarly, ...
    +-- StateError           the object is not in a state that allows it, or is not there
    |   +-- NotFound, NameTaken, AlreadyRevoked, IssuerNotActive, ...
    +-- SetupError           this installation is not ready: configuration, keys, store, network

Codes share one number space with event ids: 6000s CA, 7000s directory, 8000s access, 9000s product.
"""

from __future__ import annotations

from typing import ClassVar


class PrivysealError(Exception):
    """What happened (the message), why, and at most three ways to mend it, safest first.

    ``what`` names the object and the actual value. ``why`` and ``mend`` default to the class's own
    text; pass them where the case knows better. No message ever carries a secret, a PEM or a stack.
    """

    code: ClassVar[int] = 0
    title: ClassVar[str] = ""
    default_why: ClassVar[str] = ""
    default_mend: ClassVar[tuple[str, ...]] = ()

    def __init__(self, what: str, *, why: str = "", mend: tuple[str, ...] = ()) -> None:
        super().__init__(what)
        self.what = what
        self.why = why or self.default_why
        self.mend = (mend or self.default_mend)[:3]


class InputError(PrivysealError):
    """Bytes or values from outside are not what they must be."""


class PolicyError(PrivysealError):
    """Well formed, but a rule says no."""


class AccessError(PrivysealError):
    """Who asks could not prove it, or may not."""


class StateError(PrivysealError):
    """The object is missing, or its state does not allow this."""


class SetupError(PrivysealError):
    """This installation is not ready: configuration, keys, store or network."""


# --- 6000: requests and keys -------------------------------------------------------------------


class MalformedDer(InputError):
    code = 6001
    title = "The bytes are not the DER encoding that was expected"
    default_why = "the structure is cut short, has a wrong tag or length, or is not DER"
    default_mend = ("send the object as the standard encodes it; `openssl asn1parse` shows where it breaks",)


class MalformedRequest(InputError):
    code = 6002
    title = "The certification request cannot be read"
    default_why = "it is not a PKCS#10 certification request (RFC 2986)"
    default_mend = ("make a new one: openssl req -new -key device.key -subj /CN=device -out device.csr",)


class ProofOfPossessionFailed(InputError):
    code = 6003
    title = "The certification request is not signed by its own key"
    default_why = "its signature does not verify with the public key it carries (RFC 2986 section 3)"
    default_mend = ("make the request again with the matching private key",)


class KeyNotAcceptable(PolicyError):
    code = 6004
    title = "The public key is not acceptable"
    default_why = "its type or size is outside what the profile allows"
    default_mend = ("make a key the profile allows; `privyseal profile get NAME` lists them",)


class WeakKey(PolicyError):
    code = 6005
    title = "The public key is known to be weak"
    default_why = "its private key can be computed (ROCA, close primes, small exponent) or was reported as compromised"
    default_mend = ("make a new key with current software and request again",)


class SidInRequest(PolicyError):
    code = 6006
    title = "The request carries a SID"
    default_why = (
        "whoever chooses the SID chooses the account that a domain controller logs on; "
        "Privyseal writes it from the verified device or user only"
    )
    default_mend = ("remove extension 1.3.6.1.4.1.311.25.2 (or the SID URI) from the request",)


class CaInRequest(PolicyError):
    code = 6007
    title = "The request asks to become a CA"
    default_why = "basicConstraints CA:TRUE or keyCertSign in an enrollment request is never granted"
    default_mend = (
        "remove it from the request",
        "a subordinate CA is made with `privyseal ca create NAME --parent PARENT`",
    )


class SignatureAlgorithmNotAllowed(PolicyError):
    code = 6008
    title = "The signature algorithm is not allowed"
    default_why = "MD5 is never accepted; SHA-1 only where the profile allows legacy devices"
    default_mend = (
        "sign with SHA-256 or better",
        "for old devices only: make a profile with `--legacy-devices`",
    )


class InvalidName(InputError):
    code = 6009
    title = "The distinguished or alternative name is not valid"
    default_why = "it does not parse as RFC 4514 text, or holds a character its type cannot carry"
    default_mend = ("write it as `CN=name,O=Organization`; a comma inside a value is written `\\,`",)


class InvalidSid(InputError):
    code = 6010
    title = "The value is not a security identifier"
    default_why = "an account's SID looks like S-1-5-21-<a>-<b>-<c>-<rid> (MS-DTYP 2.4.2.1)"
    default_mend = ("read it from the directory: Get-ADComputer NAME -Properties objectSid",)


# --- 6100: CA ----------------------------------------------------------------------------------


class IssuerNotActive(StateError):
    code = 6101
    title = "The CA is not active"
    default_why = "only an active CA signs certificates"
    default_mend = ("see its state with `privyseal ca get NAME`",)


class ValidityNotNested(PolicyError):
    code = 6102
    title = "The certificate would outlive its issuer"
    default_why = "a certificate that ends after its issuer cannot be verified to its end (RFC 5280 section 6.1)"
    default_mend = (
        "ask for a shorter validity",
        "renew the issuing CA first",
        "let the profile shorten it: `--validity-at-ca-end shorten`; every shortening is then said",
    )


class EkuNotNested(PolicyError):
    code = 6103
    title = "The extended key usage is not allowed by the issuer"
    default_why = "a CA's extended key usages are the most its certificates may carry"
    default_mend = ("drop the usage that is named", "use a CA that allows it")


class PathLengthExceeded(PolicyError):
    code = 6104
    title = "The issuer may not have a CA below it"
    default_why = "its basicConstraints path length is used up (RFC 5280 section 4.2.1.9)"
    default_mend = ("create the CA under its root", "create a root with a larger `--path-length`")


class LintFailed(PolicyError):
    code = 6105
    title = "The certificate was not signed: a lint found it wrong"
    default_why = "what was to be signed breaks RFC 5280 or its profile; nothing was signed"
    default_mend = ("mend the profile as the findings say: `privyseal profile preview NAME`",)


class SigningFailed(SetupError):
    code = 6106
    title = "The signing key did not make a valid signature"
    default_why = "the signature does not verify with the CA's certificate: wrong key file or faulty hardware"
    default_mend = ("check that the key file belongs to this CA: `privyseal doctor`",)


class ParameterNotFitting(PolicyError):
    code = 6107
    title = "The CA cannot be made with these parameters"
    default_mend = ("see `privyseal ca create --help` for what fits together",)
    default_why = "the values contradict each other or the parent CA"


class NextCaNotAvailable(StateError):
    code = 6108
    title = "No next CA certificate is available"
    default_why = "this CA has no successor yet (RFC 8894 section 4.7)"
    default_mend = ("wait for the rollover to begin; clients ask again by themselves",)


# --- 6200: profiles ----------------------------------------------------------------------------


class ProfileInvalid(PolicyError):
    code = 6201
    title = "The profile is not valid"
    default_why = "its rules contradict each other, the standard, or its issuing CA"
    default_mend = ("correct the field that is named; `privyseal profile create --help` explains each",)


class VariableWithoutValue(PolicyError):
    code = 6202
    title = "A variable of the profile has no value"
    default_why = "the device or user lacks the attribute that the profile's name is built from"
    default_mend = ("give it the attribute: privyseal device set NAME --dns-name NAME.example.com",)


class UnknownVariable(InputError):
    code = 6203
    title = "The profile uses a variable that does not exist"
    default_why = "variables are {{device.*}} and {{user.*}} from a fixed list"
    default_mend = ("use one of those that `privyseal profile create --help` lists",)


# --- 6300: revocation --------------------------------------------------------------------------


class AlreadyRevoked(StateError):
    code = 6301
    title = "The certificate is already revoked"
    default_why = "a revocation is final; its date and reason stay as they were first recorded"
    default_mend = ("see them: privyseal certificate status SERIAL",)


class NotIssued(StateError):
    code = 6302
    title = "No certificate with this serial was issued"
    default_why = "the store knows no such serial under this CA"
    default_mend = ("look for it: privyseal certificate list",)


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
    default_why = "it does not hold the object; Public Key Services live in the forest's configuration partition"
    default_mend = ("name a controller of the forest that holds the object",)


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


# --- 7040: the doors: RADIUS and Kerberos log-in -------------------------------------------------


class RadiusSilent(SetupError):
    code = 7040
    title = "The RADIUS server does not answer"
    default_why = "a RADIUS server says nothing to an address that it does not know, or when the shared secret is wrong"
    default_mend = (
        "compare the secret and the address of this client in the server's clients.conf",
        "look whether UDP port 1812 is open on the way",
    )


class RadiusServerNotTrusted(AccessError):
    code = 7041
    title = "The client does not trust the RADIUS server's certificate"
    default_why = (
        "the server's certificate does not lead to the CA that the client was told to trust, or the server "
        "left out its CA"
    )
    default_mend = (
        "give clients the root: privyseal ca export ROOT -o pem",
        "put the issuing CA behind the certificate in certs/server.pem",
    )


class RadiusServerNameWrong(AccessError):
    code = 7042
    title = "The RADIUS server's certificate is for another name"
    default_why = "clients are told which server name to expect, and the certificate does not hold it as a DNS name"
    default_mend = (
        "name what the certificate holds: --server-name NAME",
        "issue the server a certificate for the name that clients expect",
    )


class EapClientCaUnknown(AccessError):
    code = 7043
    title = "The RADIUS server does not know the CA of the client's certificate"
    default_why = (
        "the certificate is from a CA that is not in the server's certs/issuers.pem: another PKI, or another "
        "CA of this one"
    )
    default_mend = (
        "write the configuration with this CA: privyseal radius config freeradius --ca CA",
        "enroll the client under a profile of a CA that the server accepts",
    )


class EapCertificateRevoked(AccessError):
    code = 7044
    title = "The RADIUS server refuses the certificate because it is revoked"
    default_why = "the CRL or the OCSP responder says so"
    default_mend = (
        "see when and why: privyseal certificate status SERIAL",
        "enroll the device again, if it should get in",
    )


class EapCertificateExpired(AccessError):
    code = 7045
    title = "The RADIUS server refuses the certificate because it is not valid now"
    default_why = "it has expired, or one of the two clocks is wrong"
    default_mend = ("renew the certificate by SCEP, or enroll again", "compare the clocks: timedatectl")


class EapPurposeWrong(AccessError):
    code = 7046
    title = "The certificate is not for logging in"
    default_why = "its extended key usage does not hold client authentication (1.3.6.1.5.5.7.3.2)"
    default_mend = ("use a profile with client-auth, such as preset user-wifi or computer-wifi",)


class EapCrlMissing(SetupError):
    code = 7047
    title = "The RADIUS server has no CRL of the client's CA"
    default_why = "it was told to check CRLs and finds none for this CA, so it lets nobody in"
    default_mend = (
        "run refresh-crls in the server's configuration directory, then restart it",
        "see that cron runs it every hour",
    )


class EapCrlExpired(SetupError):
    code = 7048
    title = "The RADIUS server's CRL has expired"
    default_why = "nobody fetched a newer one, or the CA publishes none"
    default_mend = (
        "run refresh-crls in the server's configuration directory, then restart it",
        "see that the CA publishes: privyseal doctor",
    )


class EapOcspUnanswered(SetupError):
    code = 7049
    title = "The RADIUS server got no OCSP answer"
    default_why = (
        "the responder that the certificate names is down or cannot be reached from there; nobody is let in meanwhile"
    )
    default_mend = (
        "see that Privyseal serves: privyseal doctor",
        "open the way from the RADIUS server to the public URL",
    )


class EapOcspSignerUnknown(SetupError):
    code = 7050
    title = "The RADIUS server cannot verify the OCSP answer"
    default_why = "the answer does not carry its signer's certificate, or that one is not from the client's CA"
    default_mend = ("ask our responder, not a proxy or another one: override_cert_url = no",)


class EapAccountRefused(AccessError):
    code = 7051
    title = "The directory has no such account that may log in"
    default_why = "no enabled account has the certificate's name and SID, or it is not in the demanded group"
    default_mend = (
        "see the account: is it enabled, has it this UPN and SID, is it in the group",
        "enroll again, if the account's name or SID changed",
    )


class EapSidMissing(AccessError):
    code = 7052
    title = "The certificate has no SID, and the RADIUS server demands one"
    default_why = "the profile writes no SID extension, or the end entity had no SID when the certificate was made"
    default_mend = ("privyseal profile create NAME --preset user-wifi --replace", "enroll the client again")


class EapVersionMismatch(SetupError):
    code = 7053
    title = "Client and RADIUS server have no TLS version in common"
    default_why = "one of them allows only versions that the other one refuses"
    default_mend = ("allow TLS 1.2 on both sides: tls_min_version and tls_max_version in mods-enabled/eap",)


class EapRefused(AccessError):
    code = 7054
    title = "The RADIUS server refused the log-in"
    default_why = "it tells clients nothing; its log has the reason"
    default_mend = (
        "run it again with the server's log: privyseal radius check ... --log FILE",
        "freeradius -X shows the reason as it happens",
    )


class DoorProgramMissing(SetupError):
    code = 7055
    title = "A program for trying log-ins is not installed"
    default_why = "Privyseal does not speak EAP or Kerberos itself; it drives the usual programs"
    default_mend = (
        "sudo apt-get install -y --no-install-recommends eapoltest",
        "sudo apt-get install -y --no-install-recommends krb5-user krb5-pkinit",
        "for demo --ad also: samba-ad-dc samba-ad-provision samba-dsdb-modules ldb-tools freeradius-ldap",
    )


class DemoNeedsRoot(SetupError):
    code = 7056
    title = "This demonstration needs root"
    default_why = "a domain controller has its ports below 1024; everything else about it is an ordinary process"
    default_mend = ("sudo privyseal demo --ad", "without a domain it needs no root: privyseal demo")


class KdcCertificateMismatch(AccessError):
    code = 7060
    title = "The domain controller finds that the certificate is not this account's"
    default_why = (
        "the SID in the certificate is missing or another account's, and no strong mapping is stored (KB5014754)"
    )
    default_mend = (
        "use a profile with --sid-extension, for an end entity with the account's SID",
        "enroll again; a SID cannot be added to a certificate",
    )


class KdcClientNotTrusted(AccessError):
    code = 7061
    title = "The domain controller does not trust the client's certificate"
    default_why = "its CA is not trusted for log-on (NTAuth, root), or the certificate is revoked or expired"
    default_mend = (
        "publish the CA: privyseal directory publish NTAuthCA --ca CA",
        "see whether it is revoked: privyseal certificate status SERIAL",
    )


class KdcNameMismatch(AccessError):
    code = 7062
    title = "The certificate names another account"
    default_why = "the UPN in the certificate is not that of the principal that wants the ticket, or there is no UPN"
    default_mend = (
        "ask for a ticket for the account that the certificate names",
        "let the profile write the UPN: --san 'upn:{{user.principal_name}}'",
    )


class KdcNotTrusted(AccessError):
    code = 7063
    title = "The client does not trust the domain controller's certificate"
    default_why = (
        "it lacks the KDC purpose or the controller's name, or its CA is not among those that the client trusts"
    )
    default_mend = (
        "issue the controller a certificate: privyseal profile create dc --preset domain-controller --domain DOMAIN",
        "give clients the root: privyseal ca export ROOT -o pem",
    )


class KdcAccountLocked(AccessError):
    code = 7064
    title = "The account may not log on"
    default_why = "it is disabled, locked, expired, or outside its hours"
    default_mend = ("see the account in Active Directory", "revoke its certificates, if it is gone for good")


class PkinitRefused(AccessError):
    code = 7066
    title = "The domain controller gave no ticket for the certificate"
    default_why = "the text of kinit, above, says what it saw"
    default_mend = (
        "KRB5_TRACE=/dev/stderr kinit ... shows each step",
        "look into the event log of the controller: 19, 21, 39 and 41",
    )


class KdcUnreachable(SetupError):
    code = 7029
    title = "No Kerberos key distribution center answers"
    default_why = "krb5.conf and DNS name none for the realm, or a firewall closes port 88"
    default_mend = ("see which one is asked: KRB5_TRACE=/dev/stderr kinit ACCOUNT@REALM", "name it in krb5.conf")


class DirectoryBusy(SetupError):
    code = 7030
    title = "The domain controller is busy"
    default_why = "it is starting, shutting down, or at one of its limits (LDAP policy)"
    default_mend = ("try again in a minute; what was done is not done twice", "name another controller")


class DirectoryRefused(StateError):
    code = 7031
    title = "The domain controller refused the operation"
    default_why = "the reason is the one that it gives, in the first line"
    default_mend = ("look at the controller's Directory Service event log at this minute",)


class NotADomainController(SetupError):
    code = 7032
    title = "The server is not a domain controller of Active Directory"
    default_why = "it names no configuration partition, which is where Public Key Services live"
    default_mend = ("name a domain controller: nltest /dclist:DOMAIN, or host -t SRV _ldap._tcp.DOMAIN",)


# --- 8000: access ------------------------------------------------------------------------------


class EntityDisabled(AccessError):
    code = 8001
    title = "The device or user is disabled"
    default_why = "disabled end entities get no certificates"
    default_mend = ("enable it again only if that is meant",)


class NotAuthenticated(AccessError):
    code = 8002
    title = "The request brings no proof of who asks"
    default_why = "neither a challenge password nor a current certificate of ours came with it"
    default_mend = ("make a challenge: privyseal scep challenge create --profile NAME --device NAME",)


class ChallengeUnknown(AccessError):
    code = 8003
    title = "The challenge is not known"
    default_why = "it was never issued by this service, or was mistyped"
    default_mend = ("make a new one: privyseal scep challenge create --profile NAME --device NAME",)


class ChallengeUsed(AccessError):
    code = 8004
    title = "The challenge has already been used"
    default_why = "challenges are single use; this one served another request"
    default_mend = ("make a new one: privyseal scep challenge create --profile NAME --device NAME",)


class ChallengeExpired(AccessError):
    code = 8005
    title = "The challenge has expired"
    default_why = "its lifetime was over when the request arrived"
    default_mend = ("make a new one, with a longer --ttl if the device is slow",)


class ChallengeOfOtherProfile(AccessError):
    code = 8006
    title = "The challenge belongs to another profile"
    default_why = "a challenge is good for one profile only"
    default_mend = ("use the SCEP URL of the profile that the challenge was made for",)


class TransactionReused(AccessError):
    code = 8007
    title = "The transaction id was already used with another key"
    default_why = "one SCEP transaction belongs to one key (RFC 8894 section 3.2.1.1)"
    default_mend = ("let the client start a new transaction",)


class RenewalTooEarly(AccessError):
    code = 8008
    title = "The certificate is not yet due for renewal"
    default_why = "renewal opens when the profile's share of the lifetime is used up"
    default_mend = ("wait until the date that is named", "enroll anew with a challenge")


class RenewalSignerRefused(AccessError):
    code = 8009
    title = "The certificate that signed the renewal is not good for it"
    default_why = "it is expired, revoked, of another CA or profile, or its owner is disabled"
    default_mend = ("enroll anew with a challenge",)


class EnrollmentRejected(AccessError):
    code = 8010
    title = "An operator rejected the enrollment"
    default_why = "the profile asks for approval, and it was not given"
    default_mend = ("ask whoever rejected it: privyseal enrollment get ID",)


class SubjectMismatch(AccessError):
    code = 8011
    title = "The requested name is not that of the device or user"
    default_why = "the request names somebody other than whom the challenge was made for"
    default_mend = (
        "let the client ask for the name that is shown",
        "let the profile ignore the requested name (the default)",
    )


class EnrollmentPending(AccessError):
    code = 8012
    title = "The enrollment waits for an operator"
    default_why = "the profile asks for approval before it issues"
    default_mend = ("privyseal enrollment list --state waiting", "privyseal enrollment approve ID")


# --- 8200: SCEP and other wire messages --------------------------------------------------------


class MalformedMessage(InputError):
    code = 8201
    title = "The message cannot be read"
    default_why = "it is not a CMS or protocol message of the expected shape"
    default_mend = ("check the client's protocol settings",)


class MessageSignatureInvalid(InputError):
    code = 8202
    title = "The message's signature does not verify"
    default_why = "it was altered on the way, or signed with another key than it names"
    default_mend = ("send it again; look for a proxy that rewrites bodies",)


class EnvelopeNotForUs(InputError):
    code = 8203
    title = "The message cannot be decrypted"
    default_why = "it was not encrypted to our current RA certificate, or is damaged"
    default_mend = ("let the client fetch GetCACert again and encrypt to the RA certificate",)


class AlgorithmNotAllowed(PolicyError):
    code = 8204
    title = "The message uses an algorithm that is not allowed"
    default_why = "DES and MD5 are never offered; SHA-1 and DES only where a profile allows legacy devices"
    default_mend = (
        "let the client use AES and SHA-256",
        "for old devices only: make a profile with `--legacy-devices`",
    )


class MessageTooLarge(InputError):
    code = 8205
    title = "The message is too large"
    default_why = "a SCEP or OCSP request of this size is not one"
    default_mend = ("send less than the limit that is named",)


class UnknownTransaction(StateError):
    code = 8206
    title = "There is no such transaction"
    default_why = "no pending enrollment has this transaction id and key"
    default_mend = ("let the client enroll again",)


class OperationUnsupported(InputError):
    code = 8207
    title = "The operation is not one that this service offers"
    default_why = "the operation or message type is unknown or switched off"
    default_mend = ("see GetCACaps for what is offered",)


class RecipientKeyUnsupported(PolicyError):
    code = 8208
    title = "The reply cannot be encrypted to the requester"
    default_why = "SCEP needs an RSA key in the certificate that signs the request (RFC 8894 section 3.1)"
    default_mend = ("let the client sign the message with an RSA certificate",)


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
