"""PowerDNS with its SQLite backend on a free high port of loopback: dynamic update with TSIG, and its HTTP API."""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dns.rdatatype
import dns.zone

from tests.servers.name_server import Key, NameServer, Zone, free_port, require, running, start

_SCHEMA = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")


@dataclass(frozen=True)
class PowerDNS(NameServer):
    """A running `pdns_server`; its HTTP API is at `api`, for whoever knows `api_key`."""

    api: str
    api_key: str = field(repr=False)


@contextlib.contextmanager
def running_powerdns(
    directory: Path, *, zones: Sequence[Zone], keys: Sequence[Key] = (), port: int = 0, address: str = "127.0.0.1"
) -> Iterator[PowerDNS]:
    """Start `pdns_server`, wait until it serves, and stop it at the end in any case.

    Zones whose `update` is None may be changed with every key.
    """
    require("pdns_server", "pdns-server")
    if not _SCHEMA.exists():
        raise AssertionError("this test needs PowerDNS's SQLite backend: `apt-get install pdns-backend-sqlite3`")

    def launch(place: Path, port: int) -> PowerDNS:
        api_port, api_key = free_port(), secrets.token_hex(16)
        _fill(place / "pdns.sqlite", zones, keys, address)
        (place / "pdns.conf").touch(mode=0o600)
        (place / "pdns.conf").write_text(_configuration(place, address, port, api_port, api_key), "ascii")
        process = start(["pdns_server", f"--config-dir={place}"], place)
        known = {key.name: key for key in keys}
        return PowerDNS(address, port, place, known, process, f"http://127.0.0.1:{api_port}", api_key)

    with running(directory, launch, zones=zones, port=port, address=address) as server:
        yield server


def _configuration(place: Path, address: str, port: int, api_port: int, api_key: str) -> str:
    return f"""launch=gsqlite3
gsqlite3-database={place}/pdns.sqlite
gsqlite3-pragma-synchronous=0
socket-dir={place}
local-address={address}
local-port={port}
receiver-threads=1
distributor-threads=2
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
zone-cache-refresh-interval=0
dnsupdate=yes
allow-dnsupdate-from=
disable-syslog=yes
security-poll-suffix=
version-string=anonymous
api=yes
api-key={api_key}
webserver=yes
webserver-address=127.0.0.1
webserver-port={api_port}
webserver-allow-from=127.0.0.1
"""


def _fill(path: Path, zones: Sequence[Zone], keys: Sequence[Key], address: str) -> None:
    """The database as `pdnsutil` would make it, without secrets in its arguments."""
    path.touch(mode=0o600)
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.executescript(_SCHEMA.read_text("ascii"))
        database.executemany(
            "INSERT INTO tsigkeys (name, algorithm, secret) VALUES (?, ?, ?)",
            [(key.name, key.algorithm, key.secret) for key in keys],
        )
        for number, zone in enumerate(zones, 1):
            database.execute("INSERT INTO domains (id, name, type) VALUES (?, ?, 'NATIVE')", (number, zone.name))
            allowed = keys if zone.update is None else ()
            database.executemany(
                "INSERT INTO domainmetadata (domain_id, kind, content) VALUES (?, ?, ?)",
                [
                    (number, "SOA-EDIT-DNSUPDATE", "INCREASE"),
                    *((number, "ALLOW-DNSUPDATE-FROM", "127.0.0.0/8") for _ in allowed[:1]),
                    *((number, "TSIG-ALLOW-DNSUPDATE", key.name) for key in allowed),
                ],
            )
            database.executemany(
                "INSERT INTO records (domain_id, name, type, content, ttl, auth, ordername) VALUES (?, ?, ?, ?, ?, 1, '')",
                [(number, *row) for row in _rows(zone, address)],
            )


def _rows(zone: Zone, address: str) -> Iterator[tuple[str, str, str, int]]:
    parsed = dns.zone.from_text(zone.text(address), zone.name, relativize=False, check_origin=False)
    for name, ttl, rdata in parsed.iterate_rdatas():
        text = rdata.to_text()
        if rdata.rdtype in {dns.rdatatype.CNAME, dns.rdatatype.NS, dns.rdatatype.SOA}:
            text = " ".join(word.removesuffix(".") for word in text.split(" "))
        yield name.to_text(omit_final_dot=True), rdata.rdtype.name, text, ttl
