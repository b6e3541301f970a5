"""Where to look whether a service serves its certificate: what `verify:` of a target lists."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema, field_validator, model_validator

from acmectl.deploy.wire.protocols import Protocol
from acmectl.errors import InvalidName
from acmectl.model.names import Identifier
from acmectl.options import InvalidOption, Options, Port, describe, nearest

PATIENCE = timedelta(seconds=30)
"""How long a service may take until it serves what it was told to read again."""

TIMEOUT = timedelta(seconds=10)
"""How long one look may take as a whole: connection, dialog and handshake."""

_TLS_PORTS = {"https": 443, "smtps": 465, "submissions": 465, "ldaps": 636, "ftps": 990, "imaps": 993, "pop3s": 995}
_HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)\Z")  # with `_`, which names in /etc/hosts may have
_LONGEST_NAME = 253


def _protocol(value: Any) -> Protocol:
    if isinstance(value, str) and value in list(Protocol):
        return Protocol(str(value))
    if not isinstance(value, str):
        raise InvalidOption(f"expected a protocol, found {describe(value)}")
    if port := _TLS_PORTS.get(value.lower()):  # near the name of the protocol with STARTTLS, which hears nothing there
        hint = f"`protocol: tls` with `port: {port}`"
    else:
        hint = nearest(value, Protocol) or f"the protocols are {', '.join(Protocol)}"
    raise InvalidOption(f"unknown protocol `{value}`", hint=hint)


KnownProtocol = Annotated[
    Protocol, BeforeValidator(_protocol), WithJsonSchema({"type": "string", "enum": list(Protocol)})
]


class Endpoint(Options):
    """One place where the service can be seen.

    `address` is an IP address or a host name, of which every address is looked at. `port` is that of the protocol unless
    it is given. `name` is asked for by SNI, and in XMPP by `to`; None: the first name of the certificate.
    """

    protocol: KnownProtocol = Protocol.TLS
    address: str = "127.0.0.1"
    port: Port = 0  # never stays so: see `_port_of_protocol`
    name: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _port_of_protocol(cls, value: Any) -> Any:
        if not isinstance(value, dict | Endpoint) and value is not None:
            hint = "such as `{protocol: imap}`, or `{port: 993}`"
            raise InvalidOption(f"expected a mapping, found {describe(value)}", hint=hint)
        if isinstance(value, dict) and "port" not in value:
            protocol = value.get("protocol", Protocol.TLS)
            known = isinstance(protocol, str) and protocol in list(Protocol)
            return {**value, "port": Protocol(str(protocol)).default_port if known else 1}
        return value

    @field_validator("address")
    @classmethod
    def _host(cls, value: str) -> str:
        if not value.isascii():
            return _name(value)
        if not _is_address(value) and not _is_host_name(value):
            raise InvalidOption("not an address", hint="an IP address or a host name, without a port and brackets")
        return value

    @field_validator("name")
    @classmethod
    def _server_name(cls, value: str | None) -> str | None:
        return None if value is None else _name(value)

    def __str__(self) -> str:
        return self.place(self.address, self.name)

    def place(self, address: str, name: str | None) -> str:
        """Seen at `address` by who asks for `name`: `port 25 on 192.0.2.1 (smtp) for mail.example.org`."""
        kind = "" if self.protocol is Protocol.TLS else f" ({self.protocol})"
        return f"port {self.port} on {address}{kind}" + (f" for {name}" if name else "")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_host_name(text: str) -> bool:
    """Also a name of this host's own, such as `localhost`; digits alone would be an address."""
    labels = text.removesuffix(".").split(".")
    return len(text) <= _LONGEST_NAME and all(map(_HOST_LABEL.match, labels)) and not "".join(labels).isdecimal()


def _name(text: str) -> str:
    """A name to ask for, or an international one to look at. Raises InvalidOption."""
    try:
        name = Identifier.parse(text)
    except InvalidName as error:
        raise InvalidOption(error.message, hint=error.hint) from error
    if name.is_wildcard:
        raise InvalidOption("a server is asked for one name, and not for a wildcard", hint=f"such as `www.{name.base}`")
    return name.value


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """How a target is verified: at all `endpoints`, each within `patience`; one look at one address takes `timeout` at most."""

    endpoints: tuple[Endpoint, ...]
    patience: timedelta = PATIENCE
    timeout: timedelta = TIMEOUT
