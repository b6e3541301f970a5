"""A master against a CA that is like this or like that: single runs, looked at closely."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from acmectl.errors import Problem
from acmectl.master import Found, MasterReport, Outcome
from acmectl.master.report import Forgotten
from acmectl.model.names import Identifier
from acmectl.model.orders import AuthorizationStatus
from acmectl.sandbox.rules import Lifetimes
from tests.stories.world import DAY, HOUR, MINUTE, TODAY, Host, World, occupied

NAMES = ("a.acme.test", "b.acme.test", "c.acme.test")


def _outcomes(report: MasterReport) -> set[Outcome]:
    return {result.outcome for result in report.results}


def _lines(host: Host, subject: str | None = None) -> list[tuple[str, str]]:
    app = host.app()
    try:
        return [(event.kind, event.text) for event in app.state.memory.events(subject)]
    finally:
        app.state.close()


# -- --verify


@pytest.mark.parametrize("status", [AuthorizationStatus.REVOKED, AuthorizationStatus.EXPIRED])
def test_verify_finds_what_the_ca_took_back_and_proves_it_in_the_same_run(
    tmp_path: Path, status: AuthorizationStatus
) -> None:
    with World(tmp_path) as world:
        master = world.master(*NAMES)
        master.run()
        world.sandbox.authority.set_status([NAMES[0]], status)
        assert _outcomes(master.run()) == {Outcome.KEPT}
        report = master.run(verify=True)
        found = {one.authorization.identifier.value: one.found for one in report.looked}
        assert found == {NAMES[0]: Found.LOST, NAMES[1]: Found.VALID, NAMES[2]: Found.VALID}
        assert [r.outcome for r in report.results] == [Outcome.PROVEN, Outcome.KEPT, Outcome.KEPT]
        assert world.is_usable(NAMES[0])
        assert ("lost", next(one.words for one in report.looked if one.found is Found.LOST)) in _lines(master, NAMES[0])


def test_verify_finds_what_a_follower_deactivated(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        master = world.master(*NAMES)
        master.run()
        (old,) = (a for a in world.authorizations() if a.identifier.value == NAMES[0])
        url = world.sandbox.urls.authorization(old.id)
        assert world.client().post(url, {"status": "deactivated"}).status == 200
        report = master.run(verify=True)
        assert [one.words for one in report.looked if one.found is Found.LOST] == ["the CA says `deactivated`"]
        assert world.is_usable(NAMES[0])


def test_verify_of_a_ca_that_does_not_answer_loses_nothing(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        master = world.master(*NAMES)
        master.run()
        world.sandbox.stop()
        report = master.run(verify=True)
        assert {one.found for one in report.looked} == {Found.UNKNOWN}
        assert _outcomes(report) == {Outcome.KEPT}


# -- forget


def test_a_forgotten_name_is_deactivated_at_the_ca_and_others_stay(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        master = world.master(*NAMES)
        master.run()
        given_up = _forget(master, NAMES[0])
        assert [(one.authorization.identifier.value, one.error) for one in given_up] == [(NAMES[0], None)]
        assert [world.is_usable(name) for name in NAMES] == [False, True, True]
        assert _forget(master, NAMES[0]) == ()
        assert [r.outcome for r in master.run().results] == [Outcome.PROVEN, Outcome.KEPT, Outcome.KEPT]


def test_what_cannot_be_deactivated_stays_remembered(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        master = world.master(*NAMES)
        master.run()
        world.sandbox.stop()
        (given_up,) = _forget(master, NAMES[0])
        assert given_up.error is not None
        app = master.app()
        assert len(app.state.memory.authorizations()) == len(NAMES)
        app.state.close()


def _forget(host: Host, *names: str) -> tuple[Forgotten, ...]:
    app = host.app()
    try:
        return app.prover().forget(frozenset(Identifier(name) for name in names))
    finally:
        app.state.close()


# -- newAuthz


def test_where_new_authz_is_offered_a_refresh_leaves_no_gap_and_deactivates_nothing(tmp_path: Path) -> None:
    with World(tmp_path, rules="pebble", new_authz="offered", overrides=_LIKE_CLASSIC, reuse_percent=100) as world:
        master = world.master(*NAMES)
        world.play(world.every(HOUR, master.run), until=world.now + 12 * DAY)
        assert master.costs.requests["newAuthz"] == len(NAMES)
        assert master.costs.requests["deactivate"] == 0
        assert [world.measure(name).gaps for name in NAMES] == [()] * len(NAMES)


def test_new_authz_that_is_advertised_and_refused_is_asked_once_and_never_again(tmp_path: Path) -> None:
    with World(tmp_path, rules="pebble", new_authz="refused", overrides=_LIKE_CLASSIC, reuse_percent=100) as world:
        master = world.master(*NAMES)
        world.play(world.every(HOUR, master.run), until=world.now + 25 * DAY)
        assert master.costs.requests["newAuthz"] == 1
        assert master.costs.requests["deactivate"] == 2 * len(NAMES)
        assert [kind for kind, _ in _lines(master, "newAuthz")] == ["refused"]
        assert max(world.measure(name).longest for name in NAMES) <= MINUTE


_LIKE_CLASSIC = {"": Lifetimes(reuse=10 * DAY, pending_lifetime=7 * DAY, order_lifetime=7 * DAY)}


# -- a CA that reuses nothing


def test_a_ca_that_never_reuses_is_recognized_when_a_person_looks(tmp_path: Path) -> None:
    with World(tmp_path, rules="pebble", reuse_percent=0) as world:
        master = world.master(*NAMES)
        assert master.run().notes == ()
        (note,) = master.run(verify=True).notes
        assert "followers cannot work with it" in note.text
        assert master.run(verify=True).requests["newOrder"] == 0  # it is known, and not asked again


def test_a_ca_that_reuses_is_recognized_by_one_order(tmp_path: Path) -> None:
    with World(tmp_path, rules="pebble", reuse_percent=100) as world:
        master = world.master(*NAMES)
        master.run()
        assert (master.run(verify=True).notes, master.run(verify=True).requests["newOrder"]) == ((), 0)
        assert master.costs.requests["newOrder"] == 2


def test_an_order_that_a_follower_opened_too_early_is_no_evidence(tmp_path: Path) -> None:
    """The early-follower trap looks the same: the set must be one that nobody ordered before, and there must be two."""
    with World(tmp_path, is_lets_encrypt=False) as world:
        early = world.client  # the follower orders before anything is proven
        master = world.master(*NAMES)
        assert early().new_order(NAMES[1], NAMES[2]).status == 201
        master.run()
        assert master.run(verify=True).notes == ()
        assert world.is_usable(NAMES[0])


def test_where_the_cutoff_is_longer_than_the_reuse_period_it_is_said_and_not_looped(tmp_path: Path) -> None:
    with World(tmp_path, overrides={"classic": Lifetimes(reuse=7 * HOUR)}) as world:
        master = world.master(NAMES[0])
        world.play(world.every(HOUR, master.run), until=world.now + 30 * HOUR)
        assert master.costs.requests["challenge"] <= 5
        (note,) = master.reports[-1].notes
        assert "lives for 7 h, and is put into no order in its last 21 h" in note.text


# -- how many names fit


def test_the_limit_of_names_in_an_order_is_learned_from_one_refusal(tmp_path: Path) -> None:
    names = [f"n{number}.acme.test" for number in range(60)]
    with World(tmp_path, profile="tlsserver", is_trusting=True, is_lets_encrypt=False) as world:
        master = world.master(*names)
        first = master.run()
        assert (first.failed, first.requests["newOrder"]) == (False, 1 + 3)
        world.clock.advance(10 * HOUR)
        assert master.run().requests["newOrder"] == 3


# -- others on the account


def test_an_authorization_that_a_follower_deactivates_in_mid_validation_is_ordered_again_at_once(
    tmp_path: Path,
) -> None:
    with World(tmp_path) as world:
        master = world.master(*NAMES[:2])
        shown: list[str] = []

        def release(line: str) -> None:
            """As a follower does that was handed the same order: after the master has seen it, before it answers."""
            if "/acme/authorization/" in line:
                shown.append(line)
                if len(shown) == 2:
                    authority = world.sandbox.authority
                    (account,) = authority.state.store.accounts.values()
                    pending = next(a for a in world.authorizations() if a.identifier.value == NAMES[1])
                    authority.authorizing.deactivate(account, pending.id)

        world.on_request = release
        report = master.run()
        assert _outcomes(report) <= {Outcome.PROVEN, Outcome.FOUND}
        assert report.requests["newOrder"] == 2
        assert all(world.is_usable(name) for name in NAMES[:2])


def test_replicas_that_lag_behind_a_deactivation_are_waited_for(tmp_path: Path) -> None:
    with World(tmp_path, replica_lag=timedelta(seconds=5)) as world:
        master = world.master(*NAMES)
        world.play(world.every(HOUR, master.run), until=world.now + 30 * DAY)
        assert not any(report.failed for report in master.reports)
        assert max(world.measure(name).longest for name in NAMES) <= MINUTE


# -- safety


def test_nothing_is_deactivated_where_the_solver_cannot_publish(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        master = world.master(*NAMES)
        master.run()
        world.clock.advance(29 * DAY + 2 * HOUR)
        with occupied(world.port):
            report = master.run()
        assert _outcomes(report) == {Outcome.FAILED}
        assert report.requests["deactivate"] == 0
        assert all(world.is_usable(name) for name in NAMES)


def test_a_name_that_cannot_be_published_is_ordered_once_however_often_it_is_tried(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        master = world.master(*NAMES)
        with occupied(world.port):
            world.play(world.every(HOUR, master.run), until=world.now + DAY)
        assert master.costs.requests["newOrder"] == 1
        assert master.costs.requests["challenge"] == 0
        assert _outcomes(master.run()) == {Outcome.PROVEN}


def test_the_budget_of_orders_is_kept_and_the_rest_waits(tmp_path: Path) -> None:
    with World(tmp_path, is_trusting=True) as world:
        names = [f"n{number}.acme.test" for number in range(12)]
        for name in names:
            world.sandbox.authority.state.injections.rejected[name] = "forbidden by policy"
        master = world.master(*names, extra="new_orders: 2, ")
        world.sandbox.authority.state.injections.rejected.clear()
        first = master.run()
        assert first.requests["newOrder"] <= 2
        world.clock.advance(29 * DAY + 2 * HOUR)
        world.sandbox.authority.state.injections.failing[names[0]] = Problem("dns", "SERVFAIL", 400)
        assert master.run().requests["newOrder"] <= 2


# -- the log


def test_the_log_tells_which_order_brought_which_authorization_and_who_failed_whom(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        master = world.master(*NAMES[:2])
        world.sandbox.authority.state.injections.failing[NAMES[1]] = Problem("connection", "Connection refused", 400)
        master.run()
        good, bad = _lines(master, NAMES[0]), _lines(master, NAMES[1])
        assert [kind for kind, _ in good] == ["authorization", "challenge", "proven"]
        assert "/acme/order/" in good[0][1]
        assert "/acme/authorization/" in good[0][1]
        assert "http-01" in good[1][1]
        assert "dns-01" in good[1][1]  # what else was offered
        assert [kind for kind, _ in bad] == ["authorization", "challenge", "failed"]
        assert "Connection refused" in bad[2][1]
        assert "http-01" in bad[2][1]


def test_a_deactivation_is_in_the_log_before_it_happens(tmp_path: Path) -> None:
    with World(tmp_path, start=TODAY) as world:
        master = world.master(NAMES[0])
        master.run()
        world.clock.advance(29 * DAY + 2 * HOUR)
        master.run()
        assert [kind for kind, _ in _lines(master, NAMES[0])] == [
            *("authorization", "challenge", "proven"),
            *("authorization", "deactivate", "authorization", "challenge", "proven"),
        ]
