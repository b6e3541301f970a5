"""Whole programs at acme2certifier, which does little as Boulder does it: what a person meets there must be bounded, and said clearly.

It reuses no authorization, advertises newAuthz and has none, takes a deactivation and changes nothing, and says
`orderNotReady` of an order that it does not know.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from acmectl import app, keys
from acmectl.model.certificates import KeyType
from acmectl.model.memory import RememberedOrder
from acmectl.model.names import Identifier
from tests.integration.hosts import Family, Host, certificate, family
from tests.servers.acme2certifier import Acme2certifier, running_acme2certifier

NAMES = ["a.acme-of-acmectl.com", "b.acme-of-acmectl.com", "c.acme-of-acmectl.com"]
PREVALIDATED = {"prevalidated_domainlist": json.dumps(["*.acme-of-acmectl.com"])}
CONTACT = "hostmaster@contract-of-acmectl.com"


@contextmanager
def hosts(directory: Path, server: Acme2certifier, *, every: str = "1h", refresh: str = "early") -> Iterator[Family]:
    """A master over the names and a follower that wants them in one certificate."""
    common: dict[str, Any] = {
        "authority": {"directory": server.directory_url, "ca_bundle": str(server.ca_bundle)},
        "contact": [CONTACT],
    }
    master = {
        "solvers": {"web": {"type": "webroot", "path": ".", "check": False}},
        "master": {"every": every, "refresh": refresh, "authorize": [{"names": NAMES, "solver": "web"}]},
    }
    made = family(directory, common, master, {"certificates": {"web": certificate(*NAMES)}})
    try:
        yield made
    finally:
        made.end()


def orders(server: Acme2certifier) -> int:
    """How many newOrders it has answered."""
    return server.log.read_text().count("POST /acme/neworders")


def asks_for_new_authorizations(server: Acme2certifier) -> int:
    return server.log.read_text().count("POST /acme/new-authz")


def test_a_master_finds_out_that_nothing_is_reused_and_says_that_followers_cannot_work_there(tmp_path: Path) -> None:
    with running_acme2certifier(tmp_path, trust=True) as server, hosts(tmp_path, server) as made:
        made.master.run("master", "run")
        assert made.master.names("authorized") == NAMES
        before = orders(server)
        said = made.master.run("master", "run", "--verify").err
        assert "the CA reuses no authorization" in said
        assert "followers cannot work with it" in said
        assert orders(server) == before + 2  # two sets never ordered before, and then no more
        assert "the CA reuses no authorization" in made.master.run("master", "run", "--verify").err
        assert orders(server) == before + 2


def test_a_follower_waits_there_and_orders_at_growing_intervals_only(tmp_path: Path) -> None:
    with running_acme2certifier(tmp_path, trust=True) as server, hosts(tmp_path, server) as made:
        made.master.run("master", "run")
        (follower,) = made.followers
        before = orders(server)
        for _ in range(3):
            said = follower.run("follower", "run").said
            assert all(name in said for name in NAMES)
        assert orders(server) == before + 1


def test_new_authz_that_is_advertised_and_not_there_is_asked_once_and_names_are_replaced_instead(
    tmp_path: Path,
) -> None:
    """With prevalidated domains every order brings valid authorizations, here of a life so short that they are due at once."""
    settings = PREVALIDATED | {"validity": "7200"}
    with (
        running_acme2certifier(tmp_path, authorization=settings) as server,
        hosts(tmp_path, server) as made,
    ):
        first = made.master.run("master", "run")
        assert "the CA advertises newAuthz, and refuses it" in first.err
        assert "authorizations are replaced instead" in first.err
        assert made.master.names("authorized") == NAMES
        for _ in range(2):
            before = orders(server)
            assert "newAuthz" not in made.master.run("master", "run").said
            assert orders(server) - before <= 4  # asked for and ordered again: a canary, then the others
        assert asks_for_new_authorizations(server) == 1
        assert "Not Found" in made.master.run("log", "newAuthz").out


def test_a_follower_issues_without_a_master_where_the_domain_is_prevalidated(tmp_path: Path) -> None:
    """The order is shown pending until its authorizations are looked at: that they are valid then must be noticed."""
    with running_acme2certifier(tmp_path, authorization=PREVALIDATED) as server, hosts(tmp_path, server) as made:
        (follower,) = made.followers
        follower.run("follower", "run")
        assert follower.current("web").exists()
        assert orders(server) == 1


def test_a_deactivation_that_changes_nothing_is_no_success(tmp_path: Path) -> None:
    with running_acme2certifier(tmp_path, trust=True) as server, hosts(tmp_path, server) as made:
        made.master.run("master", "run")
        refused = made.master.run("master", "forget", NAMES[0], expect=1)
        assert "the CA took the deactivation, and still shows the authorization as `valid`" in refused.said
        assert "ask the CA how to take it back" in refused.said
        assert made.master.names("authorized") == NAMES  # it is, and stays remembered


def test_an_order_that_the_ca_does_not_know_any_more_is_left_for_a_new_one(tmp_path: Path) -> None:
    with running_acme2certifier(tmp_path, authorization=PREVALIDATED) as server, hosts(tmp_path, server) as made:
        (follower,) = made.followers
        _interrupted(follower, f"{server.directory_url.removesuffix('/directory')}/acme/order/lost")
        follower.run("follower", "run")
        assert follower.current("web").exists()
        assert orders(server) == 1


def _interrupted(follower: Host, url: str) -> None:
    """A run was killed after its key was written, and before it had the certificate of the order at `url`."""
    loaded = app.load(follower.directory / "config.yaml")
    host = app.Host(loaded.config, loaded.parts)
    try:
        draft = host.state.certificates.begin("web", keys.to_pem(keys.generate(KeyType.ECDSA_P256)))
        host.state.memory.save_follower_order(
            RememberedOrder(
                label="web",
                url=url,
                account="default",
                profile=None,
                names=frozenset(Identifier(name) for name in NAMES),
                first_seen_at=datetime.now(UTC),
                draft=draft.generation,
            )
        )
    finally:
        host.state.close()
