"""Other clients beside ours, with one account, at a Pebble that reuses every valid authorization: who proves, and who needs no proof.

Challenges are counted at the CA, and those of the second client would fail: it could only answer on a port that nobody asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.hosts import Host, certificate, shakes_hands
from tests.integration.office import Site, authorize, by_web, office_pebble, office_site
from tests.servers.clients import Acmebot, Certbot, Lego
from tests.servers.pebble import Pebble
from tests.servers.sandbox import running_sandbox

NAMES = ("xmpp.office.test", "mail.office.test")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    root = tmp_path_factory.mktemp("site")
    with office_site(root) as served:
        yield served


@pytest.fixture(scope="module")
def pebble(tmp_path_factory: pytest.TempPathFactory, site: Site) -> Iterator[Pebble]:
    """A CA that believes nothing without looking."""
    with office_pebble(tmp_path_factory.mktemp("pebble"), site) as server:
        yield server


def common(pebble: Pebble) -> dict[str, Any]:
    return {"authority": {"directory": pebble.directory_url, "ca_bundle": str(pebble.ca_bundle)}}


@pytest.fixture
def master(tmp_path: Path, pebble: Pebble, site: Site) -> Host:
    """A master that registered an account with an ECDSA key, which is the default, and proved its names."""
    parts = {"solvers": {"web": by_web(site)}, "master": {"authorize": [authorize("web", *NAMES)]}}
    host = Host(tmp_path / "master", {**common(pebble), "contact": ["hostmaster@office.test"], **parts})
    host.run("account", "register", "--agree-tos")
    host.run("master", "run")
    return host


def test_certbot_issues_without_a_challenge_what_our_master_keeps(tmp_path: Path, pebble: Pebble, master: Host) -> None:
    certbot = Certbot(tmp_path / "letsencrypt", pebble)
    master.run("account", "export", "--for", "certbot", str(certbot.root))
    proven, issued = pebble.challenge_posts(), pebble.issued()
    certbot.issue(*NAMES)
    assert (pebble.challenge_posts(), pebble.issued()) == (proven, issued + 1)
    assert shakes_hands(certbot.chain.parent, "mail.office.test", pebble.root())


def test_lego_issues_without_a_challenge_what_our_master_keeps(tmp_path: Path, pebble: Pebble, master: Host) -> None:
    lego = Lego(tmp_path / "lego", pebble)
    master.run("account", "export", "--for", "lego", str(lego.root))
    proven, issued = pebble.challenge_posts(), pebble.issued()
    assert "Trying to solve" not in lego.issue("hostmaster@office.test", *NAMES).text
    assert (pebble.challenge_posts(), pebble.issued()) == (proven, issued + 1)


def test_a_client_with_an_account_of_its_own_gets_nothing_of_it(tmp_path: Path, pebble: Pebble, master: Host) -> None:  # noqa: ARG001  # its names are proven
    issued = pebble.issued()
    lego = Lego(tmp_path / "lego", pebble)
    lego.issue("hostmaster@office.test", *NAMES, expect=1)
    assert pebble.issued() == issued


def test_our_follower_issues_without_a_challenge_what_acmebots_master_keeps(
    tmp_path: Path, pebble: Pebble, site: Site
) -> None:
    acmebot = Acmebot(tmp_path / "acmebot", pebble)
    challenges = site.root / ".well-known" / "acme-challenge"
    challenges.mkdir(parents=True, exist_ok=True)
    acmebot.configure(
        authorizations={"office.test": ["xmpp", "mail"]},
        directories={"http_challenge": str(challenges)},
        settings={"authorization_delay": 1},
    )
    proven = pebble.challenge_posts()
    acmebot.run("--auth")
    assert pebble.challenge_posts() == proven + 2
    follower = Host(tmp_path / "follower", {**common(pebble), "certificates": {"xmpp": certificate(*NAMES)}})
    follower.run("account", "import", "--from", "acmebot", str(acmebot.config))
    issued = pebble.issued()
    follower.run("follower", "run")
    assert (pebble.challenge_posts(), pebble.issued()) == (proven + 2, issued + 1)
    assert shakes_hands(follower.directory / "tls", "xmpp.office.test", pebble.root())


def test_acmebots_follower_issues_without_a_challenge_what_our_master_keeps(
    tmp_path: Path, pebble: Pebble, site: Site
) -> None:
    parts = {"solvers": {"web": by_web(site)}, "master": {"authorize": [authorize("web", *NAMES)]}}
    master = Host(tmp_path / "master", {**common(pebble), **parts})
    master.run("account", "register", "--agree-tos", "--key", "rsa-2048")
    master.run("master", "run")
    acmebot = Acmebot(tmp_path / "acmebot", pebble)
    acmebot.configure(
        settings={"follower_mode": True, "key_types": ["ecdsa"], "dhparam_size": 0, "ecparam_curve": None},
        certificates={"xmpp.office.test": {"alt_names": {"office.test": ["xmpp", "mail"]}}},
    )
    master.run("account", "export", "--for", "acmebot", str(acmebot.root / "resource"))
    proven, issued = pebble.challenge_posts(), pebble.issued()
    acmebot.run("--certs")
    assert (pebble.challenge_posts(), pebble.issued()) == (proven, issued + 1)


def test_what_another_client_cannot_use_is_refused_and_leaves_nothing_behind(tmp_path: Path, master: Host) -> None:
    folder = tmp_path / "resource"
    said = master.run("account", "export", "--for", "acmebot", str(folder), expect=1).err
    assert "acmebot takes accounts with RSA keys only" in said
    assert not folder.exists()
    master.run("account", "export", "--for", "certbot", str(folder))
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert all(path.stat().st_mode & 0o077 == 0 for path in before)
    said = master.run("account", "export", "--for", "certbot", str(folder), expect=2).err
    assert "exists already" in said
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_at_a_ca_with_profiles_a_client_that_names_none_has_to_prove_again(tmp_path: Path) -> None:
    """As README warns: for Let's Encrypt's server no profile is another one than `classic`."""
    with running_sandbox(tmp_path, trust=True) as ca:
        solver = {"type": "webroot", "path": str(tmp_path), "check": False}
        host = Host(
            tmp_path / "master",
            {
                "authority": {"directory": ca.directory_url, "ca_bundle": str(ca.ca_bundle)},
                "profile": "classic",
                "contact": ["hostmaster@office.test"],
                "solvers": {"web": solver},
                "master": {"authorize": [authorize("web", *NAMES)]},
            },
        )
        host.run("account", "register", "--agree-tos")
        host.run("master", "run")
        lego = Lego(tmp_path / "lego", ca)
        said = host.run("account", "export", "--for", "lego", str(lego.root)).err
        assert "lego must ask for profile `classic` too" in said
        assert "Trying to solve HTTP-01" in lego.issue("hostmaster@office.test", *NAMES).text
