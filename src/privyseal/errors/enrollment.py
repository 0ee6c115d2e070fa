# SPDX-License-Identifier: Apache-2.0
"""8000-8299: who asks for a certificate, and the messages that they ask with."""

from __future__ import annotations

from privyseal.errors.tree import AccessError, InputError, PolicyError, StateError

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
