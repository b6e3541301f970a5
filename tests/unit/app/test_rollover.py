"""Exchanging a key with a CA that misbehaves: whatever it says, one of the keys on the disk is the account's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from acmectl import keys
from acmectl.app.rollover import roll_over, settle
from acmectl.ca.session import Session
from acmectl.errors import CAError, CARefused
from acmectl.model.certificates import KeyType
from acmectl.storage.accounts import Accounts, StoredAccount
from tests.servers.faults import FaultyCA, Reply, problem, running_faults

if TYPE_CHECKING:
    from acmectl.keys import PrivateKey

OLD, NEW, OTHER = (keys.generate(KeyType.ECDSA_P256) for _ in range(3))
KEY_CHANGE, NEW_ACCOUNT = "POST /key-change", "POST /new-account"
UNKNOWN = problem(400, "accountDoesNotExist")


@pytest.fixture
def ca() -> Iterator[FaultyCA]:
    with running_faults() as server:
        server.script("GET /directory", Reply(body=server.directory | {"keyChange": f"{server.base}/key-change"}))
        yield server


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    return Accounts(tmp_path / "accounts")


@pytest.fixture
def stored(ca: FaultyCA, accounts: Accounts) -> StoredAccount:
    pem = keys.to_pem(OLD)
    account = StoredAccount(
        "default", ca.directory_url, f"{ca.base}/account/1", None, (), keys.thumbprint(OLD), pem, kid="kid-1"
    )
    accounts.save(account)
    return account


@pytest.fixture
def session_for(ca: FaultyCA) -> Callable[[PrivateKey, str], Session]:
    return lambda key, url: Session(ca.directory_url, key=key, account_url=url, pauses=lambda _: None)


def new_key() -> bytes:
    return keys.to_pem(NEW)


def found(ca: FaultyCA, number: int = 1) -> Reply:
    return Reply(200, {"status": "valid"}, {"Location": f"{ca.base}/account/{number}"})


SessionFor = Callable[["PrivateKey", str], Session]


def test_the_new_key_is_the_account_s_once_the_ca_knows_it(
    ca: FaultyCA, accounts: Accounts, stored: StoredAccount, session_for: SessionFor
) -> None:
    ca.script(KEY_CHANGE, Reply(body={}))
    ca.script(NEW_ACCOUNT, found(ca))

    rolled = roll_over(accounts, stored, session_for, new_key_pem=new_key)

    assert rolled == accounts.load("default")
    assert rolled == replace(stored, key_pem=new_key(), thumbprint=keys.thumbprint(NEW))


def test_a_change_whose_reply_was_lost_counts_when_the_ca_knows_the_new_key(
    ca: FaultyCA, accounts: Accounts, stored: StoredAccount, session_for: SessionFor
) -> None:
    ca.script(KEY_CHANGE, Reply(cut="head"))
    ca.script(NEW_ACCOUNT, found(ca))

    assert roll_over(accounts, stored, session_for, new_key_pem=new_key).key_pem == new_key()


@pytest.mark.parametrize("reply", [Reply(cut="head"), Reply(body={}), problem(500, "serverInternal", "oops")])
def test_while_nobody_knows_both_keys_are_kept(
    ca: FaultyCA, accounts: Accounts, stored: StoredAccount, session_for: SessionFor, reply: Reply
) -> None:
    """Also for an agreement that changes nothing, as Pebble's to a key that another account has."""
    ca.script(KEY_CHANGE, reply)
    ca.script(NEW_ACCOUNT, UNKNOWN)

    with pytest.raises(CAError, match="was not exchanged") as caught:
        roll_over(accounts, stored, session_for, new_key_pem=new_key)

    assert caught.value.hint == "`acmectl account rollover` goes on where this ended"
    assert accounts.load("default") == replace(stored, next_key_pem=new_key())


def test_a_confirmation_that_is_refused_throws_no_key_away(
    ca: FaultyCA, accounts: Accounts, stored: StoredAccount, session_for: SessionFor
) -> None:
    ca.script(KEY_CHANGE, Reply(body={}))
    ca.script(NEW_ACCOUNT, problem(429, "rateLimited", "not now"))

    with pytest.raises(CARefused):
        roll_over(accounts, stored, session_for, new_key_pem=new_key)

    assert accounts.load("default") == replace(stored, next_key_pem=new_key())


def test_a_new_key_that_was_refused_is_forgotten(
    ca: FaultyCA, accounts: Accounts, stored: StoredAccount, session_for: SessionFor
) -> None:
    ca.script(KEY_CHANGE, problem(400, "malformed", "no"))
    ca.script(NEW_ACCOUNT, UNKNOWN)

    with pytest.raises(CARefused, match="no"):
        roll_over(accounts, stored, session_for, new_key_pem=new_key)

    assert accounts.load("default") == stored


@pytest.mark.parametrize(("kind", "is_kept"), [("malformed", True), ("badPublicKey", False)])
def test_a_key_of_an_earlier_attempt_is_forgotten_only_when_no_attempt_can_have_worked(
    ca: FaultyCA, accounts: Accounts, stored: StoredAccount, session_for: SessionFor, kind: str, *, is_kept: bool
) -> None:
    ca.script(KEY_CHANGE, problem(400, kind, "no"))
    ca.script(NEW_ACCOUNT, UNKNOWN)
    unfinished = replace(stored, next_key_pem=keys.to_pem(OTHER))
    accounts.save(unfinished, replace=True)

    with pytest.raises(CAError):
        roll_over(accounts, unfinished, session_for, new_key_pem=new_key)

    assert accounts.load("default") == (unfinished if is_kept else stored)


def test_a_finished_account_needs_no_question(
    ca: FaultyCA, accounts: Accounts, stored: StoredAccount, session_for: SessionFor
) -> None:
    assert settle(accounts, stored, session_for) == stored
    assert not ca.requests


@pytest.mark.parametrize(("number", "is_settled"), [(1, True), (2, False), (None, False)])
def test_who_needs_the_account_finds_out_which_key_the_ca_knows(
    ca: FaultyCA,
    accounts: Accounts,
    stored: StoredAccount,
    session_for: SessionFor,
    number: int | None,
    *,
    is_settled: bool,
) -> None:
    unfinished = replace(stored, next_key_pem=new_key())
    accounts.save(unfinished, replace=True)
    ca.script(NEW_ACCOUNT, UNKNOWN if number is None else found(ca, number))

    settled = settle(accounts, unfinished, session_for)

    assert settled == accounts.load("default")
    assert settled == (unfinished.rolled_over() if is_settled else unfinished)
