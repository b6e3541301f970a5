"""A host whose clock is a year off takes no certificate for expired, and issues no more than it needs."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from acmectl.sandbox.clock import Clock
from tests.integration.hosts import Host, certificate, family
from tests.servers.sandbox import running_sandbox

YEAR = timedelta(days=365)


def due(host: Host) -> bool:
    shown: Any = json.loads(host.run("follower", "status", "--json", expect=None).out)
    return bool(shown["certificates"][0]["due"])


@pytest.mark.parametrize("ahead", [YEAR, -YEAR])
def test_a_follower_a_year_off_issues_one_certificate_and_then_knows_better(tmp_path: Path, ahead: timedelta) -> None:
    clock = Clock()
    clock.advance(-ahead)  # the CA's clock moved the other way is the same as ours moved this way
    with running_sandbox(tmp_path, clock=clock, trust=True) as ca:
        common = {
            "authority": {"directory": ca.directory_url, "ca_bundle": str(ca.ca_bundle)},
            "profile": "classic",
            "state_directory": "state",
        }
        master = {
            "solvers": {"web": {"type": "webroot", "path": ".", "check": False}},
            "master": {"authorize": [{"names": ["mail.time.test"], "solver": "web"}]},
        }
        hosts = family(tmp_path, common, master, {"certificates": {"mail": certificate("mail.time.test")}})
        hosts.master.run("master", "run")
        (follower,) = hosts.followers
        for _ in range(3):
            follower.run("follower", "run")
        assert ca.counts["finalize"] == 1
        assert not due(follower)
