from __future__ import annotations

import base64
import dataclasses
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acmectl import keys
from acmectl.errors import StorageError
from acmectl.model.certificates import KeyType
from acmectl.storage import bundle
from acmectl.storage.bundle import Bundle, is_encrypted, read_bundle, write_bundle
from tests.unit.storage.test_accounts import ACCOUNT

BUNDLE = Bundle(ACCOUNT)
AGAIN = "export the account again on the master, and copy the whole file"


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "plain", BUNDLE)
    return tmp_path / "plain"


@pytest.fixture(scope="module")
def encrypted_content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("bundle") / "encrypted"
    write_bundle(path, BUNDLE, passphrase=b"correct horse")
    return path.read_bytes()


@pytest.fixture
def encrypted(tmp_path: Path, encrypted_content: bytes) -> Path:
    (tmp_path / "encrypted").write_bytes(encrypted_content)
    return tmp_path / "encrypted"


def change(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def reseal(path: Path, changes: dict[str, Any]) -> None:
    """Change the account in a plain bundle and make its checksum right, as an attacker would."""
    document = json.loads(path.read_text())
    record = json.loads(base64.b64decode(document["payload"])) | changes
    payload = json.dumps(record).encode()
    header = {key: document[key] for key in ("format", "version")}
    document |= {"payload": base64.b64encode(payload).decode(), "checksum": bundle._checksum(header, payload)}
    path.write_text(json.dumps(document))


def test_a_plain_bundle_carries_the_account_and_is_private(plain: Path) -> None:
    assert read_bundle(plain) == BUNDLE
    assert stat.S_IMODE(plain.stat().st_mode) == 0o600
    assert not is_encrypted(plain)


def test_an_encrypted_bundle_carries_the_account_and_shows_none_of_it(encrypted: Path) -> None:
    assert read_bundle(encrypted, passphrase=b"correct horse") == BUNDLE
    assert is_encrypted(encrypted)
    content = encrypted.read_bytes()
    payload = base64.b64decode(json.loads(content)["payload"])
    for secret in (b"PRIVATE", b"ca.example", b"hostmaster", b"default"):
        assert secret not in content
        assert secret not in payload


def test_two_encrypted_bundles_of_one_account_have_nothing_secret_in_common(tmp_path: Path, encrypted: Path) -> None:
    write_bundle(tmp_path / "other", BUNDLE, passphrase=b"correct horse")
    first, second = (json.loads(path.read_text()) for path in (encrypted, tmp_path / "other"))
    assert first["payload"] != second["payload"]
    assert all(first["encryption"][part] != second["encryption"][part] for part in ("salt", "nonce"))


def test_an_account_with_an_rsa_key_and_no_profile_is_carried(tmp_path: Path) -> None:
    key = keys.generate(KeyType.RSA_2048)
    account = dataclasses.replace(
        ACCOUNT, profile=None, contact=(), key_pem=keys.to_pem(key), thumbprint=keys.thumbprint(key)
    )
    write_bundle(tmp_path / "b", Bundle(account))
    assert read_bundle(tmp_path / "b") == Bundle(account)


def test_an_existing_file_is_never_overwritten(plain: Path) -> None:
    before = plain.read_bytes()
    with pytest.raises(StorageError, match="exists already"):
        write_bundle(plain, BUNDLE)
    assert plain.read_bytes() == before


def test_an_empty_passphrase_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="the passphrase is empty"):
        write_bundle(tmp_path / "b", BUNDLE, passphrase=b"")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_passphrase_is_told_from_damage(encrypted: Path) -> None:
    with pytest.raises(StorageError) as raised:
        read_bundle(encrypted, passphrase=b"wrong")
    assert raised.value.message == (
        f"wrong passphrase for `{encrypted}` (its checksum agrees, so the file was copied whole)"
    )


def test_a_missing_passphrase_is_an_error_that_names_the_option(encrypted: Path) -> None:
    with pytest.raises(StorageError) as raised:
        read_bundle(encrypted)
    assert raised.value.hint == "give its passphrase with `--passphrase-file FILE`"


