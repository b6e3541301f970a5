"""Services that cannot be told of their new certificate: nothing is lost, and a later run makes it good."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from acmectl import app
from acmectl.follower import FollowerReport, Issued
from acmectl.sandbox.server import Sandbox
from tests.cli.hosts import AS_NOBODY, Host, follower_of, master_of
from tests.servers.wire import serving


def with_reload(ca: Sandbox, reload: str) -> str:
    deploy = f"[{{type: files, directory: tls, reload: {reload}}}]"
    return follower_of(ca, f"  xmpp: {{names: [xmpp.acme.test, mail.acme.test], deploy: {deploy}}}\n")


AGAIN = "! hint: once it is mended, `acmectl follower run xmpp` tries again at once\n"


@pytest.mark.parametrize(
    ("reload", "reason", "hint"),
    [
        ("[sh, -c, 'exit 7']", "`sh -c 'exit 7'` failed with exit status 7", AGAIN),
        (
            "[no-such-program, reload]",
            "cannot run `no-such-program reload`: no such file or directory",
            "! hint: is `no-such-program` installed and executable?\n",
        ),
        (
            "[sleep, '60'], reload_timeout: 0.5s",
            "`sleep 60` did not finish within 0.5 s (`reload_timeout`) and was stopped",
            AGAIN,
        ),
    ],
    ids=["fails", "does not exist", "hangs"],
)
def test_a_reload_that_fails_loses_nothing_and_is_made_good_later(
    ca: Sandbox, authorized: Host, follower: Host, reload: str, reason: str, hint: str
) -> None:
    assert authorized.acmectl("status").status == 0
    follower.configure(with_reload(ca, reload))
    began = time.monotonic()
    ran = follower.acmectl("follower", "run")
    assert time.monotonic() - began < 20
    said = f"! error: certificate `xmpp` is not deployed to files[0]: {reason}; the next run tries again\n{hint}"
    assert follower.block(ran) == f"{said}-> 1\n"
    current = (follower.state / "certificates" / "xmpp" / "current" / "fullchain.pem").read_bytes()
    assert (follower.directory / "tls" / "fullchain.pem").read_bytes() == current
    assert follower.acmectl("status").status == 1
    follower.configure(with_reload(ca, "[touch, reloaded]"))
    assert follower.block(follower.acmectl("follower", "run")) == "-> 0\n"
    assert (follower.directory / "reloaded").exists()
    assert (follower.state / "certificates" / "xmpp" / "current" / "fullchain.pem").read_bytes() == current
    assert follower.acmectl("status").status == 0


def test_what_to_do_is_said_once_for_services_that_fail_alike(ca: Sandbox, issued: Host) -> None:
    with serving(script=[]) as one, serving(script=[]) as other:
        verify = [f"verify: [{{port: {server.port}}}], patience: 1s" for server in (one, other)]
        targets = [*verify, "reload: ['false']", "reload: ['true']"]
        deploy = ", ".join(f"{{type: files, directory: tls-{i}, {more}}}" for i, more in enumerate(targets))
        issued.configure(follower_of(ca, f"  xmpp: {{names: [xmpp.acme.test, mail.acme.test], deploy: [{deploy}]}}\n"))
        ran = issued.acmectl("-v", "follower", "run")
    said = [line.split(":")[0] for line in ran.err.splitlines() if line.startswith(("error", "hint"))]
    assert said == ["error", "error", "hint", "error", "hint"], ran
    assert ran.err.count("is the service running, and is this where it listens?") == 1
    assert "`acmectl follower run xmpp` tries again at once" in ran.err.splitlines()[-1]
    assert "xmpp: deployed to files[3]" in ran.out


def test_a_directory_that_cannot_be_made(ca: Sandbox, issued: Host) -> None:
    (issued.directory / "tls").write_text("a file is in the way\n")
    issued.configure(with_reload(ca, "[touch, reloaded]"))
    assert (
        issued.block(issued.acmectl("follower", "run"))
        == """\
