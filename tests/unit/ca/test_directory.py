from __future__ import annotations

import json

import pytest

from acmectl.ca.session import Session
from acmectl.errors import CAError, CAProtocolError, RateLimited
from tests.servers.faults import FaultyCA, Reply, problem


def test_a_directory_says_what_the_ca_offers(ca: FaultyCA, session: Session) -> None:
    directory = session.directory

    assert directory.url == ca.directory_url
    assert directory.terms_of_service == f"{ca.base}/terms"
    assert directory.profiles == {"classic": "the usual", "shortlived": "six days"}
    assert directory.endpoint("newOrder") == f"{ca.base}/new-order"
    assert not directory.external_account_required
    assert directory.website is None


def test_a_directory_without_meta_offers_no_profiles(ca: FaultyCA, session: Session) -> None:
    ca.script("GET /directory", Reply(body={k: v for k, v in ca.directory.items() if k != "meta"}))

    assert session.directory.profiles == {}
    assert session.directory.terms_of_service is None


def test_members_that_are_no_urls_are_left_out(ca: FaultyCA, session: Session) -> None:
    ca.script("GET /directory", Reply(body=ca.directory | {"Wm9vY2s": "https://community.example", "x": 3, "y": None}))

    assert set(session.directory.endpoints) == {"newNonce", "newAccount", "newOrder", "Wm9vY2s"}


def test_what_is_not_offered_is_an_error_that_names_it(session: Session) -> None:
    with pytest.raises(CAProtocolError, match="does not offer `newAuthz`"):
        session.directory.endpoint("newAuthz")


@pytest.mark.parametrize(
    "page",
    [
        Reply(200, b"<!DOCTYPE html><title>Welcome</title>", {"Content-Type": "text/html; charset=utf-8"}),
        Reply(200, b"\n  <html>no content type</html>", {"Content-Type": ""}),
    ],
)
def test_a_web_page_is_told_from_a_directory(ca: FaultyCA, session: Session, page: Reply) -> None:
    ca.script("GET /directory", page)

    with pytest.raises(CAProtocolError) as caught:
        _ = session.directory

    assert caught.value.message == f"the answer is a web page, not an ACME directory: `{ca.directory_url}`"
    assert "https://acme-v02.api.letsencrypt.org/directory" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "`newNonce` is missing"),
        ([], "it is a list instead of an object"),
        ({"newNonce": "http://ca/1", "newAccount": "http://ca/2"}, "`newOrder` is missing"),
        ({"newNonce": "http://ca/1", "newAccount": "http://ca/2", "newOrder": "/3"}, "`newOrder` is no URL: `/3`"),
        ({"newNonce": 5}, "`newNonce` is a number instead of a text"),
        (json.dumps({"newNonce": "http://ca/1"}).encode()[:-4], "no JSON, or cut off"),
    ],
)
def test_what_is_no_directory_is_named_with_url_and_member(
    ca: FaultyCA, session: Session, body: object, said: str
) -> None:
    ca.script("GET /directory", Reply(body=body))

    with pytest.raises(CAProtocolError) as caught:
        _ = session.directory

    assert said in caught.value.message
    assert ca.directory_url in caught.value.message


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_problem_instead_of_a_directory_keeps_the_words_of_the_server(
    ca: FaultyCA, session: Session, status: int
) -> None:
    ca.script("GET /directory", problem(status, "malformed", "nothing lives here"))

    with pytest.raises(CAProtocolError, match="nothing lives here") as caught:
        _ = session.directory

    assert "`authority`" in str(caught.value.hint)


def test_a_rate_limit_on_the_directory_stays_one(ca: FaultyCA, session: Session) -> None:
    ca.script("GET /directory", problem(429, "rateLimited", headers={"Retry-After": "3600"}))

    with pytest.raises(RateLimited):
        _ = session.directory


def test_the_profile_to_send_is_the_configured_one_where_any_are_offered(session: Session) -> None:
    assert session.directory.profile_for("classic") == "classic"


@pytest.mark.parametrize("wanted", [None, "Classic"])
def test_a_missing_or_unknown_profile_is_an_error_that_lists_the_offered_ones(
    session: Session, wanted: str | None
) -> None:
    with pytest.raises(CAError) as caught:
        session.directory.profile_for(wanted)

    assert "`classic`, `shortlived`" in str(caught.value.hint)


def test_no_profile_is_sent_where_none_is_offered(ca: FaultyCA, session: Session) -> None:
    ca.script("GET /directory", Reply(body=ca.directory | {"meta": {}}))

    assert session.directory.profile_for("classic") is None


@pytest.mark.parametrize("meta", [[], "text", {"profiles": ["classic"]}, {"profiles": {"classic": 3}}])
def test_an_odd_meta_is_an_error(ca: FaultyCA, session: Session, meta: object) -> None:
    ca.script("GET /directory", Reply(body=ca.directory | {"meta": meta}))

    with pytest.raises(CAProtocolError, match="`meta"):
        _ = session.directory


def test_a_404_is_an_error_that_names_the_url(ca: FaultyCA, session: Session) -> None:
    ca.script("GET /directory", Reply(404, b"<html>not found</html>", {"Content-Type": "text/html"}))

    with pytest.raises(CAProtocolError) as caught:
        _ = session.directory

    assert ca.directory_url in caught.value.message
    assert "404" in caught.value.message


def test_an_error_is_not_remembered_but_a_directory_is(ca: FaultyCA, session: Session) -> None:
    ca.script("GET /directory", Reply(body={}), Reply(body=ca.directory))
    with pytest.raises(CAProtocolError):
        _ = session.directory

    assert session.directory is session.directory
    assert len(ca.asked("GET /directory")) == 2
