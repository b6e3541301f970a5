from __future__ import annotations

import dataclasses
import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from acmectl import keys
from acmectl.errors import AccountMissing, KeyMaterialError, StorageError
from acmectl.model.certificates import KeyType
from acmectl.storage.accounts import Accounts, StoredAccount

KEY = keys.generate(KeyType.ECDSA_P256)
ACCOUNT = StoredAccount(
    name="default",
    directory_url="https://ca.example/directory",
    account_url="https://ca.example/acct/1",
    profile="classic",
    contact=("hostmaster@example.com", "bücher@example.com"),
    thumbprint=keys.thumbprint(KEY),
    key_pem=keys.to_pem(KEY),
)


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    return Accounts(tmp_path / "state" / "accounts")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "accounts" / "default"


def test_a_saved_account_comes_back_as_it_was(accounts: Accounts) -> None:
    accounts.save(ACCOUNT)
    assert accounts.load("default") == ACCOUNT
    assert accounts.exists("default")


def test_an_account_without_profile_and_contact_comes_back(accounts: Accounts) -> None:
    bare = dataclasses.replace(ACCOUNT, profile=None, contact=())
    accounts.save(bare)
    assert accounts.load("default") == bare


def test_all_of_a_stored_account_is_private(accounts: Accounts, folder: Path) -> None:
    accounts.save(ACCOUNT)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [folder.parent, folder, *folder.iterdir()]}
    assert modes == {"accounts": 0o700, "default": 0o700, "key.pem": 0o600, "account.json": 0o600}


def test_the_key_shows_in_no_repr(accounts: Accounts) -> None:
    assert "PRIVATE" not in repr(ACCOUNT)
    assert "key_pem" not in repr(ACCOUNT)
    accounts.save(ACCOUNT)


def test_the_names_are_those_of_all_accounts(accounts: Accounts) -> None:
    for name in ("b", "a.b-c_2", "a"):
        accounts.save(dataclasses.replace(ACCOUNT, name=name))
    assert accounts.names() == ("a", "a.b-c_2", "b")


def test_a_missing_account_is_an_error_with_the_commands_that_make_one(accounts: Accounts) -> None:
    with pytest.raises(AccountMissing) as raised:
        accounts.load("default")
    assert "`acmectl account register`" in str(raised.value.hint)
    assert "`acmectl account import FILE`" in str(raised.value.hint)
    assert raised.value.message.startswith("no account `default` in `")


def test_an_existing_account_is_not_replaced_unless_told(accounts: Accounts) -> None:
    accounts.save(ACCOUNT)
    other = dataclasses.replace(ACCOUNT, account_url="https://ca.example/acct/2")
    with pytest.raises(StorageError, match="there is an account `default` already"):
        accounts.save(other)
    assert accounts.load("default") == ACCOUNT
    accounts.save(other, replace=True)
    assert accounts.load("default") == other


def test_nothing_is_left_beside_a_replaced_account(accounts: Accounts, folder: Path) -> None:
    accounts.save(ACCOUNT)
    accounts.save(ACCOUNT, replace=True)
    assert [path.name for path in folder.parent.iterdir()] == ["default"]


def test_replacing_an_account_that_is_not_there_saves_it(accounts: Accounts) -> None:
    accounts.save(ACCOUNT, replace=True)
    assert accounts.load("default") == ACCOUNT


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".hidden", "-x", "a\nb", "a" * 200])
def test_a_name_that_is_no_folder_name_is_refused(accounts: Accounts, name: str) -> None:
    with pytest.raises(StorageError, match="cannot be the name of an account"):
        accounts.load(name)
    with pytest.raises(StorageError, match="cannot be the name of an account"):
        accounts.save(dataclasses.replace(ACCOUNT, name=name))


