"""The types of values that several solvers have in their options, beside those of `acmectl.options`.

Imported to read a configuration, so it imports neither dnspython nor an HTTP client.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from acmectl.dns.endpoints import Endpoint
from acmectl.dns.options import ADDRESS, TimeLimit, endpoint, to_endpoint
from acmectl.solvers.inherited import Inherited, Listen


def one_or_more(value: Any) -> Any:
    """One value, or a list of some, as a tuple."""
    if not isinstance(value, list | tuple):
        return (value,)
    if not value:
        raise ValueError("an empty list")
    return tuple(value)


def _listen(default_port: int) -> BeforeValidator:
    def validate(value: Any) -> Listen:
        if isinstance(value, Inherited):
            return value
        if isinstance(value, str) and (value == "systemd" or value.startswith("systemd:")):
            return Inherited(value.partition(":")[2])
        return tuple(to_endpoint(item, default_port) for item in one_or_more(value))

    return BeforeValidator(validate)


_LISTEN = WithJsonSchema(
    {
        "anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
        "x-kind": "address, list of addresses or `systemd`",
    }
)
HttpEndpoint = Annotated[Endpoint, endpoint(80), ADDRESS]
"""The address of a web server, and its port where it is not 80."""

TlsEndpoint = Annotated[Endpoint, endpoint(443), ADDRESS]
"""The address of a TLS server, and its port where it is not 443."""

ListenForHttp = Annotated[Listen, _listen(80), _LISTEN]
"""Where to listen for http-01; empty for port 80 of every address."""

ListenForTls = Annotated[Listen, _listen(443), _LISTEN]
"""Where to listen for tls-alpn-01; empty for port 443 of every address."""

__all__ = ["HttpEndpoint", "ListenForHttp", "ListenForTls", "TimeLimit", "TlsEndpoint", "one_or_more"]
