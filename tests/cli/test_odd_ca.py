"""A CA that issues other names than were asked for, limits the account, or is not there; and what is remembered of one that changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from acmectl import app
from acmectl.ca.session import Session
from acmectl.errors import CAUnreachable
from acmectl.follower import Follower, Issued, Settings
from acmectl.follower.results import Failed
from acmectl.policy.ca_rules import LETS_ENCRYPT_LIMITS
from acmectl.sandbox.issuer import Issuer, Leaf
from acmectl.sandbox.server import Sandbox
from acmectl.storage.clock import CAClock
from tests.cli.hosts import Host, follower_of

DEPLOYED = "  xmpp: {names: [xmpp.acme.test, mail.acme.test], deploy: [{type: files, directory: tls}]}\n"


class OddIssuer:
    """Signs for `more` names, and for none that is in `without`."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.more: set[str] = set()
        self.without: set[str] = set()

    def issue(self, public_key: Any, names: Iterable[str], **options: Any) -> Leaf:
        return self.issuer.issue(public_key, sorted({*names} - self.without | self.more), **options)


@pytest.fixture
def odd(ca: Sandbox) -> Iterator[OddIssuer]:
    issuing: Any = ca.authority.issuing
    before = issuing._issuer  # no rule of the sandbox makes it issue wrongly
    issuing._issuer = OddIssuer(before)
    yield issuing._issuer
    issuing._issuer = before


def test_a_certificate_without_a_wanted_name_is_a_failure_that_is_not_repeated_at_every_run(
    ca: Sandbox,
    authorized: Host,  # noqa: ARG001  # the names must be authorized first
    follower: Host,
    odd: OddIssuer,
) -> None:
    odd.without = {"mail.acme.test"}
    ran = follower.acmectl("follower", "run")
    assert ran.status == 1
    assert "was not issued: the CA issued a certificate without `mail.acme.test`; next attempt after " in ran.err
    finalized = ca.counts["finalize"]
    assert follower.acmectl("follower", "run").status == 1
    assert ca.counts["finalize"] == finalized
    assert not list((follower.state / "certificates" / "xmpp").glob("[0-9]*"))
    odd.without = set()
    follower.good("follower", "run", "xmpp")


def test_names_that_the_ca_adds_are_no_reason_to_issue_again_but_a_name_given_up_is(
    ca: Sandbox,
    authorized: Host,  # noqa: ARG001  # the names must be authorized first
    follower: Host,
    odd: OddIssuer,
) -> None:
    odd.more = {"www.xmpp.acme.test"}
    follower.good("follower", "run")
    assert follower.block(follower.acmectl("follower", "plan")) == "xmpp  keep  due TIME\n-> 0\n"
    follower.configure(follower_of(ca, "  xmpp: {names: [xmpp.acme.test]}\n"))
    assert follower.block(follower.acmectl("follower", "plan")) == (
        "xmpp  issue  names changed: -mail.acme.test\n-> 0\n"
    )


def test_a_limit_of_the_account_ends_its_orders_in_this_run(ca: Sandbox, follower: Host) -> None:
    two = "  one: {names: [one.acme.test]}\n  two: {names: [two.acme.test]}\n"
    follower.configure(follower_of(ca, two))
    limits = ca.authority.state.limits
    none = replace(LETS_ENCRYPT_LIMITS.new_orders, count=0)
    limits.limits = replace(LETS_ENCRYPT_LIMITS, new_orders=none)
    orders = ca.counts["newOrder"]
    try:
        ran = follower.acmectl("follower", "run")
    finally:
        limits.limits = None
    assert ca.counts["newOrder"] == orders + 1
    assert ran.status == 1
    assert "certificates `one`, `two` were not issued: " in ran.err
    assert "from this account" in ran.err


def engine(
    host: app.Host,
    connect: Callable[[str], Session],
    pause: Callable[[float], None],
    clock: Callable[[], datetime] | None = None,
) -> Follower:
    """The follower of a host, with another way to its CA."""
    return Follower(
        connect=connect,
        certificates=host.state.certificates,
        revocations=host.state.revocations,
        previous_files=host.state.previous_files,
        memory=host.state.memory,
        clock=CAClock(host.state.memory, clock or host.clock),
        pause=pause,
        directory_url=host.config.authority.directory_url,
        settings=Settings(timedelta(minutes=15), 0.15, timedelta(days=1), 5),
    )


