"""What files hold, read back by others: OpenSSL, and cryptography where OpenSSL would want a passphrase among its arguments."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

from acmectl.deploy.contents import Content, made_from
from acmectl.errors import DeployError, KeyMaterialError
from tests.unit.deploy.generations import certified_generation, written_passphrase

EC_KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module", params=["ecdsa", "rsa"])
def key(request: pytest.FixtureRequest) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    return EC_KEY if request.param == "ecdsa" else rsa.generate_private_key(65537, 2048)


@pytest.fixture
def generation(tmp_path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> Path:
    return certified_generation(tmp_path / "7", key)


@pytest.fixture
def passphrase_file(tmp_path: Path) -> Path:
    return written_passphrase(tmp_path)


def openssl(*arguments: str, given: bytes) -> str:
    return subprocess.run(["openssl", *arguments], input=given, check=True, capture_output=True).stdout.decode()


@pytest.mark.parametrize("content", [Content.PRIVKEY, Content.CERT, Content.CHAIN, Content.FULLCHAIN])
def test_a_part_is_what_lies_in_the_generation(generation: Path, content: Content) -> None:
    assert made_from(generation, content) == (generation / f"{content.value}.pem").read_bytes()


def test_key_and_chain_are_joined_in_either_order(generation: Path) -> None:
    key, chain = ((generation / f"{part}.pem").read_bytes() for part in ("privkey", "fullchain"))
    assert made_from(generation, Content.KEY_THEN_CHAIN) == key + chain
    assert made_from(generation, Content.CHAIN_THEN_KEY) == chain + key


def test_a_persons_own_key_without_a_last_newline_does_not_run_into_the_chain(generation: Path) -> None:
    path = generation / "privkey.pem"
    path.write_bytes(path.read_bytes().rstrip())
    joined = made_from(generation, Content.KEY_THEN_CHAIN)
    assert b"-----END PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----" in joined
    assert openssl("pkey", "-pubout", given=joined) == openssl("x509", "-pubkey", "-noout", given=joined)


def test_der_is_the_same_certificate_and_the_same_key(
    generation: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
) -> None:
    leaf = made_from(generation, Content.CERT_DER)
    assert x509.load_der_x509_certificate(leaf).serial_number == 0xABC
    found = load_der_private_key(made_from(generation, Content.PRIVKEY_DER), None)
    assert isinstance(found, type(key))
    assert found.public_key() == key.public_key()
    assert openssl("pkey", "-inform", "DER", "-pubout", given=made_from(generation, Content.PRIVKEY_DER)) == openssl(
        "x509", "-inform", "DER", "-pubkey", "-noout", given=leaf
    )


def test_der_is_pkcs8_also_for_a_key_in_an_older_form(generation: Path) -> None:
    own = EC_KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (generation / "privkey.pem").write_bytes(own)
    pkcs8 = EC_KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert made_from(generation, Content.PRIVKEY_DER) == pkcs8


def test_pkcs12_has_key_and_chain_behind_the_passphrase(
    generation: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, passphrase_file: Path
) -> None:
    made = made_from(generation, Content.PKCS12, passphrase_file)
    found = load_pkcs12(made, b"correct horse")
    assert found.key is not None
    assert found.key.public_key() == key.public_key()
    assert found.cert is not None
    assert found.cert.certificate.serial_number == 0xABC
    assert [one.certificate.serial_number for one in found.additional_certs] == [0xDEF]
    with pytest.raises(ValueError, match=r"[Ii]nvalid password"):
        load_pkcs12(made, b"another")
    out = ("-passin", f"file:{passphrase_file}", "-nodes", "-nocerts")
    assert "BEGIN PRIVATE KEY" in openssl("pkcs12", *out, given=made), "OpenSSL reads it too"


@pytest.mark.parametrize("content", [Content.CERT_DER, Content.PRIVKEY_DER, Content.PKCS12])
def test_what_is_damaged_is_told_without_its_content(generation: Path, passphrase_file: Path, content: Content) -> None:
    for part in ("privkey", "cert", "fullchain"):
        path = generation / f"{part}.pem"
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(KeyMaterialError, match="to deploy") as raised:
        made_from(generation, content, passphrase_file)
    assert "MI" not in raised.value.message


def test_pkcs12_without_a_passphrase_is_not_made(generation: Path, passphrase_file: Path) -> None:
    with pytest.raises(DeployError, match="a PKCS #12 file needs a passphrase"):
        made_from(generation, Content.PKCS12)
    passphrase_file.write_text("\n")
    with pytest.raises(DeployError, match=r"the first line of the passphrase file `.*` is empty"):
        made_from(generation, Content.PKCS12, passphrase_file)


def test_a_passphrase_that_others_can_read_is_refused_and_not_told(generation: Path, passphrase_file: Path) -> None:
    passphrase_file.chmod(0o644)
    with pytest.raises(DeployError, match="can be read or written by others") as raised:
        made_from(generation, Content.PKCS12, passphrase_file)
    assert "correct horse" not in f"{raised.value.message} {raised.value.hint}"


def test_every_content_with_a_key_in_it_is_known_as_a_secret(generation: Path, passphrase_file: Path) -> None:
    secret = (generation / "privkey.pem").read_bytes()
    der = made_from(generation, Content.PRIVKEY_DER)
    for content in Content:
        made = made_from(generation, content, passphrase_file)
        assert content.has_key == (secret in made or der in made or content is Content.PKCS12), content
