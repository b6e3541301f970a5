"""The office of the integration tests: its zones on BIND, its web site, and how its hosts are configured to use them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acmectl.sandbox.server import Sandbox
from tests.integration.hosts import Family, family
from tests.servers.bind import Bind, Key, Zone, running_bind
from tests.servers.pebble import Pebble, running_challenge_dns, running_pebble
from tests.servers.static_web import Answer, Web, running_web

ZONES = (
    Zone("office.test", ["_acme-challenge.away IN CNAME away.office.validation.test."]),
    Zone("validation.test"),
    Zone("closed.test", update=""),
)
NAMES = ["office.test", "*.office.test", "xmpp.office.test", "mail.office.test", "away.office.test"]
_RECORDS = [*(f"_acme-challenge.{name.removeprefix('*.')}" for name in NAMES), "away.office.validation.test"]


@contextmanager
def office_bind(directory: Path) -> Iterator[Bind]:
    """BIND with the office's zones, one key that may change them, and CNAMEs followed."""
    with running_bind(directory, zones=ZONES, keys=[Key("acmectl", "hmac-sha256")], resolve=True) as bind:
        yield bind


def published(bind: Bind) -> set[str]:
    """The challenge values that lie in the office's zones."""
    return {value for record in _RECORDS for value in bind.txt(record)}


@dataclass(frozen=True, slots=True)
class Site:
    """A web server for every name; for `parked...` it has a page of its own, and `closed` answers 404 to all."""

    root: Path
    web: Web
    closed: set[str]

    def files(self) -> list[Path]:
        return [path for path in self.root.rglob("*") if path.is_file()]


@contextmanager
def office_site(directory: Path) -> Iterator[Site]:
    """Serve the document root `directory`."""
    closed: set[str] = set()

    def answer(host: str, path: str) -> Answer:
        file = directory / path.lstrip("/")
        if host.startswith("parked"):
            return Answer(200, b"this domain is for sale")
        return Answer(200, file.read_bytes()) if file.is_file() and host not in closed else Answer(404)

    with running_web(answer) as web:
        yield Site(directory, web, closed)


@contextmanager
def office_pebble(directory: Path, site: Site) -> Iterator[Pebble]:
    """A Pebble that validates at the office's site, and reuses whatever is valid."""
    with (
        running_challenge_dns(directory) as dns,
        running_pebble(directory, resolver=dns.resolver, http_port=site.web.port, authz_reuse=100) as server,
    ):
        yield server


def by_dns(bind: Bind, **changes: Any) -> dict[str, Any]:
    """A solver that changes BIND's zones."""
    return {
        "type": "rfc2136",
        "server": bind.address,
        "port": bind.port,
        "tsig_key_file": str(bind.key_file("acmectl")),
        "resolvers": [bind.endpoint],
        "propagation": {"servers": [bind.endpoint], "timeout": "10s", "interval": "1s"},
        **changes,
    }


def by_web(site: Site, **changes: Any) -> dict[str, Any]:
    """A solver that writes into the site's document root."""
    return {"type": "webroot", "path": str(site.root), "check_address": site.web.endpoint, **changes}


def authorize(solver: str, *names: str) -> dict[str, Any]:
    """An entry of `master.authorize`."""
    return {"names": list(names), "solver": solver}


@contextmanager
def hosts(
    directory: Path,
    ca: Sandbox | Pebble,
    solvers: dict[str, Any],
    entries: list[dict[str, Any]],
    *followers: dict[str, Any],
    profile: str = "classic",
) -> Iterator[Family]:
    """A master with these solvers and entries, and a follower for each of `followers`; all processes ended at the end."""
    common: dict[str, Any] = {"authority": {"directory": ca.directory_url, "ca_bundle": str(ca.ca_bundle)}}
    if isinstance(ca, Sandbox):
        common["profile"] = profile
    made = family(directory, common, {"solvers": solvers, "master": {"authorize": entries}}, *followers)
    try:
        yield made
    finally:
        made.end()
