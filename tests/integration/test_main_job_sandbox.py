"""The main job against the sandbox with Boulder's rules: real http-01 over loopback, and real dns-01 through BIND."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from acmectl.model.orders import AuthorizationStatus
from acmectl.sandbox.server import Sandbox
from tests.integration.hosts import Finished, certificate, shakes_hands
from tests.integration.office import NAMES, Site, authorize, by_dns, by_web, hosts, office_bind, office_site, published
from tests.servers.bind import Bind
from tests.servers.sandbox import running_sandbox

TWENTY = [f"n{number:02}.web.test" for number in range(20)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with office_site(tmp_path_factory.mktemp("www")) as running:
        yield running


@pytest.fixture(scope="module")
def bind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bind]:
    with office_bind(tmp_path_factory.mktemp("bind")) as server:
        yield server


@pytest.fixture
def sandbox(tmp_path: Path, bind: Bind, site: Site) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path / "ca", http_port=site.web.port, resolver=(bind.address, bind.port)) as server:
        yield server


def requests(done: Finished) -> dict[str, int]:
    """How many requests of each kind a run says it made."""
    (listed,) = re.findall(r"requests? to the CA: (.*)", done.out)
    return {kind: int(count) for count, kind in (item.split() for item in listed.split(", "))}


def test_a_master_proves_and_two_followers_issue_what_they_need_of_it(
    tmp_path: Path, sandbox: Sandbox, site: Site, bind: Bind
) -> None:
    one = {"certificates": {"xmpp": certificate("xmpp.office.test", "office.test", "www.web.test")}}
    web, away = certificate("office.test", "*.office.test"), certificate("away.office.test", key="rsa-2048", deploy=[])
    two = {"certificates": {"web": web, "away": away}}
    entries = [authorize("dns", *NAMES), authorize("web", "www.web.test", "web.test")]
    with hosts(tmp_path, sandbox, {"dns": by_dns(bind), "web": by_web(site)}, entries, one, two) as made:
        made.master.run("master", "run")
        assert sandbox.counts["finalize"] == 0
        assert not published(bind)
        assert not site.files()
        answered = sandbox.counts["challenge"]
        assert answered == 7
        for follower in made.followers:
            follower.run("follower", "run")
        assert sandbox.counts["challenge"] == answered
        assert sandbox.counts["finalize"] == 3
        root, (first, second) = sandbox.ca_bundle.read_bytes(), made.followers
        assert shakes_hands(first.directory / "tls", "xmpp.office.test", root)
        assert shakes_hands(first.directory / "tls", "www.web.test", root)
        assert not shakes_hands(first.directory / "tls", "mail.office.test", root)
        assert shakes_hands(second.directory / "tls", "anything.office.test", root)
        assert not shakes_hands(second.directory / "tls", "office.example", root)
        assert shakes_hands(second.current("away"), "away.office.test", root)


def test_a_name_that_the_ca_refuses_is_reported_in_its_words_and_the_other_nineteen_are_proven(
    tmp_path: Path, sandbox: Sandbox, site: Site
) -> None:
    reason = "The ACME server refuses to issue a certificate for this domain name, because it is forbidden by policy"
    with hosts(tmp_path, sandbox, {"web": by_web(site)}, [authorize("web", *TWENTY)]) as made:
        sandbox.authority.state.injections.rejected["n07.web.test"] = reason
        done = made.master.run("master", "run", expect=1)
        assert done.err.count("not authorized") == 1
        assert "`n07.web.test` is not authorized" in done.err
        assert reason in done.err
        assert requests(done)["newOrder"] == 2
        assert made.master.names("failed") == ["n07.web.test"]


def test_a_name_that_the_ca_finds_wrong_is_reported_in_its_words_and_the_other_nineteen_are_proven(
    tmp_path: Path, sandbox: Sandbox, site: Site
) -> None:
    names = [*TWENTY[:12], "parked.web.test", *TWENTY[13:]]
    with hosts(tmp_path, sandbox, {"web": by_web(site, check=False)}, [authorize("web", *names)]) as made:
        done = made.master.run("master", "run", expect=1)
        assert done.err.count("not authorized") == 1
        assert "`parked.web.test` is not authorized" in done.err
        assert '(got "this domain is for sale")' in done.err
        assert requests(done)["newOrder"] == 1
        assert made.master.names("failed") == ["parked.web.test"]
        assert not site.files()


def test_a_name_that_cannot_be_published_or_seen_is_never_answered(
    tmp_path: Path, sandbox: Sandbox, site: Site, bind: Bind
) -> None:
    entries = [authorize("dns", "office.test", "mail.closed.test"), authorize("web", "parked.web.test", "web.test")]
    solvers = {"dns": by_dns(bind), "web": by_web(site, check_timeout="1s")}
    with hosts(tmp_path, sandbox, solvers, entries) as made:
        done = made.master.run("master", "run", expect=1)
        assert "`mail.closed.test` is not authorized" in done.err
        assert "`parked.web.test` is not authorized" in done.err
        assert "answers something else than the key authorization" in done.err
        assert made.master.names("authorized") == ["office.test", "web.test"]
        assert sandbox.counts["challenge"] == 2


def test_a_name_that_is_removed_from_the_master_ends_with_its_authorization(
    tmp_path: Path, sandbox: Sandbox, site: Site
) -> None:
    both = {"certificates": {"both": certificate("kept.web.test", "gone.web.test", deploy=[])}}
    one = {"certificates": {"kept": certificate("kept.web.test", deploy=[])}}
    entries = [authorize("web", "kept.web.test", "gone.web.test")]
    with hosts(tmp_path, sandbox, {"web": by_web(site)}, entries, both, one) as made:
        made.master.run("master", "run")
        made.master.configure(master={"authorize": [authorize("web", "kept.web.test")]})
        made.master.run("master", "run")
        assert made.master.names("authorized") == ["kept.web.test"]
        sandbox.authority.set_status(["gone.web.test"], AuthorizationStatus.EXPIRED)
        waiting = made.followers[0].run("follower", "run")
        assert "gone.web.test" in waiting.said
        assert not made.followers[0].current("both").exists()
        made.followers[1].run("follower", "run")
        assert shakes_hands(made.followers[1].current("kept"), "kept.web.test", sandbox.ca_bundle.read_bytes())


def test_requests_of_a_first_master_run_over_twenty_names_and_of_a_certificate_over_five(
    tmp_path: Path, sandbox: Sandbox, site: Site
) -> None:
    """The figures in README; the number of polls and of nonces depends on how long the CA takes."""
    five = {"certificates": {"five": certificate(*TWENTY[:5], deploy=[])}}
    with hosts(tmp_path, sandbox, {"web": by_web(site)}, [authorize("web", *TWENTY)], five) as made:
        master = Counter(requests(made.master.run("master", "run")))
        assert master.pop("newNonce") <= 20
        assert 1 <= master.pop("order") <= 3
        assert master == {"directory": 1, "newOrder": 1, "authorization": 21, "challenge": 20}
        follower = requests(made.followers[0].run("follower", "run"))
        assert follower == {"directory": 1, "newNonce": 1, "newOrder": 1, "finalize": 1, "certificate": 1}
