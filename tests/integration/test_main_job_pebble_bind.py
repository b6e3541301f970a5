"""The main job against Pebble, proven through BIND: dynamic updates with TSIG, a wildcard, and a delegated challenge name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.hosts import certificate, shakes_hands
from tests.integration.office import NAMES, authorize, by_dns, hosts, office_bind, published
from tests.servers.bind import Bind
from tests.servers.pebble import Pebble, running_pebble


@pytest.fixture(scope="module")
def bind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bind]:
    with office_bind(tmp_path_factory.mktemp("bind")) as server:
        yield server


@pytest.fixture(scope="module")
def pebble(tmp_path_factory: pytest.TempPathFactory, bind: Bind) -> Iterator[Pebble]:
    """With the share of refused nonces that Pebble has by default."""
    directory = tmp_path_factory.mktemp("pebble")
    with running_pebble(directory, resolver=bind.endpoint, nonce_reject=5, blocked=["refused.test"]) as server:
        yield server


def test_a_master_proves_and_two_followers_issue_what_they_need_of_it(
    tmp_path: Path, pebble: Pebble, bind: Bind
) -> None:
    one = {"certificates": {"xmpp": certificate("xmpp.office.test", "office.test")}}
    web, away = certificate("office.test", "*.office.test"), certificate("away.office.test", key="rsa-2048", deploy=[])
    two = {"certificates": {"web": web, "away": away}}
    with hosts(tmp_path, pebble, {"dns": by_dns(bind)}, [authorize("dns", *NAMES)], one, two) as made:
        finalized, issued = pebble.finalize_posts(), pebble.issued()
        made.master.run("master", "run")
        assert pebble.finalize_posts() == finalized
        assert not published(bind)
        answered = pebble.challenge_posts()
        for follower in made.followers:
            follower.run("follower", "run")
        assert pebble.challenge_posts() == answered
        assert pebble.issued() == issued + 3
        root, (first, second) = pebble.root(), made.followers
        assert shakes_hands(first.directory / "tls", "xmpp.office.test", root)
        assert not shakes_hands(first.directory / "tls", "mail.office.test", root)
        assert shakes_hands(second.directory / "tls", "anything.office.test", root)
        assert not shakes_hands(second.directory / "tls", "office.example", root)
        assert shakes_hands(second.current("away"), "away.office.test", root)


def test_a_follower_that_comes_before_the_master_waits_and_issues_later(
    tmp_path: Path, pebble: Pebble, bind: Bind
) -> None:
    xmpp = {"certificates": {"xmpp": certificate("xmpp.office.test", "mail.office.test")}}
    with hosts(tmp_path, pebble, {"dns": by_dns(bind)}, [authorize("dns", *NAMES)], xmpp) as made:
        (follower,) = made.followers
        early = follower.run("follower", "run")
        assert "xmpp.office.test" in early.said
        assert not follower.current("xmpp").exists()
        made.master.run("master", "run")
        answered = pebble.challenge_posts()
        assert "asked nothing of the CA" in follower.run("follower", "run").out  # so soon after the first look
        follower.run("follower", "run", "xmpp")  # but a person who names it is not kept waiting
        assert pebble.challenge_posts() == answered
        assert shakes_hands(follower.directory / "tls", "xmpp.office.test", pebble.root())


def test_a_name_that_the_ca_refuses_and_one_that_cannot_be_published_leave_the_others_alone(
    tmp_path: Path, pebble: Pebble, bind: Bind
) -> None:
    names = ["office.test", "www.refused.test", "mail.office.test", "mail.closed.test", "xmpp.office.test"]
    follower = {"certificates": {"all": certificate("office.test", "mail.office.test", "xmpp.office.test")}}
    with hosts(tmp_path, pebble, {"dns": by_dns(bind)}, [authorize("dns", *names)], follower) as made:
        done = made.master.run("master", "run", expect=1)
        assert "`www.refused.test` is not authorized" in done.err
        assert 'issuance is forbidden by policy: "www.refused.test"' in done.err
        assert "`mail.closed.test` is not authorized" in done.err
        assert "REFUSED" in done.err
        assert made.master.names("authorized") == ["mail.office.test", "office.test", "xmpp.office.test"]
        assert not published(bind)
        made.followers[0].run("follower", "run")
        assert shakes_hands(made.followers[0].directory / "tls", "mail.office.test", pebble.root())


def test_a_name_that_is_removed_from_the_master_is_forgotten_and_followers_without_it_go_on(
    tmp_path: Path, pebble: Pebble, bind: Bind
) -> None:
    mail = {"certificates": {"mail": certificate("mail.office.test")}}
    with hosts(tmp_path, pebble, {"dns": by_dns(bind)}, [authorize("dns", *NAMES)], mail) as made:
        made.master.run("master", "run")
        made.master.configure(master={"authorize": [authorize("dns", "mail.office.test")]})
        assert "no longer in the configuration" in made.master.run("master", "plan").out
        made.master.run("master", "run")
        assert "no longer in the configuration" not in made.master.run("master", "plan").out
        assert made.master.names("authorized") == ["mail.office.test"]
        made.followers[0].run("follower", "run")
        assert shakes_hands(made.followers[0].directory / "tls", "mail.office.test", pebble.root())
