"""What is tried again after a deactivation, how often, and after which pauses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

from acmectl.errors import AcmectlError, CAError, CARefused, CAUnreachable, Problem, RateLimited
from acmectl.master.attempts import Proven
from acmectl.master.ordering import Unordered
from acmectl.master.retrying import Retrying
from acmectl.model.names import Identifier
from acmectl.model.orders import Authorization, AuthorizationStatus
from acmectl.policy.refresh import Wanted

FAILED = CAError("the CA's validation failed")
AWAY = Unordered("no answer", is_away=True)
LIMITED = RateLimited(Problem("rateLimited", "too many new orders", 429), doing="it")


def wanted(name: str) -> Wanted:
    return Wanted(Identifier(name), "default", None, "dns")


BASE, WILDCARD, OTHER = wanted("a.test"), wanted("*.a.test"), wanted("b.test")


class World:
    """Answers each try of a name by `answer`, which is told how many there were before; knows what was tried and waited."""

    def __init__(self, answer: Callable[[Wanted, int], AcmectlError | None], *, budget: int = 100) -> None:
        self.answer = answer
        self.tries: Counter[Wanted] = Counter()
        self.pauses: list[float] = []
        self.left = budget
        self.retrying = Retrying(self.prove, budget=lambda: self.left, pause=self.pauses.append)

    def prove(self, names: list[Wanted]) -> dict[Wanted, Proven | AcmectlError]:
        self.left -= 1
        outcomes = {name: self.answer(name, self.tries[name]) or valid(name) for name in names}
        self.tries.update(names)
        return outcomes


def valid(name: Wanted) -> Proven:
    authorization = Authorization("https://ca.test/1", name.identifier, AuthorizationStatus.VALID, None, ())
    return Proven(authorization, None, None, None, fresh=True)


def test_a_failed_validation_is_tried_twice_more() -> None:
    world = World(lambda _, before: FAILED if before < 2 else None)
    assert isinstance(world.retrying.prove([OTHER])[OTHER], Proven)
    assert (world.tries[OTHER], world.pauses) == (3, [])


def test_a_name_and_its_wildcard_fail_at_most_four_times_in_a_run_together() -> None:
    """Let's Encrypt counts them together, and 5 failures in an hour close the name for every host of the account."""
    world = World(lambda _, __: FAILED)
    world.retrying.prove([BASE, WILDCARD, OTHER])
    assert world.tries == {BASE: 2, WILDCARD: 2, OTHER: 3}


def test_later_batches_of_the_run_find_the_tries_of_a_base_name_used_up() -> None:
    world = World(lambda _, __: FAILED)
    world.retrying.prove([BASE])
    world.retrying.prove([WILDCARD])
    assert world.tries == {BASE: 3, WILDCARD: 1}


def test_a_ca_that_is_away_after_a_deactivation_is_asked_again_after_pauses() -> None:
    world = World(lambda _, before: AWAY if before < 3 else None)
    assert isinstance(world.retrying.prove([OTHER])[OTHER], Proven)
    assert world.pauses == [10.0, 30.0, 60.0]


def test_a_ca_that_stays_away_is_given_up_until_the_next_run() -> None:
    world = World(lambda _, __: CAUnreachable("no answer"))
    assert isinstance(world.retrying.prove([OTHER])[OTHER], CAUnreachable)
    assert (world.tries[OTHER], sum(world.pauses)) == (4, 100.0)


def test_pauses_for_a_ca_that_is_away_use_up_no_validations() -> None:
    world = World(lambda _, before: AWAY if before < 2 else FAILED)
    world.retrying.prove([OTHER])
    assert world.tries[OTHER] == 2 + 3


def test_a_refusal_is_final() -> None:
    for refusal in (LIMITED, CARefused(Problem("rejectedIdentifier", "no"), doing="it"), Unordered("limited")):
        world = World(lambda _, __, refusal=refusal: refusal)  # type: ignore[misc]
        world.retrying.prove([OTHER])
        assert (world.tries[OTHER], world.pauses) == (1, [])


def test_nothing_is_tried_without_an_order_left_for_it() -> None:
    world = World(lambda _, __: FAILED, budget=2)
    world.retrying.prove([OTHER])
    assert world.tries[OTHER] == 2


def limited(seconds: float) -> RateLimited:
    problem = Problem("rateLimited", "too many failed authorizations (5) for `b.test`", 429)
    return RateLimited(problem, doing="it", retry_after=timedelta(seconds=seconds))


def test_a_limit_of_some_seconds_is_waited_out_once() -> None:
    for refusal in (limited(20), Unordered("too many new orders", retry_after=timedelta(seconds=20))):
        world = World(lambda _, before, refusal=refusal: refusal if before < 1 else None)  # type: ignore[misc]
        assert isinstance(world.retrying.prove([OTHER])[OTHER], Proven)
        assert world.pauses == [21.0]
        again = World(lambda _, __, refusal=refusal: refusal)  # type: ignore[misc]
        again.retrying.prove([OTHER])
        again.retrying.prove([OTHER])
        assert (again.tries[OTHER], again.pauses) == (3, [21.0])


def test_a_limit_of_minutes_is_left_to_a_later_run_and_one_run_waits_two_minutes_in_all() -> None:
    world = World(lambda _, before: limited(300) if before < 1 else None)
    world.retrying.prove([OTHER])
    assert (world.tries[OTHER], world.pauses) == (1, [])
    world = World(lambda _, __: limited(90))
    world.retrying.prove([BASE])
    world.retrying.prove([OTHER])
    assert (world.tries[BASE], world.tries[OTHER], world.pauses) == (2, 1, [91.0])
