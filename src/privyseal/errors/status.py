# SPDX-License-Identifier: Apache-2.0
"""Codes 6400 to 6419: CRLs in their forms, holds, and what relying parties see of them."""

from __future__ import annotations

from privyseal.errors.tree import PolicyError, SetupError, StateError


class NotOnHold(StateError):
    code = 6401
    title = "The certificate is not on hold"
    default_why = (
        "only a hold can be released; every other revocation is final, and a good certificate needs no release"
    )
    default_mend = ("see its status: privyseal certificate status SERIAL",)


class CrlFormNotFitting(PolicyError):
    code = 6402
    title = "The form of the CRL does not fit"
    default_why = (
        "a CA publishes one CRL, one CRL with delta CRLs, or 1 to 1024 shards; a delta of a shard would save nothing"
    )
    default_mend = (
        "choose one: --delta-crl DURATION, or --crl-shards N",
        "shards are chosen when a CA version is made: renewing keeps them",
    )


class DeltaCrlStillNamed(StateError):
    code = 6403
    title = "Certificates that are still valid name the delta CRL"
    default_why = (
        "a relying party that follows the name would find an outdated delta CRL, and some then refuse everybody"
    )
    default_mend = (
        "leave delta CRLs on until those certificates have ended",
        "make the next version of the CA without them: privyseal ca renew NAME",
    )


class HoldNotPossible(PolicyError):
    code = 6404
    title = "This certificate cannot be put on hold"
    default_why = "a CA, RA or OCSP responder that may come back would leave open what it signed meanwhile"
    default_mend = ("revoke it for good: privyseal certificate revoke SERIAL --reason cessation-of-operation",)


class ShardsNotForDirectory(PolicyError):
    code = 6405
    title = "CRL shards are not published to a directory"
    default_why = "an object of the CDP container holds one base and one delta CRL; certificates name shards by HTTP"
    default_mend = ("let members fetch shards by HTTP: privyseal ca get NAME shows the URLs",)


class RevocationNotSeen(SetupError):
    code = 6406
    title = "The public URL does not show the revocation"
    default_why = "an older answer is kept by a proxy on the way, or the URL leads to another server"
    default_mend = (
        "let the proxy pass CRL and OCSP answers on as they are",
        "check where the public URL leads: privyseal doctor",
    )
