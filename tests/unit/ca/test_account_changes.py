from __future__ import annotations

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from acmectl.ca import account_changes, accounts, orders
from acmectl.ca.accounts import Binding
from acmectl.ca.session import Session
from acmectl.errors import AccountDeactivated, AccountKeyReplaced, CAError, CAProtocolError, CARefused, CAUnreachable
from acmectl.model.names import Identifier
from tests.servers.faults import FaultyCA, Reply, problem

ACCOUNT, NEW_ACCOUNT, NEW_ORDER, KEY_CHANGE = (
    "POST /account/1",
    "POST /new-account",
    "POST /new-order",
    "POST /key-change",
)
DEACTIVATED = problem(403, "unauthorized", 'Account is not valid, has status "deactivated"')
WRONG_SIGNATURE = problem(400, "malformed", "JWS verification error")


def with_key_change(ca: FaultyCA) -> None:
    ca.script("GET /directory", Reply(body=ca.directory | {"keyChange": f"{ca.base}/key-change"}))


def decoded(text: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def found(ca: FaultyCA, number: int) -> Reply:
    return Reply(200, {"status": "valid"}, {"Location": f"{ca.base}/account/{number}"})


def order(session: Session) -> None:
    orders.new_order(session, [Identifier("a.example.com")], profile="classic")


def test_no_contact_is_sent_as_an_empty_list_which_takes_all_away(ca: FaultyCA, session: Session) -> None:
    ca.script(ACCOUNT, Reply(body={"status": "valid", "contact": []}))

    account_changes.update(session, contact=(), terms_agreed=False)

    assert ca.asked(ACCOUNT)[0].payload == {"contact": []}


def test_terms_are_agreed_to_only_when_somebody_did(ca: FaultyCA, session: Session) -> None:
    ca.script(ACCOUNT, Reply(body={"status": "valid"}))

    account_changes.update(session, contact=("a@example.com",), terms_agreed=True)

    assert ca.asked(ACCOUNT)[0].payload == {"contact": ["mailto:a@example.com"], "termsOfServiceAgreed": True}


def test_a_key_change_is_signed_by_both_keys(ca: FaultyCA, session: Session) -> None:
    with_key_change(ca)
    ca.script(KEY_CHANGE, Reply(body={}))
    with Session(ca.directory_url, key=ec.generate_private_key(ec.SECP384R1())) as new:
        account_changes.change_key(session, new)
        new_jwk = new.account_key.public()

    [request] = ca.asked(KEY_CHANGE)
    assert request.protected["kid"] == session.account_url
    assert decoded(request.payload["protected"]) == {"alg": "ES384", "jwk": new_jwk, "url": f"{ca.base}/key-change"}
    inner = decoded(request.payload["payload"])
    assert inner == {"account": session.account_url, "oldKey": session.account_key.public()}
    assert "d" not in json.dumps(sorted([*new_jwk, *inner["oldKey"]]))


def test_a_key_change_without_a_reply_is_not_repeated(ca: FaultyCA, session: Session) -> None:
    with_key_change(ca)
    ca.script(KEY_CHANGE, Reply(cut="head"))

    with (
        Session(ca.directory_url, key=ec.generate_private_key(ec.SECP256R1())) as new,
        pytest.raises(CAUnreachable),
    ):
        account_changes.change_key(session, new)

    assert len(ca.asked(KEY_CHANGE)) == 1


def test_a_ca_without_key_change_says_so(session: Session) -> None:
    with pytest.raises(CAProtocolError, match="does not offer `keyChange`"):
        account_changes.change_key(session, session)


def test_a_key_of_another_account_is_not_this_one_s(ca: FaultyCA, session: Session) -> None:
    ca.script(NEW_ACCOUNT, found(ca, 2))

    assert not account_changes.owns(session, f"{ca.base}/account/1")


@pytest.mark.parametrize(
    ("replies", "posts"),
    [
        ([Reply(body={"status": "deactivated"})], 1),
        ([Reply(cut="head"), DEACTIVATED], 2),
        ([Reply(cut="head"), Reply(body={"status": "deactivated"})], 2),
        ([Reply(cut="head"), Reply(body={"status": "valid"}), Reply(body={"status": "deactivated"})], 3),
        ([DEACTIVATED], 1),
    ],
)
def test_a_deactivation_is_sure_also_where_its_reply_is_lost(
    ca: FaultyCA, session: Session, replies: list[Reply], posts: int
) -> None:
    ca.script(ACCOUNT, *replies)

    account_changes.deactivate(session)

    assert len(ca.asked(ACCOUNT)) == posts
    assert ca.asked(ACCOUNT)[0].payload == {"status": "deactivated"}


def test_a_ca_that_only_seems_to_deactivate_is_not_believed(ca: FaultyCA, session: Session) -> None:
    ca.script(ACCOUNT, Reply(body={"status": "valid"}))

    with pytest.raises(CAProtocolError, match="did not deactivate"):
        account_changes.deactivate(session)


def test_an_account_without_url_cannot_be_changed(session: Session) -> None:
    session.account_url = None

    with pytest.raises(CAError, match="no account"):
        account_changes.deactivate(session)


def test_a_binding_is_our_public_key_signed_with_the_ca_s(ca: FaultyCA, session: Session) -> None:
    ca.script(NEW_ACCOUNT, found(ca, 7))

    accounts.register(session, contact=(), terms_agreed=True, binding=Binding("kid-1", b"x" * 32))

    bound = ca.asked(NEW_ACCOUNT)[0].payload["externalAccountBinding"]
    assert decoded(bound["protected"]) == {"alg": "HS256", "kid": "kid-1", "url": f"{ca.base}/new-account"}
    assert decoded(bound["payload"]) == session.account_key.public()
    assert "x" * 32 not in repr(Binding("kid-1", b"x" * 32))


@pytest.mark.parametrize("refusal", [WRONG_SIGNATURE, problem(403, "bad signatures")])
def test_a_signature_that_is_not_accepted_is_looked_into_once(ca: FaultyCA, session: Session, refusal: Reply) -> None:
    ca.script(NEW_ORDER, refusal)
    ca.script(NEW_ACCOUNT, problem(400, "accountDoesNotExist"))

    for _ in range(2):
        with pytest.raises(AccountKeyReplaced):
            order(session)

    assert len(ca.asked(NEW_ACCOUNT)) == 1
    assert ca.asked(NEW_ACCOUNT)[0].payload == {"onlyReturnExisting": True}


def test_a_key_that_has_another_account_now_is_replaced_too(ca: FaultyCA, session: Session) -> None:
    ca.script(NEW_ORDER, WRONG_SIGNATURE)
    ca.script(NEW_ACCOUNT, found(ca, 2))

    with pytest.raises(AccountKeyReplaced):
        order(session)
    assert session.account_url == f"{ca.base}/account/1"


def test_a_refusal_stays_what_it_is_where_the_key_is_right(ca: FaultyCA, session: Session) -> None:
    ca.script(NEW_ORDER, WRONG_SIGNATURE, problem(400, "malformed", "no JWS at all"))
    ca.script(NEW_ACCOUNT, found(ca, 1))

    for words in ("JWS verification error", "no JWS at all"):
        with pytest.raises(CARefused, match=words) as caught:
            order(session)
        assert not isinstance(caught.value, AccountKeyReplaced)
    assert len(ca.asked(NEW_ACCOUNT)) == 1


def test_other_refusals_are_not_looked_into(ca: FaultyCA, session: Session) -> None:
    ca.script(NEW_ORDER, problem(403, "unauthorized", "not yours"), DEACTIVATED)

    with pytest.raises(CARefused, match="not yours"):
        order(session)
    with pytest.raises(AccountDeactivated):
        order(session)
    assert not ca.asked(NEW_ACCOUNT)


def test_an_account_that_is_unknown_need_not_be_looked_into(ca: FaultyCA, session: Session) -> None:
    ca.script(NEW_ORDER, problem(401, "accountDoesNotExist"))

    with pytest.raises(AccountKeyReplaced):
        order(session)
    assert not ca.asked(NEW_ACCOUNT)


def test_a_look_that_fails_does_not_hide_the_refusal(ca: FaultyCA, session: Session) -> None:
    ca.script(NEW_ORDER, WRONG_SIGNATURE)
    ca.script(NEW_ACCOUNT, problem(400, "malformed", "what?"))

    with pytest.raises(CARefused, match="JWS verification error"):
        order(session)


def test_a_look_that_finds_the_account_deactivated_says_so(ca: FaultyCA, session: Session) -> None:
    ca.script(NEW_ORDER, WRONG_SIGNATURE)
    ca.script(NEW_ACCOUNT, DEACTIVATED)

    with pytest.raises(AccountDeactivated):
        order(session)


def test_threads_that_are_refused_together_share_one_look_and_its_verdict(
    ca: FaultyCA, key: ec.EllipticCurvePrivateKey
) -> None:
    ca.script(NEW_ORDER, WRONG_SIGNATURE)
    ca.script(NEW_ACCOUNT, Reply(503), problem(400, "accountDoesNotExist"))

    def until_all_were_refused(_: float) -> None:
        """The pause before the look is repeated."""
        end = time.monotonic() + 20
        while len(ca.asked(NEW_ORDER)) < 5 and time.monotonic() < end:
            time.sleep(0.01)

    def ask(_: int) -> bool:
        with pytest.raises(CARefused) as caught:
            order(session)
        return isinstance(caught.value, AccountKeyReplaced)

    session = Session(ca.directory_url, key=key, account_url=f"{ca.base}/account/1", pauses=until_all_were_refused)
    with session, ThreadPoolExecutor(5) as pool:
        assert list(pool.map(ask, range(5))) == [True] * 5
    assert len(ca.asked(NEW_ACCOUNT)) == 2, "one look, and its repetition"
