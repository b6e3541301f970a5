"""What a daily and an hourly master cost and leave open under each row of Let's Encrypt's `classic`, and how fast that is known."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from acmectl.model.names import Identifier
from acmectl.options import format_duration
from acmectl.policy.ca_rules import LETS_ENCRYPT
from acmectl.policy.forecast import Forecast, Setting, play
from acmectl.policy.lifetimes import Schedule
from acmectl.policy.refresh import Wanted
from acmectl.policy.terms import constant

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START = datetime(2026, 11, 22, tzinfo=UTC)
ROWS = {"30 d": 0, "10 d": 1, "7 h": 2}


def year(row: int, every: timedelta, names: int, *, early: bool = True) -> Forecast:
    """A year of names under domains of ten names each, starting from nothing."""
    rules = LETS_ENCRYPT["classic"][row][1]
    wanted = [Wanted(Identifier(f"h{i % 10}.d{i // 10:04}.test"), "default", "classic", "dns") for i in range(names)]
    setting = Setting(Schedule(every, early=early))
    return play(wanted, (), {"classic": constant(rules)}, setting, start=START, until=START + 365 * DAY)


def bench_the_forecast_of_a_daily_and_an_hourly_master() -> None:
    print(
        "\n| reuse | runs every | refresh | names | open | longest gap | newOrders/day | validations/day | requests/day | most in 3 h |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for label, row in ROWS.items():
        for every, early in ((DAY, True), (HOUR, True), (DAY, False), (HOUR, False)):
            for names in (3, 100, 10_000):
                told = year(row, every, names, early=early)
                costs = (told.per_day(n) for n in (told.costs.orders, told.costs.validations, told.costs.requests))
                print(
                    f"| {label} | {format_duration(every)} | {'early' if early else 'lapse'} | {names} "
                    f"| {int(told.share * 10000) / 100:.2f} % | {format_duration(told.longest)} | "
                    f"{' | '.join(f'{cost:.2f}' for cost in costs)} | {told.costs.peak} |"
                )


def bench_ten_thousand_names_over_a_year_of_hourly_runs() -> None:
    start = time.process_time()
    year(2, HOUR, 100)
    few = time.process_time() - start
    start = time.process_time()
    year(2, HOUR, 10_000)
    many = time.process_time() - start
    print(
        f"\na year of hourly runs at L = 7 h: 100 names {few:.2f} s, 10,000 names {many:.2f} s ({many / few:.0f} times)"
    )