! error: certificate `xmpp` is not deployed to files[0]: cannot make the directory `TMP/follower/tls`: a file of that name is in the way; the next run tries again
! hint: once it is mended, `acmectl follower run xmpp` tries again at once
-> 1
"""
    )
    assert not (issued.directory / "reloaded").exists(), "nothing was installed, so nothing is reloaded"
    for _ in range(3):
        failed = issued.acmectl("follower", "run")
        assert failed.status == 1
    assert "; next attempt after 2" in failed.err, "three failures are tried again at once, and then there is a pause"
    (issued.directory / "tls").unlink()
    assert issued.acmectl("follower", "run").status == 1, "its pause is not over"
    assert (
        issued.block(issued.acmectl("-v", "follower", "run", "xmpp"))
        == """\
xmpp: valid until TIME (DAYS left); due TIME
xmpp: deployed to files[0]
asked nothing of the CA
! acmectl: reloading: touch reloaded
-> 0
"""
    )
    assert (issued.directory / "reloaded").exists()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_files_that_the_service_has_not_accepted_do_not_stay_when_its_check_is_interrupted(
    ca: Sandbox, issued: Host, number: signal.Signals, status: int
) -> None:
    issued.configure(follower_of(ca, _CHECKED.format(command="'true'")))
    issued.good("run")
    before = {path: path.read_bytes() for path in (issued.directory / "tls").iterdir()}
    issued.configure(follower_of(ca, _CHECKED.format(command=f"kill -{number.name[3:]} $PPID; exec sleep 60")))
    ran = issued.acmectl("cert", "renew", "xmpp", "--force")
    assert (ran.status, ran.err) == (status, "error: interrupted\n")
    assert (issued.state / "certificates" / "xmpp" / "current").readlink().name == "2"
    assert {path: path.read_bytes() for path in (issued.directory / "tls").iterdir()} == before
    assert not (issued.state / "deployed").exists()


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("deployed/old", "nothing that acmectl keeps there"),
        ("deployed/mail", "nothing that acmectl keeps there"),
        ("certificates/old", None),
        ("certificates/mail", None),
        ("certificates/mail/1", None),
        ("certificates/former/1", None),
        ("certificates/former/revoked", None),
    ],
)
def test_a_link_to_itself_in_the_state_directory_stops_nothing_but_its_own(
    ca: Sandbox, authorized: Host, follower: Host, place: str, says: str | None
) -> None:
    assert authorized
    two = "".join(
        f"  {label}: {{names: [{label}.acme.test], deploy: [{{type: files, directory: tls-{label}}}]}}\n"
        for label in ("mail", "xmpp")
    )
    follower.configure(follower_of(ca, two))
    follower.good("follower", "run")
    broken = follower.state / place
    shutil.rmtree(broken, ignore_errors=True)
    broken.parent.mkdir(parents=True, exist_ok=True)
    broken.symlink_to(broken.name)
    follower.configure(follower_of(ca, two + "onchange: [[touch, once]]\n"))
    for command in (["follower", "run"], ["cert", "deploy", "xmpp"]):
        for label in ("mail", "xmpp"):
            shutil.rmtree(follower.directory / f"tls-{label}", ignore_errors=True)
        ran = follower.acmectl(*command)
        assert (follower.directory / "tls-xmpp/fullchain.pem").exists(), ran
        if says is not None:
            assert (
                f"error: this host: `{broken}` is {says}; the next run tries again\nhint: move it elsewhere" in ran.err
            )
    listed = follower.acmectl("status")
    assert "certificate xmpp: xmpp.acme.test\n  valid until" in listed.out
    assert not listed.err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has files of two users")
def test_a_file_of_another_user_that_could_not_be_put_back_is_not_replaced(
    ca: Sandbox, issued: Host, open_path: Path
) -> None:
    shutil.copytree(issued.directory, open_path / "follower", symlinks=True)
    shutil.copy(ca.ca_bundle, open_path)
    deploy = "[{type: files, directory: tls, files: {privkey+fullchain: all.pem}, check: [test, -e, good]}]"
    text = follower_of(ca, f"  xmpp: {{names: [xmpp.acme.test, mail.acme.test], deploy: {deploy}}}\n")
    host = Host(open_path / "follower", text.replace(str(ca.ca_bundle), "../root.pem"))
    copy = host.directory / "tls" / "all.pem"
    copy.parent.mkdir()
    for path in (host.directory, *host.directory.rglob("*")):
        os.lchown(path, 65534, 65534)
    copy.write_text("old")
    copy.chmod(0o644)
    os.chown(copy, 0, 65534)
    for _ in range(2):
        ran = host.acmectl("run", prefix=AS_NOBODY)
        why = f"`{copy}` belongs to 0:65534, and could not be put back like that: operation not permitted"
        assert f"not deployed to files[0]: {why}; the next run tries again" in ran.err
        assert f"hint: run as root, or give it to the user of acmectl: `chown 65534:65534 {copy}`" in ran.err
        assert (ran.status, copy.read_text(), list(copy.parent.iterdir())) == (1, "old", [copy])
        assert not (host.state / "deployed").exists()
    os.chown(copy, 65534, 65534)
    assert "`test -e good` failed" in host.acmectl("run", prefix=AS_NOBODY).err
    assert copy.read_text() == "old"
    (host.directory / "good").touch()
    host.good("run", prefix=AS_NOBODY)
    assert "PRIVATE KEY" in copy.read_text()


_CHECKED = (
    "  xmpp: {{names: [xmpp.acme.test, mail.acme.test],"
    " deploy: [{{type: files, directory: tls, check: [sh, -c, {command}]}}]}}\n"
)


NAMES = ("xmpp.acme.test", "mail.acme.test", "late.acme.test")


def prove_all(ca: Sandbox, master: Host) -> None:
    master.configure(master_of(ca, *NAMES))
    master.good("run")


def waits(host: Host, *, meanwhile: Callable[[], object]) -> FollowerReport:
    """`acmectl follower run --wait 1h`, with `meanwhile` in place of its first pause, and nothing in place of others."""
    loaded, left = app.load(host.config), [meanwhile]

    def pause(_: float) -> None:
        if left:
            left.pop()()

    opened = app.Host(loaded.config, loaded.parts, pause=pause)
    try:
        with opened.state.locked():
            return opened.follower().run(opened.wishes(), wait=timedelta(hours=1))
    finally:
        opened.state.close()


class TestWaiting:
    """A run with `--wait` does first what a run without it does, and then what became possible meanwhile."""

    @pytest.fixture
    def waiting(self, ca: Sandbox, issued: Host) -> Host:
        """A follower with a certificate that is deployed, and one that waits for the master."""
        log = f"[[sh, -c, 'echo \"$ACMECTL_LABELS\" >>{issued.directory}/log']]"
        certificates = (
            "  xmpp: {names: [xmpp.acme.test, mail.acme.test], deploy: [{type: files, directory: tls}]}\n"
            "  late: {names: [late.acme.test], deploy: [{type: files, directory: late}]}\n"
        )
        issued.configure(follower_of(ca, certificates, onchange=log))
        issued.good("run")
        (issued.directory / "log").unlink()
        return issued

    def test_what_is_behind_is_deployed_before_the_waiting_and_what_was_issued_after_it(
        self, ca: Sandbox, authorized: Host, waiting: Host
    ) -> None:
        gone = waiting.directory / "tls" / "cert.pem"
        gone.unlink()

        def prove() -> None:
            assert gone.exists(), "not after half an hour"
            prove_all(ca, authorized)

        report = waits(waiting, meanwhile=prove)
        xmpp, late = report.results
        assert isinstance(late.outcome, Issued)
        assert [(d.target, d.error, d.changed) for d in xmpp.deployments] == [("files[0]", None, True)]
        assert [(d.target, d.error) for d in late.deployments] == [("files[0]", None)]
        assert (waiting.directory / "late" / "cert.pem").exists()
        assert (waiting.directory / "log").read_text() == "xmpp\nlate\n", "once before, and once after"

    def test_what_failed_before_the_waiting_and_works_after_it_has_not_failed(
        self, ca: Sandbox, authorized: Host, waiting: Host
    ) -> None:
        (waiting.directory / "tls" / "cert.pem").unlink()
        (waiting.directory / "tls" / "cert.pem").mkdir()

        def mend() -> None:
            (waiting.directory / "tls" / "cert.pem").rmdir()
            prove_all(ca, authorized)

        report = waits(waiting, meanwhile=mend)
        assert report.exit_status == 0
        assert [d.error for result in report.results for d in result.deployments] == [None, None]
