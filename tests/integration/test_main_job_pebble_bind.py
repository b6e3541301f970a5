"""The main job against Pebble, proven through BIND: dynamic updates with TSIG, a wildcard, and a delegated challenge name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.hosts import Family, certificate, family, shakes_hands
from tests.servers.bind import Bind, Key, Zone, running_bind
from tests.servers.pebble import Pebble, running_pebble

ZONES = (
    Zone("office.test", ["_acme-challenge.away IN CNAME away.office.validation.test."]),
    Zone("validation.test"),
    Zone("closed.test", update=""),
)
NAMES = ["office.test", "*.office.test", "xmpp.office.test", "mail.office.test", "away.office.test"]
RECORDS = ["_acme-challenge.office.test", *(f"_acme-challenge.{n}" for n in NAMES[2:]), "away.office.validation.test"]


@pytest.fixture(scope="module")
def bind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bind]:
    with running_bind(tmp_path_factory.mktemp("bind"), zones=ZONES, keys=[Key("acmectl", "hmac-sha256")], resolve=True) as server:
        yield server


@pytest.fixture(scope="module")
def pebble(tmp_path_factory: pytest.TempPathFactory, bind: Bind) -> Iterator[Pebble]:
    """With the share of refused nonces that Pebble has by default."""
    directory = tmp_path_factory.mktemp("pebble")
    with running_pebble(directory, resolver=bind.endpoint, nonce_reject=5, blocked=["refused.test"]) as server:
        yield server


@contextmanager
def hosts(
    directory: Path, pebble: Pebble, bind: Bind, names: list[str], *certificates: dict[str, Any]
) -> Iterator[Family]:
    common = {"authority": {"directory": pebble.directory_url, "ca_bundle": str(pebble.ca_bundle)}}
    solver = {
        "type": "rfc2136",
        "server": bind.address,
        "port": bind.port,
        "tsig_key_file": str(bind.key_file("acmectl")),
        "resolvers": [bind.endpoint],
        "propagation": {"servers": [bind.endpoint], "timeout": "10s", "interval": "1s"},
    }
    master = {"solvers": {"dns": solver}, "master": {"authorize": [{"names": names, "solver": "dns"}]}}
    made = family(directory, common, master, *({"certificates": own} for own in certificates))
    try:
        yield made
    finally:
        made.end()


def test_a_master_proves_and_two_followers_issue_what_they_need_of_it(
    tmp_path: Path, pebble: Pebble, bind: Bind
) -> None:
    one = {"xmpp": certificate("xmpp.office.test", "office.test")}
    two = {"web": certificate("office.test", "*.office.test"), "away": certificate("away.office.test", key="rsa-2048")}
    with hosts(tmp_path, pebble, bind, NAMES, one, two) as made:
        finalized = pebble.finalizations()
        made.master.run("master", "run")
        assert pebble.finalizations() == finalized
        assert not any(bind.txt(record) for record in RECORDS)
        answered = pebble.challenge_posts()
        for follower in made.followers:
            follower.run("follower", "run")
        assert pebble.challenge_posts() == answered
        assert pebble.finalizations() == finalized + 3
        first, second = (follower.directory / "tls" for follower in made.followers)
        root = pebble.root()
        assert shakes_hands(first / "fullchain.pem", first / "privkey.pem", "xmpp.office.test", root)
        assert not shakes_hands(first / "fullchain.pem", first / "privkey.pem", "mail.office.test", root)
        web, away = (made.followers[1].current(label) for label in ("web", "away"))
        assert shakes_hands(web / "fullchain.pem", web / "privkey.pem", "anything.office.test", root)
        assert shakes_hands(away / "fullchain.pem", away / "privkey.pem", "away.office.test", root)
        assert not shakes_hands(away / "fullchain.pem", away / "privkey.pem", "office.test", root)
        assert second.is_dir()
