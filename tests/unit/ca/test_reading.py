"""Whatever a CA answers, reading it gives a value or CAProtocolError."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from datetime import UTC, datetime

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acmectl.ca.directory import Directory, read_directory
from acmectl.ca.fields import Fields, printable
from acmectl.ca.reading import read_authorization, read_challenge, read_order, read_problem
from acmectl.errors import CAProtocolError, Problem
from acmectl.model.orders import Authorization, Challenge, Order

# A loaded machine makes an example slow, which says nothing about reading it.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

URL = "https://ca.example.com/1"
STATES = ["pending", "ready", "valid", "invalid", "deactivated", "expired", "odd"]

odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
urls = st.sampled_from([URL, "https://x", "no url"])
identifiers = st.fixed_dictionaries({"type": st.just("dns")}, optional={"value": st.text(max_size=5) | odd})
problems = st.fixed_dictionaries({}, optional={"type": odd, "detail": odd, "identifier": odd, "subproblems": odd})
challenges = st.fixed_dictionaries(
    {}, optional={"type": odd, "url": urls, "status": st.sampled_from(STATES), "token": odd, "error": problems | odd}
)
resources = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(STATES) | odd,
        "identifier": identifiers | odd,
        "identifiers": st.lists(identifiers, max_size=2) | odd,
        "authorizations": st.lists(urls, max_size=2) | odd,
        "challenges": st.lists(challenges, max_size=2) | odd,
        "finalize": urls | odd,
        "certificate": urls | odd,
        "expires": st.sampled_from(["2030-01-01T00:00:00Z", "9999-12-31T23:59:59-23:00"]) | odd,
        "error": problems | odd,
        "wildcard": odd,
        "newNonce": urls | odd,
        "newAccount": urls | odd,
        "newOrder": urls | odd,
        "meta": odd,
    },
)


def response(body: object) -> requests.Response:
    answer = requests.Response()
    answer.status_code = 200
    answer.url = URL
    answer.raw = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
    return answer


@unhurried
@given(resources | odd)
def test_any_json_is_a_value_or_a_protocol_error(body: object) -> None:
    with suppress(CAProtocolError):
        assert isinstance(read_order(response(body), URL), Order)
    with suppress(CAProtocolError):
        assert isinstance(read_authorization(response(body), URL), Authorization)
    with suppress(CAProtocolError):
        assert isinstance(read_challenge(response(body)), Challenge)
    with suppress(CAProtocolError):
        assert isinstance(read_directory(response(body), URL), Directory)


@unhurried
@given(st.binary())
def test_any_bytes_are_a_value_or_a_protocol_error(body: bytes) -> None:
    with suppress(CAProtocolError):
        read_order(response(body), URL)


@unhurried
@given(problems)
def test_any_problem_document_is_read(members: dict[str, object]) -> None:
    problem = read_problem(Fields(members, URL), status=400)

    assert isinstance(problem, Problem)
    assert problem.status == 400
    assert str(problem)


def test_a_type_loses_its_prefix_and_a_title_stands_in_for_a_detail() -> None:
    fields = Fields({"type": "urn:ietf:params:acme:error:caa", "title": "no"}, URL)

    assert read_problem(fields) == Problem("caa", "no")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2030-01-02T03:04:05Z", datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2030-01-02t03:04:05.123456789z", datetime(2030, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)),
        ("2030-01-02T05:04:05+02:00", datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (None, None),
        ("", None),
    ],
)
def test_moments_are_aware_and_in_utc(text: str | None, moment: datetime | None) -> None:
    assert Fields({"expires": text}, URL).moment("expires") == moment


def test_somebody_elses_words_become_one_printable_line() -> None:
    assert printable("a\n b\t\x1b[31mc\u202e") == "a b ?[31mc?"