def test_a_passphrase_for_a_plain_bundle_is_refused(plain: Path) -> None:
    with pytest.raises(StorageError, match="is not encrypted"):
        read_bundle(plain, passphrase=b"x")


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660])
def test_a_plain_bundle_that_others_can_read_is_refused(plain: Path, mode: int) -> None:
    plain.chmod(mode)
    with pytest.raises(StorageError, match="can be read or written by others"):
        read_bundle(plain)


def test_an_encrypted_bundle_may_be_readable(encrypted: Path) -> None:
    encrypted.chmod(0o644)
    assert read_bundle(encrypted, passphrase=b"correct horse") == BUNDLE


@pytest.mark.parametrize("length", [0, 1, 20, 60, 200, 700])
def test_a_bundle_that_is_cut_short_is_refused(plain: Path, length: int) -> None:
    plain.write_bytes(plain.read_bytes()[:length])
    with pytest.raises(StorageError) as raised:
        read_bundle(plain)
    assert "is cut short or damaged" in raised.value.message or "is no account bundle" in raised.value.message
    assert length < 60 or raised.value.hint == AGAIN


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'"x"', b"\xff\xfe", b"[" * 200_000, keys.to_pem(keys.generate(KeyType.ECDSA_P256))]
)
def test_what_is_no_bundle_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "b"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(StorageError, match="is no account bundle") as raised:
        read_bundle(path)
    assert raised.value.hint == "make one with `acmectl account export FILE`"


def test_a_bundle_of_a_newer_version_says_what_to_upgrade(plain: Path) -> None:
    change(plain, version=3)
    with pytest.raises(StorageError, match=r"was written by a newer acmectl \(bundle version 3, this one knows 2\)"):
        read_bundle(plain)


@pytest.mark.parametrize("version", [0, None, "1", [1], -5, True, 1.5])
def test_a_version_that_never_was_is_damage(plain: Path, version: object) -> None:
    change(plain, version=version)
    with pytest.raises(StorageError, match="is damaged"):
        read_bundle(plain)


@pytest.mark.parametrize(
    "changes",
    [{"payload": "!"}, {"payload": 5}, {"payload": ""}, {"checksum": "0" * 64}, {"checksum": None}, {"extra": 1}],
)
def test_a_changed_bundle_is_damaged(plain: Path, changes: dict[str, object]) -> None:
    change(plain, **changes)
    with pytest.raises(StorageError, match="is damaged") as raised:
        read_bundle(plain)
    assert raised.value.hint == AGAIN


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "no key"},
        {"key": None},
        {"key": "ü"},
        {"key": keys.to_pem(keys.generate(KeyType.ECDSA_P256)).decode()},
        {"thumbprint": "other"},
        {"name": 5},
        {"account_url": None},
        {"contact": [[]]},
    ],
)
def test_a_plain_bundle_whose_parts_do_not_belong_together_is_damaged(plain: Path, changes: dict[str, Any]) -> None:
    reseal(plain, {})
    assert read_bundle(plain) == BUNDLE, "resealing alone changes nothing"
    reseal(plain, changes)
    with pytest.raises(StorageError, match="is damaged"):
        read_bundle(plain)


@pytest.mark.parametrize(
    "encryption",
    [{"n": 2**30}, {"n": True}, {"r": 1024}, {"kdf": "none"}, {"cipher": "rot13"}, {"salt": 5}, {"nonce": ""}],
)
def test_a_bundle_does_not_choose_how_its_key_is_derived(encrypted: Path, encryption: dict[str, object]) -> None:
    """Also with a checksum made right again: 2**30 would ask for 1 TB of memory."""
    document = json.loads(encrypted.read_text())
    document["encryption"] |= encryption
    header = {key: document[key] for key in ("format", "version", "encryption")}
    document["checksum"] = bundle._checksum(header, base64.b64decode(document["payload"]))
    encrypted.write_text(json.dumps(document))
    with pytest.raises(StorageError, match="is damaged"):
        read_bundle(encrypted, passphrase=b"correct horse")


