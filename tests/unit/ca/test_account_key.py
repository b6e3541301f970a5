from __future__ import annotations

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from acmectl.ca.account_key import AccountKey, is_nonce
from acmectl.ca.accounts import thumbprint
from acmectl.errors import KeyMaterialError


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("curve", "algorithm", "digest"),
    [(ec.SECP256R1(), "ES256", hashes.SHA256()), (ec.SECP384R1(), "ES384", hashes.SHA384())],
)
def test_an_ec_key_signs_with_the_algorithm_of_its_curve(
    curve: ec.EllipticCurve, algorithm: str, digest: hashes.HashAlgorithm
) -> None:
    key = ec.generate_private_key(curve)

    signed = json.loads(
        AccountKey.wrap(key).sign(b"{}", nonce="bm9uY2U", url="https://ca/x", account_url="https://ca/1")
    )

    assert json.loads(decoded(signed["protected"])) == {
        "alg": algorithm,
        "kid": "https://ca/1",
        "nonce": "bm9uY2U",
        "url": "https://ca/x",
    }
    signature = decoded(signed["signature"])
    half = len(signature) // 2
    r, s = (int.from_bytes(part) for part in (signature[:half], signature[half:]))
    signed_bytes = f"{signed['protected']}.{signed['payload']}".encode()
    key.public_key().verify(encode_dss_signature(r, s), signed_bytes, ec.ECDSA(digest))


def test_an_rsa_key_signs_with_rs256_and_shows_its_public_half_where_no_account_is_known() -> None:
    key = rsa.generate_private_key(65537, 2048)

    signed = json.loads(AccountKey.wrap(key).sign(b"", nonce="bm9uY2U", url="https://ca/x", account_url=None))

    protected = json.loads(decoded(signed["protected"]))
    assert protected["alg"] == "RS256"
    assert set(protected["jwk"]) == {"kty", "n", "e"}
    signed_bytes = f"{signed['protected']}.{signed['payload']}".encode()
    key.public_key().verify(decoded(signed["signature"]), signed_bytes, padding.PKCS1v15(), hashes.SHA256())


def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    numbers = key.public_key().public_numbers()
    x, y = (encoded(n.to_bytes(32)) for n in (numbers.x, numbers.y))
    canonical = f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'

    assert thumbprint(key) == encoded(hashlib.sha256(canonical.encode()).digest())


@pytest.mark.parametrize(
    "key",
    [
        ed25519.Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP256K1()),
        rsa.generate_private_key(65537, 1024),  # noqa: S505 - it is here to be refused
        ec.generate_private_key(ec.SECP256R1()).public_key(),
        b"garbage",
        None,
    ],
    ids=["ed25519", "secp256k1", "rsa-1024", "public", "bytes", "none"],
)
def test_a_key_that_cannot_sign_is_refused_with_the_kinds_that_can(key: object) -> None:
    with pytest.raises(KeyMaterialError) as caught:
        AccountKey.wrap(key)

    assert "P-256" in str(caught.value.hint)


def test_a_key_shows_nothing_of_its_secret() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    secret = encoded(key.private_numbers().private_value.to_bytes(32))

    shown = repr(AccountKey.wrap(key))

    assert secret not in shown
    assert str(key.private_numbers().private_value) not in shown


@pytest.mark.parametrize(
    ("text", "expected"), [("bm9uY2U", True), ("", False), ("a b", False), ("bm9uY2U=", False), ("bm9uY2V", False)]
)
def test_only_canonical_base64url_is_a_nonce(text: str, *, expected: bool) -> None:
    assert is_nonce(text) is expected
