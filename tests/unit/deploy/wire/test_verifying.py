from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from acmectl.deploy.wire.addresses import addresses
from acmectl.deploy.wire.expected import Expected, expected, server_name
from acmectl.deploy.wire.looking import Sighting, look
from acmectl.deploy.wire.options import Endpoint
from acmectl.deploy.wire.protocols import Protocol
from acmectl.deploy.wire.stream import WireError
from acmectl.deploy.wire.verifying import Request, observe, verify_all
from acmectl.errors import DeployError, Interrupted
from acmectl.model.names import Identifier
from tests.servers.chains import Generation
from tests.servers.wire import context, serving


class Patience:
    """A clock that only pauses move; `then` happens in the pause of that number, counted from 1."""

    def __init__(self, then: dict[int, Callable[[], None]] | None = None) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []
        self._then = then or {}

    def monotonic(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)
        if act := self._then.get(len(self.pauses)):
            act()


def wanted(generation: Generation) -> Expected:
    return expected(generation.installed, generation.directory, names=generation.names)


def refusal(
    endpoints: Sequence[Endpoint], expected: Expected, seconds: float = 30, patience: Patience | None = None
) -> DeployError | None:
    """What `verify_all` says of one target."""
    clock = patience or Patience()
    request = Request(tuple(endpoints), expected, timedelta(seconds=seconds))
    return verify_all([request], monotonic=clock.monotonic, pause=clock.pause).get(request)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_a_reload_is_waited_for_at_growing_intervals(first: Generation, second: Generation) -> None:
    with serving(context(first)) as server:

        def reload() -> None:
            server.context = context(second)

        patience = Patience({4: reload})
        assert refusal([Endpoint(port=server.port)], wanted(second), patience=patience) is None

    assert patience.pauses == [0.25, 0.5, 1.0, 2.0]


def test_patience_ends_with_a_last_look(first: Generation, second: Generation) -> None:
    patience = Patience()
    with serving(context(first)) as server:
        refused = refusal([Endpoint(port=server.port)], wanted(second), 9, patience)

    assert patience.pauses == [0.25, 0.5, 1.0, 2.0, 4.0, 1.25]
    assert server.connections == 2 * 7
    assert refused
    assert refused.message.startswith(f"port {server.port} on 127.0.0.1 still serves serial ")


def test_without_patience_there_is_one_look(first: Generation, second: Generation) -> None:
    with serving(context(first)) as server:
        assert refusal([Endpoint(port=server.port)], wanted(second), 0)

    assert server.connections == 2


def test_what_is_seen_is_not_looked_at_again(first: Generation, second: Generation) -> None:
    patience = Patience()
    with serving(context(first)) as good, serving(context(second)) as bad:
        requests = [Request((Endpoint(port=s.port),), wanted(first)) for s in (good, bad)]
        failed = verify_all(requests, monotonic=patience.monotonic, pause=patience.pause)

    assert list(failed) == [requests[1]]
    assert (good.connections, bad.connections > 2) == (2, True)
    assert sum(patience.pauses) == 30


def test_the_patience_of_several_runs_together(first: Generation, second: Generation) -> None:
    patience = Patience()
    with serving(context(second)) as one, serving(context(second)) as other:
        requests = [
            Request((Endpoint(port=s.port),), wanted(first), timedelta(seconds=seconds))
            for s, seconds in ((one, 2), (other, 5))
        ]
        assert set(verify_all(requests, monotonic=patience.monotonic, pause=patience.pause)) == set(requests)

    assert sum(patience.pauses) == 5
    assert one.connections < other.connections


def test_every_endpoint_that_fails_is_named_in_one_error(first: Generation, second: Generation) -> None:
    closed = free_port()
    with serving(context(first)) as old, serving(context(second)) as new:
        endpoints = [Endpoint(port=port) for port in (old.port, new.port, closed)]
        error = refusal(endpoints, wanted(second), 0)

    assert error
    stale, refused = error.message.split("; ")
    assert stale.startswith(f"port {old.port} on 127.0.0.1 still serves")
    assert refused == f"port {closed} on 127.0.0.1 cannot be connected to: connection refused"
    assert "`verify: []`" in (error.hint or "")


def test_nothing_to_look_at_is_served(first: Generation) -> None:
    assert refusal([], wanted(first)) is None


def test_a_run_that_ends_is_no_verdict(first: Generation) -> None:
    def interrupted(_: float) -> None:
        raise Interrupted("interrupted")

    with pytest.raises(Interrupted):
        verify_all([Request((Endpoint(port=free_port()),), wanted(first))], pause=interrupted)


def test_dates_are_judged_by_the_clock_that_is_given(first: Generation) -> None:
    with serving(context(first)) as server:
        request = Request((Endpoint(port=server.port),), wanted(first), timedelta(0))
        (seen,) = observe([request], now=lambda: datetime(2099, 1, 1, tzinfo=UTC))[request]

    assert seen.fault
    assert "serves a certificate that ended on" in seen.fault.words


