from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from acmectl.deploy.wire.looking import Sighting
from acmectl.deploy.wire.options import Endpoint
from tests.servers.chains import Generation
from tests.servers.wire import TLS, BreakOff, Drip, Heard, Silence, Step, context, serving

Look = Callable[..., Sighting]
V2, V3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
CLIENT_HELLO = Heard(b"\x16\x03\x01")
ALERT = bytes.fromhex("15 0303 0002 0228")  # fatal, handshake_failure
ONLY_BY_TIME = 0.5  # seconds: no answer of these servers ends the look


def words(sighting: Sighting) -> str:
    assert sighting.fault, sighting
    return f"{sighting.place} {sighting.fault.words}"


def test_the_installed_certificate_is_seen_in_both_versions(look: Look, first: Generation) -> None:
    with serving(context(first)) as server:
        seen = look(Endpoint(port=server.port), first)

    assert (seen.fault, seen.versions, seen.notes) == (None, ("TLS 1.3", "TLS 1.2"), ())
    assert server.asked == ["xmpp.example.test"] * 2


def test_an_earlier_certificate_is_named(look: Look, first: Generation, second: Generation) -> None:
    with serving(context(first)) as server:
        seen = look(Endpoint(port=server.port), second)

    old = first.installed
    assert words(seen) == (
        f"port {server.port} on 127.0.0.1 still serves serial {old.serial}, which ends on {old.not_after:%Y-%m-%d %H:%M} UTC"
    )
    assert seen.fault
    assert "did the reload reach it" in (seen.fault.hint or "")


def test_a_certificate_for_another_name_is_named_with_its_names(
    look: Look, first: Generation, issued: Callable[..., Generation]
) -> None:
    with serving(context(issued("default.test"))) as server:
        seen = look(Endpoint(port=server.port), first)

    assert "for `default.test` when asked for `xmpp.example.test`, which ends on" in words(seen)


def test_a_missing_intermediate_is_a_fault(look: Look, first: Generation) -> None:
    with serving(context(first, leaf_only=True)) as server:
        seen = look(Endpoint(port=server.port), first)

    assert words(seen).endswith("serves the certificate without its intermediates")
    assert seen.fault
    assert "fullchain" in (seen.fault.hint or "")


def test_more_certificates_than_installed_are_worth_a_note(
    look: Look, first: Generation, second: Generation, tmp_path: Path
) -> None:
    both = tmp_path / "more.pem"
    both.write_bytes(first.fullchain.read_bytes() + second.leaf.read_bytes())
    with serving(context(first, certificates=both)) as server:
        seen = look(Endpoint(port=server.port), first)

    assert (seen.fault, seen.notes) == (None, ("serves more certificates than were installed",))


def test_a_chain_that_is_sent_twice_is_worth_a_note(look: Look, first: Generation, tmp_path: Path) -> None:
    twice = tmp_path / "twice.pem"
    twice.write_bytes(first.fullchain.read_bytes() + first.chain.read_bytes())
    with serving(context(first, certificates=twice)) as server:
        seen = look(Endpoint(port=server.port), first)

    assert (seen.fault, seen.notes) == (None, ("serves its chain in another order, or twice",))


def test_a_certificate_that_has_ended_is_a_fault(look: Look, issued: Callable[..., Generation]) -> None:
    ended = issued("xmpp.example.test", begins=timedelta(days=-9), ends=timedelta(days=-1))
    with serving(context(ended)) as server:
        assert "serves a certificate that ended on 20" in words(look(Endpoint(port=server.port), ended))


def test_an_intermediate_that_has_ended_is_a_fault_also_where_it_was_installed(
    look: Look, issued: Callable[..., Generation]
) -> None:
    ended = issued("xmpp.example.test", intermediate_ends=-timedelta(hours=1))
    with serving(context(ended)) as server:
        seen = look(Endpoint(port=server.port), ended)

    said = words(seen)
    assert " serves the intermediate `CN=intermediate of tests`, which ended on 20" in said
    assert said.endswith(" UTC, as it was installed")
    assert seen.fault
    assert "`acmectl cert renew site --force`" in (seen.fault.hint or "")


def test_an_intermediate_that_has_ended_is_a_fault_where_the_service_adds_it(
    look: Look, first: Generation, issued: Callable[..., Generation], tmp_path: Path
) -> None:
    ended = issued("xmpp.example.test", intermediate_ends=-timedelta(hours=1))
    both = tmp_path / "more.pem"
    both.write_bytes(first.fullchain.read_bytes() + ended.chain.read_bytes())
    with serving(context(first, certificates=both)) as server:
        seen = look(Endpoint(port=server.port), first)

    assert words(seen).endswith(" UTC, and was not installed")


