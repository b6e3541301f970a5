"""Any program as a solver: what it is told, and what becomes of one that fails, hangs or prints rubbish."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from acmectl.errors import SolverError
from acmectl.model.names import Identifier
from acmectl.solvers import registry
from acmectl.solvers.base import Capabilities, Failures, Response, Solver
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


def only(failures: Failures) -> SolverError:
    (error,) = set(failures.values())
    return error


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
    assert make(program, challenge="http-01").capabilities == Capabilities(("http-01",), wildcard=False)


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
