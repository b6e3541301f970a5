"""`acmectl sandbox` as a process."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.servers.sandbox_client import Client

_COMMAND = [sys.executable, "-m", "acmectl", "sandbox"]


@contextmanager
def _running(*options: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The process, and what it printed until it was ready."""
    process = subprocess.Popen([*_COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        try:
            assert process.stdout
            lines: list[str] = []
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                if line.startswith("ready"):
                    break
            yield process, lines
        finally:
            process.kill()


def _value(lines: list[str], key: str) -> str:
    return next(line.removeprefix(f"{key}: ") for line in lines if line.startswith(f"{key}: "))


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_serves_until_it_is_ended_and_then_exits_with_0(tmp_path: Path, ending: signal.Signals) -> None:
    with _running("--output", str(tmp_path / "out"), "--trust") as (process, lines):
        assert "no certificate authority for anyone" in lines[0]
        snippet = yaml.safe_load(next(line for line in lines if line.startswith("authority:")))["authority"]
        assert snippet == {"directory": _value(lines, "directory"), "ca_bundle": str(tmp_path / "out" / "root.pem")}
        assert (tmp_path / "out" / "directory-url").read_text() == snippet["directory"] + "\n"
        assert yaml.safe_load((tmp_path / "out" / "authority.yaml").read_text()) == {"authority": snippet}
        with Client(snippet["directory"], Path(snippet["ca_bundle"])) as client:
            client.register()
            assert client.proven("a.example.com").json["status"] == "ready"
            process.send_signal(ending)
            assert process.wait(20) == 0
        assert process.stderr
        assert process.stderr.read() == ""
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "alternate-root.pem", "authority.yaml", "directory-url", "root.pem"
    ]  # fmt: skip


def test_without_an_output_directory_nothing_is_left_behind(tmp_path: Path) -> None:
    previous = os.environ.get("TMPDIR")
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(_COMMAND, stdout=subprocess.PIPE, text=True, env=environment)
    with process:
        assert process.stdout
        for line in process.stdout:
            if line.startswith("ready"):
                break
        assert list(tmp_path.iterdir())
        process.terminate()
        assert process.wait(20) == 0
    assert not list(tmp_path.iterdir())
    assert os.environ.get("TMPDIR") == previous


def test_a_required_binding_is_written_for_its_owner_only(tmp_path: Path) -> None:
    with _running("--output", str(tmp_path), "--require-binding") as (_, lines):
        key = (tmp_path / "eab-hmac-key").read_text().strip()
        assert key not in "\n".join(lines)
        for name in ("eab-hmac-key", "eab-key-id"):
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
        with Client(_value(lines, "directory"), tmp_path / "root.pem") as client:
            assert client.register().problem == "externalAccountRequired"


def test_verbose_prints_one_line_a_request_on_stderr(tmp_path: Path) -> None:
    with _running("--output", str(tmp_path), "-v") as (process, lines):
        with Client(_value(lines, "directory"), tmp_path / "root.pem"):
            pass
        process.terminate()
        process.wait(20)
        assert process.stderr
        assert process.stderr.read() == '"GET /directory HTTP/1.1" 200 -\n'


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--listen", "0.0.0.0:0"], 2, "loopback addresses only"),
        (["--listen", "127.0.0.1"], 2, "no address with a port"),
        (["--listen", "127.0.0.1:99999"], 2, "no address with a port"),
        (["--listen", "localhost:80"], 2, "no address with a port"),
        (["--profile", "fancy:reuse=1h"], 2, "no profile `fancy`"),
        (["--profile", "classic:fun=1h"], 2, "`fun` is no lifetime; there are reuse, order, pending, certificate"),
        (["--profile", "classic:reuse=soon"], 2, "not a duration"),
        (["--http-address", "resolver"], 2, "needs `--resolver`"),
        (["--http-address", "example.com"], 2, "no address: example.com"),
        (["--nonce-reject", "100"], 2, "--nonce-reject"),
        (["--rules", "other"], 2, "--rules"),
        (["--output", "/proc/none/out"], 1, "cannot make the directory"),
    ],
)
def test_what_cannot_be_is_refused_in_one_message(options: list[str], status: int, words: str) -> None:
    ended = subprocess.run([*_COMMAND, *options], capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == status
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_a_port_in_use_exits_with_1(tmp_path: Path) -> None:
    with _running("--output", str(tmp_path)) as (_, lines):
        address = _value(lines, "directory").removeprefix("https://").partition("/")[0]
        ended = subprocess.run(
            [*_COMMAND, "--listen", address], capture_output=True, text=True, timeout=30, check=False
        )
        assert ended.returncode == 1
        assert f"cannot listen on `{address}`: Address already in use" in ended.stderr


def test_lifetimes_and_limits_are_taken_from_the_command_line(tmp_path: Path) -> None:
    options = ["--trust", "--profile", "classic:reuse=2h,order=90m", "--cutoff", "5m", "--failures-limit", "1"]
    with (
        _running("--output", str(tmp_path), *options) as (_, lines),
        Client(_value(lines, "directory"), tmp_path / "root.pem") as client,
    ):
        client.register()
        order = client.proven("a.example.com")
        assert client.new_order("a.example.com", "b.example.com").status == 201
        [(url, _)] = client.authorizations(order).values()
        expires, moment = client.post(url).json["expires"], client.post(url).json["challenges"][0]["validated"]
        assert int(expires[11:13]) - int(moment[11:13]) in {2, -22}
        [(url, _)] = client.authorizations(client.new_order("c.example.com")).values()
        client.post(url, {"status": "deactivated"})
        assert client.new_order("c.example.com").problem == "rateLimited"
