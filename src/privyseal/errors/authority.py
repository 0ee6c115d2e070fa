# SPDX-License-Identifier: Apache-2.0
"""6000s: requests and keys, CAs, profiles, certificates."""

from __future__ import annotations

from privyseal.errors.tree import AccessError, InputError, PolicyError, SetupError, StateError

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


# --- 6020: the life of a CA ---------------------------------------------------------------------


class AuthorityStateUnfit(StateError):
    code = 6020
    title = "The CA's state does not allow this"
    default_why = "a CA version moves from state to state in one order only"
    default_mend = ("see where it stands: privyseal ca get NAME", "see what follows what: docs/how-to/ca-life-cycle.md")


class AuthorityInUse(StateError):
    code = 6021
    title = "The CA is still in use"
    default_why = "certificates or CAs that are alive depend on it"
    default_mend = (
        "see what depends on it: privyseal ca delete NAME --dry-run",
        "revoke or renew what it signed, then wait or repeat",
    )


class KeyNotHere(StateError):
    code = 6022
    title = "The CA's key is not on this server"
    default_why = "it is a CA of others or an offline root; only its certificate and CRLs are here"
    default_mend = (
        "sign where the key is: privyseal ceremony sign REQUEST",
        "bring its CRL here: privyseal ca import-crl FILE",
    )


class InstallRefused(PolicyError):
    code = 6023
    title = "The CA certificate does not fit"
    default_why = "what came back from outside is not what was asked for, or its chain is not complete"
    default_mend = (
        "see the whole list: privyseal ca install NAME FILE... --dry-run",
        "have the request signed again, as a subordinate CA",
    )


class CrlRefused(PolicyError):
    code = 6024
    title = "The CRL does not fit"
    default_why = "it is not signed by this CA, is older than the one in force, or is over"
    default_mend = ("make a new one where the key is: privyseal ceremony crl",)


class GatesNotPassed(StateError):
    code = 6025
    title = "The staged CA version is not ready"
    default_why = "a version becomes active when every gate has passed, or was accepted by name"
    default_mend = (
        "see each gate with its evidence: privyseal ca rollover NAME",
        "go on without one: privyseal ca activate NAME --version N --accept GATE",
    )


class StagedLimitReached(PolicyError):
    code = 6026
    title = "The staged CA version issues no more test certificates"
    default_why = "a version that was never activated issues a few certificates for tests, and for a limited time"
    default_mend = ("activate it: privyseal ca rollover NAME", "use the profile's own URL: privyseal scep url")


class RollbackTooLate(StateError):
    code = 6027
    title = "It is too late to go back to the older CA version"
    default_why = "within this time all clients have taken the new version for granted"
    default_mend = ("make the next version: privyseal ca renew NAME",)


class CeremonyInvalid(InputError):
    code = 6028
    title = "The ceremony directory cannot be used"
    default_why = "it is not one, is damaged, or its ledger does not fit the root in it"
    default_mend = ("use the directory that `privyseal ceremony root` made", "restore it from its copy")


class RootNotRevocable(StateError):
    code = 6029
    title = "A root cannot be revoked"
    default_why = "nobody stands above it whose CRL could say so; relying parties trust it until they remove it"
    default_mend = (
        "revoke the CAs below it: privyseal ca revoke NAME",
        "take it out of the directory: privyseal directory remove",
        "remove it from every trust store",
    )


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


class IssuerPaused(IssuerNotActive):
    code = 6109
    title = "The CA is paused"
    default_why = "an administrator paused it; CRL and OCSP go on, certificates wait"
    default_mend = ("resume it: privyseal ca resume NAME",)


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


class CertificateOfCa(PolicyError):
    code = 6303
    title = "A CA is not revoked by its certificate's serial"
    default_why = "revoking a CA takes the rights, the preview and the second person that `ca revoke` asks for"
    default_mend = ("see what hangs on it: privyseal ca revoke NAME --version N --dry-run",)


class SelectionChanged(StateError):
    code = 6310
    title = "The selection is no longer the one that was shown"
    default_why = "certificates were revoked since, so what was approved is not what would happen"
    default_mend = ("look at it again: privyseal certificate revoke-many --where SEARCH --dry-run",)


class TooManySelected(PolicyError):
    code = 6311
    title = "The search selects more certificates than may be revoked at once"
    default_why = "a slip in a search must not take a whole company off its network"
    default_mend = (
        "look at what it selects: privyseal certificate list --where SEARCH --count",
        "if it is meant: privyseal certificate revoke-many --where SEARCH --most NUMBER",
    )


class EnrollmentBlocked(AccessError):
    code = 6312
    title = "The device or user gets no further certificate of this profile"
    default_why = "its certificate was revoked for a reason that keeps it out until somebody lets it in again"
    default_mend = ("if it may come back: privyseal device unblock NAME --profile PROFILE",)
