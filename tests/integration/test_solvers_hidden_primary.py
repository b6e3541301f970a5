"""A hidden BIND primary, with a Knot and an NSD secondary that the world sees: nothing is answered before the slower one has it.

In a network of its own, because the zone's own NS records lead to port 53. Knot is told of each change and transfers it at once;
NSD hears of it seconds later.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.servers.own_network import run_in_own_network

SCRIPT = """
import json, sys, threading
from pathlib import Path
from acmectl.solvers import registry
from tests.integration.test_solvers_rfc2136_servers import KEYS, response
from tests.servers.bind import running_bind
from tests.servers.knot import running_knot
from tests.servers.name_server import Zone
from tests.servers.nsd import running_nsd

directory, options = Path(sys.argv[1]), json.loads(sys.argv[2])
records = ["ns IN A 127.0.0.1", "ns1 IN A 127.0.0.2", "ns2 IN A 127.0.0.3"]
records += ["ns1 IN AAAA ::1"] if "six" in sys.argv else []
also = ["::1"] if "listens" in sys.argv else []
zone = Zone("example.test", records, nameservers=("ns1", "ns2"))
OWNER = "_acme-challenge.www.example.test"
with (
    running_bind(directory, zones=[zone], keys=KEYS, port=53, secondaries=["127.0.0.2 port 53"]) as hidden,
    running_knot(directory, zones=[zone], primary=hidden, address="127.0.0.2", port=53, also=also) as knot,
    running_nsd(directory, zones=[zone], primary=hidden, address="127.0.0.3", port=53) as nsd,
):
    model = registry.options_model("rfc2136")
    common = {"server": "127.0.0.1", "tsig_key_file": str(hidden.key_file("acmectl")), "resolvers": ["127.0.0.1"]}
    solver = registry.build("rfc2136", model.model_validate(common | options))
    ours = [response("www.example.test"), response("*.www.example.test", "other")]
    values = {one.txt_value for one in ours}
    print(sorted(map(str, solver.publish(ours).values())))
    print("behind" if nsd.txt(OWNER) != values else "level")
    if "stop" in sys.argv:
        nsd.stop()
    if "tell" in sys.argv:
        threading.Timer(3, lambda: nsd.notify("example.test")).start()
    print(sorted({str(error) for error in solver.seen(ours).values()}))
    print([server.txt(OWNER) == values for server in (knot, nsd) if server.process.poll() is None])
    print(sorted(map(str, solver.remove(ours).values())))
    print(hidden.txt(OWNER))
"""


def told(directory: Path, propagation: dict[str, Any], *more: str) -> list[str]:
    return run_in_own_network(SCRIPT, str(directory), json.dumps({"propagation": propagation}), *more)


def test_the_slower_of_two_secondaries_is_waited_for(tmp_path: Path) -> None:
    lines = told(tmp_path, {"timeout": "30s", "interval": "1s"}, "tell")
    assert lines == ["[]", "behind", "[]", "[True, True]", "[]", "set()"]


@pytest.mark.parametrize("require", [1, "primary"])
def test_less_than_all_is_enough_where_it_is_configured(tmp_path: Path, require: int | str) -> None:
    lines = told(tmp_path, {"timeout": "30s", "interval": "1s", "require": require}, "stop")
    assert [lines[0], lines[2]] == ["[]", "[]"]


def test_a_secondary_that_is_down_is_named_and_the_other_is_not(tmp_path: Path) -> None:
    lines = told(tmp_path, {"timeout": "10s", "interval": "1s"}, "stop")
    reason = "ns2.example.test (127.0.0.3:53): no name server listens at `127.0.0.3:53`"
    words = f"TXT of `_acme-challenge.www.example.test` is not on all name servers after 10s: {reason}"
    assert lines[2] == str([words])


def test_a_secondary_that_lags_for_too_long_is_named(tmp_path: Path) -> None:
    lines = told(tmp_path, {"timeout": "10s", "interval": "1s"})
    reason = "ns2.example.test (127.0.0.3:53): does not have the record yet"
    words = f"TXT of `_acme-challenge.www.example.test` is not on all name servers after 10s: {reason}"
    assert lines[1:3] == ["behind", str([words])]


def test_more_servers_than_the_zone_has_cannot_be_required(tmp_path: Path) -> None:
    lines = told(tmp_path, {"timeout": "2s", "interval": "1s", "require": 3})
    assert lines[2] == str(
        ["zone `example.test` has fewer name servers than `require: 3` demands: ns1.example.test, ns2.example.test"]
    )


@pytest.mark.parametrize("listens", [True, False])
def test_a_server_is_asked_at_its_address_of_ipv6_too(tmp_path: Path, *, listens: bool) -> None:
    timeout = "30s" if listens else "6s"
    lines = told(tmp_path, {"timeout": timeout, "interval": "1s"}, "tell", "six", *(["listens"] if listens else []))
    assert ("ns1.example.test ([::1]:53): no name server listens at `[::1]:53`" in lines[2]) is not listens
    assert (lines[2] == "[]") is listens
