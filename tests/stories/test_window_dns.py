"""The name server is away for a day: a real BIND, changed by signed updates, which the CA asks as well."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.stories.name_server import NameServer
from tests.stories.world import DAY, HOUR, IN_2027, TODAY, Span, World

NAMES = ("a.acme.test", "*.acme.test", "b.other.test")
BAR = timedelta(minutes=1, seconds=10)


@pytest.mark.parametrize(
    ("profile", "start", "begin"),
    [("tlsserver", TODAY, 8 * HOUR), ("classic", IN_2027, 9 * DAY - HOUR)],
    ids=["7h", "10d"],
)
def test_a_day_without_dns_gives_nothing_up_and_is_over_one_interval_after_its_end(
    tmp_path: Path, profile: str, start: datetime, begin: timedelta
) -> None:
    dns = NameServer(tmp_path)
    with World(tmp_path, start=start, profile=profile, resolver=dns.resolver) as world:
        master = world.master(*NAMES, solver=dns.solver())
        down = Span(world.now + begin, world.now + begin + DAY)
        with dns.running():
            master.run()
            world.play(world.every(HOUR, master.run, phase=HOUR), until=down.start)
        before = master.costs.requests.copy()
        world.play(world.every(HOUR, master.run), until=down.end)
        in_vain = master.costs.requests - before
        with dns.running() as bind:
            world.play(world.every(HOUR, master.run), until=down.end + 10 * HOUR)
            assert not any(bind.txt(f"_acme-challenge.{name}") for name in ("a.acme.test", "acme.test", "b.other.test"))
        assert (in_vain["challenge"], in_vain["deactivate"]) == (0, 0)
        assert in_vain["newOrder"] <= 2 * 24  # a look at each run, far below the limit of the account
        for name in NAMES:
            assert world.is_usable(name)
            for gap in world.measure(name).gaps:
                assert gap.length <= BAR or (down.start < gap.start and gap.end <= down.end + HOUR + BAR), gap
        assert any(report.failed for report in master.reports)
        assert not master.reports[-1].failed
