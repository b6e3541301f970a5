from __future__ import annotations

import base64
import ssl
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from josepy.jwk import JWKEC

from acmectl import keys
from acmectl.errors import KeyMaterialError
from acmectl.model.certificates import KeyType
from acmectl.model.names import Identifier
from acmectl.sandbox.issuer import Issuer
from tests.unit.storage.certificate_maker import START, make_chain, make_leaf

P256 = ec.generate_private_key(ec.SECP256R1())


def names(*texts: str) -> frozenset[Identifier]:
    return frozenset(Identifier.parse(text) for text in texts)


@pytest.mark.parametrize("key_type", KeyType)
def test_a_generated_key_is_of_its_type_and_survives_pem(key_type: KeyType) -> None:
    key = keys.generate(key_type)
    again = keys.from_pem(keys.to_pem(key), what="the key")
    assert keys.key_type_of(again) is key_type
    assert keys.key_type_of(again.public_key()) is key_type
    assert again.private_numbers() == key.private_numbers()


def test_two_generated_keys_differ() -> None:
    assert keys.to_pem(keys.generate(KeyType.ECDSA_P256)) != keys.to_pem(keys.generate(KeyType.ECDSA_P256))


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("key", [P256, rsa.generate_private_key(public_exponent=65537, key_size=2048)])
def test_keys_that_other_programs_wrote_are_read(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, form: PrivateFormat
) -> None:
    pem = key.private_bytes(Encoding.PEM, form, NoEncryption())
    assert keys.from_pem(pem, what="the key").private_numbers() == key.private_numbers()


