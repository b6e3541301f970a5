"""What a service presents is read from its files, in whatever form it has them."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from acmectl import keys
from acmectl.deploy.contents import Content, made_from
from acmectl.deploy.presented import Presented, presented
from acmectl.deploy.target import Copy, Target
from tests.unit.deploy.generations import certificate_until, certified_generation, written_passphrase
from tests.unit.storage.certificate_maker import START

NOT_AFTER = START + timedelta(days=90)


@pytest.fixture
def generation(tmp_path: Path) -> Path:
    """A generation with a key of its own."""
    return certified_generation(tmp_path / "1", ec.generate_private_key(ec.SECP256R1()))


@pytest.fixture
def passphrase_file(tmp_path: Path) -> Path:
    return written_passphrase(tmp_path)


def pin(generation: Path) -> str:
    key = load_pem_private_key((generation / "privkey.pem").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return keys.pin(key)


def target(directory: Path, *contents: Content, passphrase_file: Path | None = None) -> Target:
    copies = tuple(Copy(content, directory / content.value, 0o600) for content in contents)
    return Target("", copies, passphrase_file)


@pytest.mark.parametrize("content", list(Content))
def test_a_file_of_each_form_tells_its_key(
    tmp_path: Path, generation: Path, passphrase_file: Path, content: Content
) -> None:
    one = target(tmp_path, content, passphrase_file=passphrase_file)
    assert presented(one, brings_key=True) is None
    (tmp_path / content.value).write_bytes(made_from(generation, content, passphrase_file))
    expected = Presented(pin(generation), None if content.is_key_alone else NOT_AFTER)
    assert presented(one, brings_key=True) == (None if content is Content.CHAIN else expected)
    (tmp_path / content.value).write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert presented(one, brings_key=True) is None


def test_a_key_whose_certificate_is_missing_beside_it_presents_nothing(tmp_path: Path, generation: Path) -> None:
    one = target(tmp_path, Content.PRIVKEY, Content.CHAIN, Content.FULLCHAIN)
    for content in (Content.PRIVKEY, Content.CHAIN):
        (tmp_path / content.value).write_bytes(made_from(generation, content))
    assert presented(one, brings_key=True) is None
    (tmp_path / "fullchain").write_bytes(made_from(generation, Content.FULLCHAIN))
    assert presented(one, brings_key=True) == Presented(pin(generation), NOT_AFTER)


def test_a_key_beside_the_chain_tells_itself_where_the_certificate_is_another_targets(
    tmp_path: Path, generation: Path
) -> None:
    one = target(tmp_path, Content.PRIVKEY, Content.CHAIN)
    for content in (Content.PRIVKEY, Content.CHAIN):
        (tmp_path / content.value).write_bytes(made_from(generation, content))
    assert presented(one, brings_key=True) == Presented(pin(generation))


def test_what_no_service_can_use_is_nothing(tmp_path: Path, generation: Path) -> None:
    (tmp_path / "pkcs12").write_bytes(b"no bag")
    assert presented(target(tmp_path, Content.PKCS12), brings_key=True) is None  # and no passphrase
    os.mkfifo(tmp_path / "fullchain")  # nobody writes into it: to read it would take forever
    (tmp_path / "privkey").mkdir()
    assert presented(target(tmp_path, Content.FULLCHAIN, Content.PRIVKEY), brings_key=True) is None
    (tmp_path / "cert").symlink_to(generation / "cert.pem")
    assert presented(target(tmp_path, Content.CERT), brings_key=True) == Presented(pin(generation), NOT_AFTER)


def test_a_service_whose_key_is_missing_or_another_one_presents_nothing(tmp_path: Path, generation: Path) -> None:
    one = target(tmp_path, Content.PRIVKEY, Content.FULLCHAIN)
    one.copies[1].write_bytes((generation / "fullchain.pem").read_bytes())
    assert presented(one, brings_key=True) is None
    assert presented(one, brings_key=False) == Presented(pin(generation), NOT_AFTER), "the key is a person's"
    one.copies[0].write_bytes((generation / "privkey.pem").read_bytes())
    assert presented(one, brings_key=True) == Presented(pin(generation), NOT_AFTER)
    other = ec.generate_private_key(ec.SECP256R1())
    one.copies[0].write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert presented(one, brings_key=True) is None
    assert presented(one, brings_key=False) == Presented(pin(generation), NOT_AFTER), "nobody here mends that"


def test_a_certificate_that_nobody_vouches_for_is_told_from_that_of_a_ca(tmp_path: Path) -> None:
    one, now = target(tmp_path, Content.CERT), datetime.now(UTC)
    for issuer, is_self_issued in (("somebody", True), ("a CA", False)):
        (tmp_path / "cert").write_bytes(certificate_until(now, issuer=issuer)[0])
        found = presented(one, brings_key=True)
        assert found is not None
        assert found.is_self_issued is is_self_issued
