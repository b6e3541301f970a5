"""dns-01 by dynamic update on every server that people run: the same promises on BIND, Knot and PowerDNS."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from acmectl.dns.endpoints import Endpoint
from acmectl.dns.records import Record, parse_name
from acmectl.dns.tsig import load_key_file
from acmectl.dns.update import Primary, add, remove
from acmectl.model.names import Identifier
from acmectl.solvers import registry
from acmectl.solvers.base import Response, Solver
from acmectl.solvers.rfc2136 import Rfc2136Options
from tests.servers.bind import running_bind
from tests.servers.knot import running_knot
from tests.servers.name_server import Key, NameServer, Zone
from tests.servers.nsd import running_nsd
from tests.servers.powerdns import running_powerdns
from tests.servers.solvers import only

KEYS = (Key("acmectl"), Key("long", "hmac-sha384"), Key("longest", "hmac-sha512"))
ZONES = (
    Zone("example.test", ["alias IN CNAME www", "www IN A 127.0.0.1", '*.wild IN TXT "for everybody"']),
    Zone("other.test"),
    Zone("closed.test", update=""),
    *(Zone(f"z{number}.test") for number in range(20)),
)
TTL = timedelta(seconds=60)
START: Mapping[str, Callable[..., AbstractContextManager[NameServer]]] = {
    "BIND": running_bind,
    "Knot": running_knot,
    "PowerDNS": running_powerdns,
}


@pytest.fixture(scope="module", params=START)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NameServer]:
    with START[request.param](tmp_path_factory.mktemp("dns"), zones=ZONES, keys=KEYS) as running:
        yield running


def make(server: NameServer, **changes: Any) -> Solver:
    options: dict[str, Any] = {
        "server": server.address,
        "port": server.port,
        "resolvers": [server.endpoint],
        "propagation": {"require": "primary", "timeout": "5s", "interval": "1s"},
    }
    if "tsig_key_file" not in changes:
        options["tsig_key_file"] = str(server.key_file("acmectl"))
    return registry.build("rfc2136", Rfc2136Options.model_validate(options | changes))


def response(name: str, token: str = "token") -> Response:
    return Response(Identifier.parse(name), "dns-01", token, f"{token}.{name}.thumbprint")


def primary(server: NameServer, zone: str) -> Primary:
    options = Rfc2136Options.model_validate({"tsig_key_file": str(server.key_file("acmectl"))})
    key = load_key_file(server.key_file("acmectl"))
    return Primary(parse_name(zone), (Endpoint(server.address, server.port),), key, options.timeout)


@pytest.mark.parametrize("key", [key.name for key in KEYS])
def test_every_algorithm_is_understood_and_a_strangers_value_survives(server: NameServer, key: str) -> None:
    owner = "_acme-challenge.www.example.test"
    stranger, place = Record.txt(parse_name(owner), "a stranger"), primary(server, "example.test")
    assert add([stranger], primary=place, ttl=TTL) == {}
    solver = make(server, tsig_key_file=str(server.key_file(key)))
    ours = [response("www.example.test"), response("*.www.example.test", "other")]
    for _ in range(2):
        assert solver.publish(ours) == {}
    assert server.txt(owner) == {"a stranger", *(one.txt_value for one in ours)}
    assert solver.seen(ours) == {}
    assert solver.remove(ours[:1]) == {}
    assert server.txt(owner) == {"a stranger", ours[1].txt_value}
    for _ in range(2):
        assert make(server).remove(ours) == {}
    assert server.txt(owner) == {"a stranger"}
    assert remove([stranger], primary=place) == {}


def test_two_hundred_names_over_twenty_zones_take_one_update_a_zone(server: NameServer) -> None:
    names = [f"n{number}.z{number % 20}.test" for number in range(200)]
    many, solver = [response(name) for name in names], make(server)
    before = {zone.name: server.serial(zone.name) for zone in ZONES[3:]}
    assert solver.publish(many) == {}
    assert {zone: server.serial(zone) - serial for zone, serial in before.items()} == dict.fromkeys(before, 1)
    assert solver.seen(many) == {}
    assert solver.remove(many) == {}
    assert {zone: server.serial(zone) - serial for zone, serial in before.items()} == dict.fromkeys(before, 2)
    assert not any(server.txt(f"_acme-challenge.{name}") for name in names)


def test_a_wildcard_beside_the_record_neither_hides_it_nor_is_it_taken_for_it(server: NameServer) -> None:
    ours = [response("a.wild.example.test")]
    owner = "_acme-challenge.a.wild.example.test"
    assert server.txt(owner) == {"for everybody"}
    solver = make(server, propagation={"require": "primary", "timeout": "1s", "interval": "1s"})
    assert only(solver.seen(ours)).message.endswith("does not have the record yet, but 1 other")
    assert solver.publish(ours) == {}
    assert solver.seen(ours) == {}
    assert server.txt(owner) == {ours[0].txt_value}
    assert solver.remove(ours) == {}
    assert server.txt(owner) == {"for everybody"}


def test_a_cname_that_only_the_primary_knows_is_told_and_its_neighbours_are_added(server: NameServer) -> None:
    """Resolvers may have an older answer; the server would say that all is well, and add nothing."""
    owners = [parse_name(f"{name}.example.test") for name in ("alias", "beside", "below.www")]
    records = [Record.txt(owner, "value") for owner in owners]
    place = primary(server, "example.test")
    failures = add(records, primary=place, ttl=TTL)
    assert failures.keys() == set(records[:1])
    assert failures[records[0]].message == (
        f"name server `{server.endpoint}` refuses the update of zone `example.test`: "
        "a CNAME stands in the place of the record, and a record beside it would be dropped (YXRRSET)"
    )
    assert server.txt("beside.example.test") == server.txt("below.www.example.test") == {"value"}
    assert remove(records, primary=place) == {}


def test_a_host_that_only_a_wildcard_answers_for_is_told_from_one_with_records_of_its_own(server: NameServer) -> None:
    hosts = {parse_name(f"_25._tcp.{name}"): parse_name(name) for name in ("a.wild.example.test", "www.example.test")}
    records = [Record.txt(owner, "value") for owner in hosts]
    place = primary(server, "example.test")
    failures = add(records, primary=place, ttl=TTL, hosts=hosts)
    assert failures.keys() == set(records[:1])
    assert failures[records[0]].message == (
        f"name server `{server.endpoint}` refuses the update of zone `example.test`: "
        "`a.wild.example.test` has its addresses from a wildcard, and would lose them with a record below it (NXDOMAIN)"
    )
    assert server.txt("_25._tcp.www.example.test") == {"value"}
    assert remove(records, primary=place) == {}


REFUSED = "name server `{}` refuses the update of zone `{}`: "
BADKEY = "it has no TSIG key `acmectl` with algorithm `{}` (BADKEY)"
NOT_ALLOWED = "the TSIG key `acmectl` may not change these records (REFUSED)"
NOT_PRIMARY = "it does not serve zone `test` as primary (NOTAUTH)"
UNSIGNED = "it answers {}, not signed"
WORDS = {
    "Bind": {
        "algorithm": BADKEY.format("hmac-sha512"),
        "secret": "its TSIG key `acmectl` has another secret (BADSIG)",
        "closed": NOT_ALLOWED,
        "zone": NOT_PRIMARY,
    },
    "Knot": {
        "algorithm": BADKEY.format("hmac-sha512"),
        "secret": "its TSIG key `acmectl` has another secret (BADSIG)",
        "closed": BADKEY.format("hmac-sha256"),  # Knot's word for a key that no `acl` of the zone has
        "zone": UNSIGNED.format("NOTAUTH"),
    },
    "Powerdns": {
        "algorithm": UNSIGNED.format("REFUSED"),
        "secret": UNSIGNED.format("REFUSED"),
        "closed": NOT_ALLOWED,
        "zone": NOT_ALLOWED,  # its word for a zone that it does not have
    },
}


@pytest.mark.parametrize("wrong", ["algorithm", "secret", "closed", "zone"])
def test_what_is_wrong_is_explained_in_the_words_of_each_server(server: NameServer, tmp_path: Path, wrong: str) -> None:
    key = {"algorithm": Key("acmectl", "hmac-sha512", KEYS[0].secret), "secret": Key("acmectl")}.get(wrong, KEYS[0])
    zone = {"closed": "closed.test", "zone": "test"}.get(wrong, "example.test")
    options = {"zone": "test"} if wrong == "zone" else {}
    solver = make(server, tsig_key_file=str(key.write(tmp_path / "tsig.key")), **options)
    error = only(solver.publish([response(f"www.{'example.test' if wrong == 'zone' else zone}")]))
    assert error.message == REFUSED.format(server.endpoint, zone) + WORDS[type(server).__name__.title()][wrong]
    assert error.hint
    assert key.secret not in error.message + error.hint


BEHIND = """
import sys, time
right = time.time
time.time = lambda: right() - 3600  # the clock of this process is an hour behind
from acmectl.solvers import registry
from acmectl.solvers.rfc2136 import Rfc2136Options
from tests.integration.test_solvers_rfc2136_servers import response
address, port, key = sys.argv[1:]
options = {"server": address, "port": int(port), "tsig_key_file": key, "resolvers": [f"{address}:{port}"]}
(error,) = registry.build("rfc2136", Rfc2136Options.model_validate(options)).publish([response("www.example.test")]).values()
print(error.message, error.hint, sep="; ")
"""


def test_a_clock_that_is_wrong_is_told(server: NameServer) -> None:
    """PowerDNS has one word for all; the hint then names the time."""
    argv = [sys.executable, "-c", BEHIND, server.address, str(server.port), str(server.key_file("acmectl"))]
    done = subprocess.run(argv, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True, timeout=60)
    if type(server).__name__ == "PowerDNS":
        assert UNSIGNED.format("REFUSED") in done.stdout
        assert "have our time?" in done.stdout
    else:
        assert "the clocks differ by more than 5 minutes (BADTIME); set the clock: " in done.stdout


def test_a_secondary_is_told_from_a_primary(tmp_path: Path) -> None:
    zone = Zone("example.test")
    with running_bind(tmp_path, zones=[zone], keys=KEYS) as first:
        key = str(first.key_file("acmectl"))
        with running_nsd(tmp_path, zones=[zone], primary=first) as second:
            error = only(make(second, tsig_key_file=key).publish([response("www.example.test")]))
            assert error.message == REFUSED.format(second.endpoint, zone.name) + UNSIGNED.format("NOTIMP")
            assert error.hint
            assert "is not the primary server: set `server` of the solver" in error.hint
