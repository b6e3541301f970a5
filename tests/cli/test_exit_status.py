"""Exit statuses, on which cron jobs and monitoring build: 0, 1, 2, 3 and 4, each for its reason."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from acmectl.sandbox.server import Sandbox
from tests.cli.hosts import Host, follower_of
from tests.servers.zygote import ACMECTL

LONG_NAMES = "  xmpp: {names: [xmpp.acme.test, mail.acme.test, late.acme.test]}\n"


@contextmanager
def locked(host: Host) -> Iterator[None]:
    """Hold the lock as another run does, for as long as the block lasts."""
    host.state.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(host.state / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.pwrite(descriptor, b"4711 2026-01-02T03:04:05Z\n", 0)
        yield
    finally:
        os.close(descriptor)


def test_0_as_wanted_nothing_due_or_waiting_in_time(issued: Host) -> None:
    assert issued.acmectl("run").status == 0
    assert issued.acmectl("status").status == 0
    issued.configure(issued.config.read_text().replace("mail.acme.test", "late.acme.test"))
    assert issued.acmectl("run").status == 0
    assert issued.acmectl("status").status == 0


def test_1_when_something_failed(follower: Host) -> None:
    (follower.state / "accounts" / "default" / "key.pem").unlink()
    assert follower.acmectl("run").status == 1


def test_2_for_the_command_line_and_the_configuration(follower: Host) -> None:
    assert follower.acmectl("--frobnicate").status == 2
    assert follower.acmectl("follower", "run", "--wait", "soon").status == 2
    assert follower.acmectl("master", "run").status == 2
    follower.configure("")
    assert follower.acmectl("run").status == 2


def test_3_when_another_run_holds_the_lock(follower: Host) -> None:
    with locked(follower):
        for command in (("run",), ("follower", "run"), ("account", "import", "bundle.json")):
            assert (
                follower.block(follower.acmectl(*command))
                == """\
! error: another run (process 4711, since 2026-01-02T03:04:05Z) works on `TMP/follower/state`
! hint: wait until it ends, for example with `--lock-wait 10m`
-> 3
"""
            )
        assert follower.acmectl("run", "--lock-wait", "0.2s").status == 3
        for reading in ("status", "check"):
            assert follower.acmectl(reading).status != 3
        assert follower.acmectl("run", "--dry-run").status == 0
    assert follower.acmectl("run", "--lock-wait", "1m").status == 0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_130_and_143_when_interrupted(follower: Host, number: signal.Signals, status: int) -> None:
    process = subprocess.Popen(
        [ACMECTL, "-v", "follower", "run", "--wait", "1h"],
        cwd=follower.directory,
        env=follower.environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stderr
            assert "the order is pending" in process.stderr.readline()
            process.send_signal(number)
            assert process.stderr.read() == "error: interrupted\n"
            assert process.wait(10) == status
        finally:
            process.kill()
    assert follower.acmectl("follower", "run").status == 0, "the lock is free again"


def test_4_when_there_is_no_certificate_for_too_long(ca: Sandbox, follower: Host) -> None:
    follower.configure(follower_of(ca, follower="{grace: 1h, no_certificate_alarm: 0s}"))
    assert (
        follower.block(follower.acmectl("follower", "run"))
        == """\
! error: certificate `xmpp` waits for the master, and its time is running out
! xmpp: not authorized yet: mail.acme.test, xmpp.acme.test
!   waiting since TIME (no certificate yet)
!   account https://ca.test/acme/account/N at https://ca.test/directory, profile classic
!   no certificate is installed
!   the master must list, for this account and profile:
!     authorize:
!       - names: [mail.acme.test, xmpp.acme.test]
!         solver: ...
-> 4
"""
    )
    assert follower.acmectl("status").status == 4
    follower.configure(follower_of(ca, follower="{grace: 1h, no_certificate_alarm: 1h}"))
    assert follower.acmectl("run").status == 0


def test_4_when_the_installed_certificate_runs_out(ca: Sandbox, issued: Host) -> None:
    issued.configure(follower_of(ca, LONG_NAMES, follower="{grace: 1h, alarm_at: 0.9999}"))
    ran = issued.acmectl("follower", "run")
    assert ran.status == 4
    assert "!   the installed certificate is valid until TIME (DAYS left)\n" in issued.block(ran)
    assert issued.acmectl("status").status == 4
    issued.configure(follower_of(ca, LONG_NAMES, follower="{grace: 1h, alarm_at: 0.5}"))
    assert issued.block(issued.acmectl("follower", "run")) == "-> 0\n"
