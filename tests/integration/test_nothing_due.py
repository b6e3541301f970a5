"""A run with nothing due asks nobody, and does not even load what asking takes: cron may come as often as it likes."""

from __future__ import annotations

from pathlib import Path

from tests.integration.hosts import certificate
from tests.integration.office import authorize, by_web, hosts, office_site
from tests.servers.sandbox import running_sandbox

NAMES = ["web.test", "www.web.test"]
HEAVY = {"acme", "josepy", "requests", "dns", "cryptography", "rich", "werkzeug"}


def test_nothing_is_asked_and_nothing_heavy_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    with (
        office_site(tmp_path / "www") as site,
        running_sandbox(tmp_path / "ca", http_port=site.web.port) as sandbox,
        hosts(tmp_path, sandbox, {"web": by_web(site)}, [authorize("web", *NAMES)]) as made,
    ):
        made.master.configure(certificates={"web": certificate(*NAMES)})
        assert {"acme", "requests", "cryptography"} <= made.master.modules_after("run"), "what is loaded is seen"
        asked = sandbox.counts.by_kind()
        assert asked["finalize"] == 1
        for command in (["master", "run"], ["follower", "run"], ["run"], ["status"]):
            assert not HEAVY & made.master.modules_after(*command)
        assert "asked nothing of the CA" in made.master.run("run").out
        assert sandbox.counts.by_kind() == asked


def test_the_cas_advice_is_asked_for_once_and_costs_later_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    with (
        office_site(tmp_path / "www") as site,
        running_sandbox(tmp_path / "ca", http_port=site.web.port) as sandbox,
        hosts(tmp_path, sandbox, {"web": by_web(site)}, [authorize("web", *NAMES)]) as made,
    ):
        made.master.configure(certificates={"web": certificate(*NAMES)})
        made.master.run("run")
        (made.master.state / "state.db").unlink()  # what the CA said is lost, with all that the master part remembers
        made.master.run("follower", "run")
        asked = sandbox.counts.by_kind()
        assert asked["renewalInfo"] == 1
        assert not HEAVY & made.master.modules_after("follower", "run")
        assert sandbox.counts.by_kind() == asked
