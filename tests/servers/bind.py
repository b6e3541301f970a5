"""BIND's `named` on a free high port of loopback, with zones and TSIG keys made for a test, and dynamic update allowed.

It serves its zones and nothing else: no recursion, no root hints, no notifies but to the secondaries of the test, so nothing leaves the host.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.servers.name_server import Key, NameServer, Zone, free_port, require, running, start

__all__ = ["Bind", "Key", "Zone", "free_port", "running_bind"]

_ADDRESS = "127.0.0.1"
_EMPTY_ROOT = "$TTL 60\n. IN SOA ns. hostmaster. 1 3600 600 86400 5\n. IN NS ns.\nns. IN A 127.0.0.1\n"


class Bind(NameServer):
    """A running `named`."""

    def updates(self, zone: str) -> int:
        """How many messages changed the zone, as the log has it."""
        return self.log().count(f"updating zone '{zone}/IN': ")


@contextlib.contextmanager
def running_bind(
    directory: Path,
    *,
    zones: Sequence[Zone],
    keys: Sequence[Key] = (),
    port: int = 0,
    resolve: bool = False,
    secondaries: Sequence[str] = (),
    forward_to: NameServer | None = None,
    trust: str = "",
) -> Iterator[Bind]:
    """Start `named` below `directory` (made anew), wait until it answers, and stop it at the end in any case.

    `port` 0 chooses a free one; the address is 127.0.0.1, because named binds only to addresses that an interface has. `resolve` makes it a
    resolver as well, which follows CNAMEs from one of its zones into another, for clients that cannot; the root zone is its own and
    empty, so that it asks nobody. `secondaries` (`ADDRESS port NUMBER`) are told of every change; all of loopback may
    transfer zones. `forward_to` makes it a resolver that asks that server everything, and with `trust` (a line of `trust-anchors`) checks
    the signatures. Fails with a message when named is missing or does not start.
    """
    require("named", "bind9")

    def launch(place: Path, port: int) -> Bind:
        for zone in zones:
            (place / f"{zone.name}.zone").write_text(zone.text(_ADDRESS), "ascii")
        configuration = _configuration(place, zones, keys, port, resolve=resolve, secondaries=secondaries)
        if forward_to:
            configuration = _forwarding(configuration, forward_to, trust)
        (place / "named.conf").write_text(configuration, "ascii")
        process = start(["named", "-g", "-4", "-n", "1", "-c", place / "named.conf"], place)
        return Bind(_ADDRESS, port, place, {key.name: key for key in keys}, process)

    with running(directory, launch, zones=zones, port=port, address=_ADDRESS) as bind:
        yield bind


def _configuration(
    place: Path, zones: Sequence[Zone], keys: Sequence[Key], port: int, *, resolve: bool, secondaries: Sequence[str]
) -> str:
    notify = f"explicit; also-notify {{ {'; '.join(secondaries)}; }}" if secondaries else "no"
    options = f"""options {{
    directory "{place}"; pid-file none; session-keyfile none; lock-file none; managed-keys-directory "{place}";
    listen-on port {port} {{ {_ADDRESS}; }}; listen-on-v6 {{ none; }};
    recursion {"yes" if resolve else "no"}; dnssec-validation no; empty-zones-enable no; check-names primary ignore;
    notify {notify}; notify-delay 0; transfers-out 100; allow-transfer {{ 127.0.0.0/8; }};
}};
controls {{ }};
"""
    if resolve:
        (place / "root.zone").write_text(_EMPTY_ROOT, "ascii")
        options += 'zone "." { type primary; file "root.zone"; };\n'
    return options + "".join(key.statement for key in keys) + "".join(_zone(zone, keys) for zone in zones)


def _forwarding(configuration: str, to: NameServer, trust: str) -> str:
    forward = f"recursion yes; forward only; forwarders {{ {to.address} port {to.port}; }};"
    configuration = configuration.replace("recursion no;", forward)
    if not trust:
        return configuration
    return configuration.replace("dnssec-validation no", "dnssec-validation yes") + f"trust-anchors {{ {trust} }};\n"


def _zone(zone: Zone, keys: Sequence[Key]) -> str:
    if zone.update is None:
        update = f"allow-update {{ {' '.join(f'key {key.name};' for key in keys) or 'none;'} }};"
    else:
        update = f"update-policy {{ {zone.update} }};" if zone.update else "allow-update { none; };"
    signing = "dnssec-policy default; inline-signing yes; " if zone.signed else ""
    return f'zone "{zone.name}" {{ type primary; file "{zone.name}.zone"; {signing}{update} }};\n'
