"""Where a server listens: an address (or a host name) and a port, as people write it, `192.0.2.53` or `[2001:db8::53]:5353`."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass

from acmectl.errors import DNSError

_HOST_PORT = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<host>[^:\[\]]*))(?::(?P<port>\d{1,5}))?\Z")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\Z")
_MAX_NAME = 253  # RFC 1035 section 2.3.4: 255 octets on the wire


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """One address (or host name) and port."""

    host: str
    port: int

    @property
    def is_ipv6(self) -> bool:
        """Whether the host is an IPv6 address."""
        return ":" in self.host

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if self.is_ipv6 else f"{self.host}:{self.port}"


def is_address(host: str) -> bool:
    """Whether `host` is an IPv4 or IPv6 address and not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def addresses_of(host: str, port: int, *, of: str) -> tuple[Endpoint, ...]:
    """The addresses of a server by the system's means, /etc/hosts included; DNSError, naming whose `server` it is (`of`), if it has none."""
    if is_address(host):
        return (Endpoint(host, port),)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as cause:
        raise DNSError(
            f"the name server `{host}` has no address here: {cause.strerror}", hint=f"correct `server` of {of}"
        ) from cause
    return tuple(dict.fromkeys(Endpoint(str(address[0]), port) for *_, address in found))


def is_domain(text: str) -> bool:
    """Whether `text` is an ASCII domain name, with or without a dot at its end; labels may have underscores."""
    name = text.removesuffix(".")
    return len(name) <= _MAX_NAME and all(_LABEL.match(label) for label in name.split("."))


def parse_endpoint(text: str, *, default_port: int) -> Endpoint:
    """The endpoint with an address that `text` means; raises ValueError with what is accepted."""
    host, port = _split(text, default_port)
    if not is_address(host):
        raise ValueError(
            "not an address: write `192.0.2.53`, `192.0.2.53:5353`, `2001:db8::53` or `[2001:db8::53]:5353`"
        )
    return Endpoint(host, port)


def parse_host(text: str) -> str:
    """An address or a host name, without a port; raises ValueError with what is accepted."""
    host = text.removesuffix(".")
    if is_address(host):
        return host
    if not is_domain(host) or host.replace(".", "").isdigit():
        raise ValueError("neither an address nor a host name (a port is written as `port:`)")
    return host.lower()


def _split(text: str, default_port: int) -> tuple[str, int]:
    if is_address(text):
        return text, default_port
    match = _HOST_PORT.match(text)
    if not match or not 0 < (port := int(match["port"] or default_port)) < 65536:
        raise ValueError("not an address with a port: write `192.0.2.53:5353` or `[2001:db8::53]:5353`")
    return match["v6"] or match["host"] or "", port
