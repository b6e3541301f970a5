"""Knot DNS on a free high port of loopback: a primary that takes updates, or a secondary of another server."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.servers.name_server import Key, NameServer, Zone, require, running, start

_SECONDS = 30


class Knot(NameServer):
    """A running `knotd`."""

    def freeze(self, zone: str) -> None:
        """Let a secondary fall behind: it goes on to answer, and transfers no change until `thaw`."""
        self._control("zone-freeze", zone)

    def thaw(self, zone: str) -> None:
        """Let it transfer changes again."""
        self._control("zone-thaw", zone)

    def _control(self, *words: str) -> None:
        argv: list[str | Path] = ["knotc", "--socket", self.directory / "sock", "--blocking", *words]
        subprocess.run(argv, check=True, capture_output=True, timeout=_SECONDS)


@contextlib.contextmanager
def running_knot(
    directory: Path,
    *,
    zones: Sequence[Zone],
    keys: Sequence[Key] = (),
    port: int = 0,
    address: str = "127.0.0.1",
    primary: NameServer | None = None,
    also: Sequence[str] = (),
) -> Iterator[Knot]:
    """Start `knotd`, wait until it serves, and stop it at the end in any case.

    Zones whose `update` is None may be changed with every key. With `primary` they are transferred from there, at each NOTIFY and
    each `refresh`. `also` are further addresses to listen at, on the same port.
    """
    require("knotd", "knot")

    def launch(place: Path, port: int) -> Knot:
        (place / "db").mkdir()
        for zone in () if primary else zones:
            (place / f"{zone.name}.zone").write_text(zone.text(address), "ascii")
        listen = ", ".join(f"{one}@{port}" for one in (address, *also))
        (place / "knot.conf").write_text(_configuration(place, zones, keys, listen, primary), "ascii")
        process = start(["knotd", "-c", place / "knot.conf"], place)
        return Knot(address, port, place, {key.name: key for key in keys}, process)

    with running(directory, launch, zones=zones, port=port, address=address) as knot:
        yield knot


def _configuration(
    place: Path, zones: Sequence[Zone], keys: Sequence[Key], listen: str, primary: NameServer | None
) -> str:
    text = f"""server:
    rundir: "{place}"
    listen: [{listen}]
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
control:
    listen: "{place}/sock"
database:
    storage: "{place}/db"
    journal-db-max-size: 50M
    kasp-db-max-size: 50M
    timer-db-max-size: 10M
log:
  - target: stderr
    any: info
"""
    text += "key:\n" if keys else ""
    text += "".join(f'  - id: {key.name}\n    algorithm: {key.algorithm}\n    secret: "{key.secret}"\n' for key in keys)
    if primary:
        text += f"remote:\n  - id: primary\n    address: {primary.address}@{primary.port}\n"
    text += "acl:\n  - id: notify\n    address: 127.0.0.0/8\n    action: notify\n"
    text += f"  - id: update\n    action: update\n    key: [{', '.join(key.name for key in keys)}]\n" if keys else ""
    text += f'template:\n  - id: default\n    storage: "{place}"\n    zonefile-sync: -1\nzone:\n'
    return text + "".join(_zone(zone, keys, primary) for zone in zones)


def _zone(zone: Zone, keys: Sequence[Key], primary: NameServer | None) -> str:
    text = f"  - domain: {zone.name}\n"
    if primary:
        return f"{text}    master: primary\n    acl: notify\n"
    update = "    acl: update\n" if keys and zone.update is None else ""
    return f"{text}    file: {zone.name}.zone\n{update}"