def test_the_header_of_an_encrypted_bundle_is_authenticated(encrypted: Path) -> None:
    document = json.loads(encrypted.read_text()) | {"added": "by an attacker"}
    header = {key: value for key, value in document.items() if key not in ("payload", "checksum")}
    document["checksum"] = bundle._checksum(header, base64.b64decode(document["payload"]))
    encrypted.write_text(json.dumps(document))
    with pytest.raises(StorageError, match="wrong passphrase"):
        read_bundle(encrypted, passphrase=b"correct horse")


@settings(deadline=None)
@given(at=st.integers(0, 900), noise=st.binary(min_size=1, max_size=5))
def test_no_change_of_bytes_goes_unnoticed_or_ends_in_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, encrypted_content: bytes, at: int, noise: bytes
) -> None:
    path = tmp_path_factory.mktemp("noise") / "b"
    path.write_bytes(encrypted_content[:at] + noise + encrypted_content[at + len(noise) :])
    path.chmod(0o600)
    try:
        is_encrypted(path)
    except StorageError:
        return
    assert json.loads(path.read_bytes()) == json.loads(encrypted_content), "only white space can change"


PASSPHRASE = b"correct horse"
CERTIFICATE_KEY = keys.to_pem(keys.generate(KeyType.RSA_2048))
WITH_KEYS = Bundle(ACCOUNT, {"mail": CERTIFICATE_KEY})


def test_keys_of_certificates_travel_in_an_encrypted_bundle_of_a_newer_version(tmp_path: Path) -> None:
    write_bundle(tmp_path / "b", WITH_KEYS, passphrase=PASSPHRASE)
    assert read_bundle(tmp_path / "b", passphrase=PASSPHRASE) == WITH_KEYS
    assert json.loads((tmp_path / "b").read_text())["version"] == 2
    assert "PRIVATE" not in repr(WITH_KEYS)


def test_keys_of_certificates_never_leave_in_the_clear(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="always encrypted"):
        write_bundle(tmp_path / "b", WITH_KEYS)
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_with_an_account_alone_is_one_that_older_versions_read(plain: Path) -> None:
    assert json.loads(plain.read_text())["version"] == 1


def test_a_bundle_of_the_first_version_with_members_that_nobody_knows_is_read(plain: Path) -> None:
    reseal(plain, {"from the future": [1]})
    assert read_bundle(plain) == BUNDLE


def test_a_bundle_in_the_clear_that_claims_to_carry_keys_of_certificates_is_damaged(plain: Path) -> None:
    document = json.loads(plain.read_text()) | {"version": 2}
    header = {key: document[key] for key in ("format", "version")}
    document["checksum"] = bundle._checksum(header, base64.b64decode(document["payload"]))
    plain.write_text(json.dumps(document))
    with pytest.raises(StorageError, match="is damaged"):
        read_bundle(plain)


@pytest.mark.parametrize(
    "carried",
    [[], "x", {"mail": 5}, {"mail": "no key"}, {"../mail": CERTIFICATE_KEY.decode()}, {"": CERTIFICATE_KEY.decode()}],
)
def test_keys_that_are_none_or_would_be_put_elsewhere_are_damage(plain: Path, carried: object) -> None:
    reseal(plain, {"certificate_keys": carried})
    with pytest.raises(StorageError, match="is damaged"):
        read_bundle(plain)


def test_what_the_master_says_about_the_account_travels_too(tmp_path: Path) -> None:
    told = dataclasses.replace(ACCOUNT, kid="kid-1", terms="https://ca.example/terms", opens=("a.example", "b.example"))
    write_bundle(tmp_path / "b", Bundle(told))
    assert read_bundle(tmp_path / "b").account == told


def test_the_next_key_of_an_account_stays_at_home(tmp_path: Path) -> None:
    write_bundle(tmp_path / "b", Bundle(dataclasses.replace(ACCOUNT, next_key_pem=CERTIFICATE_KEY)))
    assert read_bundle(tmp_path / "b") == BUNDLE