def test_a_certificate_that_has_not_begun_is_a_fault(look: Look, issued: Callable[..., Generation]) -> None:
    early = issued("xmpp.example.test", begins=timedelta(days=1))
    with serving(context(early)) as server:
        assert "serves a certificate that begins on 20" in words(look(Endpoint(port=server.port), early))


def test_a_name_that_the_certificate_lacks_is_a_fault(look: Look, first: Generation) -> None:
    with serving(context(first)) as server:
        seen = look(Endpoint(port=server.port, name="mail.example.test"), first)

    assert server.asked == ["mail.example.test"] * 2
    assert "not for `mail.example.test`, the name that it is asked for" in words(seen)


def test_a_wildcard_is_asked_for_by_a_name_below_it(look: Look, issued: Callable[..., Generation]) -> None:
    wildcard = issued("*.example.test")
    with serving(context(wildcard)) as server:
        seen = look(Endpoint(port=server.port), wildcard)

    assert seen.fault is None
    assert server.asked == ["acmectl.example.test"] * 2


@pytest.mark.parametrize(("only", "shown", "missing"), [(V3, "TLS 1.3", "TLS 1.2"), (V2, "TLS 1.2", "TLS 1.3")])
def test_a_version_that_is_refused_is_no_fault_and_said(
    look: Look, first: Generation, only: ssl.TLSVersion, shown: str, missing: str
) -> None:
    with serving(context(first, versions=(only, only))) as server:
        seen = look(Endpoint(port=server.port), first)

    assert (seen.fault, seen.versions) == (None, (shown,))
    assert seen.notes == (f"no {missing}: it refused the TLS handshake: protocol version",)


def test_a_version_that_serves_another_certificate_is_named(look: Look, first: Generation, second: Generation) -> None:
    with serving(context(first)) as server:

        def old_after_new() -> ssl.SSLContext:
            return context(second if server.connections > 1 else first)

        server.context_for_each = old_after_new
        seen = look(Endpoint(port=server.port), first)

    assert words(seen).endswith(" UTC, over TLS 1.2")


WANTS_ONE = (
    "over TLS 1.2 it broke off after it had shown its certificate (handshake failure): it may want one of its clients"
)


@pytest.mark.parametrize(("newest", "versions"), [(V3, ("TLS 1.3", "TLS 1.2")), (V2, ("TLS 1.2",))])
@pytest.mark.parametrize("family", [None, "ecdsa"])
def test_a_server_that_wants_a_certificate_of_its_clients_is_seen(
    look: Look, first: Generation, family: str | None, newest: ssl.TLSVersion, versions: tuple[str, ...]
) -> None:
    with serving(context(first, versions=(V2, newest), wants_clients_certificate=True)) as server:
        seen = look(Endpoint(port=server.port), first, family=family)

    assert (seen.fault, seen.versions) == (None, versions)
    assert seen.notes[-1] == WANTS_ONE


ALERTS_FOR_A_CERTIFICATE = {
    40: "handshake failure",
    42: "bad certificate",
    46: "certificate unknown",
    48: "unknown ca",
    49: "access denied",
    50: "decode error",
    116: "certificate required",
}
OTHER_ALERTS = {10: "unexpected message", 51: "decrypt error", 71: "insufficient security", 80: "internal error"}


@pytest.mark.parametrize(("alert", "called"), ALERTS_FOR_A_CERTIFICATE.items())
def test_each_alert_by_which_a_server_of_tls_1_2_wants_a_certificate_is_a_note(
    look: Look, first: Generation, alert: int, called: str
) -> None:
    with serving(context(first, versions=(V2, V2)), script=[BreakOff(alert)]) as server:
        seen = look(Endpoint(port=server.port), first)

    assert (seen.fault, seen.versions) == (None, ("TLS 1.2",))
    assert seen.notes[-1] == WANTS_ONE.replace("handshake failure", called)


@pytest.mark.parametrize(("alert", "called"), OTHER_ALERTS.items())
def test_another_alert_after_the_certificate_is_a_refusal(
    look: Look, first: Generation, alert: int, called: str
) -> None:
    with serving(context(first, versions=(V2, V2)), script=[BreakOff(alert)]) as server:
        seen = look(Endpoint(port=server.port), first)

    assert words(seen).endswith(f"; refused the TLS handshake: {called} (TLS 1.2)")


