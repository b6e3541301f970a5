"""The contract of `acmectl.solvers.base` as tests, for our own solvers and for those of plug-ins.

A plug-in's test makes a class of its own of `SolverContract`, for pytest, with one fixture called `world`: a solver, and a look at what the
CA would see that is not the solver's own.

    class TestMySolver(SolverContract):
        @pytest.fixture
        def world(self, my_server) -> World:
            return World(make=lambda: MySolver(...), type="dns-01", is_visible=lambda response: ..., ...)

The time for which the solver's `seen` waits should be short (1 s): some of the tests wait for what never comes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from acmectl.errors import SolverError
from acmectl.model.names import Identifier
from acmectl.solvers.base import DNS_01, TLS_ALPN_01, Capabilities, KeepsReceipts, Response, Solver


class Kept(dict[Response, str]):
    """Receipts that live as long as a test: what the master keeps in its state directory."""

    def put(self, response: Response, text: str) -> None:
        """As `Receipts.put`; `get` is that of a dict."""
        assert isinstance(text, str), "a receipt is a text"
        self[response] = text


@dataclass(frozen=True)
class World:
    """A solver, and a view of what the CA would see.

    `make` makes the solver anew, as another process would; `type` is the challenge type to test it by. `plant` lets a stranger publish
    something of their own beside a response, where there is a place for that; `is_planted` is whether it is still there. `lasts` is
    whether what was published outlives the process. `names` are three names that the solver can prove.
    """

    make: Callable[[], Solver]
    type: str
    is_visible: Callable[[Response], bool]
    plant: Callable[[Response], None] = lambda _: None
    is_planted: Callable[[Response], bool] = lambda _: True
    lasts: bool = True
    names: tuple[str, str, str] = ("one.example.test", "two.example.test", "three.example.test")
    receipts: Kept = field(default_factory=Kept)

    def solver(self) -> Solver:
        """A new solver with the receipts that were kept so far, as a later run has it."""
        made = self.make()
        if isinstance(made, KeepsReceipts):
            made.keep_receipts_in(self.receipts)
        return made

    def response(self, name: str, token: str) -> Response:
        """A response for `name`."""
        key_authorization = f"{token}.thumbprint-of-{name.removeprefix('*.').replace(':', '-')}"
        return Response(Identifier(name), self.type, token, key_authorization)

    def batch(self) -> list[Response]:
        """A response for each of `names`."""
        return [self.response(name, f"T0ken_-{index}") for index, name in enumerate(self.names)]

    def visible(self, responses: Sequence[Response]) -> list[bool]:
        """Which of them the CA would see."""
        return [self.is_visible(response) for response in responses]


class SolverContract:
    """One test for each promise."""

    def test_capabilities_are_constant_and_name_what_it_proves(self, world: World) -> None:
        """They may not depend on what was published, nor on the process."""
        solver = world.solver()
        before = solver.capabilities
        assert isinstance(before, Capabilities)
        assert world.type in before.challenge_types
        assert before.wildcard is (DNS_01 in before.challenge_types), "dns-01 proves wildcards, and nothing else does"
        try:
            solver.publish(world.batch())
            assert solver.capabilities == before == world.make().capabilities
        finally:
            solver.remove(world.batch())

    def test_what_is_published_is_visible_and_seen_until_it_is_removed(self, world: World) -> None:
        """The usual way."""
        solver, ours = world.solver(), world.batch()
        try:
            assert solver.publish(ours) == {}
            assert world.visible(ours) == [True, True, True]
            assert solver.seen(ours) == {}
        finally:
            assert solver.remove(ours) == {}
        assert world.visible(ours) == [False, False, False]

    def test_publishing_twice_is_no_failure_and_removed_once(self, world: World) -> None:
        """Runs are idempotent."""
        solver, ours = world.solver(), world.batch()
        try:
            assert solver.publish(ours) == {}
            assert solver.publish(ours) == {}
            assert solver.seen(ours) == {}
        finally:
            assert solver.remove(ours) == {}
        assert not any(world.visible(ours))

    def test_removing_what_was_never_published_is_no_failure_and_removing_twice_neither(self, world: World) -> None:
        """Cleaning up is done in any case."""
        solver, ours = world.solver(), world.batch()
        assert solver.remove(ours) == {}
        assert solver.publish(ours[:1]) == {}
        assert solver.remove(ours) == {}
        assert solver.remove(ours) == {}
        assert not any(world.visible(ours))

    def test_what_is_not_visible_is_not_seen_and_does_not_hide_what_is(self, world: World) -> None:
        """A challenge is never answered before it was seen."""
        solver, ours = world.solver(), world.batch()
        try:
            assert solver.publish(ours[:1]) == {}
            failures = solver.seen(ours)
            assert set(failures) == set(ours[1:])
            for error in failures.values():
                assert isinstance(error, SolverError)
                assert error.message
                assert not error.message.endswith("."), "messages of acmectl end without a full stop"
        finally:
            solver.remove(ours)

    def test_nothing_is_seen_after_it_was_removed(self, world: World) -> None:
        """`seen` looks, and does not only remember."""
        solver, ours = world.solver(), world.batch()
        assert solver.publish(ours) == {}
        assert solver.remove(ours) == {}
        assert set(solver.seen(ours)) == set(ours)

    def test_responses_are_removed_one_by_one(self, world: World) -> None:
        """By value, never all that there is."""
        solver, ours = world.solver(), world.batch()
        try:
            assert solver.publish(ours) == {}
            assert solver.remove(ours[1:2]) == {}
            assert world.visible(ours) == [True, False, True]
            assert set(solver.seen(ours)) == {ours[1]}
        finally:
            assert solver.remove(ours) == {}

    def test_two_responses_for_one_name_do_not_disturb_each_other(self, world: World) -> None:
        """Two orders for one name; or a base name beside its wildcard, which share one record set."""
        solver, name = world.solver(), world.names[0]
        other = f"*.{name}" if solver.capabilities.wildcard and world.type == DNS_01 else name
        first, second = world.response(name, "first"), world.response(other, "second")
        try:
            assert solver.publish([first]) == {}
            if world.type == TLS_ALPN_01:  # the CA does not say which it asks for: the second has to wait
                assert set(solver.publish([second])) == {second}
                assert solver.seen([first]) == {}
                assert solver.remove([first]) == {}
                assert solver.publish([second]) == {}
            else:
                assert solver.publish([second]) == {}
                assert solver.seen([first, second]) == {}
                assert solver.remove([first]) == {}
            assert world.visible([first, second]) == [False, True]
        finally:
            assert solver.remove([first, second]) == {}
        assert not world.is_visible(second)

    def test_what_strangers_published_is_left_alone(self, world: World) -> None:
        """Other clients use the same place."""
        solver, ours = world.solver(), world.batch()
        for one in ours:
            world.plant(one)
        try:
            assert solver.publish(ours) == {}
        finally:
            assert solver.remove(ours) == {}
        assert all(world.is_planted(one) for one in ours)

    def test_another_process_removes_what_a_killed_one_published(self, world: World) -> None:
        """The master remembers the responses, and the receipts; the solver's own memory is gone."""
        ours = world.batch()
        killed = world.solver()
        assert killed.publish(ours) == {}
        if not world.lasts:
            killed.remove(ours)
        assert world.solver().remove(ours) == {}
        assert not any(world.visible(ours))

    def test_an_empty_batch_is_no_failure(self, world: World) -> None:
        """It costs nothing either."""
        solver = world.solver()
        assert solver.publish([]) == {}
        assert solver.seen([]) == {}
        assert solver.remove([]) == {}
