"""Any program as a solver: what it is told, and what becomes of one that fails, hangs or prints rubbish."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from acmectl import workers
from acmectl.model.names import Identifier
from acmectl.solvers import registry
from acmectl.solvers.base import Capabilities, KeepsReceipts, Probe, Response, Solver
from acmectl.solvers.testing import Kept
from tests.integration.hosts import await_true
from tests.servers.solvers import only
from tests.servers.static_web import Answer, running_web


def make(publish: Path | list[str], remove: Path | list[str] | None = None, **changes: Any) -> Solver:
    options: dict[str, Any] = {
        "challenge": "dns-01",
        "publish": _argv(publish),
        "remove": _argv(remove or publish),
        "timeout": "10s",
    }
    model = registry.options_model("command")
    assert model
    return registry.build("command", model.model_validate(options | changes))


def _argv(program: Path | list[str]) -> list[str]:
    return [str(program)] if isinstance(program, Path) else program


def hook(directory: Path, script: str) -> Path:
    path = directory / "hook"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def response(name: str = "www.example.com", kind: str = "dns-01") -> Response:
    return Response(Identifier.parse(name), kind, "T0ken_-x", "T0ken_-x.thumbprint")


def told(path: Path) -> Mapping[str, str]:
    """The variables of ours that a hook wrote with `env`."""
    lines = [line.partition("=") for line in path.read_text().splitlines()]
    return {name: value for name, _, value in lines if name.startswith("ACMECTL_")}


def test_a_program_for_dns_is_told_the_record_and_nothing_of_our_environment(tmp_path: Path) -> None:
    os.environ["ACMECTL_TEST_SECRET"] = "secret"
    try:
        solver, ours = make(hook(tmp_path, f"env > {tmp_path}/$ACMECTL_ACTION")), response("*.example.com")
        assert solver.publish([ours]) == {}
        assert solver.remove([ours]) == {}
    finally:
        del os.environ["ACMECTL_TEST_SECRET"]
    expected = {
        "ACMECTL_ACTION": "publish",
        "ACMECTL_IDENTIFIER": "*.example.com",
        "ACMECTL_CHALLENGE_TYPE": "dns-01",
        "ACMECTL_TOKEN": "T0ken_-x",
        "ACMECTL_KEY_AUTHORIZATION": "T0ken_-x.thumbprint",
        "ACMECTL_RECORD_NAME": "_acme-challenge.example.com",
        "ACMECTL_RECORD_VALUE": ours.txt_value,
    }
    assert told(tmp_path / "publish") == expected
    assert told(tmp_path / "remove") == expected | {"ACMECTL_ACTION": "remove"}


def test_a_program_for_http_is_told_the_path_and_the_body(tmp_path: Path) -> None:
    solver = make(hook(tmp_path, f"env > {tmp_path}/$ACMECTL_ACTION"), challenge="http-01")
    assert solver.publish([response(kind="http-01")]) == {}
    assert told(tmp_path / "publish") == {
        "ACMECTL_ACTION": "publish",
        "ACMECTL_IDENTIFIER": "www.example.com",
        "ACMECTL_CHALLENGE_TYPE": "http-01",
        "ACMECTL_TOKEN": "T0ken_-x",
        "ACMECTL_KEY_AUTHORIZATION": "T0ken_-x.thumbprint",
        "ACMECTL_URL_PATH": "/.well-known/acme-challenge/T0ken_-x",
    }


def test_what_it_can_prove_follows_from_its_challenge_type(tmp_path: Path) -> None:
    program = hook(tmp_path, "true")
    assert make(program).capabilities == Capabilities(("dns-01",), wildcard=True)
    assert make(program, challenge="http-01").capabilities == Capabilities(("http-01",), wildcard=False, ip=True)


def test_a_program_that_fails_for_one_name_is_quoted_and_the_others_go_on(tmp_path: Path) -> None:
    program = hook(
        tmp_path,
        f'echo "$ACMECTL_IDENTIFIER" >> {tmp_path}/log\n'
        '[ "$ACMECTL_IDENTIFIER" != bad.example.com ] || { echo "no such zone" >&2; exit 3; }',
    )
    ours = [response("a.example.com"), response("bad.example.com"), response("c.example.com")]
    failures = make(program).publish(ours)
    assert failures.keys() == {ours[1]}
    assert only(failures).message == f"`{program}` failed with exit status 3: no such zone"
    assert (tmp_path / "log").read_text().split() == ["a.example.com", "bad.example.com", "c.example.com"]


def test_a_program_that_hangs_is_stopped_with_its_children(tmp_path: Path) -> None:
    program = hook(tmp_path, f"sleep 60 & echo $! > {tmp_path}/child; wait")
    begin = time.monotonic()
    failures = make(program, timeout="1s").publish([response()])
    assert time.monotonic() - begin < 8
    assert only(failures).message == f"`{program}` did not finish within 1 s and was stopped"
    child = int((tmp_path / "child").read_text())
    end = time.monotonic() + 5
    while _runs(child) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_binary_output_becomes_a_message_that_can_be_printed(tmp_path: Path) -> None:
    program = hook(tmp_path, r"printf '\377\000\033[31mred\007' >&2; exit 1")
    message = only(make(program).publish([response()])).message
    assert message.isprintable()
    assert "red" in message
    assert message.startswith(f"`{program}` failed with exit status 1: ")


def test_megabytes_of_output_do_not_block_it_and_are_cut(tmp_path: Path) -> None:
    program = hook(tmp_path, "head -c 5000000 /dev/zero | tr '\\0' x >&2; exit 1")
    assert len(only(make(program).publish([response()])).message) < 3000


@pytest.mark.parametrize("style", ["acmectl", "certbot", "dehydrated", "lego"])
def test_a_hook_of_any_style_that_fails_is_quoted(tmp_path: Path, style: str) -> None:
    solver = make_style(style, hook(tmp_path, "echo 'no such zone' >&2; exit 3"))
    error = only(solver.publish([response()]))
    assert error.message.endswith("failed with exit status 3: no such zone")
    assert error.message.startswith(f"`{tmp_path}/hook")


def make_style(style: str, program: Path, **changes: Any) -> Solver:
    if style in {"acmectl", "certbot"}:
        return make(program, style=style, **changes)
    options = {"challenge": "dns-01", "timeout": "10s", "hook": [str(program)], "style": style}
    model = registry.options_model("command")
    assert model
    return registry.build("command", model.model_validate(options | changes))


def test_what_a_hook_that_hangs_had_said_is_in_the_message(tmp_path: Path) -> None:
    program = hook(tmp_path, "trap '' TERM; echo 'waiting for the zone' >&2; while :; do sleep 1; done")
    begin = time.monotonic()
    message = only(make(program, timeout="1s").publish([response()])).message
    assert message == f"`{program}` did not finish within 1 s and was stopped: waiting for the zone"
    assert time.monotonic() - begin < 30  # SIGTERM is ignored: SIGKILL comes 5 s later


def test_a_hook_that_hangs_is_not_called_for_a_whole_batch(tmp_path: Path) -> None:
    program = hook(tmp_path, f'echo "$ACMECTL_IDENTIFIER" >> {tmp_path}/log; exec sleep 60')
    ours = [response(f"{letter}.example.com") for letter in "abcdef"]
    failures = make(program, timeout="1s").publish(ours)
    assert list(failures) == ours
    assert (tmp_path / "log").read_text().split() == ["a.example.com", "b.example.com"]
    assert failures[ours[-1]].message == f"`{program}` was not called: it ran out of time for 2 others just before"


def test_a_chained_hook_that_fails_fails_for_all_and_is_called_once(tmp_path: Path) -> None:
    program = hook(tmp_path, f"echo called >> {tmp_path}/log; exit 1")
    ours = [response("a.example.com"), response("*.example.com")]
    assert set(make_style("dehydrated", program, chain=True).publish(ours)) == set(ours)
    assert (tmp_path / "log").read_text() == "called\n"
    assert make_style("dehydrated", program, chain=True).publish([]) == {}
    assert (tmp_path / "log").read_text() == "called\n"


def test_a_child_that_keeps_the_pipe_open_is_neither_waited_for_nor_ended(tmp_path: Path) -> None:
    program = hook(tmp_path, f"sleep 30 & echo $! > {tmp_path}/child; echo done")
    begin = time.monotonic()
    assert make(program).publish([response()]) == {}
    assert time.monotonic() - begin < 10
    child = int((tmp_path / "child").read_text())
    assert _runs(child)
    os.kill(child, signal.SIGKILL)


def test_a_run_that_is_given_up_ends_the_hook_at_once(tmp_path: Path) -> None:
    program = hook(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 60")
    solver = make(program, timeout="1m")

    def publish(_: int) -> object:
        return solver.publish([response("a.example.com"), response("b.example.com")])

    def interrupt(_: int) -> None:
        pid = tmp_path / "pid"
        await_true(lambda: pid.exists() and pid.read_text(), what="the start of the hook")
        raise KeyboardInterrupt

    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        workers.each([0, 1], lambda item: (publish, interrupt)[item](item), workers=2)
    assert time.monotonic() - begin < 20
    assert not _runs(int((tmp_path / "pid").read_text()))


def test_what_an_auth_hook_printed_reaches_the_cleanup_hook_of_another_process(tmp_path: Path) -> None:
    receipts = Kept()
    program = hook(tmp_path, r"printf ' record-17\000\377 \n'")
    publisher = make(program, style="certbot")
    assert isinstance(publisher, KeepsReceipts)
    publisher.keep_receipts_in(receipts)
    assert publisher.publish([response()]) == {}
    assert receipts == {response(): "record-17\ufffd"}
    later = make(hook(tmp_path, f"env > {tmp_path}/told"), style="certbot")
    assert isinstance(later, KeepsReceipts)
    later.keep_receipts_in(receipts)
    assert later.remove([response()]) == {}
    assert "CERTBOT_AUTH_OUTPUT=record-17\ufffd\n" in (tmp_path / "told").read_text("utf-8")


def test_variables_of_the_configuration_reach_the_program_and_never_replace_those_of_its_style(tmp_path: Path) -> None:
    program = hook(tmp_path, f"env > {tmp_path}/told")
    chosen = {"PROVIDER": "office", "ACMECTL_ACTION": "steal", "PATH": "/usr/bin:/bin"}
    assert make(program, environment=chosen).publish([response()]) == {}
    said = (tmp_path / "told").read_text().splitlines()
    assert {"PROVIDER=office", "ACMECTL_ACTION=publish", "PATH=/usr/bin:/bin"} <= set(said)


def test_a_certbot_hook_without_a_cleanup_hook_leaves_removing_to_nobody(tmp_path: Path) -> None:
    model = registry.options_model("command")
    assert model
    options = {"challenge": "dns-01", "style": "certbot", "publish": [str(hook(tmp_path, "true"))]}
    solver = registry.build("command", model.model_validate(options))
    assert solver.publish([response()]) == {}
    assert solver.remove([response()]) == {}


def test_a_program_that_may_not_be_probed_says_so(tmp_path: Path) -> None:
    assert make(hook(tmp_path, "true"), probe=False).capabilities.probe is Probe.NONE


@pytest.mark.parametrize("name", ["no-such-program", "/no/such/program"])
def test_a_program_that_is_missing_is_named(name: str) -> None:
    error = only(make([name]).publish([response()]))
    assert error.message.startswith(f"cannot run `{name}`: ")
    assert error.hint == f"is `{name}` installed and executable?"


def test_the_url_that_a_program_published_is_looked_at(tmp_path: Path) -> None:
    bodies: list[bytes] = [b"nothing yet"]
    with running_web(lambda _, __: Answer(200, bodies[0])) as web:
        solver = make(hook(tmp_path, "true"), challenge="http-01", check_address=web.endpoint, check_timeout="1s")
        ours = [response(kind="http-01")]
        assert "something else" in only(solver.seen(ours)).message
        bodies[0] = b"T0ken_-x.thumbprint"
        assert solver.seen(ours) == {}
