"""Keys as JSON Web Keys: what certbot and acmebot write is read, and nothing else passes for a key."""

from __future__ import annotations

import json
from typing import Any

import pytest

from acmectl import keys
from acmectl.errors import KeyMaterialError
from acmectl.importing.jwk import jwk_of, looks_like_jwk, read_jwk
from acmectl.model.certificates import KeyType


@pytest.fixture(scope="module")
def jwk() -> dict[str, str]:
    return jwk_of(keys.generate(KeyType.ECDSA_P256))


@pytest.mark.parametrize("kind", [KeyType.ECDSA_P256, KeyType.ECDSA_P384, KeyType.RSA_2048])
def test_a_key_that_is_written_as_jwk_is_read_as_the_same_key(kind: KeyType) -> None:
    key = keys.generate(kind)
    again = read_jwk(json.dumps(jwk_of(key)).encode(), what="it")
    assert keys.to_pem(again) == keys.to_pem(key)


def test_an_rsa_key_without_its_type_is_read_as_acmebot_writes_it() -> None:
    key = keys.generate(KeyType.RSA_2048)
    members = {name: value for name, value in jwk_of(key).items() if name != "kty"}
    assert keys.to_pem(read_jwk(json.dumps(members).encode(), what="it")) == keys.to_pem(key)


def test_the_jwk_is_what_josepy_makes_of_the_key() -> None:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from josepy.jwk import JWKEC, JWKRSA

    for kind in (KeyType.ECDSA_P256, KeyType.ECDSA_P384, KeyType.RSA_2048):
        key = keys.generate(kind)
        theirs = JWKEC(key=key) if isinstance(key, EllipticCurvePrivateKey) else JWKRSA(key=key)
        assert theirs.to_json() == jwk_of(key)


@pytest.mark.parametrize(
    "change",
    [
        {"d": None},
        {"d": "not base64url!"},
        {"d": "AAAA"},
        {"x": "AAAA"},
        {"crv": "P-512"},
        {"crv": 7},
        {"kty": "oct"},
        {"kty": "RSA"},
        {"kty": ["EC"]},
    ],
)
def test_a_damaged_jwk_is_refused_without_a_word_of_its_content(jwk: dict[str, str], change: dict[str, Any]) -> None:
    with pytest.raises(KeyMaterialError) as refused:
        read_jwk(json.dumps(jwk | change).encode(), what="the key `f`")
    assert "the key `f`" in refused.value.message
    assert refused.value.__cause__ is None
    assert not any(jwk[secret] in refused.value.message for secret in ("d", "x"))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"text"', b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_no_key(content: bytes) -> None:
    with pytest.raises(KeyMaterialError):
        read_jwk(content, what="it")


def test_a_short_rsa_key_is_refused() -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505  # that is the point
    with pytest.raises(KeyMaterialError, match="1024 bits"):
        read_jwk(json.dumps(jwk_of(short)).encode(), what="it")


def test_pem_and_json_are_told_apart() -> None:
    assert looks_like_jwk(b' \n{"kty": "EC"}')
    assert not looks_like_jwk(b"-----BEGIN PRIVATE KEY-----")
