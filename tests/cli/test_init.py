"""`acmectl init`: what it writes holds, what exists stays, and what is refused leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from acmectl.model.names import Identifier
from tests.cli.hosts import Host
from tests.servers.zygote import ACMECTL


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "host")


def written(host: Host) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(host.config.read_text("utf-8"))
    return document


@pytest.mark.parametrize("role", ["master", "follower", "standalone"])
@pytest.mark.parametrize("how", [(), ("--webroot", "www"), ("--tsig-key-file", "tsig.key")])
def test_a_configuration_of_every_role_passes_the_check(host: Host, role: str, how: tuple[str, ...]) -> None:
    key = host.directory / "tsig.key"
    key.touch(0o600)
    key.write_text(
        'key "office" { algorithm hmac-sha256; secret "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldA=="; };'
    )
    ran = host.good("init", role, "acme.test", "*.acme.test" if "--tsig-key-file" in how else "www.acme.test", *how)
    assert "config.yaml: written, for a " in ran.out
    assert "config.yaml: no problems" in host.good("check").out
    document = written(host)
    assert ("solvers" in document, "master" in document) == (role != "follower", role == "master")
    assert document["profile"] == "classic"


def test_what_was_asked_for_is_in_it_and_nothing_is_overwritten(host: Host) -> None:
    options = ("--contact", "admin@acme.test", "--authority", "letsencrypt-staging", "--profile", "shortlived")
    host.good("init", "standalone", "bücher.test", *options, "--state-directory", "state")
    document = written(host)
    assert document["certificates"]["main"] == {"names": [str(Identifier.parse("bücher.test"))], "solver": "web"}
    assert (document["authority"], document["profile"]) == ("letsencrypt-staging", "shortlived")
    assert (document["contact"], document["state_directory"]) == (["admin@acme.test"], str(host.state))
    before = host.tree()
    assert host.block(host.acmectl("init", "master", "acme.test")) == (
        "! error: there is a configuration already: `config.yaml`\n"
        "! hint: name another file: `acmectl --config FILE init`\n-> 2\n"
    )
    assert host.tree() == before


def test_a_link_to_nowhere_is_no_place_for_a_configuration(host: Host) -> None:
    host.config.symlink_to(host.directory / "elsewhere")
    assert host.acmectl("init", "master", "acme.test").status == 2
    assert not (host.directory / "elsewhere").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "what shall this host be?"),
        (("master",), "which names?"),
        (("chief", "acme.test"), "`chief` is not one of"),
        (("master", "not a name"), "not a name"),
        (("master", "acme.test", "--contact", "me"), "`contact[0]` would not do: not an e-mail address"),
        (("master", "acme.test", "--authority", "letsencript"), "did you mean `letsencrypt`?"),
        (("master", "acme.test", "--profile", "two words"), "`profile` would not do"),
        (("master", "*.acme.test"), "cannot prove the wildcard"),
        (("master", "acme.test", "--tsig-key-file", "none"), "there is no file"),
        (("master", "acme.test", "--tsig-key-file", "none", "--webroot", "www"), "by files or by DNS"),
        (("master", "acme.test", "--from", "acmebot", "."), "`--from` says all"),
        (("--from", "acmebot", "."), "there is no acmebot configuration"),
        (("--from", "certbot", "."), "`certbot` is not"),
    ],
)
def test_a_refused_command_says_why_and_leaves_nothing_behind(
    host: Host, arguments: tuple[str, ...], words: str
) -> None:
    before = host.tree()
    ran = host.acmectl("init", *arguments)
    assert words in ran.err
    assert ran.status in {1, 2}
    assert "Traceback" not in ran.err
    assert host.tree() == before


def test_what_cannot_be_written_whole_leaves_nothing_behind(host: Host) -> None:
    acmebot = host.directory / "acmebot.yaml"
    acmebot.write_text("authorizations: {a.test: [x], b.test: [x]}\nzone_update_keys: {b.test: Kb.+163+00001.key}\n")
    acmebot.write_text(acmebot.read_text() + f"directories: {{update_key: {host.directory}}}\n")
    secret = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldA=="
    (host.directory / "Kb.+163+00001.key").write_text(f"b. IN KEY 512 3 163 {secret}\n")
    (host.directory / "tsig").write_text("in the way")
    before = host.tree()
    ran = host.acmectl("init", "--from", "acmebot", str(acmebot))
    assert "a file of that name is in the way" in ran.err
    assert ran.status == 1
    assert {name: found for name, found in host.tree().items() if name != "hooks"} == before
    (host.directory / "tsig").unlink()
    host.good("init", "--from", "acmebot", str(acmebot))
    assert (host.directory / "tsig" / "b.test.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("given", "typed"),
    [
        ((), ["boss", "master", "acme.test www.acme.test", "admin@acme.test"]),  # no role is called boss: asked again
        (("master", "acme.test", "www.acme.test"), ["admin@acme.test"]),
    ],
)
def test_on_a_terminal_what_is_missing_is_asked_for(host: Host, given: tuple[str, ...], typed: list[str]) -> None:
    said = converse(host, ["init", *given], typed)
    assert "config.yaml: written, for a master" in said
    document = written(host)
    assert document["contact"] == ["admin@acme.test"]
    assert document["master"]["authorize"] == [{"names": ["acme.test", "www.acme.test"], "solver": "web"}]


def converse(host: Host, arguments: list[str], typed: list[str]) -> str:
    """Run a command on a terminal into which these lines are typed ahead; all that it shows."""
    ours, theirs = pty.openpty()
    os.write(ours, "".join(f"{line}\n" for line in typed).encode())
    environment = host.environment({"TERM": "dumb"})
    with subprocess.Popen(
        [ACMECTL, *arguments], cwd=host.directory, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        said = b""
        with contextlib.suppress(OSError):  # how Linux says that nobody holds the other side any more
            while chunk := os.read(ours, 65536):
                said += chunk
    os.close(ours)
    assert process.returncode == 0, said.decode()
    return said.decode()
