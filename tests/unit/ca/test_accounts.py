from __future__ import annotations

import pytest

from acmectl.ca import accounts
from acmectl.ca.accounts import AccountStatus
from acmectl.ca.session import Session
from acmectl.errors import AccountUnknown, CAError, CAProtocolError, CARefused
from tests.servers.faults import FaultyCA, Reply, problem

NEW_ACCOUNT = "POST /new-account"


def account(ca: FaultyCA, code: int = 201, **members: object) -> Reply:
    return Reply(code, {"status": "valid"} | members, {"Location": f"{ca.base}/account/7"})


def test_a_registration_carries_contacts_as_urls_and_the_public_key(ca: FaultyCA, session: Session) -> None:
    session.account_url = None
    ca.script(NEW_ACCOUNT, account(ca, contact=["mailto:a@example.com"]))

    made = accounts.register(session, contact=("a@example.com", "tel:+1"), terms_agreed=True)

    [request] = ca.asked(NEW_ACCOUNT)
    assert request.payload == {"contact": ["mailto:a@example.com", "tel:+1"], "termsOfServiceAgreed": True}
    assert request.protected["jwk"]["kty"] == "EC"
    assert "kid" not in request.protected
    assert made == accounts.Account(
        f"{ca.base}/account/7", AccountStatus.VALID, ("a@example.com",), session.account_key.thumbprint
    )
    assert session.account_url == made.url


def test_terms_that_nobody_agreed_to_are_not_agreed_to(ca: FaultyCA, session: Session) -> None:
    ca.script(NEW_ACCOUNT, problem(403, "userActionRequired", "agree first"))

    with pytest.raises(CARefused) as caught:
        accounts.register(session, contact=(), terms_agreed=False)

    assert "termsOfServiceAgreed" not in ca.asked(NEW_ACCOUNT)[0].payload
    assert f"`{ca.base}/terms`" in str(caught.value.hint)


def test_finding_never_registers(ca: FaultyCA, session: Session) -> None:
    ca.script(NEW_ACCOUNT, account(ca, 200))

    assert accounts.find(session).url == f"{ca.base}/account/7"
    assert ca.asked(NEW_ACCOUNT)[0].payload == {"onlyReturnExisting": True}
    assert session.account_url == f"{ca.base}/account/7"


def test_an_unknown_key_is_an_error_of_its_own_and_changes_nothing(ca: FaultyCA, session: Session) -> None:
    before = session.account_url
    ca.script(NEW_ACCOUNT, problem(400, "accountDoesNotExist"))

    with pytest.raises(AccountUnknown):
        accounts.find(session)

    assert session.account_url == before


def test_an_answer_with_little_more_than_its_location_is_a_valid_account(ca: FaultyCA, session: Session) -> None:
    ca.script(NEW_ACCOUNT, Reply(200, {}, {"Location": f"{ca.base}/account/7"}))

    found = accounts.find(session)

    assert (found.status, found.contact) == (AccountStatus.VALID, ())


@pytest.mark.parametrize("location", ["", "/account/7", "urn:x"])
def test_an_account_without_its_url_is_a_protocol_error(ca: FaultyCA, session: Session, location: str) -> None:
    ca.script(NEW_ACCOUNT, Reply(201, {"status": "valid"}, {"Location": location}))

    with pytest.raises(CAProtocolError, match="`Location`"):
        accounts.register(session, contact=(), terms_agreed=True)


@pytest.mark.parametrize("members", [{"status": 5}, {"status": "odd"}, {"contact": "x"}, {"contact": [1]}])
def test_an_odd_account_is_a_protocol_error(ca: FaultyCA, session: Session, members: dict[str, object]) -> None:
    ca.script(NEW_ACCOUNT, account(ca, 200, **members))

    with pytest.raises(CAProtocolError):
        accounts.find(session)


def test_an_account_is_fetched_from_its_url(ca: FaultyCA, session: Session) -> None:
    ca.script("POST /account/1", Reply(body={"status": "deactivated"}))

    assert accounts.fetch(session).status is AccountStatus.DEACTIVATED
    assert ca.asked("POST /account/1")[0].payload is None


def test_an_account_whose_url_is_not_known_cannot_be_fetched(session: Session) -> None:
    session.account_url = None

    with pytest.raises(CAError, match="no account"):
        accounts.fetch(session)


def test_a_registration_whose_reply_was_lost_is_repeated(ca: FaultyCA, session: Session) -> None:
    ca.script(NEW_ACCOUNT, Reply(cut="head"), account(ca, 200))

    assert accounts.register(session, contact=(), terms_agreed=True).url == f"{ca.base}/account/7"


def test_a_session_without_a_key_says_so(ca: FaultyCA) -> None:
    with Session(ca.directory_url) as keyless, pytest.raises(CAError, match="no account key"):
        accounts.find(keyless)
