"""The values of `acmectl sandbox`'s options: addresses with a port, and lifetimes by profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from acmectl.model.durations import parse_duration

if TYPE_CHECKING:
    from acmectl.sandbox.rules import Lifetimes

_LIFETIMES = {
    "reuse": "reuse",
    "order": "order_lifetime",
    "pending": "pending_lifetime",
    "certificate": "certificate_lifetime",
}

Address = tuple[str, int]


class AddressType(click.ParamType[Address]):
    """`127.0.0.1:14000` or `[::1]:14000`."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """Address and port; fails as click does, with what is accepted."""
        from acmectl.dns.endpoints import is_address

        if isinstance(value, tuple):
            return value
        host, _, port = str(value).rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not port.isdecimal() or not port.isascii() or int(port) > 65535 or not is_address(host):
            self.fail(f"`{value}` is no address with a port, such as `127.0.0.1:14000`", param, ctx)
        return host, int(port)


class LifetimesType(click.ParamType[tuple[str, "Lifetimes"]]):
    """`classic:reuse=30m,order=8h`."""

    name = "lifetimes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Lifetimes]:
        """A profile and the lifetimes that it shall have; fails as click does."""
        from acmectl.sandbox.rules import Lifetimes

        if isinstance(value, tuple):
            return value
        profile, _, rest = str(value).partition(":")
        lifetimes: dict[str, Any] = {}
        for part in filter(None, rest.split(",")):
            name, _, duration = part.partition("=")
            if name not in _LIFETIMES:
                self.fail(f"`{name}` is no lifetime; there are {', '.join(_LIFETIMES)}", param, ctx)
            try:
                lifetimes[_LIFETIMES[name]] = parse_duration(duration)
            except ValueError as error:
                self.fail(f"`{part}`: {error}", param, ctx)
        return profile, Lifetimes(**lifetimes)