def pem_of(
    key: dsa.DSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


REFUSED = {
    "empty": (b"", "`k.pem` is no private key in PEM form, or is damaged"),
    "garbage": (b"\0\xff garbage", "`k.pem` is no private key in PEM form, or is damaged"),
    "cut short": (pem_of(P256)[:-60], "`k.pem` is no private key in PEM form, or is damaged"),
    "public": (
        P256.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "`k.pem` holds no private key alone",
    ),
    "certificate": (make_leaf(P256), "`k.pem` holds no private key alone"),
    "encrypted": (
        P256.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")),
        "`k.pem` is encrypted",
    ),
    "DSA": (
        pem_of(dsa.generate_private_key(1024)),  # noqa: S505 - quick to make, and to be refused
        "`k.pem` is of the kind DSA, which cannot be used",
    ),
    "Ed25519": (
        pem_of(ed25519.Ed25519PrivateKey.generate()),
        "`k.pem` is of the kind Ed25519, which cannot be used",
    ),
    "short RSA": (
        pem_of(rsa.generate_private_key(public_exponent=65537, key_size=1024)),  # noqa: S505 - to be refused
        "`k.pem` is an RSA key of 1024 bits; CAs want 2048 or more",
    ),
    "other curve": (
        pem_of(ec.generate_private_key(ec.SECP256K1())),
        "`k.pem` is on the curve secp256k1, which CAs do not take",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_usable_private_key_is_refused_by_name(case: str) -> None:
    pem, message = REFUSED[case]
    with pytest.raises(KeyMaterialError) as raised:
        keys.from_pem(pem, what="`k.pem`")
    assert raised.value.message == message


@settings(deadline=None)
@given(st.integers(0, 200), st.binary(min_size=1, max_size=8))
def test_a_damaged_key_is_refused_without_quoting_it(at: int, noise: bytes) -> None:
    pem = pem_of(P256)
    damaged = pem[:at] + noise + pem[at + len(noise) :]
    said = ""
    try:
        keys.from_pem(damaged, what="the key")
    except KeyMaterialError as error:
        said = f"{error.message} {error.hint} {error.__cause__}"
    assert pem[40:60].decode() not in said


def test_the_thumbprint_is_that_of_the_example_in_rfc_7638() -> None:
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs"
        "tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajr"
        "n1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    n = int.from_bytes(base64.urlsafe_b64decode(modulus + "=="), "big")
    public = rsa.RSAPublicNumbers(65537, n).public_key()
    assert keys.thumbprint(public) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_the_thumbprint_of_an_ec_key_is_that_of_josepy() -> None:
    for key_type in (KeyType.ECDSA_P256, KeyType.ECDSA_P384):
        key = keys.generate(key_type)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        expected = base64.urlsafe_b64encode(JWKEC(key=key).thumbprint()).rstrip(b"=").decode()
        assert keys.thumbprint(key) == expected


def test_a_csr_asks_for_exactly_the_names_without_subject_or_key_usage() -> None:
    wanted = names("b.example.com", "*.example.com", "bücher.example")
    csr = x509.load_der_x509_csr(keys.csr_der(P256, wanted))
    assert csr.is_signature_valid
    assert csr.subject == x509.Name([])
    assert [extension.oid for extension in csr.extensions] == [x509.SubjectAlternativeName.oid]
    found = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert found.get_values_for_type(x509.DNSName) == ["*.example.com", "b.example.com", "xn--bcher-kva.example"]


def test_openssl_accepts_our_csr(tmp_path: Path) -> None:
    (tmp_path / "csr.der").write_bytes(keys.csr_der(P256, names("a.example.com")))
    done = subprocess.run(
        ["openssl", "req", "-inform", "DER", "-in", "csr.der", "-verify", "-noout", "-text"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "DNS:a.example.com" in done.stdout


def test_a_chain_tells_what_its_leaf_says() -> None:
    leaf = keys.read_chain(make_chain(P256, ("Mail.example.com", "*.example.com")))
    assert leaf.names == names("mail.example.com", "*.example.com")
    assert (leaf.key_type, leaf.serial, leaf.issuer) == (KeyType.ECDSA_P256, "abc", "CN=Test Intermediate")
    assert (leaf.not_before, leaf.not_after) == (START, START + timedelta(days=90))
    assert leaf.not_before.tzinfo is not None
    assert leaf.length == 2
    assert len(leaf.fingerprint) == 64


def test_a_certificate_without_alternative_names_has_no_names() -> None:
    assert keys.read_chain(make_leaf(P256, ())).names == frozenset()


@pytest.mark.parametrize("pem", [b"", b"<html>", make_leaf(P256)[:-80], pem_of(P256)])
def test_what_is_no_chain_is_refused_by_name(pem: bytes) -> None:
    with pytest.raises(KeyMaterialError) as raised:
        keys.read_chain(pem, what="`chain.pem`")
    assert raised.value.message == "`chain.pem` holds no certificate in PEM form, or is damaged"


def test_a_certificate_of_another_version_than_x509_has_is_refused() -> None:
    der = base64.b64decode(b"".join(make_leaf(P256).splitlines()[1:-1]))
    pem = ssl.DER_cert_to_PEM_cert(der.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020101"), 1))
    with pytest.raises(KeyMaterialError, match="holds no certificate in PEM form, or is damaged"):
        keys.read_chain(pem.encode())


@settings(deadline=None)
@given(st.integers(30, 500), st.binary(min_size=1, max_size=6))
def test_a_damaged_certificate_is_read_or_refused_and_never_a_traceback(at: int, noise: bytes) -> None:
    der = base64.b64decode(b"".join(LEAF.splitlines()[1:-1]))
    damaged = der[:at] + noise + der[at + len(noise) :]
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(damaged) + b"-----END CERTIFICATE-----\n"
    try:
        keys.read_chain(pem)
        keys.matches(P256, pem)
    except KeyMaterialError:
        pass


LEAF = make_leaf(P256)


def test_a_split_chain_holds_the_certificates_and_nothing_that_came_with_them() -> None:
    chain = make_chain(P256)
    parts = keys.split_chain(b"words of the CA\n" + keys.to_pem(keys.generate(KeyType.ECDSA_P256)) + chain)
    assert b"".join(parts) == chain
    assert len(parts) == 2


def test_a_key_matches_its_own_chain_and_no_other() -> None:
    other = keys.generate(KeyType.ECDSA_P256)
    assert keys.matches(P256, make_chain(P256))
    assert not keys.matches(other, make_chain(P256))
    assert not keys.matches(keys.generate(KeyType.RSA_2048), make_chain(P256))


def test_a_chain_whose_second_certificate_has_the_key_does_not_match() -> None:
    assert not keys.matches(P256, make_leaf(keys.generate(KeyType.ECDSA_P256)) + make_leaf(P256))


def test_a_leaf_covers_its_names_and_what_is_under_its_wildcards() -> None:
    leaf = keys.read_chain(make_leaf(P256, ("example.com", "*.example.com")))
    assert keys.covers(leaf, names("example.com", "*.example.com", "www.example.com"))
    assert not keys.covers(leaf, names("example.com", "a.b.example.com"))
    assert not keys.covers(leaf, names("*.b.example.com"))


def test_addresses_are_addresses_in_a_csr_and_in_what_is_read_of_a_certificate() -> None:
    wanted = names("192.0.2.1", "2001:db8::1", "a.example.com")
    csr = x509.load_der_x509_csr(keys.csr_der(P256, wanted))
    sans = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(map(str, sans.get_values_for_type(x509.IPAddress))) == {"192.0.2.1", "2001:db8::1"}
    assert sans.get_values_for_type(x509.DNSName) == ["a.example.com"]
    leaf = Issuer().issue(
        P256.public_key(), [n.value for n in wanted], now=START, lifetime=timedelta(days=6), common_name=False
    )
    assert keys.read_chain(leaf.chains[0].encode()).names == wanted


def test_an_address_among_the_dns_names_of_a_certificate_is_no_address() -> None:
    assert keys.read_chain(make_leaf(P256, ("192.0.2.1", "a.example.com"))).names == names("a.example.com")
