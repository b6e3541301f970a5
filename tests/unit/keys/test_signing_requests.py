"""CSRs that a person brings, made by openssl as the README tells them to."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from acmectl import keys
from acmectl.errors import KeyMaterialError
from acmectl.model.certificates import KeyType
from acmectl.model.names import Identifier


def openssl_csr(directory: Path, *options: str, subject: str = "/") -> bytes:
    """What `openssl req` writes for a new P-256 key in `directory`."""
    key, csr = directory / "key.pem", directory / "request.csr"
    make = ["openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", str(key)]
    subprocess.run(make, check=True, capture_output=True)
    request = ["openssl", "req", "-new", "-key", str(key), "-subj", subject, *options, "-out", str(csr)]
    subprocess.run(request, check=True, capture_output=True)
    return csr.read_bytes()


def test_names_and_key_of_a_csr_are_read(tmp_path: Path) -> None:
    pem = openssl_csr(tmp_path, "-addext", "subjectAltName=DNS:B.test,DNS:*.a.test", subject="/CN=a.test")
    csr = keys.read_csr(pem, what="`request.csr`")
    key = keys.from_pem((tmp_path / "key.pem").read_bytes(), what="the key")
    assert csr.names == {Identifier("a.test"), Identifier("b.test"), Identifier("*.a.test")}
    assert (csr.spki, csr.key_type) == (keys.pin(key), KeyType.ECDSA_P256)


def test_a_csr_without_extension_asks_for_its_common_name(tmp_path: Path) -> None:
    csr = keys.read_csr(openssl_csr(tmp_path, subject="/CN=a.test"), what="`request.csr`")
    assert csr.names == {Identifier("a.test")}


def test_the_pin_is_what_openssl_computes(tmp_path: Path) -> None:
    csr = keys.read_csr(openssl_csr(tmp_path, subject="/CN=a.test"), what="`request.csr`")
    pipeline = (
        "openssl pkey -in key.pem -pubout -outform DER | openssl dgst -sha256 -binary | openssl base64"  # RFC 7469
    )
    said = subprocess.run(["sh", "-c", pipeline], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert csr.spki == said.strip()


def test_our_own_csr_has_the_names_of_the_order_and_no_common_name() -> None:
    key, names = keys.generate(KeyType.ECDSA_P256), frozenset({Identifier("a.test"), Identifier("*.b.test")})
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    csr = x509.load_der_x509_csr(keys.csr_der(key, names))
    read = keys.read_csr(csr.public_bytes(Encoding.PEM), what="ours")
    assert (read.names, read.spki) == (names, keys.pin(key))
    assert not list(csr.subject)


@pytest.mark.parametrize(
    ("options", "subject", "words"),
    [
        ((), "/", "`request.csr` names nothing"),
        (("-addext", "subjectAltName=email:a@example.com"), "/", "asks for something else than names and addresses"),
        (("-addext", "subjectAltName=DNS:a..test"), "/", "asks for a name that no certificate holds"),
    ],
)
def test_a_csr_for_something_else_than_names_is_refused(
    tmp_path: Path, options: tuple[str, ...], subject: str, words: str
) -> None:
    pem = openssl_csr(tmp_path, *options, subject=subject)
    with pytest.raises(KeyMaterialError, match=words):
        keys.read_csr(pem, what="`request.csr`")


def test_a_file_that_is_no_csr_is_refused_without_its_content() -> None:
    with pytest.raises(KeyMaterialError, match=r"`f` is no CSR in PEM form, or is damaged") as refused:
        keys.read_csr(b"hunter2", what="`f`")
    assert "hunter2" not in str(refused.value)
    assert refused.value.hint is not None
    assert "openssl req -new" in refused.value.hint


def test_a_csr_of_a_version_that_there_is_not_is_refused(tmp_path: Path) -> None:
    text = openssl_csr(tmp_path, subject="/CN=a.test").split(b"-----")[2]
    other = base64.b64decode(text).replace(bytes.fromhex("020100"), bytes.fromhex("020101"), 1)
    pem = b"-----BEGIN CERTIFICATE REQUEST-----\n%s-----END CERTIFICATE REQUEST-----\n" % base64.encodebytes(other)
    with pytest.raises(KeyMaterialError, match="is no CSR in PEM form, or is damaged"):
        keys.read_csr(pem, what="`request.csr`")


def test_a_csr_whose_signature_is_not_its_keys_is_refused(tmp_path: Path) -> None:
    import base64

    pem = openssl_csr(tmp_path, subject="/CN=a.test")
    der = bytearray(base64.b64decode(b"".join(pem.splitlines()[1:-1])))
    der[der.index(b"a.test")] = ord("b")
    body = base64.encodebytes(bytes(der)).decode()
    changed = f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n".encode()
    with pytest.raises(KeyMaterialError, match="not signed by its own key"):
        keys.read_csr(changed, what="`f`")
