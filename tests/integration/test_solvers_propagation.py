"""Waiting for every authoritative server: real BINDs that lag, and servers that are lame, silent or far away."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from dns.message import Message

from acmectl.dns.endpoints import Endpoint
from acmectl.dns.propagation import Patience, wait_until_seen
from acmectl.dns.records import Record, parse_name
from acmectl.dns.resolver import Resolver
from acmectl.dns.tsig import TsigKey, load_key_file
from acmectl.dns.update import Primary, add, remove
from acmectl.dns.zones import Nameserver, authoritative_servers
from tests.servers.bind import Bind, Key, Zone, running_bind
from tests.servers.odd_dns import running_odd_dns
from tests.servers.own_network import run_in_own_network

KEY = Key("acmectl")
SHORT = Patience(timedelta(seconds=1), timedelta(milliseconds=200))
OWNER = parse_name("_acme-challenge.example.test")
ZONE = parse_name("example.test")
VALUE = Record.txt(OWNER, "value")


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bind, Bind]]:
    """Two servers of one zone that do not tell each other anything: the second lags for ever.

    The zone's NS records name both; the second stands at 127.0.0.2, on the port of the first.
    """
    zone = Zone("example.test", ["ns2 IN A 127.0.0.2"], nameservers=("ns", "ns2"))
    directory = tmp_path_factory.mktemp("bind")
    with (
        running_bind(directory, zones=[zone], keys=[KEY]) as first,
        running_bind(directory, zones=[zone], keys=[KEY]) as second,
        running_odd_dns(lambda query, _: forwarded(query, second), address="127.0.0.2", port=first.port),
    ):
        yield first, second


def forwarded(query: Message, server: Bind) -> Message:
    return dns.query.udp(query, server.address, timeout=5, port=server.port)


def primary(bind: Bind) -> Primary:
    return Primary(ZONE, (Endpoint(bind.address, bind.port),), key(bind), timedelta(seconds=5))


def key(bind: Bind) -> TsigKey:
    return load_key_file(bind.key_file("acmectl"))


def nameservers(bind: Bind) -> tuple[Nameserver, ...]:
    """The servers as the zone's own NS records give them."""
    return authoritative_servers(ZONE, Resolver((Endpoint(bind.address, bind.port),)), port=bind.port)


@pytest.fixture
def on_first(servers: tuple[Bind, Bind]) -> Iterator[Bind]:
    assert add([VALUE], primary=primary(servers[0]), ttl=timedelta(seconds=60)) == {}
    yield servers[0]
    for server in servers:
        assert remove([VALUE], primary=primary(server)) == {}


def test_a_server_that_lags_is_named(on_first: Bind) -> None:
    begin = time.monotonic()
    unseen = wait_until_seen({VALUE: nameservers(on_first)}, patience=SHORT)
    assert time.monotonic() - begin < 4
    assert unseen[VALUE].message == (
        "TXT of `_acme-challenge.example.test` is not on all name servers after 1s: "
        f"ns2.example.test (127.0.0.2:{on_first.port}): does not have the record yet"
    )


def test_a_server_that_lags_is_waited_for_and_only_it_is_asked_again(
    on_first: Bind, servers: tuple[Bind, Bind]
) -> None:
    late = threading.Timer(1, lambda: add([VALUE], primary=primary(servers[1]), ttl=timedelta(seconds=60)))
    late.start()
    patience = Patience(timedelta(seconds=20), timedelta(milliseconds=200))
    begin = time.monotonic()
    assert wait_until_seen({VALUE: nameservers(on_first)}, patience=patience) == {}
    assert 0.5 < time.monotonic() - begin < 10
    late.join()


def test_one_record_that_is_missing_does_not_hide_the_others(on_first: Bind) -> None:
    other = Record.txt(OWNER, "another value")
    here = [Nameserver(on_first.address, Endpoint(on_first.address, on_first.port))]
    assert wait_until_seen({VALUE: here, other: here}, patience=SHORT).keys() == {other}


def test_a_record_without_servers_and_no_records_at_all_are_seen_at_once() -> None:
    assert wait_until_seen({}, patience=SHORT) == {}


def test_many_names_are_asked_of_all_servers_within_seconds(servers: tuple[Bind, Bind]) -> None:
    many = [Record.txt(parse_name(f"m{number}.example.test"), "value") for number in range(300)]
    for server in servers:
        assert add(many, primary=primary(server), ttl=timedelta(seconds=60)) == {}
    begin = time.monotonic()
    assert wait_until_seen(dict.fromkeys(many, nameservers(servers[0])), patience=SHORT) == {}
    assert time.monotonic() - begin < 10
    for server in servers:
        assert remove(many, primary=primary(server)) == {}


def answer_with(query: Message, *, authoritative: bool, value: str = '"value"') -> Message:
    answer = dns.message.make_response(query)
    answer.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "TXT", value))
    if authoritative:
        answer.flags |= dns.flags.AA
    return answer


def test_a_server_that_answers_from_a_cache_is_lame_for_a_zone_and_enough_where_it_was_configured() -> None:
    with running_odd_dns(lambda query, _: answer_with(query, authoritative=False)) as odd:
        server = [Nameserver("127.0.0.1", odd.endpoint)]
        unseen = wait_until_seen({VALUE: server}, patience=SHORT)
        assert "is lame: it does not answer for the zone" in unseen[VALUE].message
        assert wait_until_seen({VALUE: server}, patience=SHORT, authoritative=False) == {}


