"""Two runs on one state directory: the second ends at once and says why, or waits when it is told to."""

from __future__ import annotations

import time
from pathlib import Path

from tests.integration.hosts import await_true
from tests.integration.office import authorize, by_web, hosts, office_site
from tests.servers.sandbox import running_sandbox


def test_the_second_run_ends_with_3_at_once_or_waits_for_the_first(tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    with (
        office_site(tmp_path / "www") as site,
        running_sandbox(tmp_path / "ca", http_port=site.web.port) as sandbox,
        hosts(tmp_path, sandbox, {"web": by_web(site, check_timeout="10m")}, [authorize("web", "a.test")]) as made,
    ):
        site.closed.add("a.test")
        first = made.master.start("run")
        await_true(site.files, what="the published file")
        began = time.monotonic()
        second = made.master.run("run", expect=3)
        assert time.monotonic() - began < 10
        process = first.process.pid
        assert f"error: another run (process {process}, since 20" in second.err
        assert "hint: wait until it ends, for example with `--lock-wait 10m`" in second.err
        assert len(second.err.splitlines()) == 2
        made.master.run("run", "--lock-wait", "1s", expect=3)
        assert made.master.run("master", "status", expect=1).err == "", "looking needs no lock"
        third = made.master.start("run", "--lock-wait", "10m")
        site.closed.clear()
        first.finish()
        waited = third.finish()
        assert "asked nothing of the CA" in waited.out
        assert sandbox.counts["newOrder"] == 1
