from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from acmectl.deploy.wire.options import Endpoint
from acmectl.deploy.wire.protocols import Protocol


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
    ("given", "said"),
    [
        ({"protocol": "smtps"}, "unknown protocol `smtps`"),
        ({"protocol": 25}, "expected a protocol, found a number"),
        ({"protocol": "smtp", "port": 0}, "greater than or equal to 1"),
        ({"address": "mail.example.test:25/"}, "not an address"),
        ({"address": ""}, "not an address"),
        ({"name": "*.example.test"}, "not for a wildcard"),
        ({"name": "no name.test"}, "is no host name"),
        ({"ports": 25}, "Extra inputs are not permitted"),
        (25, "valid dictionary"),
    ],
)
def test_what_is_no_endpoint_is_refused(given: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Endpoint.model_validate(given)
