"""A follower never sends a request to a challenge URL, and a master never finalizes: counted at the CA, in every state a run can meet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from acmectl.errors import Problem
from acmectl.model.orders import AuthorizationStatus
from acmectl.sandbox.server import Sandbox
from tests.integration.hosts import Finished, Host, await_true, certificate, will_ask_again
from tests.integration.office import authorize, by_dns, by_web, hosts, office_bind, office_site
from tests.servers.pebble import running_pebble
from tests.servers.sandbox import running_sandbox

NAMES = ["xmpp.web.test", "mail.web.test", "more.web.test"]
FOLLOWERS = {"directory", "newNonce", "newOrder", "order", "authorization", "deactivate", "finalize", "certificate"}
MASTERS = {"directory", "newNonce", "newOrder", "order", "authorization", "challenge"}


@dataclass
class Watched:
    """A CA, and what each of the two hosts asked of it."""

    sandbox: Sandbox
    master: Host
    follower: Host
    asked: dict[str, Counter[str]] = field(default_factory=lambda: {"master": Counter(), "follower": Counter()})

    def run(self, part: str, *arguments: str, expect: int | None = 0) -> Finished:
        before = self.sandbox.counts.by_kind()
        done = (self.master if part == "master" else self.follower).run(part, "run", *arguments, expect=expect)
        self.asked[part] += self.sandbox.counts.by_kind() - before
        return done


@contextmanager
def watched(directory: Path) -> Iterator[Watched]:
    (directory / "www").mkdir()
    wanted = {"certificates": {"xmpp": certificate(*NAMES[:2])}, "follower": {"grace": "1s"}}
    with (
        office_site(directory / "www") as site,
        running_sandbox(directory / "ca", http_port=site.web.port) as sandbox,
        hosts(directory, sandbox, {"web": by_web(site)}, [authorize("web", *NAMES)], wanted) as made,
    ):
        yield Watched(sandbox, made.master, made.followers[0])


def test_from_too_early_to_renewed(tmp_path: Path) -> None:
    with watched(tmp_path) as world:
        state = world.sandbox.authority.state
        world.run("follower")
        state.injections.failing["xmpp.web.test"] = Problem("dns", "DNS problem: SERVFAIL", 400)
        world.run("master", expect=1)
        world.run("follower")
        assert not world.follower.current("xmpp").exists()
        state.injections.failing.clear()
        world.run("master", "xmpp.web.test")
        state.injections.caa["mail.web.test"] = "ready"
        world.run("follower", expect=1)
        state.injections.caa.clear()
        world.run("follower", "--force")
        assert world.follower.current("xmpp").exists()
        world.sandbox.authority.set_status(["mail.web.test"], AuthorizationStatus.REVOKED)
        world.run("follower", "--force")
        world.run("master", "mail.web.test")
        world.run("follower", "--force")
        world.run("follower")
        assert world.asked["follower"].keys() == FOLLOWERS - {"order"}
        assert world.asked["master"].keys() == MASTERS
        assert world.asked["follower"]["finalize"] == 3


def test_while_an_order_is_in_work(tmp_path: Path) -> None:
    with watched(tmp_path) as world:
        world.run("master")
        state = world.sandbox.authority.state
        state.rules = replace(state.rules, issue_delay=timedelta(seconds=1))
        world.run("follower")
        assert world.asked["follower"].keys() == FOLLOWERS - {"deactivate", "authorization"}
        assert world.asked["master"].keys() == MASTERS


def test_at_pebble_too(tmp_path: Path) -> None:
    follower = {"certificates": {"xmpp": certificate("xmpp.office.test")}, "follower": {"grace": "1s"}}
    with office_bind(tmp_path) as bind, running_pebble(tmp_path, resolver=bind.endpoint) as pebble:
        entries = [authorize("dns", "xmpp.office.test")]
        with hosts(tmp_path, pebble, {"dns": by_dns(bind)}, entries, follower) as made:
            made.followers[0].run("follower", "run")
            made.followers[0].run("follower", "run")
            assert pebble.challenge_posts() == 0
            made.master.run("master", "run")
            assert (pebble.challenge_posts(), pebble.finalize_posts()) == (1, 0)
            await_true(lambda: will_ask_again(made.followers[0].directory), what="the end of the pause")
            made.followers[0].run("follower", "run")
            assert (pebble.challenge_posts(), pebble.finalize_posts()) == (1, 1)


def test_its_process_does_not_even_load_what_proves(tmp_path: Path) -> None:
    """The import contracts say so for the follower's room; this says it for the whole process."""
    with watched(tmp_path) as world:
        world.run("master")
        modules = world.follower.modules_after("follower", "run")
        assert world.follower.current("xmpp").exists()
        assert "acmectl.ca.issuing" in modules
        assert not {name for name in modules if name.startswith("acmectl.master")}
        assert "acmectl.ca.proving" not in modules
        assert not {"acmectl.solvers.webroot", "acmectl.solvers.rfc2136", "acmectl.solvers.standalone"} & modules
