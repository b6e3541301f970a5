"""A follower that orders before the master has proven its names, at a CA that then hands the dead order out for a week (Boulder)."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from acmectl.sandbox.server import Sandbox
from tests.integration.hosts import Family, Host, await_true, certificate, shakes_hands
from tests.integration.office import Site, authorize, by_web, hosts, office_site
from tests.servers.sandbox import running_sandbox

NAMES = ["xmpp.web.test", "conference.web.test", "mail.web.test"]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "www").mkdir()
    with office_site(tmp_path / "www") as running:
        yield running


@pytest.fixture
def sandbox(tmp_path: Path, site: Site) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path / "ca", http_port=site.web.port) as server:
        yield server


@contextmanager
def office(
    directory: Path, sandbox: Sandbox, site: Site, *names: str, grace: str, proven: Sequence[str] = NAMES, **web: Any
) -> Iterator[tuple[Family, Host]]:
    """A master, and a follower that wants `names` and gives a stuck order up after `grace`."""
    wanted = {"certificates": {"xmpp": certificate(*names)}, "follower": {"grace": grace}}
    with hosts(directory, sandbox, {"web": by_web(site, **web)}, [authorize("web", *proven)], wanted) as made:
        yield made, made.followers[0]


def runs_until(condition: Callable[[], bool], follower: Host, *, what: str) -> None:
    """As cron would, a little faster."""

    def fulfilled() -> bool:
        follower.run("follower", "run")
        return condition()

    await_true(fulfilled, what=what)


def runs_until_issued(follower: Host) -> None:
    """As cron would, until there is a certificate."""
    runs_until(follower.current("xmpp").exists, follower, what="the certificate")


def test_it_gives_the_dead_order_up_after_the_grace_period_and_issues(
    tmp_path: Path, sandbox: Sandbox, site: Site
) -> None:
    with office(tmp_path, sandbox, site, *NAMES[:2], grace="2s") as (made, follower):
        early = follower.run("follower", "run")
        assert all(name in early.said for name in NAMES[:2])
        assert NAMES[2] not in early.said
        made.master.run("master", "run")
        answered = sandbox.counts["challenge"]
        runs_until_issued(follower)
        assert sandbox.counts["deactivate"] == 1
        assert sandbox.counts["challenge"] == answered
        assert sandbox.counts["finalize"] == 1
        assert shakes_hands(follower.directory / "tls", NAMES[0], sandbox.ca_bundle.read_bytes())


def test_the_ca_is_not_asked_at_every_run(tmp_path: Path, sandbox: Sandbox, site: Site) -> None:
    """All hosts of the account share the limit on new orders; a person who names the certificate is served at once."""
    with office(tmp_path, sandbox, site, *NAMES, grace="1h") as (made, follower):
        follower.run("follower", "run")
        requests = sandbox.counts.by_kind()
        waits = follower.run("follower", "run")
        assert "asked nothing of the CA" in waits.out
        assert "asked a short while ago; a run after " in waits.out
        assert all(name in waits.out for name in NAMES)
        assert "not authorized yet; asks the CA again after " in follower.run("follower", "plan").out
        assert sandbox.counts.by_kind() == requests
        made.master.run("master", "run")
        follower.run("follower", "run", "xmpp")
        assert follower.current("xmpp").exists()


def test_without_giving_it_up_it_stays_stuck_although_all_its_names_are_authorized(
    tmp_path: Path, sandbox: Sandbox, site: Site
) -> None:
    with office(tmp_path, sandbox, site, *NAMES[:2], grace="1h") as (made, follower):
        follower.run("follower", "run")
        made.master.run("master", "run")
        for _ in range(2):
            follower.run("follower", "run", "xmpp")
        assert not follower.current("xmpp").exists()
        assert sandbox.counts["deactivate"] == 0
        follower.configure(certificates={"xmpp": certificate(NAMES[0])})
        follower.run("follower", "run")
        assert follower.current("xmpp").exists(), "another set of names is not stuck"


def test_with_the_same_names_as_the_master_it_needs_nothing_given_up(
    tmp_path: Path, sandbox: Sandbox, site: Site
) -> None:
    """The master is handed the follower's order, and proves it."""
    with office(tmp_path, sandbox, site, *NAMES, grace="1h") as (made, follower):
        follower.run("follower", "run")
        made.master.run("master", "run")
        follower.run("follower", "run", "xmpp")
        assert shakes_hands(follower.directory / "tls", NAMES[0], sandbox.ca_bundle.read_bytes())
        assert sandbox.counts["deactivate"] == 0
        assert len(sandbox.authority.state.store.orders) == 1


@pytest.mark.parametrize("names", [NAMES, NAMES[:1]], ids=["three names", "one name"])
def test_giving_up_an_order_that_the_master_is_proving_costs_the_master_only_another_order(
    tmp_path: Path, sandbox: Sandbox, site: Site, names: list[str]
) -> None:
    """With one name the master's next order has the same set, and Boulder's replicas hand the dead one out for some seconds more."""
    state = sandbox.authority.state
    state.rules = replace(state.rules, replica_lag=timedelta(seconds=3))
    with office(tmp_path, sandbox, site, *names, proven=names, grace="1s", check_timeout="10m") as (made, follower):
        follower.run("follower", "run")
        site.closed.update(names)
        proving = made.master.start("master", "run")
        await_true(lambda: len(site.files()) == len(names), what="the published files")
        runs_until(lambda: sandbox.counts["deactivate"] == 1, follower, what="the deactivation")
        site.closed.clear()
        proving.finish()
        assert made.master.names("authorized") == sorted(names)
        assert not site.files()
        runs_until_issued(follower)
        assert sandbox.counts["finalize"] == 1


def test_while_the_ca_is_validating_nothing_is_given_up(tmp_path: Path, sandbox: Sandbox, site: Site) -> None:
    state = sandbox.authority.state
    state.rules = replace(state.rules, validation_delay=timedelta(minutes=10))
    with office(tmp_path, sandbox, site, *NAMES, grace="1s") as (made, follower):
        follower.run("follower", "run")
        running = made.master.start("master", "run")
        await_true(lambda: sandbox.counts["challenge"] == 3, what="the answers to the challenges")
        looked = sandbox.counts["newOrder"]
        runs_until(lambda: sandbox.counts["newOrder"] > looked, follower, what="another look")
        assert sandbox.counts["deactivate"] == 0
        running.signal(signal.SIGTERM)
        running.finish(expect=143)
