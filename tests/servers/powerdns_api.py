"""PowerDNS's HTTP API as another client of it uses it, and a configuration of `type: lexicon` for it."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import requests

from tests.servers.powerdns import PowerDNS


def key_file(server: PowerDNS) -> Path:
    """A new file with the key of the API, for its owner alone."""
    path = server.directory / f"api.{secrets.token_hex(4)}.key"
    path.touch(mode=0o600)
    path.write_text(f"{server.api_key}\n", "ascii")
    return path


def by_lexicon(server: PowerDNS, **changes: Any) -> dict[str, Any]:
    """A solver that changes PowerDNS's zones by its API."""
    return {
        "type": "lexicon",
        "provider": "powerdns",
        "options": {"pdns_server": server.api},
        "credentials": {"auth_token": str(key_file(server))},
        "resolvers": [server.endpoint],
        "propagation": {"servers": [server.endpoint], "timeout": "10s", "interval": "1s"},
        **changes,
    }


def set_txt(server: PowerDNS, zone: str, owner: str, *values: str) -> None:
    """Make `values` all that there is at `owner`; none removes the set."""
    change = {
        "name": f"{owner}.",
        "type": "TXT",
        "ttl": 60,
        "changetype": "REPLACE",
        "records": [{"content": f'"{value}"', "disabled": False} for value in values],
    }
    answer = requests.patch(
        f"{server.api}/api/v1/servers/localhost/zones/{zone}.",
        json={"rrsets": [change]},
        headers={"X-API-Key": server.api_key},
        timeout=10,
    )
    assert answer.status_code == 204, answer.text
