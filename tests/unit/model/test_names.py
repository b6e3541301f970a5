"""Identifiers: one form for every way of writing a name, and a reason for every text that is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acmectl.errors import InvalidName
from acmectl.model.names import Identifier, any_covers


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("example.com", "example.com"),
        (" Mail.Example.COM. ", "mail.example.com"),
        ("*.example.com", "*.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("*.Bücher.example", "*.xn--bcher-kva.example"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("1.example.com", "1.example.com"),
    ],
)
def test_every_spelling_of_a_name_becomes_its_a_label_form(text: str, value: str) -> None:
    assert Identifier.parse(text).value == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "an empty text is no host name"),
        ("*.", "`*.` has a `*` in the wrong place"),
        ("example", "`example` has only one label"),
        ("192.0.2.256", "`192.0.2.256` is neither a host name nor an IP address"),
        ("192.0.2.01", "`192.0.2.01` is neither a host name nor an IP address"),
        ("https://example.com", "`https://example.com` is neither a host name nor an IP address"),
        ("[2001:db8::1]", "`[2001:db8::1]` is neither a host name nor an IP address"),
        ("*.192.0.2.1", "`*.192.0.2.1` is a wildcard of an address: there are none"),
        ("fe80::1%eth0", "`fe80::1%eth0` has a zone index: it means something on this host only"),
        ("::ffff:192.0.2.1", "`::ffff:192.0.2.1` is an IPv4 address in disguise"),
        ("a..example", "`a..example` is no host name: the label `` is empty"),
        ("-a.example", "`-a.example` is no host name: the label `-a` starts or ends with a hyphen"),
        (
            "a_b.example",
            "`a_b.example` is no host name: the label `a_b` has characters other than letters, digits and hyphens",
        ),
        (
            "a b.example",
            "`a b.example` is no host name: the label `a b` has characters other than letters, digits and hyphens",
        ),
        ("w.*.example", "`w.*.example` has a `*` in the wrong place"),
        ("*.*.example", "`*.*.example` has a `*` in the wrong place"),
        (
            f"{'a' * 64}.example",
            f"`{'a' * 64}.example` is no host name: the label `{'a' * 64}` is longer than 63 characters",
        ),
        (f"{'a.' * 130}example", f"`{'a.' * 130}example` is longer than 253 characters"),
    ],
)
def test_a_text_that_is_no_host_name_is_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(InvalidName) as caught:
        Identifier.parse(text)
    assert caught.value.message == message


def test_a_text_that_idna_refuses_is_refused() -> None:
    with pytest.raises(InvalidName, match="is no international domain name"):
        Identifier.parse("☃☃☃\u2028.example")


def test_a_wildcard_and_its_base_share_one_challenge_record() -> None:
    wildcard, base = Identifier.parse("*.example.com"), Identifier.parse("example.com")
    assert wildcard.is_wildcard
    assert not base.is_wildcard
    assert wildcard.challenge_record == base.challenge_record == "_acme-challenge.example.com"
    assert str(wildcard) == "*.example.com"


@pytest.mark.parametrize(
    ("other", "covered"),
    [("www.example.com", True), ("example.com", False), ("a.b.example.com", False), ("*.example.com", False)],
)
def test_a_wildcard_covers_exactly_one_label(other: str, *, covered: bool) -> None:
    assert Identifier.parse("*.example.com").covers(Identifier.parse(other)) is covered


def test_a_plain_name_covers_nothing() -> None:
    assert not Identifier.parse("example.com").covers(Identifier.parse("www.example.com"))


@given(st.text())
def test_any_text_is_a_stable_identifier_or_refused(text: str) -> None:
    try:
        identifier = Identifier.parse(text)
    except InvalidName:
        return
    assert Identifier.parse(identifier.value) == identifier


@pytest.mark.parametrize(
    ("value", "is_address"),
    [("192.0.2.1", True), ("2001:db8::1", True), ("example.com", False), ("*.192.example.com", False)],
)
def test_an_address_is_known_by_its_form(value: str, *, is_address: bool) -> None:
    assert Identifier(value).is_address is is_address


@pytest.mark.parametrize(
    ("text", "value", "url_host", "server_name"),
    [
        ("192.0.2.1", "192.0.2.1", "192.0.2.1", "1.2.0.192.in-addr.arpa"),
        ("192.0.2.1.", "192.0.2.1", "192.0.2.1", "1.2.0.192.in-addr.arpa"),
        ("2001:DB8:0:0::1", "2001:db8::1", "[2001:db8::1]", f"1{'.0' * 23}.8.b.d.0.1.0.0.2.ip6.arpa"),
    ],
)
def test_an_address_has_one_form_a_place_in_urls_and_a_name_in_the_reverse_tree(
    text: str, value: str, url_host: str, server_name: str
) -> None:
    address = Identifier.parse(text)
    assert (address.value, address.type, address.zone) == (value, "ip", "")
    assert (address.url_host, address.server_name) == (url_host, server_name)
    assert not address.is_wildcard


def test_a_name_stands_for_itself_in_urls_and_in_sni() -> None:
    name = Identifier.parse("*.a.example.com")
    assert (name.type, name.url_host, name.server_name, name.zone) == (
        "dns",
        "a.example.com",
        "a.example.com",
        "example.com",
    )


def test_the_hint_for_an_address_in_disguise_is_the_address() -> None:
    with pytest.raises(InvalidName) as caught:
        Identifier.parse("::ffff:c000:201")
    assert caught.value.hint == "write `192.0.2.1`"


def test_no_wildcard_covers_an_address() -> None:
    assert not Identifier("*.0.2.1").covers(Identifier("192.0.2.1"))


def test_a_certificate_is_for_its_names_and_for_those_that_its_wildcards_cover() -> None:
    names = frozenset(map(Identifier, ("example.com", "*.example.org")))
    asked = ("example.com", "a.example.org", "example.org", "a.example.com")
    assert [any_covers(names, name) for name in asked] == [True, True, False, False]