def test_a_server_that_just_closes_after_its_certificate_is_said_to_want_one_perhaps(
    look: Look, first: Generation
) -> None:
    with serving(context(first, versions=(V2, V2)), script=[BreakOff(None)]) as server:
        seen = look(Endpoint(port=server.port), first)

    assert words(seen).endswith(
        "; closed the connection during the TLS handshake, after it had shown its certificate:"
        " it may want one of its clients (`verify: []` looks at nothing) (TLS 1.2)"
    )


def test_an_earlier_certificate_of_a_server_that_wants_one_of_its_clients_is_named(
    look: Look, first: Generation, second: Generation
) -> None:
    with serving(context(first, wants_clients_certificate=True)) as server:
        server.context_for_each = lambda: context(
            first if server.connections == 1 else second, wants_clients_certificate=True
        )
        seen = look(Endpoint(port=server.port), first)

    assert words(seen).endswith(" UTC, over TLS 1.2")


def test_an_alert_before_the_key_was_proven_is_a_refusal(look: Look, first: Generation) -> None:
    script: list[Step] = [CLIENT_HELLO, hello_and_certificate(first) + ALERT, Silence()]
    with serving(script=script) as server:
        seen = look(Endpoint(port=server.port), first)

    assert words(seen).endswith("refused the TLS handshake: handshake failure (TLS 1.2)")


def hello_and_certificate(generation: Generation) -> bytes:
    """How a server of TLS 1.2 begins: without the signature that proves its key."""
    incoming, outgoing, answer = ssl.MemoryBIO(), ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.maximum_version = V2
    for half in (
        client.wrap_bio(ssl.MemoryBIO(), outgoing),
        context(generation).wrap_bio(incoming, answer, server_side=True),
    ):
        incoming.write(outgoing.read())
        with pytest.raises(ssl.SSLWantReadError):
            half.do_handshake()
    flight, records = answer.read(), b""
    for _ in range(2):
        end = 5 + int.from_bytes(flight[3:5], "big")
        records, flight = records + flight[:end], flight[end:]
    return records


def test_an_address_of_ipv6_is_looked_at(first: Generation, look: Look) -> None:
    with serving(context(first), host="::1") as server:
        seen = look(Endpoint(port=server.port, address="::1"), first)

    assert (seen.fault, seen.place) == (None, f"port {server.port} on ::1")


def test_a_closed_port_is_named_with_what_to_do(look: Look, first: Generation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    seen = look(Endpoint(port=port), first)

    assert words(seen) == f"port {port} on 127.0.0.1 cannot be connected to: connection refused"
    assert seen.fault
    assert "`verify: []`" in (seen.fault.hint or "")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ([CLIENT_HELLO], "closed the connection during the TLS handshake"),
        ([CLIENT_HELLO, ALERT], "refused the TLS handshake: handshake failure"),
        ([CLIENT_HELLO, b"HTTP/1.1 400 Bad\r\n", Silence()], "speaks no TLS: it said `HTTP/1.1 400 Bad`"),
        ([b"220 mail \x1b]0;x\x07\xe2\x80\xae\r\n", Silence()], "speaks no TLS: it said `220 mail ?]0;x??`"),
    ],
)
def test_what_is_no_tls_is_said(look: Look, first: Generation, script: list[Step], said: str) -> None:
    with serving(script=script) as server:
        assert words(look(Endpoint(port=server.port), first)) == f"port {server.port} on 127.0.0.1 {said}"


@pytest.mark.parametrize(
    "script",
    [[Silence()], [CLIENT_HELLO, Drip(bytes.fromhex("16 0303 4000 02 003ffc") + bytes(200))]],
    ids=["silence", "dripping"],
)
def test_the_whole_look_is_bounded_in_time(look: Look, first: Generation, script: list[Step]) -> None:
    with serving(script=script) as server:
        seen = look(Endpoint(port=server.port), first, timeout=ONLY_BY_TIME)

    assert f"did not finish within {ONLY_BY_TIME:g} s: it said " in words(seen)


def test_a_tls_server_is_left_politely(look: Look, first: Generation) -> None:
    with serving(context(first), script=[TLS()]) as server:
        look(Endpoint(port=server.port), first)

    assert server.farewells == [b"", b""]  # read to the end, without an error of TLS