GOOD: dict[str, object] = {
    "directory_url": "https://d",
    "account_url": "https://a",
    "thumbprint": "t",
    "profile": None,
    "contact": [],
}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "Expecting value"),
        (b"\xff\xfe\0", "codec can't decode"),
        (b"[" * 100_000, "recursion"),
        (b"[]", "not a JSON object"),
        (b"{}", "no text under `directory_url`"),
        (json.dumps(GOOD | {"account_url": 5}).encode(), "no text under `account_url`"),
        (json.dumps(GOOD | {"thumbprint": ""}).encode(), "no text under `thumbprint`"),
        (json.dumps(GOOD | {"contact": "x"}).encode(), "`contact` is no list of texts"),
        (json.dumps(GOOD | {"contact": [1]}).encode(), "`contact` is no list of texts"),
        (json.dumps(GOOD | {"profile": 1}).encode(), "`profile` is no text"),
        (json.dumps(GOOD).encode()[:-3], "Expecting value"),
    ],
)
def test_a_damaged_record_is_an_error_that_names_the_file(
    accounts: Accounts, folder: Path, content: bytes, said: str
) -> None:
    accounts.save(ACCOUNT)
    (folder / "account.json").write_bytes(content)
    with pytest.raises(StorageError, match="is damaged") as raised:
        accounts.load("default")
    assert str(folder / "account.json") in raised.value.message
    assert said in raised.value.message
    assert "`acmectl account import FILE --replace`" in str(raised.value.hint)


@pytest.mark.parametrize("content", [b"", b"garbage", keys.to_pem(KEY)[:-30], b"\0" * 241])
def test_a_damaged_key_is_an_error_that_names_the_file(accounts: Accounts, folder: Path, content: bytes) -> None:
    accounts.save(ACCOUNT)
    (folder / "key.pem").write_bytes(content)
    with pytest.raises(StorageError) as raised:
        accounts.load("default")
    assert raised.value.message == f"the account key `{folder}/key.pem` is damaged: no private key in it"


def test_a_key_that_only_looks_like_one_is_found_when_it_is_used(accounts: Accounts, folder: Path) -> None:
    accounts.save(ACCOUNT)
    (folder / "key.pem").write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    with pytest.raises(KeyMaterialError, match="the key of the account `default` is no private key"):
        accounts.load("default").private_key()


@pytest.mark.parametrize("name", ["key.pem", "account.json"])
def test_a_missing_file_is_an_error_that_names_it(accounts: Accounts, folder: Path, name: str) -> None:
    accounts.save(ACCOUNT)
    (folder / name).unlink()
    with pytest.raises(StorageError, match=f"{name}`: no such file"):
        accounts.load("default")


def test_a_key_that_others_can_read_is_refused(accounts: Accounts, folder: Path) -> None:
    accounts.save(ACCOUNT)
    (folder / "key.pem").chmod(0o644)
    with pytest.raises(StorageError, match=r"can be read or written by others \(mode 0644\)"):
        accounts.load("default")


def test_a_save_killed_between_its_renames_leaves_the_new_account(accounts: Accounts, folder: Path) -> None:
    """See also test_interruption, which kills a real process at every step."""
    accounts.save(ACCOUNT)
    new = dataclasses.replace(ACCOUNT, account_url="https://ca.example/acct/2")
    Accounts(folder.parent.parent / "other").save(new)
    folder.rename(folder.with_name(".default.old"))
    (folder.parent.parent / "other" / "default").rename(folder.with_name(".default.new"))
    assert accounts.names() == ("default",)
    assert accounts.load("default") == new
    accounts.save(new, replace=True)
    assert [path.name for path in folder.parent.iterdir()] == ["default"]


def test_an_old_account_without_a_successor_is_kept(accounts: Accounts, folder: Path) -> None:
    accounts.save(ACCOUNT)
    folder.rename(folder.with_name(".default.old"))
    assert accounts.load("default") == ACCOUNT
    with pytest.raises(StorageError, match="already"):
        accounts.save(ACCOUNT)
    assert accounts.load("default") == ACCOUNT


NEXT = keys.generate(KeyType.ECDSA_P384)
ROLLING = dataclasses.replace(ACCOUNT, next_key_pem=keys.to_pem(NEXT))
NOON = datetime(2026, 11, 22, 12, 0, 1, tzinfo=UTC)


