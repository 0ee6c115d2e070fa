# SPDX-License-Identifier: Apache-2.0
"""Is this public key acceptable? Type and size by rule, RSA weaknesses by arithmetic. No private key enters here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_public_key

from privyseal.errors import KeyNotAcceptable, MalformedDer, WeakKey
from privyseal.x509 import der
from privyseal.x509.span import within

PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

_CURVE_NAMES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
CURVES = frozenset(_CURVE_NAMES.values())

# Bounds on what is computed with a key before any rule is asked; no profile goes beyond.
LARGEST_RSA_BITS = 8192
_RSA_READABLE_EXPONENT_BITS = 64
_FERMAT_ROUNDS = 64


def _odd_primes(limit: int) -> list[int]:
    return [n for n in range(3, limit, 2) if all(n % d for d in range(3, math.isqrt(n) + 1, 2))]


def _powers_of_65537(prime: int) -> int:
    """Bit r is set when r is a power of 65537 modulo ``prime``."""
    mask, value = 0, 1
    while not mask >> value & 1:
        mask |= 1 << value
        value = value * 65537 % prime
    return mask


_SMALL_PRIMES_PRODUCT = math.prod(_odd_primes(1000))
# ROCA (CVE-2017-15361): faulty Infineon primes are powers of 65537 modulo each of the first primes, and so is
# their product. A random modulus passes all of these residue tests with a chance below 2**-27.
_ROCA_PRIMES = _odd_primes(168)
_ROCA_PRODUCT = math.prod(_ROCA_PRIMES)
_ROCA_MASKS = [(p, mask) for p in _ROCA_PRIMES if (mask := _powers_of_65537(p)).bit_count() < p - 1]


def _steps_to_squares(small: int) -> tuple[int, ...]:
    """For each residue r of ``small``: bit a is set when a*a - r is a square modulo ``small``."""
    squares = {n * n % small for n in range(small)}
    places = range(_FERMAT_ROUNDS + small)
    return tuple(sum(((a * a - r) % small in squares) << a for a in places) for r in range(small))


@cache
def _sieve() -> tuple[tuple[int, tuple[int, ...]], ...]:
    return tuple((small, _steps_to_squares(small)) for small in _SIEVE_OF)


_SIEVE_OF = (64, 9, 5, 7, 11, 13, 17, 19, 23)
_SIEVE_PRODUCT = math.prod(_SIEVE_OF)
_ALL_ROUNDS = (1 << _FERMAT_ROUNDS) - 1


@dataclass(frozen=True, slots=True)
class KeyRules:
    """The key types and sizes that a profile accepts; RSA sizes in bits, a maximum of 0 accepts no RSA."""

    rsa_minimum: int = 2048
    rsa_maximum: int = 4096
    curves: frozenset[str] = CURVES
    ed25519: bool = True

    def describe(self) -> str:
        """What is allowed, in one line."""
        allowed = [f"RSA {self.rsa_minimum} to {self.rsa_maximum} bits"] if self.rsa_maximum else []
        return ", ".join([*allowed, *sorted(self.curves), *(["Ed25519"] if self.ed25519 else [])])


@dataclass(frozen=True, slots=True)
class LoadedKey:
    """A key that was already made of these SubjectPublicKeyInfo octets; what OpenSSL prepared for it serves again."""

    spki: bytes
    key: PublicKeyTypes


def load_public_key(spki: bytes, loaded: LoadedKey | None = None) -> PublicKey:
    """The key in a SubjectPublicKeyInfo: RSA, EC with a named curve, or Ed25519. Raises KeyNotAcceptable."""
    try:
        key = loaded.key if loaded is not None and loaded.spki == spki else load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm, TypeError) as fault:
        raise KeyNotAcceptable("the public key cannot be read, or its type is not supported") from fault
    if isinstance(key, rsa.RSAPublicKey):
        exponent_bits = key.public_numbers().e.bit_length()
        if key.key_size > LARGEST_RSA_BITS or exponent_bits > _RSA_READABLE_EXPONENT_BITS:
            raise KeyNotAcceptable(
                f"the key is RSA with {key.key_size} bits and an exponent of {exponent_bits} bits; "
                f"at most {LARGEST_RSA_BITS} and {_RSA_READABLE_EXPONENT_BITS} are read"
            )
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in _CURVE_NAMES:
            raise KeyNotAcceptable(f"the key is {key.curve.name}; allowed curves are P-256, P-384 and P-521")
        _check_named_curve(spki)
    elif not isinstance(key, ed25519.Ed25519PublicKey):
        raise KeyNotAcceptable(f"the key is {describe_key(key)}; allowed are RSA, ECDSA and Ed25519")
    return key


def _check_named_curve(spki: bytes) -> None:
    # RFC 5480 2.1.1: only namedCurve; spelled-out parameters would be copied into the certificate as they are.
    try:
        algorithm = within(spki, 0, len(spki), tag=der.SEQUENCE, what="SubjectPublicKeyInfo")[0]
        fields = within(spki, algorithm[1], algorithm[3], tag=der.SEQUENCE, what="AlgorithmIdentifier")
    except MalformedDer as fault:
        raise KeyNotAcceptable(f"the public key cannot be read: {fault.what}") from fault
    if len(fields) != 2 or fields[1][0] != der.OID:
        raise KeyNotAcceptable("the EC key spells out its curve; only named curves are allowed")


def describe_key(public_key: PublicKeyTypes) -> str:
    """Short name of a key's type and size: RSA-2048, P-256, Ed25519."""
    if isinstance(public_key, rsa.RSAPublicKey):
        return f"RSA-{public_key.key_size}"
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return _CURVE_NAMES.get(public_key.curve.name, public_key.curve.name)
    if isinstance(public_key, ed25519.Ed25519PublicKey):
        return "Ed25519"
    if isinstance(public_key, ed448.Ed448PublicKey):
        return "Ed448"
    if isinstance(public_key, dsa.DSAPublicKey):
        return f"DSA-{public_key.key_size}"
    return type(public_key).__name__.removesuffix("PublicKey")


