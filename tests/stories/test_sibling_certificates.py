"""Many certificates of one host: together they must not use up what the CA allows for a name, or for the account."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from acmectl.follower import Failed, Issued, Waiting
from tests.stories.world import HOUR, MINUTE, World

SHARED = "shared.siblings.test"
OWN = [f"x{number}.siblings.test" for number in range(8)]


def test_their_stuck_orders_are_given_up_without_locking_the_master_out(tmp_path: Path) -> None:
    """Boulder allows five failed validations of a name in an hour; a release is one, and the master needs the same budget."""
    with World(tmp_path) as world:
        certificates = ", ".join(f"c{n}: {{names: [{own}, {SHARED}]}}" for n, own in enumerate(OWN))
        host = world.host("follower", f"certificates: {{{certificates}}}\n")
        host.follow()
        released: Counter[str] = Counter()
        for _ in range(3):
            world.clock.advance(16 * MINUTE)
            report = host.follow()
            assert not any(isinstance(r.outcome, Failed) for r in report.results)
        app = host.app()
        for number in range(len(OWN)):
            released.update(str(release.identifier) for release in app.state.memory.releases(f"c{number}"))
        app.state.close()
        assert released.total() >= len(OWN), "each had a stuck order"
        assert released[SHARED] <= 1
        master = world.master(SHARED, *OWN)
        assert not master.run().failed
        world.clock.advance(HOUR)
        assert all(isinstance(r.outcome, Issued) for r in host.follow(at_once=True).results)


def test_a_long_wait_for_some_certificates_leaves_new_orders_to_the_master(tmp_path: Path) -> None:
    """300 in three hours are for all hosts of the account."""
    with World(tmp_path) as world:
        certificates = ", ".join(f"c{n}: {{names: [{own}]}}" for n, own in enumerate(OWN[:4]))
        host = world.host("follower", f"certificates: {{{certificates}}}\n")
        report = host.follow(wait=3 * HOUR)
        assert all(isinstance(r.outcome, Waiting) for r in report.results)
        assert 4 * 10 <= report.requests["newOrder"] <= 150
