"""What zones look like when something is wrong with them, asked of real servers: each has words of its own."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from dns.message import Message

from acmectl.dns.endpoints import Endpoint
from acmectl.dns.records import parse_name
from acmectl.dns.resolver import Resolver
from acmectl.dns.zones import locate
from acmectl.errors import DNSError
from acmectl.model.names import Identifier
from acmectl.solvers import registry
from acmectl.solvers.base import Response, Solver
from acmectl.solvers.rfc2136 import Rfc2136Options
from tests.servers.bind import Bind, running_bind
from tests.servers.name_server import Key, Zone

SIGNED = "signed.test"
ZONES = (
    Zone(
        "example.test",
        [
            "_acme-challenge.gone IN CNAME gone.acme.test.",
            "_acme-challenge.lost IN CNAME lost.nowhere.invalid.",
            "_acme-challenge.self IN CNAME _acme-challenge.self",
            "_acme-challenge.round IN CNAME round.acme.test.",
            "*.stars IN CNAME stars.acme.test.",
            *(f"l{n} IN CNAME l{n + 1}" for n in range(12)),
            "_acme-challenge.long IN CNAME l0",
            "_acme-challenge.ns IN NS ns",
        ],
    ),
    Zone("_acme-challenge.ns.example.test", nameservers=("ns.example.test.",)),
    Zone("acme.test", ["round IN CNAME _acme-challenge.round.example.test."]),
    Zone(SIGNED, signed=True),
)


@pytest.fixture(scope="module")
def bind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bind]:
    with running_bind(tmp_path_factory.mktemp("bind"), zones=ZONES, keys=[Key("acmectl")], resolve=True) as server:
        yield server


def make(bind: Bind, **changes: Any) -> Solver:
    options = {
        "server": bind.address,
        "port": bind.port,
        "tsig_key_file": str(bind.key_file("acmectl")),
        "resolvers": [bind.endpoint],
        "propagation": {"require": "primary", "timeout": "5s", "interval": "1s"},
    }
    return registry.build("rfc2136", Rfc2136Options.model_validate(options | changes))


def response(name: str) -> Response:
    return Response(Identifier.parse(name), "dns-01", "token", f"token.{name}.thumbprint")


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("gone.example.test", "gone.acme.test"),  # the target of a CNAME need not exist before
        ("www.stars.example.test", "_acme-challenge.www.stars.example.test"),  # a wildcard's CNAME delegates nothing
        ("ns.example.test", "_acme-challenge.ns.example.test"),  # delegated by NS: the record is the top of a zone
        (f"www.{SIGNED}", f"_acme-challenge.www.{SIGNED}"),
        (f"*.{SIGNED}", f"_acme-challenge.{SIGNED}"),
    ],
)
def test_what_looks_odd_and_is_right_works(bind: Bind, name: str, owner: str) -> None:
    solver, ours = make(bind), [response(name)]
    assert solver.publish(ours) == {}
    assert solver.seen(ours) == {}
    assert bind.txt(owner) == {ours[0].txt_value}
    assert solver.remove(ours) == {}
    assert bind.txt(owner) == set()


BY = "(following the CNAMEs _acme-challenge.{0}.example.test -> {1})"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "lost.example.test",
            "there is no zone for `_acme-challenge.lost.example.test -> lost.nowhere.invalid`: nothing between it and the root",
        ),
        (
            "self.example.test",
            "the CNAMEs go round in a circle " + BY.format("self", "_acme-challenge.self.example.test"),
        ),
        (
            "round.example.test",
            "the CNAMEs go round in a circle "
            + BY.format("round", "round.acme.test -> _acme-challenge.round.example.test"),
        ),
        (
            "long.example.test",
            "there are more than 8 CNAMEs " + BY.format("long", " -> ".join(f"l{n}.example.test" for n in range(9))),
        ),
        (
            "www.unregistered.test",
            "there is no zone for `_acme-challenge.www.unregistered.test`: nothing between it and the root",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_chain(bind: Bind, name: str, words: str) -> None:
    ours = [response(name)]
    (error,) = make(bind).publish(ours).values()
    assert error.message == words
    assert error.hint
    assert make(bind).remove(ours).keys() == set(ours)


def test_signatures_of_a_signed_zone_follow_the_update(bind: Bind) -> None:
    """Otherwise the test above would say nothing of signed zones."""
    ours = [response(f"signed.{SIGNED}")]
    assert make(bind).publish(ours) == {}
    question = dns.message.make_query(f"_acme-challenge.signed.{SIGNED}", "TXT", want_dnssec=True)
    end = time.monotonic() + 20
    while "RRSIG" not in (answer := ask(question, bind)) and time.monotonic() < end:
        time.sleep(0.1)
    assert "RRSIG TXT" in answer
    assert make(bind).remove(ours) == {}


def ask(question: Message, bind: Bind) -> str:
    return dns.query.udp(question, bind.address, timeout=10, port=bind.port).to_text()


def zone_key(bind: Bind) -> str:
    """The zone's own key, as it goes into `trust-anchors`."""
    answer = dns.query.udp(dns.message.make_query(SIGNED, "DNSKEY"), bind.address, timeout=10, port=bind.port)
    flags, protocol, algorithm, key = answer.answer[0][0].to_text().split(" ", 3)
    return f'"{SIGNED}." static-key {flags} {protocol} {algorithm} "{key}";'


def test_a_zone_with_broken_signatures_is_told_from_a_resolver_that_fails(bind: Bind, tmp_path: Path) -> None:
    """Two validating resolvers, which differ in nothing but the key that they trust."""
    right = zone_key(bind)
    point = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
    octets = point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big")
    wrong = f'{right.rpartition(" ")[0].partition(" 13 ")[0]} 13 "{base64.b64encode(octets).decode()}";'
    name = parse_name(f"_acme-challenge.www.{SIGNED}")
    with (
        running_bind(tmp_path, zones=[Zone("own.test")], forward_to=bind, trust=right) as good,
        running_bind(tmp_path, zones=[Zone("own.test")], forward_to=bind, trust=wrong) as bad,
    ):
        assert locate(name, Resolver((Endpoint(good.address, good.port),))).zone == parse_name(SIGNED)
        with pytest.raises(DNSError) as caught:
            locate(name, Resolver((Endpoint(bad.address, bad.port),)))
    assert caught.value.message == (
        f"cannot look up CNAME of `_acme-challenge.www.{SIGNED}`: resolver `{bad.endpoint}` answers SERVFAIL, "
        "but has an answer for who does not check DNSSEC"
    )
    assert caught.value.hint == (
        "the zone's DNSSEC signatures are broken or expired, and CAs refuse it too: "
        f"`delv _acme-challenge.www.{SIGNED}`"
    )


def test_split_horizon_the_world_is_asked_and_not_the_inside(tmp_path: Path) -> None:
    """The inner view of a zone and the outer one have different name servers; only the inner one is to be changed."""
    inner = Zone("office.test", ["ns IN A 127.0.0.1"])
    outer = Zone("office.test", nameservers=("outside",), records=["outside IN A 127.0.0.9"])
    with (
        running_bind(tmp_path, zones=[inner], keys=[Key("acmectl")]) as inside,
        running_bind(tmp_path, zones=[outer]) as outside,
    ):
        propagation = {"resolvers": [outside.endpoint], "timeout": "1s", "interval": "1s"}
        solver, ours = make(inside, propagation=propagation), [response("www.office.test")]
        assert solver.publish(ours) == {}
        (error,) = solver.seen(ours).values()
        assert "outside.office.test (127.0.0.9:53): " in error.message
        assert solver.remove(ours) == {}