def check_public_key(public_key: PublicKeyTypes, rules: KeyRules) -> None:
    """Refuse a key outside ``rules`` (KeyNotAcceptable) or known to be weak (WeakKey)."""
    if isinstance(public_key, rsa.RSAPublicKey):
        if not rules.rsa_minimum <= public_key.key_size <= rules.rsa_maximum:
            raise _not_acceptable(public_key, rules)
        numbers = public_key.public_numbers()
        check_rsa_numbers(numbers.n, numbers.e)
    elif isinstance(public_key, ec.EllipticCurvePublicKey):
        if describe_key(public_key) not in rules.curves:
            raise _not_acceptable(public_key, rules)
    elif not (isinstance(public_key, ed25519.Ed25519PublicKey) and rules.ed25519):
        raise _not_acceptable(public_key, rules)


def _not_acceptable(public_key: PublicKeyTypes, rules: KeyRules) -> KeyNotAcceptable:
    return KeyNotAcceptable(f"the key is {describe_key(public_key)}; allowed are {rules.describe()}")


def check_rsa_numbers(modulus: int, exponent: int) -> None:
    """Refuse an RSA key that arithmetic shows to be weak. Raises WeakKey."""
    if exponent < 65537 or exponent & 1 == 0:
        raise WeakKey(f"the RSA public exponent is {exponent}; an odd number from 65537 on is needed")
    if modulus & 1 == 0 or math.gcd(modulus % _SMALL_PRIMES_PRODUCT, _SMALL_PRIMES_PRODUCT) != 1:
        raise WeakKey("the RSA modulus has a prime factor below 1000")
    residue = modulus % _ROCA_PRODUCT
    if all(mask >> residue % prime & 1 for prime, mask in _ROCA_MASKS):
        raise WeakKey("the RSA modulus carries the ROCA fingerprint (CVE-2017-15361)")
    _check_primes_apart(modulus)


def _check_primes_apart(modulus: int) -> None:
    # Fermat: n = a*a - b*b is found at once when the primes are close, for a starts at the root of n.
    first = math.isqrt(modulus - 1) + 1
    # Bit s of ``left``: a = first + s may still give a square. Residues decide all rounds at once, but for one in
    # about 800, which takes the costly root.
    left, start, residue = _ALL_ROUNDS, first % _SIEVE_PRODUCT, modulus % _SIEVE_PRODUCT
    for small, steps in _sieve():
        left &= steps[residue % small] >> start % small
    while left:
        step = (left & -left).bit_length() - 1
        left &= left - 1
        candidate = (first + step) ** 2 - modulus
        if math.isqrt(candidate) ** 2 == candidate:
            raise WeakKey("the two RSA primes are so close that Fermat's method finds them")
