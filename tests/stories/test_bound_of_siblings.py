"""One authorization of a proven order is fetched, and its siblings get a bound: never later than what the CA holds, else names would lapse."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from acmectl.solvers.base import Capabilities, Failures, Response
from tests.stories.world import HOUR, TODAY, World, memory

NAMES = tuple(f"{letter}.acme.test" for letter in "abcdef")
NEARLY = timedelta(minutes=5)  # a bound that is much too early would cost validations


@dataclass
class Slow:
    """A solver of a world that trusts: while it looks, time passes, and another host may answer some of the same challenges."""

    world: World
    takes: timedelta
    others: frozenset[str]

    capabilities = Capabilities(challenge_types=("http-01",), wildcard=False)

    def publish(self, responses: Sequence[Response]) -> Failures:  # noqa: ARG002 - the Protocol's argument
        return {}

    def seen(self, responses: Sequence[Response]) -> Failures:
        tokens = {r.token for r in responses if r.identifier.value in self.others}
        for authorization in self.world.authorizations():
            for challenge in authorization.challenges:
                if challenge.token in tokens and challenge.type == "http-01":
                    url = self.world.sandbox.urls.challenge(authorization.id, challenge.type)
                    assert self.world.client().post(url, {}).status == 200
        self.world.pause(self.takes.total_seconds())
        return {}

    def remove(self, responses: Sequence[Response]) -> Failures:  # noqa: ARG002 - the Protocol's argument
        return {}


@given(
    names=st.sets(st.sampled_from(NAMES), min_size=2),
    others=st.frozensets(st.sampled_from(NAMES), max_size=3),
    latencies=st.lists(st.integers(0, 3_000), min_size=1, max_size=6),
    begin=st.integers(0, 999_999),
    takes=st.integers(0, 240_000),
    skew=st.sampled_from([timedelta(), HOUR, timedelta(seconds=-0.7)]),
)
@example(names=set(NAMES[:3]), others=frozenset(NAMES[1:2]), latencies=[80], begin=0, takes=240_000, skew=timedelta())
@example(names=set(NAMES[:3]), others=frozenset(), latencies=[0], begin=400_000, takes=400, skew=timedelta())
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_bound_is_never_later_than_what_the_ca_holds(
    names: set[str], others: frozenset[str], latencies: list[int], begin: int, takes: int, skew: timedelta
) -> None:
    with (
        tempfile.TemporaryDirectory(dir=memory()) as directory,
        World(Path(directory), start=TODAY + timedelta(microseconds=begin), is_trusting=True) as world,
    ):
        master = world.master(*sorted(names), skew=skew)
        requests: list[str] = []

        def pass_time(line: str) -> None:
            requests.append(line)
            world.settle()  # the CA judges at once, before time passes
            world.clock.advance(timedelta(milliseconds=latencies[len(requests) % len(latencies)]))

        world.on_request = pass_time
        report = master.run(solver=Slow(world, timedelta(milliseconds=takes), others))
        assert not report.failed, [(r.wanted.identifier.value, r.reason) for r in report.results]
        host = master.app()
        remembered = host.state.memory.authorizations()
        host.state.close()
        held = {world.sandbox.urls.authorization(a.id): a for a in world.authorizations()}
        assert len(remembered) == len(names)
        for one in remembered:
            truth = held[one.url]
            assert one.expires_at is not None
            assert truth.expires_at - NEARLY <= one.expires_at <= truth.expires_at
            validated_at = truth.challenges[0].validated_at
            assert one.validated_at is None or validated_at is None or one.validated_at <= validated_at