def test_every_address_of_a_host_is_looked_at(first: Generation) -> None:
    both = ("127.0.0.1", "127.0.0.2")
    with serving(context(first)) as server:
        endpoint = Endpoint(port=server.port, address="mail.test", protocol=Protocol.TLS)
        well, refused = look(
            endpoint,
            wanted(first),
            timeout=timedelta(seconds=20),
            now=datetime.now(UTC),
            resolve=lambda host, *, timeout: both if host == "mail.test" else (),  # noqa: ARG005  # its protocol
        )

    assert (well.fault, well.place) == (None, f"port {server.port} on mail.test, 127.0.0.1")
    assert refused.fault
    assert f"{refused.place} {refused.fault.words}" == (
        f"port {server.port} on mail.test, 127.0.0.2 cannot be connected to: connection refused"
    )


def test_the_addresses_of_a_host_are_looked_at_side_by_side(first: Generation) -> None:
    """Else each that says nothing adds its time to a look, and patience bounds nothing."""
    both = ("127.0.0.1", "::ffff:127.0.0.1")  # the same place, for the system
    together = threading.Barrier(len(both))

    def context_of_both() -> ssl.SSLContext:
        together.wait(60)
        return context(first)

    with serving(context(first)) as server:
        server.context_for_each = context_of_both
        seen = look(
            Endpoint(port=server.port, address="mail.test"),
            wanted(first),
            timeout=timedelta(seconds=50),
            now=datetime.now(UTC),
            resolve=lambda host, *, timeout: both,  # noqa: ARG005  # its protocol
        )

    assert [(sighting.address, sighting.fault) for sighting in seen] == [(address, None) for address in both]


def test_what_nobody_foresaw_is_a_fault_of_its_place_and_ends_no_run(first: Generation) -> None:
    odd = replace(wanted(first), name="\N{SNOWMAN}." + 70 * "x")  # which no configuration takes
    with serving(context(first)) as server:
        requests = [Request((Endpoint(port=server.port),), one, timedelta(0)) for one in (odd, wanted(first))]
        refused = verify_all(requests)

    error = refused.pop(requests[0])
    assert refused == {}
    assert error.message.startswith(f"port {server.port} on 127.0.0.1 cannot be looked at: `UnicodeError: ")
    assert error.hint == "this is a defect of acmectl: please report it, with what the service says"


def test_the_addresses_of_a_host_are_those_of_the_system() -> None:
    assert "127.0.0.1" in addresses("localhost", timeout=timedelta(seconds=20))


def test_a_host_that_cannot_be_resolved_is_named(first: Generation) -> None:
    host = "x" * 70 + ".test"  # no resolver is asked for such a label, and no configuration has it
    refused = refusal([Endpoint().model_copy(update={"address": host})], wanted(first), 0)

    assert refused
    assert refused.message.startswith(f"port 443 on {host} has a name that cannot be resolved: ")


def test_a_resolver_that_does_not_answer_is_left() -> None:
    answered = threading.Event()
    try:
        with pytest.raises(WireError, match=r"has a name that was not resolved within 0\.1 s"):
            addresses("a.test", timeout=timedelta(seconds=0.1), resolve=lambda _: str(answered.wait(60)).split())
    finally:
        answered.set()


def test_a_generation_that_cannot_be_read_is_named(first: Generation, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="the certificate to look for"):
        expected(first.installed, tmp_path / "9")


@pytest.mark.parametrize(
    ("names", "asked"),
    [
        (["b.test", "a.test"], "b.test"),
        (["*.b.test", "a.test"], "acmectl.b.test"),
        (["192.0.2.1", "a.test"], "a.test"),
        (["192.0.2.1", "2001:db8::1"], None),
    ],
)
def test_the_first_name_is_asked_for(names: list[str], asked: str | None) -> None:
    assert server_name(map(Identifier, names)) == asked


def test_a_place_names_its_protocol() -> None:
    assert str(Endpoint(protocol=Protocol.SMTP)) == "port 25 on 127.0.0.1 (smtp)"


def test_a_place_says_which_name_of_its_own_is_asked_for(first: Generation, second: Generation) -> None:
    with serving(context(first)) as server:
        endpoints = [Endpoint(port=server.port, name=name) for name in ("xmpp.example.test", "mail.example.test")]
        refused = refusal(endpoints, wanted(second), 0)

    assert refused
    assert [one.split(" serves")[0] for one in refused.message.split("; ")] == [
        f"port {server.port} on 127.0.0.1 for xmpp.example.test still",
        f"port {server.port} on 127.0.0.1 for mail.example.test",
    ]


@pytest.mark.parametrize("host", ["on", "port", "smtp"])
def test_a_place_of_a_host_that_is_called_like_a_word_of_ours_is_well_said(host: str) -> None:
    endpoint = Endpoint(address=host, protocol=Protocol.SMTP)
    sighting = Sighting(endpoint, "192.0.2.1", "mail.example.test")

    assert sighting.place == f"port 25 on {host}, 192.0.2.1 (smtp)"
    assert sighting.place_and_name == f"port 25 on {host}, 192.0.2.1 (smtp) for mail.example.test"
