from __future__ import annotations

import pytest

from acmectl.dns.records import Record, parse_name, shown
from acmectl.errors import DNSError


def test_equal_records_are_equal_whatever_the_case_of_their_owner() -> None:
    one = Record.txt(parse_name("_acme-challenge.Example.com"), "value")
    other = Record.parse(parse_name("_acme-challenge.example.com."), "TXT", '"value"')
    assert one == other
    assert len({one, other}) == 1
    assert str(other) == '_acme-challenge.example.com TXT "value"'


def test_values_are_compared_with_their_case() -> None:
    owner = parse_name("example.com")
    assert Record.txt(owner, "aB") != Record.txt(owner, "ab")


def test_a_text_that_is_no_name_is_an_error_of_ours() -> None:
    with pytest.raises(DNSError, match=r"`a\.\.b` is no domain name"):
        parse_name("a..b")


def test_names_are_shown_without_the_dot_at_their_end() -> None:
    assert shown(parse_name("example.com.")) == "example.com"
    assert shown(parse_name(".")) == "."
