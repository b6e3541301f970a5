"""Types of values in a configuration that have to do with names and name servers: of solvers, and of whoever publishes records.

Imported to read a configuration, so it does not import dnspython.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from acmectl.dns.endpoints import Endpoint, is_domain, parse_endpoint, parse_host
from acmectl.dns.tsig import TsigKey, load_key_file
from acmectl.errors import DNSError
from acmectl.options import Duration, InvalidOption, SecretFile, format_duration


def endpoint(default_port: int) -> BeforeValidator:
    """An address, whose port is `default_port` unless it says so."""
    return BeforeValidator(lambda value: to_endpoint(value, default_port))


def to_endpoint(value: Any, default_port: int) -> Endpoint:
    """The endpoint that a configuration means; raises ValueError."""
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


def usable_key(load: Callable[[], TsigKey]) -> None:
    """Read a key while the configuration is read, so that what is wrong with it is told at its line."""
    try:
        load()
    except DNSError as error:
        raise InvalidOption(error.message, hint=error.hint) from error


def _key_file(path: Path) -> Path:
    usable_key(lambda: load_key_file(path))
    return path


ADDRESS, _HOST, _DOMAIN = (
    WithJsonSchema({"type": "string", "minLength": 1, "x-kind": kind}) for kind in ("address", "host", "domain name")
)

DnsEndpoint = Annotated[Endpoint, endpoint(53), ADDRESS]
"""The address of a name server, and its port where it is not 53."""

DnsEndpoints = Annotated[tuple[DnsEndpoint, ...], AfterValidator(_some)]
"""Some name servers, one at least."""

Host = Annotated[str, BeforeValidator(_host), _HOST]
"""An address or a host name."""

TimeLimit = Annotated[Duration, between(timedelta(seconds=1), timedelta(hours=1))]
"""How long something may take."""

DomainName = Annotated[str, BeforeValidator(_domain), _DOMAIN]
"""The name of a zone or key, in lower case and without a dot at the end; labels may have underscores."""

TsigKeyFile = Annotated[SecretFile, AfterValidator(_key_file)]
"""A TSIG key as `tsig-keygen` writes it."""