def test_wait_goes_on_while_the_ca_is_not_there(authorized: Host, follower: Host) -> None:  # noqa: ARG001  # as above
    host = app.load(follower.config)
    outages = [CAUnreachable("no route to host"), CAUnreachable("no route to host")]
    pauses: list[float] = []

    def connect(account: str) -> Session:
        if outages:
            raise outages.pop()
        return host.connect(account)

    try:
        with host.state.locked():
            (result,) = engine(host, connect, pauses.append).run(host.wishes(), wait=timedelta(hours=1)).results
            assert isinstance(result.outcome, Issued)
            assert pauses == [5.0, 10.0]
            assert not host.state.memory.failures("certificate")
    finally:
        host.state.close()


def test_wait_also_waits_for_the_end_of_an_earlier_pause(authorized: Host, follower: Host) -> None:  # noqa: ARG001
    """The run before found the CA away: `--wait` is there to sit that out."""
    host = app.load(follower.config)
    start, slept = host.clock(), [0.0]
    now = lambda: start + timedelta(seconds=slept[0])  # noqa: E731
    outages = [CAUnreachable("no route to host")]

    def connect(account: str) -> Session:
        if outages:
            raise outages.pop()
        return host.connect(account)

    def pause(seconds: float) -> None:
        slept[0] += seconds

    try:
        with host.state.locked():
            (before,) = engine(host, connect, pause, now).run(host.wishes()).results
            assert isinstance(before.outcome, Failed)
            (result,) = engine(host, connect, pause, now).run(host.wishes(), wait=timedelta(seconds=30)).results
            assert isinstance(result.outcome, Failed), "the pause is longer than the time there is"
            assert slept == [0.0]
            (result,) = engine(host, connect, pause, now).run(host.wishes(), wait=timedelta(hours=1)).results
            assert isinstance(result.outcome, Issued)
            assert 60 <= slept[0] < 300
    finally:
        host.state.close()


def test_another_profile_means_another_certificate(ca: Sandbox, issued: Host) -> None:
    issued.configure(follower_of(ca, profile="tlsserver"))
    assert issued.block(issued.acmectl("follower", "plan")) == (
        "xmpp  issue  profile changed: classic -> tlsserver\n-> 0\n"
    )
    (issued.state / "state.db").unlink()
    assert issued.block(issued.acmectl("follower", "plan")) == "xmpp  keep  due TIME\n-> 0\n"


def test_generation_1_is_deployed_also_when_it_comes_again(ca: Sandbox, issued: Host) -> None:
    issued.configure(follower_of(ca, DEPLOYED))
    issued.good("follower", "run")
    before = (issued.directory / "tls" / "cert.pem").read_bytes()
    shutil.rmtree(issued.state / "certificates")
    issued.good("follower", "run")
    again = (issued.state / "certificates" / "xmpp" / "1" / "cert.pem").read_bytes()
    assert again != before
    assert (issued.directory / "tls" / "cert.pem").read_bytes() == again


def test_a_name_that_the_ca_added_costs_no_certificate_when_the_state_database_is_lost(
    ca: Sandbox,
    authorized: Host,  # noqa: ARG001  # the names must be authorized first
    follower: Host,
    odd: OddIssuer,
) -> None:
    odd.more = {"www.xmpp.acme.test"}
    follower.good("follower", "run")
    (follower.state / "state.db").unlink()
    finalized = ca.counts["finalize"]
    follower.good("follower", "run")
    assert ca.counts["finalize"] == finalized
    follower.configure(follower_of(ca, "  xmpp: {names: [xmpp.acme.test]}\n"))
    assert follower.block(follower.acmectl("follower", "plan")) == (
        "xmpp  issue  names changed: -mail.acme.test\n-> 0\n"
    ), "what was wanted is remembered again"
