"""Two hosts with one set of names finalize at once: they share one order, and each must end with a certificate for its own key."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from acmectl import keys
from tests.integration.hosts import certificate
from tests.integration.office import authorize, by_web, hosts, office_site
from tests.servers.sandbox import running_sandbox
from tests.servers.zygote import zygote

NAMES = ["web.test", "www.web.test"]
TIMES = 3  # of each kind; the answers are held until both have their order, so that every time is a race


@dataclass
class Starter:
    """Holds the answers to newOrder until as many hosts as run were given their order: then all go on at once."""

    hosts: int = 1
    barrier: threading.Barrier = field(default_factory=lambda: threading.Barrier(1))

    def aim(self, hosts: int) -> None:
        self.hosts, self.barrier = hosts, threading.Barrier(hosts, timeout=20)

    def see(self, line: str) -> None:
        if "/new-order" in line and self.hosts:
            self.hosts -= 1
            self.barrier.wait()


@pytest.mark.parametrize("lost", [0, 100], ids=["the order holds one's certificate", "the order becomes invalid"])
def test_each_gets_a_certificate_for_its_own_key(tmp_path: Path, lost: int) -> None:
    starter = Starter()
    (tmp_path / "www").mkdir()
    wanted = {"certificates": {"web": certificate(*NAMES)}}
    rules: dict[str, Any] = {
        "limits": None,
        "poll_after": None,
        "race_invalid_percent": lost,
        "issue_delay": timedelta(seconds=0.2),
    }
    with (
        office_site(tmp_path / "www") as site,
        running_sandbox(tmp_path / "ca", http_port=site.web.port, on_request=starter.see, **rules) as sandbox,
        hosts(tmp_path, sandbox, {"web": by_web(site)}, [authorize("web", *NAMES)], wanted) as made,
        ThreadPoolExecutor(2) as threads,
    ):
        made.master.run("master", "run")
        for time in range(TIMES):
            copies = [shutil.copytree(made.followers[0].directory, tmp_path / f"{time}-{n}") for n in range(2)]
            starter.aim(2)
            ordered = sandbox.counts["newOrder"]
            statuses = list(threads.map(lambda copy: zygote().run(copy, "-v", "follower", "run"), copies))
            for copy, status in zip(copies, statuses, strict=True):
                if status:  # by chance they met three times in a row: then the next run goes on
                    said = (copy / "output").read_text()
                    assert "the order is `invalid` after finalization" in said or "another host" in said, said
                    assert zygote().run(copy, "-v", "follower", "run", "web") == 0, (copy / "output").read_text()
            issued = [(copy / "tls" / "fullchain.pem").read_bytes() for copy in copies]
            assert issued[0] != issued[1]
            if statuses == [0, 0]:
                assert sandbox.counts["newOrder"] - ordered <= 2 * 3, "no more than two fresh orders of each"
            for copy, chain in zip(copies, issued, strict=True):
                assert keys.matches(keys.from_pem((copy / "tls" / "privkey.pem").read_bytes(), what="the key"), chain)
        refused = sum(n for seen, n in sandbox.counts.snapshot() if seen.kind == "finalize" and seen.status == 403)
        assert refused >= TIMES, "the two did not meet"
