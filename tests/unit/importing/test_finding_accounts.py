"""Where other clients keep accounts: the layouts, with what can be wrong in them. Real programs wrote those of the integration tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from acmectl import keys
from acmectl.errors import TakeoverError
from acmectl.importing.accounts import ForeignAccount, find_accounts, is_exposed
from acmectl.importing.jwk import jwk_of
from acmectl.model.certificates import KeyType

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
OLD = "https://acme-v01.api.letsencrypt.org/directory"
URL = "https://acme-v02.api.letsencrypt.org/acme/acct/1"


def certbot_account(root: Path, server: str = LETS_ENCRYPT, name: str = "abc", url: str = URL) -> Path:
    folder = root / "accounts" / server.removeprefix("https://") / name
    folder.mkdir(parents=True)
    (folder / "private_key.json").write_text(json.dumps(jwk_of(keys.generate(KeyType.ECDSA_P256))))
    (folder / "regr.json").write_text(json.dumps({"body": {"contact": ["mailto:a@b.test"]}, "uri": url}))
    return folder


def lego_account(root: Path, host: str = "acme-v02.api.letsencrypt.org", email: str = "a@b.test") -> Path:
    folder = root / "accounts" / host / email
    (folder / "keys").mkdir(parents=True)
    (folder / "keys" / f"{email}.key").write_bytes(keys.to_pem(keys.generate(KeyType.ECDSA_P256)))
    (folder / "account.json").write_text(json.dumps({"email": email, "registration": {"body": {}, "uri": URL}}))
    return folder


def test_an_account_of_certbot_has_the_directory_that_its_folder_says(tmp_path: Path) -> None:
    folder = certbot_account(tmp_path)
    (found,) = find_accounts("certbot", tmp_path)
    assert found == ForeignAccount("certbot", "abc", folder / "private_key.json", URL, LETS_ENCRYPT, ("a@b.test",))
    assert found.is_at(LETS_ENCRYPT)
    assert not found.is_at("https://acme-staging-v02.api.letsencrypt.org/directory")
    assert keys.key_type_of(found.private_key()) is KeyType.ECDSA_P256


@pytest.mark.parametrize("make", [certbot_account, lego_account])
def test_an_account_is_the_same_from_every_folder_above_it(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    folder, client = make(tmp_path), "certbot" if make is certbot_account else "lego"
    (found,) = find_accounts(client, tmp_path)
    for path in (folder, *folder.parents[: len(folder.relative_to(tmp_path).parts)]):
        assert find_accounts(client, path) == (found,)


def test_the_account_of_acmebot_is_found_from_its_configuration_and_from_its_folder(tmp_path: Path) -> None:
    resource = tmp_path / "resource"
    resource.mkdir()
    key = jwk_of(keys.generate(KeyType.RSA_2048))
    (resource / "client_key.json").write_text(json.dumps({name: key[name] for name in key if name != "kty"}))
    body = {"contact": ["mailto:a@b.test"], "status": "valid"}
    (resource / "registration.json").write_text(json.dumps({"body": body, "uri": URL}))
    (tmp_path / "acmebot.yaml").write_text("directories: {resource: resource}\n")
    (found,) = find_accounts("acmebot", resource)
    assert (found.url, found.id, found.contact) == (URL, "1", ("a@b.test",))
    assert found.is_at(LETS_ENCRYPT)
    assert not found.is_at("https://ca.test/directory")
    assert keys.key_type_of(found.private_key()) is KeyType.RSA_2048
    for path in (tmp_path, tmp_path / "acmebot.yaml"):
        assert find_accounts("acmebot", path) == (found,)


def test_an_account_below_a_link_between_two_servers_is_found_under_both(tmp_path: Path) -> None:
    """As certbot links the older URL's accounts of Let's Encrypt to the newer one."""
    certbot_account(tmp_path, OLD)
    new = tmp_path / "accounts" / LETS_ENCRYPT.removeprefix("https://")
    new.parent.mkdir()
    new.symlink_to(tmp_path / "accounts" / OLD.removeprefix("https://"))
    assert {account.server for account in find_accounts("certbot", tmp_path)} == {OLD, LETS_ENCRYPT}


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    folder = certbot_account(tmp_path)
    (folder / "again").symlink_to(tmp_path / "accounts")
    assert find_accounts("certbot", tmp_path)


def test_an_account_that_was_moved_elsewhere_leaves_its_ca_open(tmp_path: Path) -> None:
    folder = certbot_account(tmp_path).rename(tmp_path / "saved")
    (found,) = find_accounts("certbot", folder)
    assert found.server is None
    assert found.is_at("https://any.test/directory")


def test_an_account_of_lego_knows_the_host_and_port_of_its_ca(tmp_path: Path) -> None:
    lego_account(tmp_path, "127.0.0.1_14000")
    (found,) = find_accounts("lego", tmp_path)
    assert found.is_at("https://127.0.0.1:14000/dir")
    assert not found.is_at("https://127.0.0.1:14001/dir")
    assert (found.id, found.contact, found.url) == ("a@b.test", ("a@b.test",), URL)


def test_a_key_of_lego_with_another_name_is_found_if_it_is_the_only_one(tmp_path: Path) -> None:
    folder = lego_account(tmp_path)
    (key,) = (folder / "keys").iterdir()
    key.rename(key.with_name("other.key"))
    assert find_accounts("lego", tmp_path)[0].key_file.name == "other.key"
    (folder / "keys" / "second.key").write_text("")
    with pytest.raises(TakeoverError, match="has 2 keys"):
        find_accounts("lego", tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("account.json", "{", "is damaged"),
        ("account.json", "[]", "not a JSON object"),
        ("account.json", "{}", "never registered"),
        ("account.json", '{"registration": null}', "never registered"),
        ("account.json", '{"registration": {}}', "no `uri`"),
        ("account.json", '{"registration": {"uri": 7}}', "no `uri`"),
    ],
)
def test_a_damaged_record_is_told_with_its_file(tmp_path: Path, name: str, content: str, words: str) -> None:
    file = lego_account(tmp_path) / name
    file.write_text(content)
    with pytest.raises(TakeoverError, match=words) as refused:
        find_accounts("lego", tmp_path)
    assert str(file) in refused.value.message


@pytest.mark.parametrize("client", ["certbot", "lego", "acmebot"])
def test_a_path_without_any_account_says_where_they_are(tmp_path: Path, client: str) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(TakeoverError) as refused:
            find_accounts(client, path)
        assert refused.value.hint is not None


def test_a_key_in_a_folder_that_keeps_others_out_is_not_exposed(tmp_path: Path) -> None:
    """As lego keeps its keys: mode 0644, below folders of mode 0700, as pytest's are."""
    key = tmp_path / "key"
    key.write_text("")
    key.chmod(0o644)
    assert not is_exposed(key)
    assert not is_exposed(tmp_path / "missing")
    assert is_exposed(Path("/etc/passwd"))
