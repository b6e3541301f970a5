"""Whatever a server says: the look ends, with what it said, and with no other error than ours."""

from __future__ import annotations

import contextlib
import socket
from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from acmectl.deploy.wire import dialogs
from acmectl.deploy.wire.handshake import shake_hands
from acmectl.deploy.wire.protocols import Protocol
from acmectl.deploy.wire.stream import Stream, WireError, quote

WORDS = (
    b"220 ", b"220-x\r\n", b"250 STARTTLS\r\n", b"234 ", b"* OK\r\n", b"a1 OK\r\n", b"+OK\r\n", b"OK\r\n", b'"x" {3}\r\n', b"S", b"\r\n", b"\n",
    b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00", b"\x30\x84\x00\x00\x00\x01", b"\x30\x82\x10", b"\x15\x03\x01\x00\x02\x02\x28",
    b"\x16\x03\x03\x00\x04\x02\x00\x00\x00", b"<?xml version='1.0'?>", b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams'>",
    b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>", b"</stream:stream>", b"<a", b"&x;", b"<![CDATA[",
    b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", b"\xff\xfe", b"\0",
)  # fmt: skip
garbage = st.lists(st.sampled_from(WORDS) | st.binary(max_size=40), max_size=8).map(b"".join)


@given(protocol=st.sampled_from(Protocol), said=garbage)
@example(protocol=Protocol.LDAP, said=b"\x30\x80")
@example(protocol=Protocol.LDAP, said=b"\x30\x05\x02\x80\x78\x00\x00")
@settings(max_examples=300, deadline=None)
def test_garbage_ends_in_a_seen_certificate_or_a_wire_error(protocol: Protocol, said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stream = Stream.connect("127.0.0.1", listener.getsockname()[1], timeout=timedelta(seconds=60))
        theirs, _ = listener.accept()
    with contextlib.closing(stream), theirs:
        theirs.sendall(said)
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(WireError) as caught:
            _visit(stream, protocol)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 1000


def _visit(stream: Stream, protocol: Protocol) -> None:
    dialogs.start_tls(stream, protocol, "a.test")
    shake_hands(stream, name="a.test", version="TLS 1.3", family=None)


@given(st.binary(max_size=1000))
def test_a_quotation_is_one_short_printable_line(raw: bytes) -> None:
    said = quote(raw)

    assert said.isprintable()
    assert len(said) < 210
    assert said.count("`") == 2


def test_a_server_that_resets_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stream = Stream.connect("127.0.0.1", listener.getsockname()[1], timeout=timedelta(seconds=20))
        theirs, _ = listener.accept()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        theirs.close()
        with (
            contextlib.closing(stream),
            pytest.raises(WireError, match="lost the connection without a word: connection reset"),
        ):
            stream.receive()
