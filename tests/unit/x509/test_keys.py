# SPDX-License-Identifier: Apache-2.0
"""Keys by rule, and RSA keys whose weakness is built here."""

from __future__ import annotations

import math
import secrets

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from privyseal.errors import KeyNotAcceptable, WeakKey
from privyseal.x509 import der, keys, oids
from privyseal.x509.keys import (
    KeyRules,
    LoadedKey,
    check_public_key,
    check_rsa_numbers,
    describe_key,
    load_public_key,
)

RSA_2048 = rsa.generate_private_key(65537, 2048)
RULES = KeyRules()


def _spki(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _rsa_spki(modulus: int, exponent: int) -> bytes:
    algorithm = der.sequence(der.oid(oids.RSA_ENCRYPTION), der.null())
    return der.sequence(algorithm, der.bit_string(der.sequence(der.integer(modulus), der.integer(exponent))))


def _is_prime(number: int) -> bool:
    """Fermat to four bases: enough for numbers nobody chose against it."""
    return all(pow(base, number - 1, number) == 1 for base in (2, 3, 5, 7))


def _next_prime(number: int) -> int:
    number |= 1
    while not _is_prime(number):
        number += 2
    return number


def _primes_of_the_roca_shape(count: int) -> list[int]:
    """Primes k * M + (65537 ** a mod M) with M the product of the first 39 primes, as the faulty library made them."""
    product = 2 * math.prod(n for n in range(3, 168, 2) if all(n % d for d in range(3, n, 2)))
    found: list[int] = []
    a, k = 12345, (3 << 510) // product
    while len(found) < count:
        a, k = a + 1, k + 1
        if _is_prime(candidate := k * product + pow(65537, a, product)):
            found.append(candidate)
    return found


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (RSA_2048.public_key(), "RSA-2048"),
        (ec.generate_private_key(ec.SECP256R1()).public_key(), "P-256"),
        (ec.generate_private_key(ec.SECP384R1()).public_key(), "P-384"),
        (ec.generate_private_key(ec.SECP521R1()).public_key(), "P-521"),
        (ed25519.Ed25519PrivateKey.generate().public_key(), "Ed25519"),
    ],
)
def test_ordinary_keys_are_accepted(key: PublicKeyTypes, name: str) -> None:
    check_public_key(key, RULES)
    assert describe_key(key) == name
    assert describe_key(load_public_key(_spki(key))) == name


@pytest.mark.parametrize(
    ("key", "rules", "named"),
    [
        (rsa.generate_private_key(65537, 1024).public_key(), RULES, "RSA-1024"),
        (RSA_2048.public_key(), KeyRules(rsa_minimum=3072), "RSA-2048"),
        (RSA_2048.public_key(), KeyRules(rsa_minimum=1024, rsa_maximum=1536), "RSA-2048"),
        (ec.generate_private_key(ec.SECP256R1()).public_key(), KeyRules(curves=frozenset({"P-384"})), "P-256"),
        (ec.generate_private_key(ec.SECP256K1()).public_key(), RULES, "secp256k1"),
        (ed25519.Ed25519PrivateKey.generate().public_key(), KeyRules(ed25519=False), "Ed25519"),
        (ed448.Ed448PrivateKey.generate().public_key(), RULES, "Ed448"),
    ],
)
def test_a_key_outside_the_rules_is_refused_with_what_it_is_and_what_is_allowed(
    key: PublicKeyTypes, rules: KeyRules, named: str
) -> None:
    with pytest.raises(KeyNotAcceptable, match=f"the key is {named}; allowed are .*P-384"):
        check_public_key(key, rules)


def test_small_or_even_exponents_are_weak() -> None:
    modulus = RSA_2048.public_key().public_numbers().n
    for exponent in (1, 3, 17, 257, 65535, 65538):
        with pytest.raises(WeakKey, match=f"exponent is {exponent};"):
            check_rsa_numbers(modulus, exponent)
    check_rsa_numbers(modulus, 65539)


def test_small_factors_are_weak() -> None:
    modulus = RSA_2048.public_key().public_numbers().n
    for factor in (2, 3, 997):
        with pytest.raises(WeakKey, match="factor below 1000"):
            check_rsa_numbers(modulus * factor, 65537)
    with pytest.raises(WeakKey):
        check_rsa_numbers(0, 65537)
    with pytest.raises(WeakKey):
        check_rsa_numbers(1, 65537)


