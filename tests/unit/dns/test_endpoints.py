from __future__ import annotations

import pytest

from acmectl.dns.endpoints import Endpoint, is_domain, parse_endpoint, parse_host


@pytest.mark.parametrize(
    ("text", "endpoint", "shown"),
    [
        ("192.0.2.53", Endpoint("192.0.2.53", 53), "192.0.2.53:53"),
        ("192.0.2.53:5353", Endpoint("192.0.2.53", 5353), "192.0.2.53:5353"),
        ("2001:db8::53", Endpoint("2001:db8::53", 53), "[2001:db8::53]:53"),
        ("[2001:db8::53]", Endpoint("2001:db8::53", 53), "[2001:db8::53]:53"),
        ("[2001:db8::53]:5353", Endpoint("2001:db8::53", 5353), "[2001:db8::53]:5353"),
    ],
)
def test_an_address_with_or_without_a_port_is_an_endpoint(text: str, endpoint: Endpoint, shown: str) -> None:
    assert parse_endpoint(text, default_port=53) == endpoint
    assert str(endpoint) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ns.example.com",
        "192.0.2.53:",
        "192.0.2.53:0",
        "192.0.2.53:65536",
        "192.0.2.53:+1",
        "[192.0.2.53",
        "1:2:3",
        "192.0.2.300",
    ],
)
def test_what_is_no_address_with_a_port_is_refused_with_what_is_accepted(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not an address.*write `192\.0\.2\.53"):
        parse_endpoint(text, default_port=53)


@pytest.mark.parametrize(
    ("text", "host"),
    [("192.0.2.53", "192.0.2.53"), ("::1", "::1"), ("NS.Example.com.", "ns.example.com"), ("localhost", "localhost")],
)
def test_a_host_is_an_address_or_a_name(text: str, host: str) -> None:
    assert parse_host(text) == host


@pytest.mark.parametrize("text", ["", "ns.example.com:53", "192.0.2.300", "-ns.example.com", "a b", "[::1]"])
def test_what_is_neither_an_address_nor_a_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither an address nor a host name"):
        parse_host(text)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("_acme-challenge.example.com", True),
        ("lan", True),
        ("a..b", False),
        ("é.example", False),
        ("a" * 64, False),
        ("", False),
    ],
)
def test_a_domain_name_may_have_underscores_and_no_empty_label(text: str, *, answer: bool) -> None:
    assert is_domain(text) is answer
