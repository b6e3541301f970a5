"""Names -> orders, and which names a refusal is about."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acmectl.errors import Problem
from acmectl.model.names import Identifier
from acmectl.policy import batching
from acmectl.policy.refresh import Wanted


def wanted(*names: str, account: str = "default", profile: str | None = None, solver: str = "dns") -> list[Wanted]:
    return [Wanted(Identifier(name), account, profile, solver) for name in names]


def packed(names: list[Wanted], limit: int = 100) -> list[list[str]]:
    return [[w.identifier.value for w in order] for order in batching.pack(names, limit=limit)]


def test_names_of_one_zone_travel_together() -> None:
    names = wanted("a.one.test", "a.two.test", "b.one.test", "one.test", "b.two.test")
    assert packed(names, limit=3) == [["one.test", "a.one.test", "b.one.test"], ["a.two.test", "b.two.test"]]


def test_a_wildcard_is_with_its_base_but_never_with_a_name_that_it_covers() -> None:
    orders = packed(wanted("*.one.test", "one.test", "www.one.test"))
    assert orders == [["one.test", "*.one.test"], ["www.one.test"]]


def test_accounts_and_profiles_never_share_an_order() -> None:
    names = wanted("a.test") + wanted("b.test", account="mail") + wanted("c.test", profile="tlsserver")
    assert sorted(packed(names)) == [["a.test"], ["b.test"], ["c.test"]]


@given(
    st.lists(
        st.builds(
            Wanted,
            st.sampled_from(
                [Identifier(w + n + z) for w in ("", "*.") for n in ("", "a.", "b.") for z in ("x.test", "y.test")]
            ),
            st.sampled_from(["default", "mail"]),
            st.sampled_from([None, "classic"]),
            st.sampled_from(["dns", "web"]),
        ),
        unique=True,
    ),
    st.integers(min_value=1, max_value=5),
)
def test_every_name_is_in_exactly_one_order_that_a_ca_accepts(names: list[Wanted], limit: int) -> None:
    orders = batching.pack(names, limit=limit)
    assert sorted(map(repr, names)) == sorted(repr(w) for order in orders for w in order)
    for order in orders:
        assert 1 <= len(order) <= limit
        assert len({(w.account, w.profile) for w in order}) == 1
        identifiers = [w.identifier for w in order]
        assert not any(a.covers(b) for a in identifiers for b in identifiers)


def test_halves_lose_nothing() -> None:
    names = wanted("a.test", "b.test", "c.test")
    first, second = batching.halves(names)
    assert [*first, *second] == names
    assert first
    assert second


NAMES = [Identifier("a.test"), Identifier("b.test"), Identifier("*.c.test")]


def refused(problem: Problem) -> set[str]:
    return {name.value for name in batching.refused_names(problem, NAMES)}


def test_subproblems_say_which_names_are_refused_and_why() -> None:
    sub = Problem("malformed", "no such top level domain", identifier="B.test")
    problem = Problem(
        "rejectedIdentifier", "see subproblems", 400, subproblems=(sub, Problem("caa", "", identifier="x.test"))
    )
    assert batching.refused_names(problem, NAMES) == {Identifier("b.test"): sub}


@pytest.mark.parametrize(
    ("detail", "names"),
    [
        ('Cannot issue for "a.test": forbidden', {"a.test"}),
        ('too many failed authorizations (5) for "b.test" in the last 1h0m0s, retry after 2026', {"b.test"}),
        ('Domain name "*.c.test" is redundant', {"*.c.test"}),
        ('Cannot issue for "x.test": forbidden', set()),
        ("service busy", set()),
    ],
)
def test_a_detail_that_quotes_a_name_says_which_is_refused(detail: str, names: set[str]) -> None:
    assert refused(Problem("rejectedIdentifier", detail, 400)) == names


@pytest.mark.parametrize(
    ("detail", "names"),
    [
        (
            "prevented from requesting certificates for a.test and possibly others. Please visit: https://b.test/x",
            {"a.test"},
        ),
        ("... for A.test., b.test and possibly others", {"a.test", "b.test"}),
        ("... for c.test and possibly others", {"*.c.test"}),  # paused by the base name
        ("... for xa.test, a.test.example and others", set()),
    ],
)
def test_a_429_names_what_is_paused_without_quotes(detail: str, names: set[str]) -> None:
    assert refused(Problem("rateLimited", detail, 429)) == names
    assert refused(Problem("rejectedIdentifier", detail, 400)) == set(), "in other refusals a word may be any word"


def test_a_limit_of_a_registered_domain_is_about_the_names_below_it() -> None:
    problem = Problem(
        "rateLimited", 'too many certificates (50) already issued for "c.test" in the last 168h, see "not a name"', 429
    )
    assert set(batching.covered_by_domain(problem, NAMES)) == {Identifier("*.c.test")}
    unquoted = Problem("rateLimited", "see `no_name` and `192.0.2.1`", 429)
    assert batching.covered_by_domain(unquoted, NAMES) == {}


@pytest.mark.parametrize(
    ("quoted", "about"),
    [("2001:db8::/64", {"2001:db8::1"}), ("192.0.2.1/32", {"192.0.2.1"}), ("192.0.2.1", {"192.0.2.1"}), ("a/b", set())],
)
def test_a_limit_of_a_network_is_about_the_addresses_in_it(quoted: str, about: set[str]) -> None:
    problem = Problem("rateLimited", f'too many certificates (50) already issued for "{quoted}" in the last 168h', 429)
    names = {Identifier(name) for name in ("2001:db8::1", "192.0.2.1", "192.0.2.2", "a.test")}
    assert {name.value for name in batching.covered_by_domain(problem, names)} == about


def test_addresses_of_one_solver_travel_together() -> None:
    mixed = wanted("192.0.2.1", "1.0.2.192", "a.example", "2001:db8::1")
    assert packed(mixed, 3) == [["1.0.2.192", "192.0.2.1", "2001:db8::1"], ["a.example"]]


def test_a_refusal_of_the_account_is_not_about_names() -> None:
    assert not batching.is_about_names(Problem("userActionRequired", "terms changed", 403))
    assert batching.is_about_names(Problem("rejectedIdentifier", "no", 400))
    assert batching.is_about_account(Problem("unauthorized", "deactivated", 403))
    assert batching.is_about_account(Problem("busy", "slow down", 429))
    assert not batching.is_about_account(Problem("badNonce", "old", 400))


@pytest.mark.parametrize(
    ("detail", "limit"),
    [
        ("Order cannot contain more than 25 identifiers", 25),  # Boulder
        ("too many names: at most 10 DNS names are allowed", 10),
        ("order for 60 identifiers is too large", None),  # our own number, no limit
        ("Cannot issue for 0 names", None),
        ("policy forbids this", None),
    ],
)
def test_the_limit_of_names_is_read_from_the_refusal(detail: str, limit: int | None) -> None:
    assert batching.name_limit(Problem("malformed", detail, 400), 60) == limit


def test_a_rate_limit_is_no_limit_of_names() -> None:
    assert batching.name_limit(Problem("rateLimited", "50 names in a week", 429), 60) is None


def test_a_limit_of_one_exact_set_is_about_neither_the_account_nor_a_name() -> None:
    detail = "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s"
    problem = Problem("rateLimited", detail, 429)
    assert batching.is_about_set(problem)
    assert not batching.is_about_account(problem)
    assert not batching.is_about_set(Problem("malformed", detail, 400))
    assert not batching.is_about_set(Problem("rateLimited", "too many new orders (300) from this account", 429))


def test_another_set_moves_one_name() -> None:
    names = wanted("a.test", "b.test", "c.test")
    assert batching.another_set(names) == (tuple(names[:2]), tuple(names[2:]))


def test_a_name_and_its_wildcard_share_what_is_left_of_their_tries() -> None:
    names = wanted("a.test", "*.a.test", "b.test")
    assert batching.retriable(names, {}, most=2) == tuple(names)
    assert batching.retriable(names, {"a.test": 1}, most=2) == (names[0], names[2])
    assert batching.retriable(names, {"a.test": 2, "b.test": 1}, most=2) == (names[2],)
