"""What `master try` says and does, whole: probes at real web servers and by real programs, and no word to the CA."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.hosts import Host
from tests.servers.static_web import Web, files_below, running_web

HOOK = """#!/bin/sh -e
file=www$ACMECTL_URL_PATH
case $ACMECTL_ACTION in
    publish) mkdir -p "${file%/*}"; printf %s "$ACMECTL_KEY_AUTHORIZATION" >"$file"; echo "$file" >>published ;;
    remove) rm -f "$file" ;;
esac
"""
CONFIG = """\
authority: {{directory: "https://127.0.0.1:1/directory"}}
profile: classic
state_directory: state
solvers:
  web: {{type: webroot, path: www, check_address: "{web}", check_timeout: 1s}}
  hook: {{type: command, challenge: http-01, publish: [./hook], remove: [./hook], check_address: "{web}"}}
  broken: {{type: command, challenge: dns-01, publish: [./broken], remove: ["true"]}}
  dear: {{type: command, challenge: dns-01, publish: ["false"], remove: ["false"], probe: no}}
{rest}
"""
MASTER = """\
master:
  authorize:
    - {{names: [a.acme.test, b.acme.test], solver: {web}}}
    - {{names: ["*.acme.test"], solver: {wildcard}}}
"""


NONE = """\
error: this host proves no names
hint: list names under `master.authorize`, or give a certificate a `solver`
"""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    (tmp_path / "host" / "www").mkdir(parents=True)
    with running_web(files_below(tmp_path / "host" / "www")) as running:
        yield running


def host_of(directory: Path, web: Web, rest: str) -> Host:
    host = Host(directory / "host", CONFIG.format(web=web.endpoint, rest=rest))
    for name, script in (("hook", HOOK), ("broken", "#!/bin/sh\necho 'no such zone' >&2\nexit 3\n")):
        (host.directory / name).write_text(script)
        (host.directory / name).chmod(0o755)
    return host


def is_clean(host: Host) -> bool:
    return not any(path.is_file() for path in (host.directory / "www").rglob("*"))


def test_names_that_work_are_listed_and_nothing_is_left(tmp_path: Path, web: Web) -> None:
    host = host_of(tmp_path, web, MASTER.format(web="web", wildcard="dear"))
    assert (
        host.block(host.acmectl("master", "try"))
        == """\
a.acme.test  web   http-01  works
b.acme.test  web   http-01  works
*.acme.test  dear  dns-01   not tried: it publishes only what a CA asks for
3 of 3 names can be proven
-> 0
"""
    )
    assert len(web.requests) == 2
    assert is_clean(host)


def test_a_name_that_fails_is_told_with_its_reason_and_leaves_the_others_alone(tmp_path: Path, web: Web) -> None:
    host = host_of(tmp_path, web, MASTER.format(web="[web]", wildcard="[web, broken]"))
    assert (
        host.block(host.acmectl("master", "try"))
        == """\
a.acme.test  web     http-01  works
b.acme.test  web     http-01  works
*.acme.test  web              not for this name
*.acme.test  broken  dns-01   failed
2 of 3 names can be proven
! error: solver `broken` cannot prove `*.acme.test`: `./broken` failed with exit status 3: no such zone
-> 1
"""
    )
    assert is_clean(host)


def test_of_several_solvers_the_first_that_works_is_taken_and_with_all_each_is_tried(tmp_path: Path, web: Web) -> None:
    host = host_of(tmp_path, web, MASTER.format(web="[broken, hook, web]", wildcard="dear"))
    first = host.acmectl("master", "try", "a.acme.test")
    assert host.block(first) == (
        """\
a.acme.test  broken  dns-01   failed
a.acme.test  hook    http-01  works
1 of 1 name can be proven
! error: solver `broken` cannot prove `a.acme.test`: `./broken` failed with exit status 3: no such zone
-> 1
"""
    )
    every = host.acmectl("master", "try", "--all", "a.acme.test")
    assert every.out.splitlines()[:3] == [
        "a.acme.test  broken  dns-01   failed",
        "a.acme.test  hook    http-01  works",
        "a.acme.test  web     http-01  works",
    ]
    assert is_clean(host)


def test_json_has_every_name_and_solver(tmp_path: Path, web: Web) -> None:
    host = host_of(tmp_path, web, MASTER.format(web="web", wildcard="broken"))
    ran = host.acmectl("master", "try", "--json", "a.acme.test", "*.acme.test")
    document = json.loads(ran.out)
    assert (ran.status, document["schema_version"]) == (1, 1)
    reason = {"message": "`./broken` failed with exit status 3: no such zone", "hint": None}
    common = {"probed": True, "left": None}
    assert document["tried"] == [
        {"name": "a.acme.test", "solver": "web", "challenge": "http-01", "works": True, "error": None, **common},
        {"name": "*.acme.test", "solver": "broken", "challenge": "dns-01", "works": False, "error": reason, **common},
    ]


def test_names_of_certificates_with_a_solver_are_tried_as_well(tmp_path: Path, web: Web) -> None:
    host = host_of(tmp_path, web, "certificates:\n  one: {names: [a.acme.test], solver: web}\n")
    assert host.good("master", "try").out == "a.acme.test  web  http-01  works\n1 of 1 name can be proven\n"


@pytest.mark.parametrize(
    ("rest", "names", "said"),
    [
        (
            MASTER.format(web="web", wildcard="dear"),
            ["aa.acme.test"],
            "error: `aa.acme.test` is not among the names that this host proves\nhint: did you mean `a.acme.test`?\n",
        ),
        (
            "certificates:\n  one: {names: [a.acme.test]}\n",
            [],
            NONE,
        ),
    ],
)
def test_what_cannot_be_tried_is_refused(tmp_path: Path, web: Web, rest: str, names: list[str], said: str) -> None:
    ran = host_of(tmp_path, web, rest).acmectl("master", "try", *names)
    assert (ran.status, ran.out, ran.err) == (2, "", said)


def test_what_cannot_be_removed_is_a_failure_and_is_removed_by_the_next_try(tmp_path: Path, web: Web) -> None:
    host = host_of(tmp_path, web, MASTER.format(web="hook", wildcard="dear"))
    hook = host.directory / "hook"
    hook.write_text(HOOK.replace('rm -f "$file"', "echo 'read-only' >&2; exit 1"))
    ran = host.acmectl("master", "try", "a.acme.test")
    assert ran.status == 1
    assert ran.err == (
        "warning: left behind for `a.acme.test`: `./hook` failed with exit status 1: read-only\n"
        "hint: the next run tries to remove it again\n"
    )
    assert not is_clean(host)
    hook.write_text(HOOK)
    host.good("master", "try", "b.acme.test")
    assert is_clean(host)


def test_on_a_terminal_the_progress_of_each_solver_is_shown_and_goes_away(tmp_path: Path, web: Web) -> None:
    host = host_of(tmp_path, web, MASTER.format(web="hook", wildcard="dear"))
    said = host.on_terminal("master", "try").out
    assert "trying names" in said
    assert "hook: 2 published" in said or "hook: 2 seen" in said or "hook: 2 removed" in said
    assert said.rstrip().endswith("3 of 3 names can be proven")
