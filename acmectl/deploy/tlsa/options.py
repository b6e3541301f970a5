"""The options of `tlsa:`: for which services the keys of a certificate are published, and by which means.

Short where there is little to say: `tlsa: [mail.example.org:25]` is `tlsa: {records: [mail.example.org:25]}`.
"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from acmectl.dns.options import DnsEndpoints, DomainName, Host, TimeLimit, between
from acmectl.errors import InvalidName
from acmectl.model.names import Identifier
from acmectl.model.tlsa import Service
from acmectl.options import ConfigPath, Duration, InvalidOption, Options, Port, SecretPath, describe, nearest

_PROTOCOLS = ("tcp", "udp", "sctp")
_SHORT = re.compile(r"(?P<host>[^:/\s]+):(?P<port>[0-9]{1,5})(?:/(?P<protocol>[a-z]+))?\Z")
_LONGEST = 253  # characters of a name without the dot at its end (RFC 1035 section 2.3.4)
_FORM = "write it as `mail.example.org:25`, or `{host: mail.example.org, port: 25, protocol: tcp}`"


def _service(value: Any) -> Service:
    if isinstance(value, Service):
        return value
    if isinstance(value, str):
        if not (match := _SHORT.match(value)):
            raise InvalidOption("not a service with its port", hint=_FORM)
        return _checked(match["host"], int(match["port"]), match["protocol"] or "tcp")
    if not isinstance(value, dict):
        raise InvalidOption(f"expected a text or a mapping, found {describe(value)}", hint=_FORM)
    known = ("host", "port", "protocol")
    for key in value:
        if key not in known:
            raise InvalidOption("a service has `host`, `port` and `protocol`", hint=nearest(str(key), known))
    host, port, protocol = value.get("host"), value.get("port"), value.get("protocol", "tcp")
    if not isinstance(host, str) or type(port) is not int or not isinstance(protocol, str):  # a truth value is an int
        raise InvalidOption("a service needs a `host` (a name) and a `port` (a number)", hint=_FORM)
    return _checked(host, port, protocol)


def _checked(host: str, port: int, protocol: str) -> Service:
    try:
        name = Identifier.parse(host)
    except InvalidName as error:
        raise InvalidOption(error.message, hint=error.hint) from error
    if name.is_wildcard or name.is_address:
        raise InvalidOption(
            "TLSA records belong to one host name", hint="name each host by which clients connect, as MX records do"
        )
    if not 0 < port < 65536:
        raise ValueError("a port is between 1 and 65535")
    if protocol not in _PROTOCOLS:
        raise InvalidOption("no known protocol", hint=nearest(protocol, _PROTOCOLS) or "one of tcp, udp, sctp")
    service = Service(name.value, port, protocol)
    if len(service.owner) > _LONGEST:
        raise InvalidOption(
            f"the name of its TLSA records would be longer than {_LONGEST} characters: `{service.owner}`",
            hint="give the service a shorter name",
        )
    return service


def _once_each(services: tuple[Service, ...]) -> tuple[Service, ...]:
    for index, service in enumerate(services):
        if service in services[:index]:
            raise ValueError(f"`{service}` is listed twice")
    return services


ServiceOption = Annotated[
    Service,
    BeforeValidator(_service),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^[^:/\s]+:[0-9]+(/(tcp|udp|sctp))?$"},
                {
                    "type": "object",
                    "properties": {
                        "host": {"type": "string"},
                        "port": {"type": "integer", "minimum": 1, "maximum": 65535},
                        "protocol": {"enum": list(_PROTOCOLS)},
                    },
                    "required": ["host", "port"],
                    "additionalProperties": False,
                },
            ],
            "x-kind": "service, such as `mail.example.org:25`",
        }
    ),
]
"""A host name and a port that clients connect to, and the protocol where it is not TCP."""


class UpdateOptions(Options):
    """How records are changed: by dynamic update (RFC 2136), signed with a TSIG key."""

    server: Host | None = None
    """The primary server; without it the one that the zone's SOA record names."""

    port: Port = 53
    """Its port."""

    tsig_key_file: SecretPath
    """The TSIG key as `tsig-keygen` writes it; without it certificates are issued all the same."""

    zone: DomainName | None = None
    """The zone around the records, where looking it up would give another."""

    timeout: TimeLimit = timedelta(seconds=20)
    """How long one update may take."""


class TlsaOptions(Options):
    """Which TLSA records there are of the keys of a certificate."""

    records: Annotated[tuple[ServiceOption, ...], Field(min_length=1), AfterValidator(_once_each)]
    """The services that have the certificate."""

    ttl: Annotated[Duration, between(timedelta(seconds=1), timedelta(days=7))] = timedelta(hours=1)
    """The time to live of the records; a key waits for longer than it, and than what was seen, before it is used."""

    update: UpdateOptions | None = None
    """By what right this host publishes them; without it a person does, or a master."""

    resolvers: DnsEndpoints | None = None
    """Whom to ask for the zone and its servers, in place of the system's resolvers."""

    servers: DnsEndpoints | None = None
    """The servers that must show the records; without them the authoritative ones of the zone."""


class RecordsOptions(TlsaOptions):
    """Records that a master keeps published for a follower, from what `acmectl cert tlsa` printed there."""

    file: ConfigPath
    """The file with the records; no other ones than for the services of `records` are taken from it."""

    update: UpdateOptions
    """By what right they are published."""


def source(options: TlsaOptions) -> Path | None:
    """The file that the records come from, where it is not this host that has the keys."""
    return options.file if isinstance(options, RecordsOptions) else None
