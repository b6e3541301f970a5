"""Delegation by CNAME, zones and their servers, asked of a real BIND, and of servers that BIND would not be."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from dns.message import Message

from acmectl.dns.endpoints import Endpoint
from acmectl.dns.exchange import NoRoute, ask, explain
from acmectl.dns.records import parse_name, shown
from acmectl.dns.resolver import Resolver, question
from acmectl.dns.zones import Location, Nameserver, authoritative_servers, locate, primary_servers
from acmectl.errors import DNSError
from tests.servers.bind import Bind, Zone, free_port, running_bind
from tests.servers.odd_dns import running_odd_dns
from tests.servers.own_network import run_in_own_network

LOOP = ["loop1 IN CNAME loop2", "loop2 IN CNAME loop1"]
LONG = [f"long{n} IN CNAME long{n + 1}" for n in range(12)]
ZONES = (
    Zone(
        "example.test",
        [
            "www IN A 127.0.0.1",
            "_acme-challenge.delegated IN CNAME delegated.acme.test.",
            "_acme-challenge.twice IN CNAME hop",
            "hop IN CNAME twice.acme.test.",
            "_acme-challenge.broken IN CNAME x.elsewhere.invalid.",
            "wide IN DNAME acme.test.",
            "*.wild IN CNAME site.wild.acme.test.",
            "_acme-challenge.own.wild IN CNAME own.acme.test.",
            "sub IN NS ns",
            *LOOP,
            *LONG,
        ],
    ),
    Zone("sub.example.test", ["www IN A 127.0.0.1"]),
    Zone("acme.test", ["@ IN NS ns2", "ns2 IN A 127.0.0.9", "ns2 IN AAAA ::9", "@ IN NS gone.example.test."]),
    Zone("lost.test", nameservers=("gone.example.test.",)),
)


@pytest.fixture(scope="module")
def bind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bind]:
    with running_bind(tmp_path_factory.mktemp("bind"), zones=ZONES) as server:
        yield server


@pytest.fixture
def resolver(bind: Bind) -> Resolver:
    return Resolver((Endpoint(bind.address, bind.port),), timedelta(seconds=5))


def located(name: str, resolver: Resolver) -> tuple[str, str]:
    location = locate(parse_name(name), resolver)
    return shown(location.owner), shown(location.zone)


@pytest.mark.parametrize(
    ("asked", "owner", "zone"),
    [
        ("_acme-challenge.www.example.test", "_acme-challenge.www.example.test", "example.test"),
        ("_acme-challenge.example.test", "_acme-challenge.example.test", "example.test"),
        ("_acme-challenge.www.sub.example.test", "_acme-challenge.www.sub.example.test", "sub.example.test"),
        ("_acme-challenge.delegated.example.test", "delegated.acme.test", "acme.test"),
        ("_acme-challenge.twice.example.test", "twice.acme.test", "acme.test"),
        ("_acme-challenge.wide.example.test", "_acme-challenge.wide.example.test", "example.test"),
        ("_acme-challenge.a.wide.example.test", "_acme-challenge.a.acme.test", "acme.test"),
        ("acme.test", "acme.test", "acme.test"),
        ("_acme-challenge.wild.example.test", "_acme-challenge.wild.example.test", "example.test"),
        ("_acme-challenge.deep.wild.example.test", "_acme-challenge.deep.wild.example.test", "example.test"),
        ("_acme-challenge.own.wild.example.test", "own.acme.test", "acme.test"),
    ],
)
def test_a_name_is_found_at_the_end_of_its_cnames_in_the_nearest_zone(
    resolver: Resolver, asked: str, owner: str, zone: str
) -> None:
    if asked == "_acme-challenge.wide.example.test":
        owner, zone = "_acme-challenge.acme.test", "acme.test"
    assert located(asked, resolver) == (owner, zone)


def test_the_cname_of_a_wildcard_is_followed_into_the_configured_zone_alone(resolver: Resolver) -> None:
    name = parse_name("_acme-challenge.wild.example.test")
    into = locate(name, resolver, zone=parse_name("acme.test"))
    assert shown(into.owner) == "site.wild.acme.test"
    assert locate(name, resolver, zone=parse_name("example.test")).owner == name


def test_most_names_take_one_question() -> None:
    with running_odd_dns(lambda query, _: negative(query)) as server:
        locate(parse_name("_acme-challenge.www.example.test"), Resolver((server.endpoint,)))
        assert len(server.queries) == 1


def test_a_circle_of_cnames_is_named(resolver: Resolver) -> None:
    with pytest.raises(DNSError) as caught:
        locate(parse_name("loop1.example.test"), resolver)
    assert caught.value.message == (
        "the CNAMEs go round in a circle (following the CNAMEs "
        "loop1.example.test -> loop2.example.test -> loop1.example.test)"
    )


def test_a_chain_without_end_is_cut(resolver: Resolver) -> None:
    with pytest.raises(DNSError, match=r"there are more than 8 CNAMEs \(following the CNAMEs long0\.example\.test -> "):
        locate(parse_name("long0.example.test"), resolver)


def test_a_cname_into_nowhere_is_named_with_the_whole_chain(resolver: Resolver, bind: Bind) -> None:
    with pytest.raises(DNSError) as caught:
        locate(parse_name("_acme-challenge.broken.example.test"), resolver)
    assert caught.value.message == (
        f"cannot look up CNAME of `x.elsewhere.invalid`: resolver `{bind.endpoint}` answers REFUSED "
        "(following the CNAMEs _acme-challenge.broken.example.test -> x.elsewhere.invalid)"
    )


def test_a_configured_zone_is_taken_and_must_be_around_the_name(resolver: Resolver) -> None:
    asked = parse_name("_acme-challenge.www.sub.example.test")
    assert locate(asked, resolver, zone=parse_name("example.test")) == Location(
        asked, asked, parse_name("example.test")
    )
    with pytest.raises(DNSError, match=r"`_acme-challenge\.www\.sub\.example\.test` is not in zone `acme\.test`"):
        locate(asked, resolver, zone=parse_name("acme.test"))


def test_the_servers_of_a_zone_are_all_addresses_of_its_ns_records_that_have_some(resolver: Resolver) -> None:
    assert set(authoritative_servers(parse_name("acme.test"), resolver)) == {
        Nameserver("ns.acme.test", Endpoint("127.0.0.1", 53)),
        Nameserver("ns2.acme.test", Endpoint("127.0.0.9", 53)),
        Nameserver("ns2.acme.test", Endpoint("::9", 53)),
    }


def test_a_zone_whose_servers_have_no_address_is_named_with_them(resolver: Resolver) -> None:
    with pytest.raises(DNSError) as caught:
        authoritative_servers(parse_name("lost.test"), resolver)
    assert caught.value.message == (
        "zone `lost.test` cannot be asked: its name servers `gone.example.test` have no address"
    )


def test_a_name_that_is_no_zone_has_neither_servers_nor_a_primary(resolver: Resolver) -> None:
    with pytest.raises(DNSError, match=r"zone `www\.example\.test` cannot be asked: it has no NS records"):
        authoritative_servers(parse_name("www.example.test"), resolver)
    with pytest.raises(DNSError, match=r"there is no zone `www\.example\.test`: it has no SOA record"):
        primary_servers(parse_name("www.example.test"), resolver)


def test_the_primary_is_the_server_that_the_soa_record_names(resolver: Resolver) -> None:
    assert primary_servers(parse_name("acme.test"), resolver, port=5353) == (
        Nameserver("ns.acme.test", Endpoint("127.0.0.1", 5353)),
    )
    with pytest.raises(DNSError, match=r"the primary server `ns\.lost\.test` of zone `lost\.test` has no address"):
        primary_servers(parse_name("lost.test"), resolver)


def negative(query: Message, *, soa: str | None = "example.test.") -> Message:
    """NXDOMAIN, with the SOA of a zone or without."""
    answer = dns.message.make_response(query)
    answer.set_rcode(dns.rcode.NXDOMAIN)
    if soa:
        answer.authority.append(dns.rrset.from_text(soa, 5, "IN", "SOA", "ns.example.test. h.example.test. 1 2 3 4 5"))
    return answer


def test_the_zone_is_searched_upwards_where_negative_answers_have_no_soa() -> None:
    def answering(query: Message, _: bool) -> Message:  # noqa: FBT001  # the type of an answering function
        answer = negative(query, soa=None)
        if shown(query.question[0].name) == "example.test" and query.question[0].rdtype == dns.rdatatype.SOA:
            answer.answer = negative(query).authority
            answer.set_rcode(dns.rcode.NOERROR)
        return answer

    with running_odd_dns(answering) as server:
        assert located("_acme-challenge.www.example.test", Resolver((server.endpoint,))) == (
            "_acme-challenge.www.example.test",
            "example.test",
        )


@pytest.mark.parametrize("soa", [".", None])
def test_a_domain_that_is_not_registered_has_no_zone(soa: str | None) -> None:
    with (
        running_odd_dns(lambda query, _: negative(query, soa=soa)) as server,
        pytest.raises(
            DNSError, match=r"there is no zone for `_acme-challenge\.nowhere\.test`: nothing between"
        ) as caught,
    ):
        locate(parse_name("_acme-challenge.nowhere.test"), Resolver((server.endpoint,)))
    assert caught.value.hint == "is the domain registered and delegated? `dig +trace _acme-challenge.nowhere.test SOA`"


def test_a_servfail_names_the_resolver_and_the_question() -> None:
    def answering(query: Message, _: bool) -> Message:  # noqa: FBT001  # the type of an answering function
        answer = dns.message.make_response(query)
        answer.set_rcode(dns.rcode.SERVFAIL)
        return answer

    with running_odd_dns(answering) as server:
        with pytest.raises(DNSError) as caught:
            locate(parse_name("_acme-challenge.example.test"), Resolver((server.endpoint,)))
        assert caught.value.message == (
            f"cannot look up CNAME of `_acme-challenge.example.test`: resolver `{server.endpoint}` answers SERVFAIL"
        )


def test_the_next_resolver_is_asked_when_the_first_is_dead(resolver: Resolver) -> None:
    dead = Endpoint("127.0.0.1", free_port())
    two = Resolver((dead, *resolver.endpoints), timedelta(seconds=5))
    assert located("_acme-challenge.www.example.test", two)[1] == "example.test"


def test_a_closed_port_is_known_at_once() -> None:
    server = Endpoint("127.0.0.1", free_port())
    begin = time.monotonic()
    with pytest.raises(DNSError, match=f"no name server listens at `{server}`"):
        ask(question(parse_name("example.test"), dns.rdatatype.SOA, recurse=False), server, seconds=10)
    assert time.monotonic() - begin < 2


def test_silence_ends_with_the_time_limit() -> None:
    with running_odd_dns(lambda _, __: None) as server:
        begin = time.monotonic()
        with pytest.raises(DNSError, match=r"does not answer within 0\.3 s"):
            ask(question(parse_name("example.test"), dns.rdatatype.SOA, recurse=False), server.endpoint, seconds=0.3)
        assert time.monotonic() - begin < 2


def test_nonsense_over_udp_is_no_answer_and_the_limit_holds() -> None:
    with (
        running_odd_dns(lambda _, __: b"\x00\x01nonsense") as server,
        pytest.raises(DNSError, match=r"does not answer within 0\.3 s"),
    ):
        ask(question(parse_name("example.test"), dns.rdatatype.SOA, recurse=False), server.endpoint, seconds=0.3)


def test_a_truncated_answer_is_asked_for_again_over_tcp() -> None:
    def answering(query: Message, tcp: bool) -> Message:  # noqa: FBT001  # the type of an answering function
        answer = negative(query)
        if not tcp:
            answer.flags |= dns.flags.TC
        return answer

    with running_odd_dns(answering) as server:
        sent = question(parse_name("example.test"), dns.rdatatype.SOA, recurse=False)
        answer = ask(sent, server.endpoint, seconds=5)
        assert not answer.flags & dns.flags.TC
        assert len(server.queries) == 2


def test_questions_bear_edns_and_ask_for_recursion_only_of_resolvers() -> None:
    name = parse_name("example.test")
    assert question(name, dns.rdatatype.SOA, recurse=True).edns == 0
    assert question(name, dns.rdatatype.SOA, recurse=True).flags & dns.flags.RD
    assert not question(name, dns.rdatatype.SOA, recurse=False).flags & dns.flags.RD


def test_an_address_without_a_route_is_told_from_a_server_that_is_silent() -> None:
    server = Endpoint("2001:db8::53", 53)
    error = explain(OSError(errno.ENETUNREACH, "Network is unreachable"), server, 3)
    assert isinstance(error, NoRoute)
    assert error.message == "name server `[2001:db8::53]:53` cannot be reached: network is unreachable"
    assert not isinstance(explain(TimeoutError(), server, 3), NoRoute)


RESOLV_CONF = """
import subprocess, sys
from acmectl.dns.resolver import system_resolver
from acmectl.errors import DNSError
for path in sys.argv[1:]:
    subprocess.run(["mount", "--bind", path, "/etc/resolv.conf"], check=True)
    try:
        print(*system_resolver().endpoints)
    except DNSError as error:
        print(error.message, "-", error.hint)
"""


def test_a_host_without_resolvers_is_told_the_option_that_helps(tmp_path: Path) -> None:
    some, none = tmp_path / "some", tmp_path / "none"
    some.write_text("nameserver 192.0.2.1\nnameserver 2001:db8::1\n")
    none.write_text("search example.test\n")
    lines = run_in_own_network(RESOLV_CONF, str(some), str(none))
    assert lines[0] == "192.0.2.1:53 [2001:db8::1]:53"
    assert lines[1].startswith("this host has no resolver: ")
    assert lines[1].endswith(" - set `resolvers` of the solver")


def test_silent_resolvers_do_not_take_longer_than_the_time_limit() -> None:
    with running_odd_dns(lambda _, __: None) as one, running_odd_dns(lambda _, __: None) as two:
        begin = time.monotonic()
        with pytest.raises(DNSError, match="does not answer within") as caught:
            Resolver((one.endpoint, two.endpoint), timedelta(seconds=1)).ask(
                parse_name("example.test"), dns.rdatatype.SOA
            )
        assert time.monotonic() - begin < 3
    assert "cannot look up SOA of `example.test`" in caught.value.message
