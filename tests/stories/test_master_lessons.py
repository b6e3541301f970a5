"""What a reviewer's worlds did to a master: clocks that jump, orders that outlive authorizations, limits of some seconds."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from acmectl.sandbox.rules import Lifetimes
from tests.stories.world import DAY, HOUR, IN_2027, World

BAR = timedelta(minutes=1, seconds=10)
NAMES = ("a.acme.test", "b.acme.test")


def test_at_an_unknown_ca_the_lifetime_of_orders_says_how_early_a_refresh_must_be(tmp_path: Path) -> None:
    """L is two days, and orders live for a week: by Boulder's rule an authorization is reused until 21 h before its end."""
    long_orders = Lifetimes(reuse=2 * DAY, order_lifetime=7 * DAY, pending_lifetime=7 * DAY)
    with World(tmp_path, is_lets_encrypt=False, is_trusting=True, overrides={"classic": long_orders}) as world:
        master = world.master(*NAMES)
        world.play(world.every(HOUR, master.run), until=world.now + 6 * DAY)
        assert max(world.measure(name).longest for name in NAMES) <= BAR


def test_a_clock_that_jumps_back_does_not_silence_the_master(tmp_path: Path) -> None:
    with World(tmp_path, start=IN_2027) as world:
        master = world.master(NAMES[0])
        world.play(world.every(HOUR, master.run), until=world.now + 8 * DAY)
        asked = master.costs.requests["directory"]
        master.skew = -20 * DAY
        world.play(world.every(HOUR, master.run, phase=HOUR), until=world.now + 20 * DAY)
        assert world.measure(NAMES[0]).longest <= BAR
        assert master.costs.requests["directory"] - asked <= 4, "it asked once for the time, and then when it had to"
