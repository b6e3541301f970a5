"""An update that no message can hold: told as such, and nothing is sent."""

from __future__ import annotations

from datetime import timedelta

from acmectl.dns.endpoints import Endpoint
from acmectl.dns.records import Record, parse_name
from acmectl.dns.update import Primary, add


def test_a_record_that_is_too_long_for_a_message_is_told() -> None:
    primary = Primary(parse_name("long.test"), (Endpoint("127.0.0.1", 1),), None, timedelta(seconds=1))
    record = Record.parse(parse_name("_25._tcp.long.test"), "TLSA", f"3 1 0 {'30' * 70_000}")
    refused = add([record], primary=primary, ttl=timedelta(hours=1))
    assert "the update of zone `long.test` cannot be written" in refused[record].message
