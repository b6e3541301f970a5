"""README is true: its configurations load, its commands run in their order and print what it shows, its tables are complete."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from acmectl import config
from acmectl.model.authorities import KNOWN_DIRECTORIES
from acmectl.solvers import registry
from tests.integration.hosts import await_true
from tests.servers.sandbox import running_sandbox

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
ACMECTL = Path(sys.executable).with_name("acmectl")
_BLOCK = re.compile(r"^```(?P<kind>.*)\n(?P<text>(?:.*\n)*?)```$", re.MULTILINE)


def blocks(kind: str) -> Iterator[str]:
    return (match["text"] for match in _BLOCK.finditer(README) if match["kind"] == kind)


def transcript() -> Iterator[tuple[str, str, str]]:
    """Every command of README with the host it is typed on and the output that is shown."""
    for text in blocks("console"):
        for part in re.split(r"^(?=(?:master|follower)\$ )", text, flags=re.MULTILINE)[1:]:
            prompt, _, output = part.partition("\n")
            host, _, command = prompt.partition("$ ")
            yield host, command, output


def spoken(text: str) -> str:
    """What a text says, without what differs between two CAs, two moments and two keys."""
    for pattern, word in (
        (r"https://[^\s,]+", "URL"),
        (r"\S*/config\.yaml:", "config.yaml:"),
        (r"(state: ).*", r"\1PATH"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "MOMENT"),
        (r"\([\w ]+ left\)", "(TIME left)"),
        (r"(thumbprint: )\S+", r"\1THUMBPRINT"),
        (r"(serial )[0-9a-f]+", r"\1SERIAL"),
        (r"(issued by ).*", r"\1ISSUER"),
        (r"^\d+ requests? to the CA:.*\n", ""),
    ):
        text = re.sub(pattern, word, text, flags=re.MULTILINE)
    return text.replace("example.com", "acme.test")


_HERE = {"directory": "tls", "group": str(os.getegid()), "check": [], "reload": ["true"], "verify": []}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def prepare(host: Path, text: str, port: int, authority: str) -> None:
    """A host with README's configuration, in which only what belongs to this machine is another."""
    document: dict[str, Any] = yaml.safe_load(text.replace("example.com", "acme.test"))
    del document["authority"]
    document["state_directory"] = "state"
    if "solvers" in document:
        document["solvers"]["web"] |= {"listen": f"127.0.0.1:{port}", "check_address": f"127.0.0.1:{port}"}
    for certificate in document.get("certificates", {}).values():
        certificate["deploy"] = [target | _HERE for target in certificate["deploy"]]
    (host / "conf.d").mkdir(parents=True)
    (host / "config.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    (host / "conf.d" / "here.yaml").write_text(f"{authority}\nfollower: {{grace: 1s}}\n")


def test_every_command_of_readme_does_what_readme_shows(tmp_path: Path) -> None:
    port = free_port()
    with running_sandbox(tmp_path, http_port=port) as ca:
        authority = f'authority: {{directory: "{ca.directory_url}", ca_bundle: "{ca.ca_bundle}"}}'
        for host in ("master", "follower"):
            (text,) = blocks(f"yaml {host}")
            prepare(tmp_path / host, text, port, authority)
        for host, command, output in transcript():
            words = shlex.split(command)
            assert words[0] == "acmectl"
            if words[1:3] == ["account", "import"]:
                (tmp_path / "master" / words[3]).rename(tmp_path / host / words[3])
            result = subprocess.run(
                [ACMECTL, "--config", "config.yaml", *words[1:]],
                cwd=tmp_path / host,
                capture_output=True,
                text=True,
                check=False,
            )
            assert (result.returncode, spoken(result.stdout)) == (0, spoken(output)), (command, result.stderr)
    assert len(list(transcript())) > 5


def test_a_rehearsal_goes_as_readme_says(tmp_path: Path) -> None:
    """Three things are replaced in the configuration; with two of them it would not work."""
    (text,) = blocks("yaml master")
    (section,) = re.findall(r"^## Rehearse\n(.*?)^## ", README, flags=re.MULTILINE | re.DOTALL)
    with running_sandbox(tmp_path) as ca:
        replaced: dict[str, Any] = {
            "authority": {"directory": ca.directory_url, "ca_bundle": str(ca.ca_bundle)},
            "state_directory": "rehearsal",
            "contact": ["hostmaster@acme.test"],
        }
        assert all(f"`{key}`" in section for key in replaced)
        for left_out, status in ((None, 0), ("contact", 1)):
            changes = {key: value for key, value in replaced.items() if key != left_out}
            copy = tmp_path / f"without-{left_out}" / "copy.yaml"
            copy.parent.mkdir()
            copy.write_text(yaml.safe_dump(yaml.safe_load(text) | changes))
            command = [str(ACMECTL), "--config", str(copy), "account", "register", "--agree-tos"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == status, done.stderr


def test_the_help_in_readme_is_the_real_one() -> None:
    (shown,) = blocks("help")
    real = subprocess.run([ACMECTL, "--help"], capture_output=True, text=True, check=True).stdout
    assert shown == real


def test_readme_lists_every_key_of_the_configuration() -> None:
    listed = set(re.findall(r"^\| `([\w.]+)` \|", README, flags=re.MULTILINE))
    assert {path for path in _keys() if not any(path.startswith(f"{other}.") for other in listed)} <= listed
    assert {name for name in listed if "." in name or name in _top()} <= set(_keys())


def _top() -> set[str]:
    return set(config.json_schema()["properties"])


def _keys() -> Iterator[str]:
    """The paths of all keys that the schema has, as README writes them."""
    schema = config.json_schema()
    definitions = schema["$defs"]
    yield from (set(schema["properties"]) - {"master", "certificates", "follower"})
    for prefix, name in (
        ("accounts.NAME", "AccountSchema"),
        ("master", "MasterSchema"),
        ("certificates.LABEL", "CertificateSchema"),
        ("follower", "FollowerSchema"),
    ):
        yield from (f"{prefix}.{key}" for key in definitions[name]["properties"])


def test_readme_names_every_known_authority_and_solver() -> None:
    assert [name for name in (*KNOWN_DIRECTORIES, *registry.known_types()) if f"`{name}`" not in README] == []


@pytest.mark.parametrize("match", re.findall(r"\]\(([^)#:]+)\)", README))
def test_every_link_of_readme_leads_somewhere(match: str) -> None:
    assert (ROOT / match).exists()


def test_the_make_targets_that_readme_names_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^    make (\w+)$", README, flags=re.MULTILINE)
    assert targets == ["demo", "test"]
    assert all(re.search(rf"^{target}:", makefile, flags=re.MULTILINE) for target in targets)


def test_the_unit_files_in_examples_start_a_command_that_exists() -> None:
    service = (ROOT / "examples/systemd/acmectl.service").read_text()
    cron = (ROOT / "examples/cron.d/acmectl").read_text()
    (started,) = re.findall(r"^ExecStart=\S+/acmectl (.*)$", service, flags=re.MULTILINE)
    (scheduled,) = re.findall(r"^\d+ \* \* \* \* root acmectl (.*)$", cron, flags=re.MULTILINE)
    assert started == scheduled
    subprocess.run([ACMECTL, *shlex.split(started), "--help"], capture_output=True, check=True)


def test_the_demo_runs_and_leaves_nothing_behind(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, ROOT / "examples" / "demo.py"],
        env={"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "handshake for xmpp.demo.test: works" in result.stdout
    assert "handshake for wrong.demo.test: refused" in result.stdout
    assert "releasing the stuck order" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", range(3))
def test_the_demo_leaves_nothing_behind_whenever_it_is_ended(
    tmp_path: Path, number: signal.Signals, moment: int
) -> None:
    environment = {"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    demo = subprocess.Popen(
        [sys.executable, ROOT / "examples" / "demo.py"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    await_true(lambda: any(tmp_path.iterdir()), what="the demo's directory")
    after = random.uniform(0, 0.7) + moment  # noqa: S311  # any moment will do
    with contextlib.suppress(subprocess.TimeoutExpired):
        demo.wait(after)
    demo.send_signal(number)
    assert demo.wait(30) == 128 + number, f"after {after} s"
    assert list(tmp_path.iterdir()) == [], f"after {after} s"
    assert living_in(tmp_path) == [], f"after {after} s"


def living_in(directory: Path) -> list[str]:
    """The processes that were given `directory` for their temporary files."""
    wanted = f"TMPDIR={directory}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # others', and those that have just ended
            if wanted in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_text())
    return found


def test_nothing_in_the_project_names_the_place_where_it_was_written() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    forbidden = ("/wo" + "rk/", "../sha" + "red", "farm" + "-")
    found = [
        name
        for name in filter(None, listed.split("\0"))
        for word in forbidden
        if word in (ROOT / name).read_text(errors="replace")
    ]
    assert found == []


def test_examples_that_the_program_and_readme_send_people_to_are_there() -> None:
    sources = [ROOT / "README.md", *ROOT.glob("acmectl/**/*.py")]
    named = {found for path in sources for found in re.findall(r"\bexamples/[\w./-]*\w", path.read_text("utf-8"))}
    assert {"examples/nginx", "examples/apache", "examples/systemd"} <= named
    assert not {name for name in named if not (ROOT / name).exists()}


def test_no_paragraph_of_readme_stands_inside_a_sentence() -> None:
    """A merge has put one there: what goes on in small letters goes on after an example."""
    prose = re.sub(r"^( *)```.*?^\1```$", "    an example", README, flags=re.MULTILINE | re.DOTALL)
    pairs = list(itertools.pairwise(prose.split("\n\n")))
    assert [after for before, after in pairs if after[0].islower() and not before.startswith("    ")] == []
    ends = (before.rstrip()[-1] for before, _ in pairs if re.match(r"[A-Za-z`*\[]", before))
    assert set(ends) <= set(".:")
