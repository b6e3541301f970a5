"""What is said before TLS, to servers that behave, refuse, or talk nonsense."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from acmectl.deploy.wire.looking import Sighting
from acmectl.deploy.wire.options import Endpoint
from acmectl.deploy.wire.protocols import Protocol
from tests.servers.chains import Generation
from tests.servers.wire import TLS, Drip, Heard, Server, Silence, Step, context, serving

Look = Callable[..., Sighting]
Wire = Callable[..., tuple[Sighting, Server]]
ONLY_BY_TIME = 0.5  # seconds: no answer of these servers ends the look

STREAMS = b"http://etherx.jabber.org/streams"
XMPP_TLS = b"urn:ietf:params:xml:ns:xmpp-tls"
HEADER = (
    b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' id='1' version='1.0' xmlns:stream='" + STREAMS + b"'>"
)
FEATURES = (
    b"<stream:features><starttls xmlns='" + XMPP_TLS + b"'><required/></starttls>"
    b"<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>"
)
PROCEED = b"<proceed xmlns='" + XMPP_TLS + b"'/>"
ASKED_XMPP = Heard(b"xmpp-tls'/>")
GREETED = Heard(b"to=\"xmpp.example.test\" version='1.0' xml:lang='en' xmlns=\"jabber:client\"")

EHLO = Heard(b"EHLO [127.0.0.1]\r\n")
OFFER = b"250-mail.example.test\r\n250-SIZE 10240000\r\n250-STARTTLS\r\n250 8BITMIME\r\n"
START_TLS = Heard(b"STARTTLS\r\n")
LDAP_ASKED = Heard(bytes.fromhex("301d02010177188016") + b"1.3.6.1.4.1.1466.20037")
LDAP_YES = bytes.fromhex("300c02010178070a010004000400")
CAPABILITIES = b'"IMPLEMENTATION" {12}\r\nOK "literal"\r\n"SASL" "PLAIN"\r\n"STARTTLS"\r\nOK "Pigeonhole ready."\r\n'

WELL: dict[str, tuple[Protocol, list[Step], bytes]] = {
    "smtp": (Protocol.SMTP, [b"220-mail\r\n220 ESMTP\r\n", EHLO, OFFER, START_TLS, b"220 2.0.0 go\r\n"], b"QUIT\r\n"),
    "submission": (Protocol.SUBMISSION, [b"220 mail\r\n", EHLO, OFFER, START_TLS, b"220 go\r\n"], b"QUIT\r\n"),
    "imap": (Protocol.IMAP, [b"* OK hi\r\n", START_TLS, b"* CAPABILITY X\r\na1 OK go\r\n"], b"a2 LOGOUT\r\n"),
    "pop3": (Protocol.POP3, [b"+OK hi\r\n", Heard(b"STLS\r\n"), b"+OK go\r\n"], b"QUIT\r\n"),
    "sieve": (Protocol.SIEVE, [CAPABILITIES, START_TLS, b'OK "go"\r\n'], b"LOGOUT\r\n"),
    "ldap": (Protocol.LDAP, [LDAP_ASKED, LDAP_YES], bytes.fromhex("30050201024200")),
    "ldap, long form": (
        Protocol.LDAP,
        [LDAP_ASKED, bytes.fromhex("308400000010020101788400000007 0a010004000400")],
        b"0",
    ),
    "xmpp-client": (Protocol.XMPP_CLIENT, [GREETED, HEADER + FEATURES, ASKED_XMPP, PROCEED], b""),
    "xmpp-server": (
        Protocol.XMPP_SERVER,
        [Heard(b'xmlns="jabber:server"'), HEADER, FEATURES, ASKED_XMPP, PROCEED],
        b"",
    ),
    "postgres": (Protocol.POSTGRES, [Heard(bytes.fromhex("0000000804d2162f")), b"S"], b""),
    "ftp": (Protocol.FTP, [b"220-hi\r\n there\r\n220 ok\r\n", Heard(b"AUTH TLS\r\n"), b"234 go\r\n"], b"QUIT\r\n"),
}


@pytest.fixture
def wire(look: Look, first: Generation) -> Wire:
    """What is seen of a server that does `script`."""

    def seen(protocol: Protocol, script: Sequence[Step], *, timeout: float = 20) -> tuple[Sighting, Server]:
        with serving(context(first), script=script) as server:
            return look(Endpoint(port=server.port, protocol=protocol), first, timeout=timeout), server

    return seen


@pytest.mark.parametrize(("protocol", "script", "farewell"), WELL.values(), ids=WELL)
def test_a_service_is_seen_behind_its_dialog(
    wire: Wire, protocol: Protocol, script: list[Step], farewell: bytes
) -> None:
    seen, server = wire(protocol, [*script, TLS()])

    assert (seen.fault, seen.versions) == (None, ("TLS 1.3", "TLS 1.2"))
    assert server.asked == ["xmpp.example.test"] * 2
    assert all(said.startswith(farewell) for said in server.farewells)


@pytest.mark.parametrize(("protocol", "script"), [row[:2] for row in WELL.values()], ids=WELL)
def test_text_between_the_go_ahead_and_tls_is_refused(wire: Wire, protocol: Protocol, script: list[Step]) -> None:
    *before, go_ahead = script
    assert isinstance(go_ahead, bytes)
    seen, _ = wire(protocol, [*before, go_ahead + b"250 injected", Silence()])

    assert seen.fault
    assert seen.fault.words == "sent more in the clear after its go-ahead to TLS: `250 injected`"


REFUSED: list[tuple[Protocol, list[Step], str]] = [
    (Protocol.SMTP, [b"554 5.7.1 go away\r\n"], "greets with `554 5.7.1 go away`"),
    (Protocol.SMTP, [b"220 hi\r\n", EHLO, b"502 what?\r\n"], "answers EHLO with `502 what?`"),
    (Protocol.SMTP, [b"220 hi\r\n", EHLO, b"250-hi\r\n250 8BITMIME\r\n"], "offers no STARTTLS"),
    (
        Protocol.SMTP,
        [b"220 hi\r\n", EHLO, OFFER, START_TLS, b"454 4.7.0 TLS not available due to local problem\r\n"],
        "answers STARTTLS with `454 4.7.0 TLS not available due to local problem`",
    ),
    (Protocol.IMAP, [b"* BYE too many\r\n"], "greets with `* BYE too many`"),
    (Protocol.IMAP, [b"* OK hi\r\n", START_TLS, b"a1 BAD no TLS\r\n"], "answers STARTTLS with `a1 BAD no TLS`"),
    (Protocol.POP3, [b"-ERR locked\r\n"], "greets with `-ERR locked`"),
    (Protocol.POP3, [b"+OK hi\r\n", Heard(b"STLS"), b"-ERR no\r\n"], "answers STLS with `-ERR no`"),
    (Protocol.SIEVE, [b'BYE "too many"\r\n'], 'greets with `BYE "too many"`'),
    (Protocol.SIEVE, [CAPABILITIES, START_TLS, b'NO "no"\r\n'], 'answers STARTTLS with `NO "no"`'),
    (
        Protocol.LDAP,
        [LDAP_ASKED, bytes.fromhex("301502010178100a0102040004 09") + b"no TLS on"],
        "answers StartTLS with code 2 (protocolError): `no TLS on`",
    ),
    (Protocol.LDAP, [LDAP_ASKED, bytes.fromhex("300c02010178070a015004000400")], "answers StartTLS with code 80: ``"),
    (Protocol.POSTGRES, [Heard(b"\x16\x2f"), b"N"], "answers SSLRequest with that it has no TLS (`N`)"),
    (Protocol.POSTGRES, [Heard(b"\x16\x2f"), b"E\0\0\0\x0fSFATAL\0"], "answers SSLRequest with `E????SFATAL?`"),
    (Protocol.FTP, [b"220 hi\r\n", Heard(b"AUTH"), b"502 no\r\n"], "answers AUTH TLS with `502 no`"),
    (Protocol.XMPP_CLIENT, [GREETED, HEADER, b"<stream:features/>"], "offers no STARTTLS for `xmpp.example.test`"),
    (
        Protocol.XMPP_CLIENT,
        [
            GREETED,
            HEADER + b"<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
            b"<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>This server does not serve it</text></stream:error>",
        ],
        "answers with a stream error: `host-unknown This server does not serve it`",
    ),
    (
        Protocol.XMPP_CLIENT,
        [GREETED, HEADER + FEATURES, ASKED_XMPP, b"<failure xmlns='" + XMPP_TLS + b"'/>"],
        "answers STARTTLS with `<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>`",
    ),
    (Protocol.XMPP_CLIENT, [GREETED, HEADER + b"<message/>"], "sends no stream features: `"),
    (Protocol.XMPP_CLIENT, [GREETED, HEADER + b"</stream:stream>"], "closed the stream: `"),
]


@pytest.mark.parametrize(("protocol", "script", "said"), REFUSED, ids=[row[2][:40] for row in REFUSED])
def test_a_service_that_refuses_is_quoted(wire: Wire, protocol: Protocol, script: list[Step], said: str) -> None:
    seen, server = wire(protocol, [*script, Silence()])

    assert seen.fault
    assert seen.fault.words.startswith(said)
    assert seen.place == f"port {server.port} on 127.0.0.1 ({protocol})"


@pytest.mark.parametrize("family", [None, "ecdsa"])
@pytest.mark.parametrize(
    "answer",
    [
        b"<stream:features/>",
        b"<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
    ],
)
def test_a_domain_that_an_xmpp_server_does_not_have_is_told_how_to_change(
    look: Look, first: Generation, answer: bytes, family: str | None
) -> None:
    with serving(script=[GREETED, HEADER + answer, Silence()]) as server:
        seen = look(Endpoint(port=server.port, protocol=Protocol.XMPP_CLIENT), first, family=family)

    assert seen.fault
    assert seen.fault.hint == (
        "is `xmpp.example.test` a domain of the service? `verify: [{..., name: DOMAIN}]` asks for another"
    )


@pytest.mark.parametrize(
    ("protocol", "script", "said"),
    [
        (Protocol.SMTP, [b"* OK IMAP4rev1\r\n"], "does not speak smtp: it said `* OK IMAP4rev1`"),
        (Protocol.IMAP, [b"220 ESMTP\r\n"], "greets with `220 ESMTP`"),
        (
            Protocol.LDAP,
            [LDAP_ASKED, b"HTTP/1.1 400 Bad Request"],
            "does not speak ldap: it said `HTTP/1.1 400 Bad Request`",
        ),
        (Protocol.LDAP, [LDAP_ASKED, bytes.fromhex("3003020101")], "does not speak ldap: it said `???`"),
        (Protocol.LDAP, [LDAP_ASKED, bytes.fromhex("30847fffffff")], "does not speak ldap: it said `0"),
        (Protocol.XMPP_CLIENT, [GREETED, b"HTTP/1.1 400 <html>"], "does not speak XMPP: it said `HTTP/1.1 400 <html>`"),
        (Protocol.XMPP_CLIENT, [GREETED, b"<html>"], "does not speak XMPP: it said `<html>`"),
        (Protocol.FTP, [b"SSH-2.0-OpenSSH_9.2\r\n"], "does not speak ftp: it said `SSH-2.0-OpenSSH_9.2`"),
        (
            Protocol.XMPP_CLIENT,
            [GREETED, bytes.fromhex("150301000202 28")],
            "closed the connection with an alert of TLS: it may speak TLS from the first byte",
        ),
        (Protocol.SMTP, [], "closed the connection without a word"),
        (Protocol.SMTP, [b"220-nearly\r\n"], "closed the connection after `220-nearly`"),
    ],
)
def test_another_protocol_is_recognized(wire: Wire, protocol: Protocol, script: list[Step], said: str) -> None:
    seen, _ = wire(protocol, script)

    assert seen.fault
    assert seen.fault.words.startswith(said)


LAUGHS = (
    b"<?xml version='1.0'?><!DOCTYPE lolz [<!ENTITY lol 'lol'><!ENTITY lol2 '&lol;&lol;&lol;&lol;&lol;&lol;'>]>"
    b"<stream:stream xmlns:stream='" + STREAMS + b"'>&lol2;"
)


@pytest.mark.parametrize(
    ("protocol", "script", "said"),
    [
        (Protocol.SMTP, [b"220-hi\r\n" * 50_000], "sends without end: `220-hi 220-hi "),
        (Protocol.SMTP, [b"2" * 300_000], "sends without end: `2222"),
        (Protocol.SIEVE, [b'"A" "B"\r\n' * 50_000], 'sends without end: `"A" "B"'),
        (
            Protocol.IMAP,
            [b"* OK hi\r\n", START_TLS, b"* OK still here\r\n" * 50_000],
            "sends without end: `* OK still here",
        ),
        (Protocol.XMPP_CLIENT, [GREETED, LAUGHS], "sends a DOCTYPE, which XMPP forbids"),
        (Protocol.XMPP_CLIENT, [GREETED, HEADER + b"<a>" * 60_000], "sends XML that is nested too deep for XMPP"),
        (
            Protocol.XMPP_CLIENT,
            [GREETED, HEADER + b"<stream:features>" + b"<a/>" * 90_000],
            "sends without end: `<?xml",
        ),
        (Protocol.XMPP_CLIENT, [GREETED, HEADER + b"<a b='" + b"x" * 400_000], "sends without end: `<a b='xxx"),
        (
            Protocol.POSTGRES,
            [Heard(b"\x16\x2f"), b"S" * 400_000],
            "sent more in the clear after its go-ahead to TLS: `SSS",
        ),
    ],
)
def test_what_comes_without_end_is_left(wire: Wire, protocol: Protocol, script: list[Step], said: str) -> None:
    seen, _ = wire(protocol, [*script, Silence()])

    assert seen.fault
    assert seen.fault.words.startswith(said)


@pytest.mark.parametrize(
    ("protocol", "script", "said"),
    [
        (Protocol.SMTP, [Silence()], "it said nothing: it may wait for TLS from the first byte"),
        (Protocol.SMTP, [Drip(b"220-hello\r\n")], "it said `220-hello"),
        (Protocol.XMPP_CLIENT, [GREETED, HEADER, Drip(b"<stream:features>")], "it said `<?xml"),
        (Protocol.LDAP, [LDAP_ASKED, b"\x30", Silence()], "it said `0`"),
    ],
)
def test_a_dialog_is_bounded_in_time_as_a_whole(wire: Wire, protocol: Protocol, script: list[Step], said: str) -> None:
    seen, _ = wire(protocol, script, timeout=ONLY_BY_TIME)

    assert seen.fault
    assert seen.fault.words.startswith(f"did not finish within {ONLY_BY_TIME:g} s: {said}")


def test_a_server_that_answers_nothing_is_not_said_to_wait_for_us(wire: Wire) -> None:
    for protocol in (Protocol.TLS, Protocol.LDAP):
        seen, _ = wire(protocol, [Silence()], timeout=ONLY_BY_TIME)

        assert seen.fault
        assert seen.fault.words == f"did not finish within {ONLY_BY_TIME:g} s: it said nothing"


@pytest.mark.parametrize("encoding", [b"utf-7", b"nonsense", b"hex", b"idna", b"utf-16", b"x" * 2000])
def test_xmpp_is_utf_8_whatever_a_server_declares(wire: Wire, encoding: bytes) -> None:
    header = HEADER.replace(b"?>", b" encoding='%s'?>" % encoding)
    seen, _ = wire(Protocol.XMPP_CLIENT, [GREETED, header + FEATURES, ASKED_XMPP, PROCEED, TLS()])

    assert (seen.fault, seen.versions) == (None, ("TLS 1.3", "TLS 1.2"))


def test_what_a_server_says_cannot_command_a_terminal(wire: Wire) -> None:
    seen, _ = wire(Protocol.SMTP, [b"554 \x1b[2J\x1b]0;root\x07 `x` \xe2\x80\xae\xff\0 end\r\n"])

    assert seen.fault
    assert seen.fault.words == "greets with `554 ?[2J?]0;root? ?x? ?\\xff? end`"


def test_an_international_host_is_asked_for_in_its_own_script(issued: Callable[..., Generation], look: Look) -> None:
    own = issued("xn--bcher-kva.example")
    script: list[Step] = [Heard('to="bücher.example"'.encode()), HEADER + FEATURES, ASKED_XMPP, PROCEED, TLS()]
    with serving(context(own), script=script) as server:
        seen = look(Endpoint(port=server.port, protocol=Protocol.XMPP_CLIENT), own)

    assert seen.fault is None
    assert server.asked == ["xn--bcher-kva.example"] * 2


def test_we_call_ourselves_by_our_address_of_ipv6_too(look: Look, first: Generation) -> None:
    script: list[Step] = [b"220 hi\r\n", Heard(b"EHLO [IPv6:::1]\r\n"), OFFER, START_TLS, b"220 go\r\n", TLS()]
    with serving(context(first), script=script, host="::1") as server:
        assert look(Endpoint(port=server.port, address="::1", protocol=Protocol.SMTP), first).fault is None
