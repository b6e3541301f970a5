"""TSIG keys that the name server does not accept, tried on BIND: what is said, that no secret is in it, and that it can be mended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from acmectl.sandbox.server import Sandbox
from tests.cli.hosts import Host, authority
from tests.servers.bind import Bind, Key, Zone, running_bind
from tests.servers.sandbox import running_sandbox

RIGHT = Key("acme")


@pytest.fixture
def bind(tmp_path: Path) -> Iterator[Bind]:
    with running_bind(tmp_path, zones=[Zone("acme.test")], keys=[RIGHT]) as running:
        yield running


@pytest.fixture
def looking_ca(bind: Bind, tmp_path: Path) -> Iterator[Sandbox]:
    """A CA that asks BIND for what proves control."""
    with running_sandbox(tmp_path / "ca", resolver=(bind.address, bind.port), limits=None) as sandbox:
        yield sandbox


@pytest.fixture
def host(looking_ca: Sandbox, bind: Bind, tmp_path: Path) -> Host:
    """A master with an account, which proves by BIND."""
    solver = (
        f"{{type: rfc2136, server: {bind.address}, port: {bind.port}, tsig_key_file: tsig.key, "
        f'resolvers: ["{bind.endpoint}"], propagation: {{servers: ["{bind.endpoint}"], timeout: 10s, interval: 1s}}}}'
    )
    names = 'master: {authorize: [{names: [acme.test, "*.acme.test"], solver: dns}]}\n'
    host = Host(tmp_path / "master", f"{authority(looking_ca)}solvers:\n  dns: {solver}\n{names}")
    RIGHT.write(host.directory / "tsig.key")
    host.good("account", "register", "--agree-tos")
    return host


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (replace(RIGHT, secret=Key("other").secret), "BADSIG"),
        (replace(RIGHT, name="another"), "BADKEY"),
        (replace(RIGHT, algorithm="hmac-sha512"), "BADKEY"),
    ],
    ids=["another secret", "another name", "another algorithm"],
)
def test_a_wrong_tsig_key_is_told_without_its_secret_and_can_be_mended(
    host: Host, bind: Bind, wrong: Key, reason: str
) -> None:
    (host.directory / "tsig.key").write_text(wrong.statement)
    ran = host.acmectl("-vv", "master", "run")
    assert ran.status == 1
    errors = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, "one message for both names"
    assert errors[0].startswith("error: `acme.test`, `*.acme.test` are not authorized: ")
    assert f"({reason})" in errors[0]
    assert "Traceback" not in ran.err
    assert wrong.secret not in ran.said
    assert RIGHT.secret not in ran.said
    (host.directory / "tsig.key").write_text(RIGHT.statement)
    assert host.block(host.acmectl("master", "run", "acme.test", "*.acme.test")) == "-> 0\n"
    assert host.acmectl("status").status == 0
    assert bind.txt("_acme-challenge.acme.test") == set()