def test_the_roca_fingerprint_is_found() -> None:
    p, q = _primes_of_the_roca_shape(2)
    with pytest.raises(WeakKey, match="ROCA"):
        check_rsa_numbers(p * q, 65537)
    numbers = rsa.RSAPublicNumbers(65537, p * q)
    with pytest.raises(WeakKey, match="ROCA"):
        check_public_key(numbers.public_key(), KeyRules(rsa_minimum=1024))


def test_close_primes_are_found() -> None:
    private = RSA_2048.private_numbers()
    for distance in (2, 1 << 64, 1 << 500):
        with pytest.raises(WeakKey, match="Fermat"):
            check_rsa_numbers(private.p * _next_prime(private.p + distance), 65537)
    with pytest.raises(WeakKey, match="Fermat"):
        check_rsa_numbers(private.p * private.p, 65537)


def test_an_rsa_key_that_is_costly_to_use_is_refused_before_it_is_used() -> None:
    with pytest.raises(KeyNotAcceptable, match="8193 bits"):
        load_public_key(_rsa_spki((1 << 8192) + 1, 65537))
    with pytest.raises(KeyNotAcceptable, match="exponent of 65 bits"):
        load_public_key(_rsa_spki(RSA_2048.public_key().public_numbers().n, (1 << 64) + 1))


def test_keys_of_other_types_and_bytes_that_are_no_key_are_refused() -> None:
    others = [
        ed448.Ed448PrivateKey.generate().public_key(),
        dsa.generate_private_key(2048).public_key(),
    ]
    for key in others:
        with pytest.raises(KeyNotAcceptable):
            load_public_key(_spki(key))
    for data in (b"", b"0", b"\x30\x00", _spki(RSA_2048.public_key())[:-1], _rsa_spki(0, 0), _rsa_spki(-5, 3)):
        with pytest.raises(KeyNotAcceptable):
            load_public_key(data)


def test_an_ec_key_that_spells_out_its_curve_is_refused() -> None:
    p = 2**256 - 2**224 + 2**192 + 2**96 - 1
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    point = _spki(ec.generate_private_key(ec.SECP256R1()).public_key())[-65:]
    generator = bytes.fromhex(
        "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
    )
    curve = der.sequence(der.octet_string((p - 3).to_bytes(32, "big")), der.octet_string(b.to_bytes(32, "big")))
    field = der.sequence(der.oid("1.2.840.10045.1.1"), der.integer(p))
    parameters = der.sequence(
        der.integer(1), field, curve, der.octet_string(generator), der.integer(order), der.integer(1)
    )
    algorithm = der.sequence(der.oid(oids.EC_PUBLIC_KEY), parameters)
    with pytest.raises(KeyNotAcceptable):
        load_public_key(der.sequence(algorithm, der.bit_string(point)))


def test_a_key_that_was_loaded_before_serves_for_its_own_octets_only() -> None:
    key, other = RSA_2048.public_key(), ec.generate_private_key(ec.SECP256R1()).public_key()
    spki = _spki(key)
    assert load_public_key(spki, LoadedKey(spki, key)) is key
    assert load_public_key(spki, LoadedKey(spki + b"\x00", other)) == key


def test_a_key_that_was_loaded_before_is_judged_like_any_other() -> None:
    spelled_out = ec.generate_private_key(ec.SECP256K1()).public_key()
    with pytest.raises(KeyNotAcceptable, match="allowed curves"):
        load_public_key(b"the same", LoadedKey(b"the same", spelled_out))


@pytest.mark.parametrize("step", range(64))
def test_the_sieve_of_close_primes_lets_each_round_find_its_square(step: int) -> None:
    first = secrets.randbits(1024) | 1 << 1023
    apart = math.isqrt((first + step) ** 2 - first**2) + 1
    modulus = (first + step) ** 2 - apart**2
    assert math.isqrt(modulus - 1) + 1 == first
    with pytest.raises(WeakKey, match="Fermat"):
        keys._check_primes_apart(modulus)
