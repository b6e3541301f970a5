"""Several solvers for a name, in real runs: what works is used, and what was passed over is told with `-v` and in `log`."""

from __future__ import annotations

from pathlib import Path

import pytest

from acmectl.sandbox.server import Sandbox
from tests.cli.hosts import Host, authority

SOLVERS = """\
solvers:
  web: {type: webroot, path: www, check: no}
  gone: {type: webroot, path: nowhere, check: no}
  hook: {type: command, challenge: dns-01, publish: ["true"], remove: ["true"], propagation: {timeout: 1s}}
"""
GONE = "the document root `TMP/host/nowhere` is no directory"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path / "host")
    (made.directory / "www").mkdir()
    return made


def configure(host: Host, ca: Sandbox, *entries: str) -> None:
    listed = "".join(f"    - {entry}\n" for entry in entries)
    contact = {"contact": "[admin@acme.test]"}
    host.configure(authority(ca, **contact) + SOLVERS + f"master:\n  authorize:\n{listed}")
    if not host.state.exists():
        host.good("account", "register", "--agree-tos")


def test_the_next_solver_proves_what_the_first_cannot_publish(host: Host, ca: Sandbox) -> None:
    configure(host, ca, "{names: [a.choice.test, b.choice.test], solver: [gone, web]}")
    ran = host.good("-v", "master", "run")
    assert host.normal(ran.out).splitlines()[:2] == [
        "a.choice.test  proven  until TIME",
        "b.choice.test  proven  until TIME",
    ]
    assert sorted(line for line in host.normal(ran.err).splitlines() if "passed over" in line) == [
        f"acmectl: {name}.choice.test: solver `gone` is passed over: {GONE}" for name in "ab"
    ]
    story = host.normal(host.good("log", "a.choice.test").out)
    assert f"solver `gone` is passed over: {GONE}" in story
    assert not [path for path in (host.directory / "www").rglob("*") if path.is_file()]


def test_a_wildcard_takes_the_solver_for_dns_and_its_base_name_the_first(host: Host, ca: Sandbox) -> None:
    configure(host, ca, '{names: [wild.test, "*.wild.test"], solver: [web, hook]}')
    ran = host.acmectl("-v", "master", "run")
    assert ran.status == 1, "the wildcard's record is seen nowhere"
    assert ran.out.splitlines()[0].startswith("wild.test    proven")
    assert "acmectl: *.wild.test: solver `web` is passed over: solver `web` cannot prove a wildcard" in ran.err
    assert (
        "error: `*.wild.test` is not authorized: no solver works: solver `web` cannot prove a wildcard; `hook`"
        in ran.err
    )


def test_where_no_solver_works_each_reason_is_told(host: Host, ca: Sandbox) -> None:
    configure(host, ca, "{names: [none.test], solver: [gone]}")
    assert f"error: `none.test` is not authorized: {GONE}" in host.normal(host.acmectl("master", "run").err)
    configure(host, ca, "{names: [none.test], solver: [gone, hook]}")
    ran = host.acmectl("master", "run", "none.test")
    assert f"`none.test` is not authorized: no solver works: `gone`: {GONE}; `hook`: " in host.normal(ran.err)


def test_a_plan_shows_the_solvers_in_their_order(host: Host, ca: Sandbox) -> None:
    configure(host, ca, "{names: [a.choice.test], solver: [gone, web]}")
    said = host.good("master", "plan", "--json").out
    assert '"solver": "gone",\n        "fallbacks": [\n          "web"\n        ]' in said


@pytest.mark.parametrize(
    ("solver", "problem"),
    [
        ("[web, wbe]", "`master.authorize[0].solver`: there is no solver `wbe` (did you mean `web`?)"),
        ("[web, web]", "`master.authorize[0].solver`: `web` is listed twice"),
        ("[]", "`master.authorize[0].solver`: must not be empty"),
        (
            "7",
            "`master.authorize[0].solver`: expected a text or a list, found a number (the name of a solver",
        ),
        (
            "[web, gone]",
            "`master.authorize[0]`: neither solver `web` nor `gone` can prove the wildcard `*.a.test` (a wildcard needs",
        ),
    ],
)
def test_a_list_that_cannot_be_used_is_refused_at_its_line(host: Host, solver: str, problem: str) -> None:
    host.configure(
        f'authority: letsencrypt\n{SOLVERS}master:\n  authorize:\n    - {{names: ["*.a.test"], solver: {solver}}}\n'
    )
    ran = host.acmectl("check")
    assert ran.status == 2
    assert f"config.yaml:8: {problem}" in ran.err
