from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from acmectl.deploy.wire.options import Endpoint
from acmectl.deploy.wire.protocols import Protocol
from acmectl.options import InvalidOption


@pytest.mark.parametrize(
    ("given", "port"),
    [
        ({}, 443),
        ({"protocol": "smtp"}, 25),
        ({"protocol": "xmpp-server"}, 5269),
        ({"protocol": "imap", "port": 1143}, 1143),
    ],
)
def test_a_protocol_has_its_port(given: dict[str, Any], port: int) -> None:
    assert Endpoint.model_validate(given).port == port


def test_every_protocol_has_a_port() -> None:
    assert [protocol for protocol in Protocol if not protocol.default_port] == []


def test_a_name_is_written_as_people_write_it() -> None:
    assert Endpoint(name="Bücher.Example").name == "xn--bcher-kva.example"


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "fe80::1%eth0", "localhost", "mail_in.lan", "mail.example.test.", "1.mail.example.test"],
)
def test_an_address_is_one_or_a_name_that_can_have_some(address: str) -> None:
    assert Endpoint(address=address).address == address


def test_an_international_name_is_an_address_as_people_write_it() -> None:
    assert Endpoint(address="Bücher.Example").address == "xn--bcher-kva.example"


def hint(**given: str) -> str | None:
    with pytest.raises(ValidationError) as raised:
        Endpoint.model_validate(given)
    (detail,) = raised.value.errors()
    error = detail["ctx"]["error"]
    assert isinstance(error, InvalidOption)
    return error.hint


@pytest.mark.parametrize(
    "address",
    [
        "mail.example.test:25",
        "mail.example.test:25/",
        "127.0.0.1:993",
        "[::1]",
        "*",
        "*.example.test",
        "-x",
        "a..b",
        ".",
        "",
        "999.1.1.1",
        "127.1",
        "fe80::1::2",
        "a b",
        "a\0",
        "localhost\n",
        f"{'a' * 64}.test",
        "a." * 127,
    ],
)
def test_what_can_never_be_an_address_is_refused(address: str) -> None:
    assert hint(address=address) == "an IP address or a host name, without a port and brackets"


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        ("imaps", "`protocol: tls` with `port: 993`"),
        ("SMTPS", "`protocol: tls` with `port: 465`"),
        ("https", "`protocol: tls` with `port: 443`"),
        ("imap4", "did you mean `imap`?"),
        (
            "gopher",
            "the protocols are tls, smtp, submission, imap, pop3, sieve, ldap, xmpp-client, xmpp-server, postgres, ftp",
        ),
    ],
)
def test_of_an_unknown_protocol_the_right_one_is_named(protocol: str, said: str) -> None:
    assert hint(protocol=protocol) == said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"protocol": "smtps"}, "unknown protocol `smtps`"),
        ({"protocol": 25}, "expected a protocol, found a number"),
        ({"protocol": "smtp", "port": 0}, "greater than or equal to 1"),
        ({"address": "*.bücher.example"}, "not for a wildcard"),
        ({"name": "*.example.test"}, "not for a wildcard"),
        ({"name": "no name.test"}, "is no host name"),
        ({"ports": 25}, "Extra inputs are not permitted"),
        (25, "expected a mapping, found a number"),
        (None, "valid dictionary"),
    ],
)
def test_what_is_no_endpoint_is_refused(given: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Endpoint.model_validate(given)
