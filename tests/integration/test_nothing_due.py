"""A run with nothing due asks nobody, and does not even load what asking takes: cron may come as often as it likes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from acmectl.sandbox.server import Sandbox
from tests.integration.hosts import Host, certificate
from tests.integration.office import authorize, by_web, hosts, office_site
from tests.servers.sandbox import running_sandbox

NAMES = ["web.test", "www.web.test"]
HEAVY = {"acme", "josepy", "requests", "dns", "cryptography", "rich", "werkzeug"}


@contextmanager
def alone(directory: Path) -> Iterator[tuple[Host, Sandbox]]:
    """A host that proves its own names, with a certificate that is due, and its CA."""
    (directory / "www").mkdir()
    with (
        office_site(directory / "www") as site,
        running_sandbox(directory / "ca", http_port=site.web.port) as sandbox,
        hosts(directory, sandbox, {"web": by_web(site)}, [authorize("web", *NAMES)]) as made,
    ):
        made.master.configure(certificates={"web": certificate(*NAMES)})
        yield made.master, sandbox


def test_nothing_is_asked_and_nothing_heavy_is_loaded(tmp_path: Path) -> None:
    with alone(tmp_path) as (host, sandbox):
        assert {"acme", "requests", "cryptography"} <= host.modules_after("run"), "what is loaded is seen"
        asked = sandbox.counts.by_kind()
        assert asked["finalize"] == 1
        for command in (["master", "run"], ["follower", "run"], ["run"], ["status"]):
            assert not HEAVY & host.modules_after(*command)
        assert "asked nothing of the CA" in host.run("run").out
        assert sandbox.counts.by_kind() == asked


def test_the_cas_advice_is_asked_for_once_and_costs_later_runs_nothing(tmp_path: Path) -> None:
    with alone(tmp_path) as (host, sandbox):
        host.run("run")
        (host.state / "state.db").unlink()  # what the CA said is lost, with all that the master part remembers
        host.run("follower", "run")
        asked = sandbox.counts.by_kind()
        assert asked["renewalInfo"] == 1
        assert not HEAVY & host.modules_after("follower", "run")
        assert sandbox.counts.by_kind() == asked