def test_what_else_is_known_of_an_account_comes_back(accounts: Accounts) -> None:
    known = dataclasses.replace(ACCOUNT, kid="kid-1", terms="https://ca.example/terms", opens=("a.example",))
    accounts.save(known)
    assert accounts.load("default") == known


@pytest.mark.parametrize("changes", [{"kid": 5}, {"terms": []}, {"opens": "a.example"}, {"opens": [1]}])
def test_an_odd_record_is_damage(accounts: Accounts, folder: Path, changes: dict[str, object]) -> None:
    accounts.save(ACCOUNT)
    record = folder / "account.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | changes))
    with pytest.raises(StorageError, match="is damaged"):
        accounts.load("default")


def test_the_next_key_lies_beside_the_key_and_is_private(accounts: Accounts, folder: Path) -> None:
    accounts.save(ROLLING)
    assert accounts.load("default") == ROLLING
    assert stat.S_IMODE((folder / "next-key.pem").stat().st_mode) == 0o600
    assert "PRIVATE" not in repr(ROLLING)


def test_an_account_that_was_rolled_over_has_the_next_key_alone(accounts: Accounts, folder: Path) -> None:
    accounts.save(ROLLING)
    accounts.save(accounts.load("default").rolled_over(), replace=True)
    rolled = accounts.load("default")
    assert (rolled.key_pem, rolled.next_key_pem) == (ROLLING.next_key_pem, None)
    assert rolled.thumbprint == keys.thumbprint(NEXT)
    assert sorted(path.name for path in folder.iterdir()) == ["account.json", "key.pem"]


def test_a_next_key_that_others_can_read_is_refused(accounts: Accounts, folder: Path) -> None:
    accounts.save(ROLLING)
    (folder / "next-key.pem").chmod(0o644)
    with pytest.raises(StorageError, match="can be read or written by others"):
        accounts.load("default")


def test_an_archived_account_is_out_of_the_way_and_said_to_be_deactivated(accounts: Accounts, tmp_path: Path) -> None:
    accounts.save(ACCOUNT)
    archived = accounts.archive("default", at=NOON)
    assert archived == tmp_path / "state/archive/accounts/default-20261122T120001Z"
    assert (archived / "key.pem").read_bytes() == ACCOUNT.key_pem
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (archived.parent.parent, archived.parent, archived)]
    assert modes == [0o700] * 3
    assert accounts.names() == ()
    with pytest.raises(AccountMissing) as raised:
        accounts.load("default")
    assert raised.value.message == f"the account `default` was deactivated: what was it lies in `{archived}`"
    accounts.save(ACCOUNT)
    assert accounts.load("default") == ACCOUNT


def test_an_archived_account_is_not_taken_for_another_of_a_longer_name(accounts: Accounts) -> None:
    accounts.save(dataclasses.replace(ACCOUNT, name="default-mail"))
    accounts.archive("default-mail", at=NOON)
    with pytest.raises(AccountMissing, match=r"^no account `default`"):
        accounts.load("default")


def test_the_key_of_a_registration_is_kept_until_the_account_is_saved(accounts: Accounts, folder: Path) -> None:
    assert accounts.begun("default") is None
    accounts.begin("default", ACCOUNT.key_pem)
    kept = folder.parent / ".default.registering"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert (accounts.begun("default"), accounts.names(), accounts.exists("default")) == (ACCOUNT.key_pem, (), False)
    accounts.save(ACCOUNT)
    assert (accounts.begun("default"), accounts.names(), kept.exists()) == (None, ("default",), False)


def test_a_registration_that_was_refused_leaves_nothing(accounts: Accounts, folder: Path) -> None:
    accounts.begin("default", ACCOUNT.key_pem)
    accounts.abandon("default")
    assert not folder.parent.exists()
    accounts.save(dataclasses.replace(ACCOUNT, name="other"))
    accounts.begin("default", ACCOUNT.key_pem)
    accounts.abandon("default")
    assert accounts.names() == ("other",)
