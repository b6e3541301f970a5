"""What can happen to an account at a real CA: changed, given another key, bound to a customer, deactivated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from acmectl.ca import account_changes, accounts, orders
from acmectl.ca.accounts import Binding
from acmectl.ca.session import Session
from acmectl.errors import AccountDeactivated, AccountKeyReplaced, AccountUnknown, CAError, CARefused
from acmectl.model.names import Identifier
from tests.contract.conftest import CONTACT, Server
from tests.servers.pebble import running_pebble
from tests.servers.sandbox import running_sandbox

KID, HMAC_KEY = "kid-1", b"a key of thirty-two bytes or more"


def beside(server: Server, session: Session, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> Session:
    """A session for the same account with another key."""
    return Session(server.directory_url, key=key, ca_bundle=server.ca_bundle, account_url=session.account_url)


def ask(session: Session) -> None:
    profile = "classic" if session.directory.profiles else None
    orders.new_order(session, [Identifier("a.contract-of-acmectl.com")], profile=profile)


def test_contacts_are_replaced(session: Session) -> None:
    contact = ("other@contract-of-acmectl.com",)

    assert account_changes.update(session, contact=contact, terms_agreed=True).contact == contact


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)], ids=["P-384", "RSA-2048"]
)
def test_after_a_key_change_the_new_key_is_the_account_s_and_the_old_one_nobody_s(
    server: Server, session: Session, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
) -> None:
    url = session.account_url
    assert url
    with beside(server, session, key) as new:
        account_changes.change_key(session, new)

        assert account_changes.owns(new, url)
        ask(new)
    assert not account_changes.owns(session, url)


def test_a_key_that_was_replaced_elsewhere_is_told_from_other_refusals(server: Server, session: Session) -> None:
    with beside(server, session, ec.generate_private_key(ec.SECP256R1())) as new:
        account_changes.change_key(session, new)

    with pytest.raises(AccountKeyReplaced) as caught:
        ask(session)
    assert str(session.account_url) in caught.value.message
    assert "account import FILE --replace" in str(caught.value.hint)


def test_a_key_that_another_account_has_does_not_become_ours(server: Server, session: Session) -> None:
    url, key = session.account_url, ec.generate_private_key(ec.SECP256R1())
    assert url
    with server.session(key) as other:
        accounts.register(other, contact=CONTACT, terms_agreed=True)

    with beside(server, session, key) as new:
        with pytest.raises(CAError):
            account_changes.change_key(session, new)
        assert not account_changes.owns(new, url)
    assert account_changes.owns(session, url)


def test_a_deactivated_account_stays_so_and_acme2certifier_knows_it_no_more(server: Server, session: Session) -> None:
    expected = AccountDeactivated if "status of accounts" in server.facts else AccountUnknown
    account_changes.deactivate(session)

    with pytest.raises(expected) as caught:
        ask(session)
    assert "account import FILE --replace" in str(caught.value.hint)
    if "status of accounts" in server.facts:
        account_changes.deactivate(session)  # again is no error
        with pytest.raises(AccountDeactivated):
            account_changes.owns(session, str(session.account_url))


@pytest.fixture(params=["pebble", "sandbox"])
def strict(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The URL of the directory and the roots of a CA that requires External Account Binding."""
    encoded = "YSBrZXkgb2YgdGhpcnR5LXR3byBieXRlcyBvciBtb3Jl"
    if request.param == "pebble":
        with running_pebble(tmp_path, external_account_binding=True, mac_keys={KID: encoded}) as pebble:
            yield pebble.directory_url, pebble.ca_bundle
    else:
        with running_sandbox(tmp_path, external_accounts={KID: HMAC_KEY}) as sandbox:
            yield sandbox.directory_url, sandbox.ca_bundle


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)])
def test_a_bound_account_is_registered_where_binding_is_required(
    strict: tuple[str, Path], key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
) -> None:
    with Session(strict[0], key=key, ca_bundle=strict[1]) as session:
        assert session.directory.external_account_required
        made = accounts.register(session, contact=CONTACT, terms_agreed=True, binding=Binding(KID, HMAC_KEY))
        assert accounts.find(session).url == made.url


@pytest.mark.parametrize("binding", [None, Binding("kid-2", HMAC_KEY), Binding(KID, HMAC_KEY[1:])])
def test_without_the_right_binding_nothing_is_registered(strict: tuple[str, Path], binding: Binding | None) -> None:
    with Session(strict[0], key=ec.generate_private_key(ec.SECP256R1()), ca_bundle=strict[1]) as session:
        with pytest.raises(CARefused):
            accounts.register(session, contact=CONTACT, terms_agreed=True, binding=binding)
        with pytest.raises(AccountUnknown):
            accounts.find(session)
