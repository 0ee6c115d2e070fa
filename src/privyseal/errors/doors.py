# SPDX-License-Identifier: Apache-2.0
"""7040-7099: RADIUS, EAP and Kerberos log-ins."""

from __future__ import annotations

from privyseal.errors.tree import AccessError, PolicyError, SetupError, StateError

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
    default_why = "it has expired"
    default_mend = ("renew the certificate by SCEP, or enroll again",)


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
    default_why = "nobody fetched a newer one, the CA publishes none, or the server's clock is ahead"
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


class RadiusAccountTooPowerful(PolicyError):
    code = 7057
    title = "The directory account is too powerful for a RADIUS server"
    default_why = (
        "it may write Public Key Services, and whoever does that can log on as anybody; its password would lie on "
        "a machine at the network's edge"
    )
    default_mend = (
        "make an account without rights, and name it: --directory-user radius@contoso.com "
        "--directory-password-file FILE",
    )


class RadiusServerNotValidNow(AccessError):
    code = 7058
    title = "For the client the RADIUS server's certificate is not valid now"
    default_why = "the certificate, or a CA above it, has expired, or the client's clock is wrong"
    default_mend = (
        "compare the clocks: timedatectl",
        "see its times: privyseal certificate inspect server.pem",
    )


class EapClockSkew(SetupError):
    code = 7059
    title = "The RADIUS server's clock is wrong"
    default_why = (
        "for it a certificate, CRL or OCSP answer is not valid yet, or no longer, that is valid by the clock here"
    )
    default_mend = (
        "set the server's clock: timedatectl set-ntp true",
        "look whether the clock here is right: timedatectl",
    )


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


class PkinitCertificateNotValid(AccessError):
    code = 7065
    title = "For the client its own certificate is not valid now"
    default_why = "the certificate, or a CA above it, has expired, or this machine's clock is wrong"
    default_mend = (
        "compare the clocks: timedatectl",
        "see its times: privyseal certificate inspect client.pem",
    )


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
