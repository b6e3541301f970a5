"""The Solver contract on the other name servers that take dynamic updates, and where a CNAME leads to another zone's solver."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from functools import partial

import pytest

from acmectl.dns.endpoints import Endpoint
from acmectl.dns.records import Record, parse_name
from acmectl.dns.tsig import load_key_file
from acmectl.dns.update import Primary, add
from acmectl.solvers import registry
from acmectl.solvers.base import Response, Solver
from acmectl.solvers.delegation import delegating
from acmectl.solvers.rfc2136 import Rfc2136Options
from acmectl.solvers.testing import SolverContract, World
from tests.servers.bind import Bind, running_bind
from tests.servers.knot import running_knot
from tests.servers.name_server import Key, NameServer, Zone
from tests.servers.powerdns import running_powerdns

SMALL = Zone("acme.test")
BIG = Zone("example.test", ["_acme-challenge.two IN CNAME two.acme.test."])
START: Mapping[str, Callable[..., AbstractContextManager[NameServer]]] = {
    "Knot": running_knot,
    "PowerDNS": running_powerdns,
}


@pytest.fixture(scope="module", params=START)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NameServer]:
    start = START[request.param]
    with start(tmp_path_factory.mktemp("dns"), zones=[BIG, SMALL], keys=[Key("acmectl")]) as running:
        yield running


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bind]:
    """It knows of the small zone only that there is one."""
    zones = [BIG, Zone(SMALL.name, update="")]
    with running_bind(tmp_path_factory.mktemp("bind"), zones=zones, keys=[Key("acmectl")]) as running:
        yield running


def options(server: NameServer, resolver: NameServer, zone: str | None = None) -> Rfc2136Options:
    return Rfc2136Options.model_validate(
        {
            "server": server.address,
            "port": server.port,
            "tsig_key_file": str(server.key_file("acmectl")),
            "resolvers": [resolver.endpoint],
            "propagation": {"require": "primary", "timeout": "1s", "interval": "1s"},
            "zone": zone,
        }
    )


def owner(response: Response) -> tuple[str, Zone]:
    record = response.identifier.challenge_record
    return ("two.acme.test", SMALL) if record == "_acme-challenge.two.example.test" else (record, BIG)


def world(of: Callable[[Zone], NameServer], make: Callable[[], Solver]) -> World:
    """`of` gives the server of a zone."""

    def plant(response: Response) -> None:
        name, zone = owner(response)
        server = of(zone)
        key, endpoint = load_key_file(server.key_file("acmectl")), Endpoint(server.address, server.port)
        primary = Primary(parse_name(zone.name), (endpoint,), key, timedelta(seconds=10))
        assert not add([Record.txt(parse_name(name), "stranger")], primary=primary, ttl=timedelta(seconds=60))

    def values(response: Response) -> set[str]:
        name, zone = owner(response)
        return of(zone).txt(name)

    return World(
        make,
        "dns-01",
        is_visible=lambda response: response.txt_value in values(response),
        plant=plant,
        is_planted=lambda response: "stranger" in values(response),
    )


class TestOtherServers(SolverContract):
    @pytest.fixture
    def world(self, server: NameServer) -> World:
        return world(lambda _: server, lambda: registry.build("rfc2136", options(server, server)))


class TestDelegating(SolverContract):
    @pytest.fixture
    def world(self, office: Bind, server: NameServer) -> World:
        own, other = options(office, office), options(server, office, "acme.test")
        build = partial(registry.build, "rfc2136")
        return world(
            lambda zone: server if zone is SMALL else office,
            lambda: delegating(partial(build, own), own, {"acme.test": partial(build, other)}),
        )
