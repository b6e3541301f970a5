"""Keys, TSIG secrets and passphrases are in no output, log or argument list, however loud a command is asked to be."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest

from acmectl.sandbox.server import Sandbox
from tests.cli.hosts import FRESH, Host, Ran, authority, follower_of, master_of

PASSPHRASE = "correct horse battery staple"
TSIG_SECRET = base64.b64encode(b"a secret that BIND shares with us").decode()
TSIG_KEY = f'key "acme" {{\n\talgorithm hmac-sha256;\n\tsecret "{TSIG_SECRET}";\n}};\n'
SPY = """
  xmpp:
    names: [xmpp.acme.test, mail.acme.test]
    deploy:
      - {type: files, directory: tls, reload: [sh, -c, "ps -eo args >processes; env >environment; ls /proc/$PPID/fd >fds"]}
"""


def private(path: Path, text: str) -> Path:
    path.touch(0o600)
    path.write_text(text)
    return path


def secret_lines(*roots: Path) -> set[str]:
    """The passphrase, the TSIG secret, and every line of every private key below `roots`."""
    lines = {PASSPHRASE, TSIG_SECRET}
    for pem in (pem for root in roots for pem in root.rglob("*.pem")):
        text = pem.read_text()
        if "PRIVATE KEY" in text:
            lines |= {line for line in text.splitlines() if not line.startswith("-----")}
    return lines


def test_no_command_says_a_secret_however_loud(ca: Sandbox, tmp_path: Path) -> None:
    master, follower = Host(tmp_path / "master", master_of(ca)), Host(tmp_path / "follower", follower_of(ca, SPY))
    (master.directory / "www").mkdir()
    word = str(private(tmp_path / "word", f"{PASSPHRASE}\n"))
    bundle = str(tmp_path / "sealed.json")
    commands = [
        (master, "account register --agree-tos"),
        (master, "account show --live --json"),
        (master, f"account export {bundle} --passphrase-file {word}"),
        (follower, f"account import {bundle} --passphrase-file {word}"),
        (follower, "follower run"),
        (master, "master run"),
        (master, "status --json"),
        (follower, "follower run"),
        (follower, "follower run --force"),
        (follower, "status --json"),
        (follower, "status"),
        (follower, "check"),
    ]
    said = "".join(host.good("-vv", *words.split(), prefix=FRESH).said for host, words in commands)
    assert "POST https://127.0.0.1" in said
    secrets = secret_lines(tmp_path)
    assert len(secrets) >= 2 + 2 * 3, "the account's key and both generations' are looked for"
    spied = (follower.directory / "processes").read_text() + (follower.directory / "environment").read_text()
    assert "follower run" in spied
    assert not [line for line in secrets if line in said + spied]


def test_nothing_but_the_passphrase_opens_a_bundle(master: Host, tmp_path: Path) -> None:
    word = private(tmp_path / "word", f"{PASSPHRASE}\n")
    master.good("account", "export", "sealed.json", "--passphrase-file", str(word))
    text = (master.directory / "sealed.json").read_text()
    assert not [line for line in secret_lines(master.state) if line in text]
    assert stat.S_IMODE((master.directory / "sealed.json").stat().st_mode) == 0o600


def errors_of(host: Host, *commands: str) -> str:
    """What failing commands say at their loudest."""
    failed: list[Ran] = [host.acmectl("-vv", *command.split()) for command in commands]
    assert all(ran.status in {1, 2} for ran in failed), failed
    return "".join(ran.said for ran in failed)


@pytest.mark.parametrize(
    "spoiled",
    [
        TSIG_KEY.replace("hmac-sha256", "hmac-md6"),
        TSIG_KEY.replace("algorithm", "algoritm"),
        TSIG_KEY[: TSIG_KEY.index("}")],
        TSIG_SECRET,
        f"acme:{TSIG_SECRET}:hmac-sha256\n",
    ],
)
def test_a_damaged_tsig_key_is_refused_without_showing_it(ca: Sandbox, tmp_path: Path, spoiled: str) -> None:
    host = Host(tmp_path / "master", authority(ca))
    private(host.directory / "tsig.key", spoiled)
    solver = 'solvers:\n  dns: {type: rfc2136, server: "127.0.0.1:1", tsig_key_file: tsig.key}\n'
    host.configure(authority(ca) + solver + "master: {authorize: [{names: [acme.test], solver: dns}]}\n")
    (host.state).mkdir()
    said = errors_of(host, "master run")
    assert "Traceback" not in said
    assert TSIG_SECRET not in said


def test_a_secret_in_the_place_of_its_file_is_not_repeated(ca: Sandbox, tmp_path: Path) -> None:
    solver = f"solvers:\n  dns: {{type: rfc2136, server: 127.0.0.1, tsig_key_file: {TSIG_SECRET}}}\n"
    host = Host(
        tmp_path / "master", authority(ca) + solver + "master: {authorize: [{names: [acme.test], solver: dns}]}\n"
    )
    said = errors_of(host, "check", "check --json", "master run")
    assert "config.yaml:5: `solvers.dns.tsig_key_file`" in said
    assert TSIG_SECRET not in said


def test_a_damaged_account_key_is_refused_without_showing_it(follower: Host) -> None:
    key = follower.state / "accounts" / "default" / "key.pem"
    lines = key.read_text().splitlines()
    secret = lines[1]
    key.write_text("\n".join([lines[0], secret, lines[-1]]) + "\n")
    said = errors_of(follower, "follower run", "account show --live", "account export out.json")
    assert "Traceback" not in said
    assert secret not in said
