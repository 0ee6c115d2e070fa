# SPDX-License-Identifier: Apache-2.0
"""What stands in the containers: whose it is, what is wrong with it, who lacks it, what has drifted away."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from privyseal.directory.changes import DONE, AddEntry, AddValue, DeleteEntry, Entry, RemoveValue, ReplaceValue
from privyseal.directory.containers import PLACEHOLDER, Container
from privyseal.directory.naming import dn_key
from privyseal.directory.receipts import NOT_DONE, UNKNOWN, Ownership, Receipt, ownership, took_effect, unsettled
from privyseal.directory.status import (
    ControllerView,
    Found,
    Known,
    Owner,
    classify,
    differences,
    drift,
    external_cas,
    read_generalized_time,
    read_usn,
)
from privyseal.x509 import der
from privyseal.x509.certificate import read_certificate
from tests.unit.directory.certificates import AIA, ISSUING, LEAF, NOW, NTAUTH, RENEWED, ROOT, ROOTS, certificate

NOBODY = Ownership(frozenset(), frozenset())
KNOWN = Known({sha256(ISSUING).digest(): "contoso-issuing"}, {sha256(ROOT).digest(): "old-root"})


def view(*objects: tuple[Container, str, tuple[bytes, ...]], name: str = "dc1", usn: int | None = 7) -> ControllerView:
    entries = tuple(
        (
            container,
            Entry(dn, {"cacertificate": values, "usnchanged": (b"42",), "whenchanged": (b"20261122101112.0Z",)}),
        )
        for container, dn, values in objects
    )
    return ControllerView(controller=name, highest_usn=usn, at=NOW, entries=entries)


def only(container: Container, value: bytes) -> Found:
    (found,) = classify(view((container, f"CN=x,{AIA}", (value,))), KNOWN, ours=NOBODY)
    return found


def test_certificates_are_ours_external_or_foreign() -> None:
    held = (PLACEHOLDER, ISSUING, ROOT, RENEWED)
    found = classify(view((Container.NTAUTH, NTAUTH, held)), KNOWN, ours=NOBODY)
    assert {item.name: item.owner for item in found} == {
        "contoso-issuing": Owner.OURS,
        "old-root": Owner.EXTERNAL,
        "Contoso Issuing": Owner.FOREIGN,
    }
    foreign = next(item for item in found if item.owner is Owner.FOREIGN)
    assert foreign.problems == ("nobody told us about this CA, and its certificates may log on to the domain",)
    assert (foreign.usn_changed, foreign.when_changed) == (42, datetime(2026, 11, 22, 10, 11, 12, tzinfo=UTC))


def rsa_certificate(bits: int) -> bytes:
    key = rsa.generate_private_key(65537, bits)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Old CA")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, NOW.replace(year=2030))
    builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


P256 = bytes.fromhex("06082a8648ce3d030107")
SHA256_ECDSA, SHA1_ECDSA = bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06072a8648ce3d0401")


@pytest.mark.parametrize(
    ("container", "value", "words"),
    [
        (Container.AIA, certificate(days=-1), "expired on 2026-11-21"),
        (Container.AIA, LEAF, "not a CA certificate"),
        (Container.AIA, b"hello", "not a certificate that can be read"),
        (Container.CERTIFICATION_AUTHORITIES, ISSUING, "a root is self-signed"),
        (Container.AIA, rsa_certificate(1024), "weak key: RSA-1024"),
        (Container.AIA, ROOT.replace(P256, P256[:-1] + b"\x63"), "its key is of a kind that cannot be read"),
    ],
)
def test_what_is_wrong_is_said_in_words(container: Container, value: bytes, words: str) -> None:
    assert any(words in problem for problem in only(container, value).problems)


def test_a_weak_hash_counts_under_another_ca_and_not_on_a_root() -> None:
    def with_sha1(value: bytes) -> bytes:
        seen = read_certificate(value)
        weak = der.sequence(SHA1_ECDSA)
        tbs = der.read(seen.tbs).contents.replace(der.sequence(SHA256_ECDSA), weak)
        return der.sequence(der.sequence(tbs), weak, der.bit_string(seen.signature))

    assert only(Container.AIA, with_sha1(ISSUING)).problems == ("signed with SHA-1",)
    assert only(Container.AIA, with_sha1(ROOT)).problems == ()


def test_a_good_ca_has_no_problems_and_ntauth_comes_first() -> None:
    here = view(
        (Container.AIA, f"CN=Contoso Issuing,{AIA}", (ISSUING,)),
        (Container.CERTIFICATION_AUTHORITIES, f"CN=Contoso Root,{ROOTS}", (ROOT,)),
        (Container.NTAUTH, NTAUTH, (ISSUING,)),
    )
    ours = Ownership(frozenset(), frozenset({(dn_key(NTAUTH), "cacertificate", ISSUING)}))
    found = classify(here, KNOWN, ours=ours)
    assert [item.problems for item in found] == [(), (), ()]
    assert found[0].container is Container.NTAUTH
    assert [item.receipted for item in found] == [True, False, False]


def test_controllers_that_disagree_are_named() -> None:
    one = view((Container.NTAUTH, NTAUTH, (ISSUING, ROOT)), name="dc1", usn=81234)
    two = view((Container.NTAUTH, NTAUTH.lower(), (ROOT,)), name="dc2", usn=None)
    (difference,) = differences([one, two])
    assert (difference.present_on, difference.missing_on) == (("dc1",), ("dc2",))
    assert differences([one, one]) == differences([]) == ()


def receipt(change: AddEntry | AddValue | RemoveValue | ReplaceValue | DeleteEntry, result: str = DONE) -> Receipt:
    return Receipt(forest="f", controller="dc1", change=change, result=result, usn=None, at=NOW)


def test_receipts_say_what_is_ours_in_the_end() -> None:
    made = AddEntry(NTAUTH, (("objectClass", (b"x",)), ("cACertificate", (ROOT,)), ("cRL", (PLACEHOLDER,))))
    added = AddValue(NTAUTH, "cACertificate", ISSUING)
    ours = ownership([receipt(made), receipt(added)])
    assert ours.owns_entry(NTAUTH.lower())
    assert ours.owns_value(NTAUTH, "CACERTIFICATE", value=ISSUING)
    assert not ours.owns_value(NTAUTH, "cRL", value=PLACEHOLDER)
    ours = ownership([receipt(made), receipt(added), receipt(RemoveValue(NTAUTH, "cACertificate", ISSUING))])
    assert not ours.owns_value(NTAUTH, "cACertificate", value=ISSUING)
    assert ownership([receipt(made), receipt(DeleteEntry(NTAUTH, ()))]) == NOBODY
    for result in ("already", UNKNOWN, NOT_DONE):
        assert ownership([receipt(added, result)]) == NOBODY
    newer = ReplaceValue("CN=c", "deltaRevocationList", b"22", b"11")
    assert ownership([receipt(newer)]).owns_value("CN=c", "deltaRevocationList", value=b"22")


def test_an_unknown_result_stays_open_until_a_later_receipt() -> None:
    added = AddValue(NTAUTH, "cACertificate", ISSUING)
    assert unsettled([receipt(added, UNKNOWN)]) == (receipt(added, UNKNOWN),)
    assert unsettled([receipt(added, UNKNOWN), receipt(added)]) == ()


def test_the_effect_of_each_change_can_be_seen() -> None:
    entry = Entry(NTAUTH, {"objectclass": (b"top", b"x"), "cacertificate": (ISSUING,)})
    made = AddEntry(NTAUTH, (("objectClass", (b"x",)), ("displayName", (b"n",)), ("cACertificate", (ISSUING,))))
    seen = [
        made,
        AddValue(NTAUTH, "cACertificate", ISSUING),
        RemoveValue(NTAUTH, "cACertificate", ROOT),
        ReplaceValue(NTAUTH, "cACertificate", ISSUING),
    ]
    unseen = [
        AddValue(NTAUTH, "cACertificate", ROOT),
        RemoveValue(NTAUTH, "cACertificate", ISSUING),
        DeleteEntry(NTAUTH, ()),
    ]
    assert all(took_effect(change, entry) for change in seen)
    assert not any(took_effect(change, entry) for change in unseen)
    assert took_effect(DeleteEntry(NTAUTH, ()), None)
    assert not took_effect(made, None)


def test_what_we_published_and_is_gone_is_drift() -> None:
    ours = ownership(
        [receipt(AddValue(NTAUTH, "cACertificate", ISSUING)), receipt(AddValue(NTAUTH, "cACertificate", ROOT))]
    )
    (gone,) = drift(view((Container.NTAUTH, NTAUTH, (ROOT,))), ours)
    assert (gone.dn, gone.value) == (dn_key(NTAUTH), ISSUING)
    assert drift(view((Container.NTAUTH, NTAUTH, (ROOT, ISSUING))), ours) == ()


def test_cas_of_others_are_read_out_once_with_their_places() -> None:
    here = view((Container.NTAUTH, NTAUTH, (ROOT, ISSUING, b"hello")), (Container.AIA, f"CN=x,{AIA}", (ROOT,)))
    (old,) = external_cas(classify(here, KNOWN, ours=NOBODY))
    assert (old.name, old.certificate, old.places) == ("old-root", ROOT, (NTAUTH, f"CN=x,{AIA}"))


@pytest.mark.parametrize("values", [[], [b""], [b"-1"], [b"x"], [b"1", b"2"], [b"9" * 40], ["\u0661".encode()]])
def test_a_usn_or_time_that_is_none_is_unknown(values: list[bytes]) -> None:
    assert read_usn(values) is None
    assert read_generalized_time(values) is None
