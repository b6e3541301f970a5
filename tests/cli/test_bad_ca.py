"""A CA that is none, cannot be reached or not be trusted, or lives in another year: what is said, and that nothing is left."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from acmectl.sandbox.clock import Clock
from acmectl.sandbox.server import Sandbox
from tests.cli.hosts import WEB, Host, follower_of, master_of
from tests.servers.bind import free_port
from tests.servers.faults import Reply, running_faults
from tests.servers.sandbox import running_sandbox
from tests.servers.tls import server_tls

HTML = b"<!doctype html><html><title>Welcome</title><p>It works!</p></html>"
REGISTER = ("account", "register", "--agree-tos")


def master_at(directory: Path, authority: str) -> Host:
    """A master without an account, of the CA that `authority` names."""
    host = Host(directory / "master", f"authority: {authority}\nprofile: classic\nstate_directory: state\n{WEB}")
    (host.directory / "www").mkdir()
    with host.config.open("a") as file:
        file.write("master: {authorize: [{names: [xmpp.acme.test], solver: web}]}\n")
    return host


def refused(host: Host, status: int = 1) -> str:
    """What registering says; it must fail and leave nothing behind."""
    before = host.tree()
    ran = host.acmectl(*REGISTER)
    assert ran.status == status
    assert host.tree() == before
    return host.block(ran)


def test_a_directory_that_is_a_web_page(tmp_path: Path) -> None:
    with running_faults() as ca:
        ca.script("GET /directory", Reply(200, HTML, {"Content-Type": "text/html"}))
        host = master_at(tmp_path, f'{{directory: "{ca.directory_url}"}}')
        assert (
            refused(host).replace(ca.base, "BASE")
            == """\
! error: the answer is a web page, not an ACME directory: `BASE/directory`
! hint: give the URL of the directory itself, such as `https://acme-v02.api.letsencrypt.org/directory`, as `authority` (or `authority.directory`) in the configuration
-> 1
"""
        )


def test_a_ca_that_refuses_connections(tmp_path: Path) -> None:
    host = master_at(tmp_path, f'{{directory: "https://127.0.0.1:{free_port()}/directory"}}')
    assert (
        refused(host)
        == """\
! error: cannot reach `https://ca.test/directory`: connection refused
! hint: is the address right, and may this host connect to `127.0.0.1`?
-> 1
"""
    )


def test_a_server_with_a_certificate_for_another_name(tmp_path: Path) -> None:
    tls = server_tls(tmp_path / "tls", address="127.0.0.9")
    with running_faults(tls=tls) as ca:
        host = master_at(tmp_path, f'{{directory: "{ca.directory_url}", ca_bundle: "{tls.bundle}"}}')
        assert (
            refused(host)
            == """\
! error: the TLS certificate of `https://ca.test/directory` cannot be trusted: IP address mismatch, certificate is not valid for '127.0.0.1'
! hint: the certificate is for other names than `127.0.0.1`: check the URL of the directory
-> 1
"""
        )


def test_a_ca_bundle_with_another_root(ca: Sandbox, tmp_path: Path) -> None:
    other = server_tls(tmp_path / "other").bundle
    host = master_at(tmp_path, f'{{directory: "{ca.directory_url}", ca_bundle: "{other}"}}')
    assert (
        refused(host)
        == """\
! error: the TLS certificate of `https://ca.test/directory` cannot be trusted: unable to get local issuer certificate
! hint: `TMP/other/bundle.pem`, named by `ca_bundle`, does not contain the root that signed this certificate
-> 1
"""
    )


def test_no_ca_bundle_for_a_ca_with_a_root_of_its_own(ca: Sandbox, tmp_path: Path) -> None:
    host = master_at(tmp_path, f'{{directory: "{ca.directory_url}"}}')
    assert "! hint: for a CA with a root of its own, name the file of that root as `ca_bundle`\n" in refused(host)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b"no certificate at all\n",
            "no certificate in `TMP/master/root.pem` (it must be PEM: `-----BEGIN CERTIFICATE-----`)",
        ),
        (None, "cannot read the CA bundle `TMP/master/root.pem`: no such file or directory"),
    ],
)
def test_a_ca_bundle_that_is_none(ca: Sandbox, tmp_path: Path, content: bytes | None, said: str) -> None:
    host = master_at(tmp_path, f'{{directory: "{ca.directory_url}", ca_bundle: root.pem}}')
    if content is not None:
        (host.directory / "root.pem").write_bytes(content)
    text = refused(host, status=2)
    assert text.startswith("! config.yaml:1: `authority.ca_bundle`: ")
    assert said in text


YEAR = timedelta(days=365)


@pytest.mark.parametrize(
    ("begins", "ends", "verdict"),
    [(YEAR, 2 * YEAR, "certificate is not yet valid"), (-2 * YEAR, -YEAR, "certificate has expired")],
)
def test_a_clock_that_is_a_year_off_shows_in_the_cas_own_certificate(
    tmp_path: Path, begins: timedelta, ends: timedelta, verdict: str
) -> None:
    """A certificate of next year is, for us, the same as a clock that is a year behind."""
    tls = server_tls(tmp_path / "tls", begins=begins, ends=ends)
    with running_faults(tls=tls) as ca:
        said = refused(master_at(tmp_path, f'{{directory: "{ca.directory_url}", ca_bundle: "{tls.bundle}"}}'))
    assert said.startswith(
        f"! error: the TLS certificate of `https://ca.test/directory` cannot be trusted: {verdict}\n"
        "! hint: check this host's clock with `date -u`"
    )


@pytest.mark.parametrize(("moved", "words"), [(YEAR, "behind"), (-YEAR, "ahead of")])
def test_a_clock_that_is_a_year_off_is_told_by_every_command_that_asks(
    tmp_path: Path, moved: timedelta, words: str
) -> None:
    """Where TLS does not tell, as with the sandbox, whose own certificate has no part in its rehearsals."""
    clock = Clock()
    with running_sandbox(tmp_path / "ca", trust=True, clock=clock) as ca:
        clock.advance(moved)
        host = Host(tmp_path / "master", master_of(ca))
        (host.directory / "www").mkdir()
        for command in (REGISTER, ("account", "show", "--live"), ("master", "run")):
            ran = host.acmectl(*command)
            assert f"warning: the clock of this host is 365 days {words} the CA's\n" in ran.err
            assert "Traceback" not in ran.err


def test_a_clock_that_is_hours_off_is_only_warned_about(tmp_path: Path) -> None:
    clock = Clock()
    with running_sandbox(tmp_path / "ca", trust=True, clock=clock) as ca:
        clock.advance(timedelta(hours=3))
        host = Host(tmp_path / "master", master_of(ca))
        (host.directory / "www").mkdir()
        host.good(*REGISTER)
        ran = host.acmectl("master", "run")
        assert (ran.status, ran.out) == (0, "")
        assert host.block(ran).startswith(
            "! warning: the clock of this host is 3 hours behind the CA's\n! hint: set it, "
        )
        host.configure(follower_of(ca))
        ran = host.acmectl("run")
        assert ran.status == 0
        assert "warning: the clock of this host is 3 hours behind the CA's\n" in ran.err
        assert (host.state / "certificates" / "xmpp" / "current" / "fullchain.pem").exists()
