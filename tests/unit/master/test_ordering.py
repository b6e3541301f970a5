"""Opening orders against a CA that refuses: the wanted names get theirs, each refused one its reason."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from acmectl.errors import CARefused, CAUnreachable, Problem, RateLimited
from acmectl.master.ordering import Opened, open_orders
from acmectl.model.names import Identifier
from acmectl.model.orders import Order, OrderStatus
from acmectl.policy.refresh import Wanted

Refusal = Callable[[frozenset[Identifier]], Exception | None]


def wanted(*names: str) -> tuple[Wanted, ...]:
    return tuple(Wanted(Identifier(name), "default", None, "dns") for name in names)


def opened(names: tuple[Wanted, ...], refuse: Refusal) -> tuple[Opened, int]:
    asked = 0

    def new_order(identifiers: frozenset[Identifier]) -> Order:
        nonlocal asked
        asked += 1
        error = refuse(identifiers)
        if error is not None:
            raise error
        return Order(f"https://ca.test/{asked}", OrderStatus.PENDING, identifiers, (), "f")

    return open_orders([names], new_order), asked


def names_in(result: Opened) -> list[str]:
    return sorted(w.identifier.value for _, batch in result.orders for w in batch)


def test_names_that_subproblems_name_are_set_aside_at_once() -> None:
    sub = Problem("malformed", "no such top level domain", identifier="b.test")
    problem = Problem("rejectedIdentifier", "see subproblems", 400, subproblems=(sub,))

    def refuse(names: frozenset[Identifier]) -> Exception | None:
        return CARefused(problem, doing="the order") if Identifier("b.test") in names else None

    result, asked = opened(wanted("a.test", "b.test", "c.test"), refuse)
    assert names_in(result) == ["a.test", "c.test"]
    ((refused, error),) = result.refused.items()
    assert (refused.identifier.value, error.message) == (
        "b.test",
        "the CA refused `b.test`: no such top level domain (malformed)",
    )
    assert asked == 2


@given(st.sets(st.integers(0, 15), max_size=4))
def test_names_that_nothing_names_are_found_by_halves(bad: set[int]) -> None:
    names = wanted(*(f"n{number}.test" for number in range(16)))
    worst = {names[number].identifier for number in bad}

    def refuse(asked_for: frozenset[Identifier]) -> Exception | None:
        return CARefused(Problem("rejectedIdentifier", "no", 400), doing="it") if worst & asked_for else None

    result, asked = opened(names, refuse)
    assert {w.identifier for w in result.refused} == worst
    assert len(names_in(result)) == 16 - len(bad)
    assert result.stopped is None
    assert asked <= 1 + 10 * len(bad)


def test_a_429_that_quotes_a_name_costs_only_that_name() -> None:
    problem = Problem("rateLimited", 'too many failed authorizations (5) for "b.test" in the last 1h0m0s', 429)

    def refuse(names: frozenset[Identifier]) -> Exception | None:
        late = timedelta(minutes=20)
        return RateLimited(problem, doing="it", retry_after=late) if Identifier("b.test") in names else None

    result, asked = opened(wanted("a.test", "b.test"), refuse)
    assert names_in(result) == ["a.test"]
    ((_, error),) = result.refused.items()
    assert error.retry_after == timedelta(minutes=20)
    assert asked == 2


def test_a_429_of_a_registered_domain_costs_the_names_below_it() -> None:
    problem = Problem("rateLimited", 'too many certificates (50) already issued for "two.test" in the last 168h', 429)

    def refuse(names: frozenset[Identifier]) -> Exception | None:
        below = any(name.value.endswith("two.test") for name in names)
        return RateLimited(problem, doing="it", retry_after=timedelta(hours=3)) if below else None

    result, _ = opened(wanted("a.one.test", "a.two.test", "b.two.test"), refuse)
    assert names_in(result) == ["a.one.test"]
    assert len(result.refused) == 2


SET = Problem(
    "rateLimited",
    "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s, retry after 2026-11-23",
    429,
)
OLD_SET = Problem(
    "rateLimited",
    "too many certificates (5) already issued for this exact set of domains in the last 168h: a.test,b.test",
    429,
)


def exhausted(problem: Problem, *sets: str) -> Refusal:
    """Refuses the sets of names that are given as words."""
    used = {frozenset(Identifier(name) for name in names.split()) for names in sets}
    late = timedelta(hours=30)
    return lambda names: RateLimited(problem, doing="it", retry_after=late) if names in used else None


def test_an_exact_set_that_has_had_its_certificates_is_ordered_as_two_others() -> None:
    for problem in (SET, OLD_SET):
        result, asked = opened(wanted("a.test", "b.test", "c.test"), exhausted(problem, "a.test b.test c.test"))
        assert (asked, names_in(result), result.refused) == (3, ["a.test", "b.test", "c.test"], {})
        assert result.stopped is None, "never the whole account"


def test_one_name_is_moved_once_and_then_only_this_batch_is_refused() -> None:
    problem = exhausted(SET, "a.test b.test c.test", "a.test b.test")
    result, asked = opened(wanted("a.test", "b.test", "c.test"), problem)
    assert (asked, names_in(result), result.stopped) == (3, ["c.test"], None)
    assert {w.identifier.value for w in result.refused} == {"a.test", "b.test"}
    assert {error.retry_after for error in result.refused.values()} == {timedelta(hours=30)}


def test_other_batches_go_on_after_the_exact_set_of_one_was_refused() -> None:
    refuse, orders = exhausted(SET, "a.test"), []

    def new_order(names: frozenset[Identifier]) -> Order:
        if error := refuse(names):
            raise error
        orders.append(names)
        return Order("https://ca.test/1", OrderStatus.PENDING, names, (), "f")

    result = open_orders([wanted("a.test"), wanted("b.test")], new_order)
    assert (names_in(result), len(result.refused), result.stopped) == (["b.test"], 1, None)


def test_a_429_of_the_account_is_never_split() -> None:
    problem = Problem("rateLimited", "too many new orders (300) from this account in the last 3h0m0s", 429)
    names = wanted("a.test", "b.test")
    result, asked = opened(names, lambda _: RateLimited(problem, doing="it", retry_after=timedelta(hours=1)))
    assert (asked, result.orders, result.refused) == (1, [], {})
    assert isinstance(result.stopped, RateLimited)
    assert result.unordered == list(names)


def test_a_refusal_of_the_request_as_a_whole_is_never_split() -> None:
    problem = Problem("userActionRequired", "agree to the new terms", 403)
    result, asked = opened(wanted("a.test", "b.test"), lambda _: CARefused(problem, doing="it"))
    assert asked == 1
    assert result.stopped is not None


def test_a_ca_that_is_away_leaves_what_was_ordered_in_place() -> None:
    names = wanted("a.test", "b.test", "c.test")
    calls: list[frozenset[Identifier]] = []

    def new_order(identifiers: frozenset[Identifier]) -> Order:
        calls.append(identifiers)
        if len(calls) == 2:
            raise CAUnreachable("no answer")
        return Order("https://ca.test/1", OrderStatus.PENDING, identifiers, (), "f")

    result = open_orders([names[:1], names[1:2], names[2:]], new_order)
    assert names_in(result) == ["a.test"]
    assert result.unordered == list(names[1:])
    assert len(calls) == 2
