"""The types of values that several solvers have in their options, beside those of `acmectl.options`.

Imported to read a configuration, so it imports neither dnspython nor an HTTP client.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from acmectl.dns.endpoints import Endpoint, is_domain, parse_endpoint, parse_host
from acmectl.options import Duration, format_duration
from acmectl.solvers.inherited import Inherited, Listen


def _endpoint(default_port: int) -> BeforeValidator:
    return BeforeValidator(lambda value: _to_endpoint(value, default_port))


def _to_endpoint(value: Any, default_port: int) -> Endpoint:
    if isinstance(value, Endpoint):
        return value
    if not isinstance(value, str):
        raise ValueError('not an address: write it as text, in quotes where it has a `:`, such as "192.0.2.53:5353"')
    return parse_endpoint(value, default_port=default_port)


def _host(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("neither an address nor a host name")
    return parse_host(value)


def _domain(value: Any) -> str:
    if not isinstance(value, str) or not is_domain(value):
        raise ValueError("not a domain name: write it in ASCII (`xn--...`), such as `example.com`")
    return value.removesuffix(".").lower()


def _some(value: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    if not value:
        raise ValueError("an empty list asks nobody: leave the key out to have the servers found")
    return value


def between(low: timedelta, high: timedelta) -> AfterValidator:
    """A duration within bounds that keep a run finite."""

    def validate(value: timedelta) -> timedelta:
        if not low <= value <= high:
            raise ValueError(f"must be between `{format_duration(low)}` and `{format_duration(high)}`")
        return value

    return AfterValidator(validate)


def one_or_more(value: Any) -> Any:
    """One value, or a list of some, as a tuple."""
    if isinstance(value, Iterable) and not isinstance(value, str):
        if not (values := tuple(value)):
            raise ValueError("an empty list")
        return values
    return (value,)


def _listen(default_port: int) -> BeforeValidator:
    def validate(value: Any) -> Listen:
        if isinstance(value, Inherited):
            return value
        if isinstance(value, str) and (value == "systemd" or value.startswith("systemd:")):
            return Inherited(value.partition(":")[2])
        return tuple(_to_endpoint(item, default_port) for item in one_or_more(value))

    return BeforeValidator(validate)


_LISTEN = WithJsonSchema(
    {
        "anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
        "x-kind": "address, list of addresses or `systemd`",
    }
)
_ADDRESS, _HOST, _DOMAIN = (
    WithJsonSchema({"type": "string", "minLength": 1, "x-kind": kind}) for kind in ("address", "host", "domain name")
)

DnsEndpoint = Annotated[Endpoint, _endpoint(53), _ADDRESS]
"""The address of a name server, and its port where it is not 53."""

HttpEndpoint = Annotated[Endpoint, _endpoint(80), _ADDRESS]
"""The address of a web server, and its port where it is not 80."""

TlsEndpoint = Annotated[Endpoint, _endpoint(443), _ADDRESS]
"""The address of a TLS server, and its port where it is not 443."""

ListenForHttp = Annotated[Listen, _listen(80), _LISTEN]
"""Where to listen for http-01; empty for port 80 of every address."""

ListenForTls = Annotated[Listen, _listen(443), _LISTEN]
"""Where to listen for tls-alpn-01; empty for port 443 of every address."""

DnsEndpoints = Annotated[tuple[DnsEndpoint, ...], AfterValidator(_some)]
"""Some name servers, one at least."""

Host = Annotated[str, BeforeValidator(_host), _HOST]
"""An address or a host name."""

TimeLimit = Annotated[Duration, between(timedelta(seconds=1), timedelta(hours=1))]
"""How long something may take."""

DomainName = Annotated[str, BeforeValidator(_domain), _DOMAIN]
"""The name of a zone or key, in lower case and without a dot at the end; labels may have underscores."""
