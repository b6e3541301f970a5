"""Names as acmebot lists them, by zone: `{example.com: ["@", www]}`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from acmectl.errors import InvalidName
from acmectl.importing.acmebot.reading import Acmebot, listed
from acmectl.model.names import Identifier


@dataclass(frozen=True, slots=True, order=True)
class ZonedName:
    """A name, and the zone that acmebot's configuration lists it under: it decides how the name is proven."""

    identifier: Identifier
    zone: str

    @property
    def host(self) -> str:
        """The name without a wildcard, which is what acmebot's http challenges are listed by."""
        return self.identifier.value.removeprefix("*.")


def zoned_names(zones: Mapping[str, Any], notes: list[str]) -> tuple[ZonedName, ...]:
    """The names of all zones, none twice; what is no name goes into `notes`."""
    found: dict[Identifier, ZonedName] = {}
    for zone, hosts in zones.items():
        for host in listed(hosts):
            text = str(host).strip().lower()
            full = str(zone) if text == "@" else f"{text}.{zone}"
            try:
                identifier = Identifier.parse(full)
            except InvalidName as error:
                notes.append(f"`{full}` is left out: {error.message}")
                continue
            found.setdefault(identifier, ZonedName(identifier, str(zone)))
    return tuple(found.values())


def certificate_names(
    acmebot: Acmebot, name: str, certificate: Mapping[str, Any], notes: list[str]
) -> tuple[ZonedName, ...]:
    """The names of a certificate, the common name first."""
    common_name = str(certificate.get("common_name") or name).lower()
    zones = certificate.get("alt_names")
    if zones is None:
        zones = dict(_alone(acmebot, common_name))
    if not isinstance(zones, dict):
        raise acmebot.wrong(f"certificates.{name}.alt_names", "a mapping of zones to hosts")
    zones = {common_name if zone == "@" else zone: hosts for zone, hosts in zones.items()}
    names = zoned_names(zones, notes)
    return tuple(sorted(names, key=lambda each: each.identifier.value != common_name))


def _alone(acmebot: Acmebot, common_name: str) -> Iterator[tuple[str, list[str]]]:
    """A certificate without `alt_names`: acmebot asks the Public Suffix List for the zone, we look among those that it knows."""
    known: Iterable[str] = (*acmebot.section("zone_update_keys"), *acmebot.section("authorizations"))
    zones = sorted((z for z in known if f".{common_name}".endswith(f".{z}")), key=len, reverse=True)
    zone = zones[0] if zones else ".".join(common_name.split(".")[-2:])
    host = common_name.removesuffix(zone).rstrip(".") or "@"
    yield zone, [host]