def test_a_server_that_has_a_cname_there_is_told_with_where_it_leads() -> None:
    def answering(query: Message, _: bool) -> Message:  # noqa: FBT001  # the type of an answering function
        answer = answer_with(query, authoritative=True)
        answer.answer[0] = dns.rrset.from_text(query.question[0].name, 60, "IN", "CNAME", "elsewhere.test.")
        return answer

    with running_odd_dns(answering) as odd:
        unseen = wait_until_seen({VALUE: [Nameserver("ns1", odd.endpoint)]}, patience=SHORT)
    assert unseen[VALUE].message.endswith("has a CNAME there, to `elsewhere.test`")


@pytest.mark.parametrize(("enough", "seen"), [(1, True), (2, False)])
def test_enough_servers_are_counted_by_name_and_at_all_their_addresses(*, enough: int, seen: bool) -> None:
    with (
        running_odd_dns(lambda query, _: answer_with(query, authoritative=True)) as good,
        running_odd_dns(lambda query, _: answer_with(query, authoritative=True, value='"old"')) as old,
    ):
        servers = [
            Nameserver("half", good.endpoint),
            Nameserver("half", old.endpoint),
            Nameserver("good", good.endpoint),
        ]
        unseen = wait_until_seen({VALUE: servers}, patience=SHORT, enough=enough)
    assert (unseen == {}) is seen
    if not seen:
        assert unseen[VALUE].message == (
            "TXT of `_acme-challenge.example.test` is not on 2 name servers after 1s: "
            f"half ({old.endpoint}): does not have the record yet, but 1 other"
        )


def test_a_real_server_without_the_zone_is_named_with_its_rcode(servers: tuple[Bind, Bind]) -> None:
    elsewhere = Record.txt(parse_name("_acme-challenge.elsewhere.test"), "value")
    server = Nameserver("ns.elsewhere.test", Endpoint("127.0.0.1", servers[0].port))
    unseen = wait_until_seen({elsewhere: [server]}, patience=SHORT)
    assert f"ns.elsewhere.test (127.0.0.1:{servers[0].port}): answers REFUSED" in unseen[elsewhere].message


def test_a_silent_server_is_asked_for_one_of_its_names_in_each_round_and_hides_nobody() -> None:
    many = [Record.txt(parse_name(f"m{number}.example.test"), "value") for number in range(20)]
    with (
        running_odd_dns(lambda _, __: None) as silent,
        running_odd_dns(lambda query, _: answer_with(query, authoritative=True)) as good,
    ):
        both = [Nameserver("silent", silent.endpoint), Nameserver("good", good.endpoint)]
        begin = time.monotonic()
        unseen = wait_until_seen(dict.fromkeys(many, both), patience=SHORT)
        assert time.monotonic() - begin < 6
        assert len(silent.queries) == 1
        assert len(good.queries) == 20
    assert unseen.keys() == set(many)
    assert all("silent" in error.message and "good" not in error.message for error in unseen.values())


def test_a_long_record_set_is_read_over_tcp() -> None:
    values = [f'"{number:0>200}"' for number in range(20)]

    def answering(query: Message, tcp: bool) -> Message:  # noqa: FBT001  # the type of an answering function
        answer = answer_with(query, authoritative=True)
        answer.answer[0] = dns.rrset.from_text(query.question[0].name, 60, "IN", "TXT", '"value"', *values)
        if not tcp:
            answer.answer.clear()
            answer.flags |= dns.flags.TC
        return answer

    with running_odd_dns(answering) as odd:
        assert wait_until_seen({VALUE: [Nameserver("odd", odd.endpoint)]}, patience=SHORT) == {}


NO_NETWORK = """
from datetime import timedelta
from acmectl.dns.endpoints import Endpoint, addresses_of
from acmectl.dns.propagation import Patience, wait_until_seen
from acmectl.dns.records import Record, parse_name
from acmectl.dns.zones import Nameserver
from acmectl.errors import DNSError
from tests.integration.test_solvers_propagation import answer_with
from tests.servers.odd_dns import running_odd_dns

value = Record.txt(parse_name("_acme-challenge.example.test"), "value")
far = Endpoint("2001:db8::53", 53)
patience = Patience(timedelta(seconds=1), timedelta(milliseconds=100))
with running_odd_dns(lambda query, _: answer_with(query, authoritative=True)) as odd:
    two = [Nameserver("ns", odd.endpoint), Nameserver("ns", far)]
    assert wait_until_seen({value: two}, patience=patience) == {}
    print(*wait_until_seen({value: [*two, Nameserver("ns6", far)]}, patience=patience).values())
try:
    addresses_of("ns.example.test", 53, of="the solver")
except DNSError as error:
    print(error)
"""


def test_an_address_without_a_route_is_left_out_where_the_server_has_another() -> None:
    """In a network of its own that has loopback only: no packet leaves, and no name has an address."""
    lines = run_in_own_network(NO_NETWORK)
    assert lines[0] == (
        "TXT of `_acme-challenge.example.test` is not on all name servers after 1s: "
        "ns6 ([2001:db8::53]:53): name server `[2001:db8::53]:53` cannot be reached: network is unreachable"
    )
    assert lines[1].startswith("the name server `ns.example.test` has no address here: ")


def test_a_server_is_asked_once_more_at_the_end_where_the_interval_is_longer_than_the_time() -> None:
    def answering(query: Message, _: bool) -> Message:  # noqa: FBT001  # the type of an answering function
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.AA
        if len(lagging.queries) > 1:
            answer.answer.append(dns.rrset.from_rdata(OWNER, 60, VALUE.rdata))
        return answer

    with running_odd_dns(answering) as lagging:
        patience = Patience(timedelta(seconds=1), timedelta(minutes=10))
        assert wait_until_seen({VALUE: [Nameserver("ns", lagging.endpoint)]}, patience=patience) == {}
